"""The pages of the back office fit the window that staff have: nothing runs off it, and no text is cut."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from cartsite.models import Case, User
from orders.models import Order
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.backoffice.desk import list_of, money_page, page_of

pytestmark = pytest.mark.django_db(transaction=True)

# Elements with words of their own that run off the window, or off a card that hides what does not fit. What can be
# scrolled by itself is not among them, nor what ends in three dots.
RUNS_OFF = """
() => {
  const hasWords = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const overflow = (element) => getComputedStyle(element).overflowX;
  const rightOf = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return Math.max(...[...range.getClientRects()].map((box) => box.right), 0);
  };
  const isCut = (element) => {
    const right = rightOf(element);
    for (let around = element; around; around = around.parentElement) {
      const style = getComputedStyle(around), box = around.getBoundingClientRect();
      if (["auto", "scroll"].includes(style.overflowX) || style.clip !== "auto") return false;
      if (style.textOverflow === "ellipsis") return false;
      if (["hidden", "clip"].includes(style.overflowX)) return box.left >= 0 && box.width > 1 && right > box.right + 1;
    }
    return element.getBoundingClientRect().left < innerWidth && right > innerWidth + 1;
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => hasWords(element) && isSeen(element) && isCut(element))
    .map((element) => element.tagName + ": " + element.textContent.trim().slice(0, 60));
}
"""


@pytest.fixture
def desk(page: Page, staff_client: Client, payment: Payment, sumup: Simulator) -> Page:
    """Staff are signed in, and an order is paid; its case tells of a long address of a page."""
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    Case.open(
        Case.Kind.OVERPAID,
        payment.order,
        f"More was paid than it costs: https://sumup.example/dashboard/transactions/{'0123456789' * 8}",
        at_stake=Decimal("1234.50"),
    )
    session = staff_client.cookies["sessionid"].value
    page.goto("/healthz")
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": page.url}])
    return page


def paths(payment: Payment, staff: User) -> Iterator[str]:
    order, entry = payment.order, payment.order.lines.filter(entry__isnull=False).get().entry
    assert entry is not None
    yield reverse("admin:index")
    yield page_of(staff)
    yield page_of(order)
    yield money_page(order)
    yield reverse("admin:orders_order_goods", args=[order.pk])
    yield page_of(Case.objects.get())
    yield list_of(Order)
    yield list_of(type(entry))
    yield page_of(entry)
    yield reverse("admin:payments_dailyclose_close")


def test_pages_fit_the_window(desk: Page, payment: Payment, staff: User) -> None:
    for path in paths(payment, staff):
        desk.goto(path)

        assert desk.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert desk.evaluate(RUNS_OFF) == [], path
