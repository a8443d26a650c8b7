"""The back office in a real browser, with JavaScript and without, on a desk and on a phone."""

from decimal import Decimal

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from cartsite.models import Case
from orders.models import Order
from payments import settling
from payments.models import Payment, Refund
from payments.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(page: Page, staff_client: Client, payment: Payment, sumup: Simulator) -> Page:
    """Staff are signed in, and an order is paid."""
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    session = staff_client.cookies["sessionid"].value
    page.goto("/healthz")
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": page.url}])
    return page


def test_an_order_is_cancelled_from_its_page(desk: Page) -> None:
    order = Order.objects.get()

    desk.goto(f"/admin/orders/order/{order.pk}/change/")
    desk.get_by_role("link", name="Refund or cancel").click()
    form = desk.locator("#cancel")
    form.get_by_label("Reason").fill("The bakehouse is closed.")
    form.get_by_role("button").click()
    expect(desk.get_by_text("2 places go back on sale.")).to_be_visible()
    desk.get_by_role("button", name="Yes, do this").click()

    expect(desk.get_by_text("The order becomes: Cancelled.")).to_be_visible()
    order.refresh_from_db()
    assert (order.status, Refund.objects.get().amount) == ("cancelled", order.total)


def test_a_case_is_decided_from_the_list(desk: Page) -> None:
    Case.open(Case.Kind.OVERPAID, Order.objects.get(), "Ten pounds were too much.", at_stake=Decimal("10.00"))

    desk.goto("/admin/")
    desk.get_by_role("link", name="1 Overpaid").click()
    desk.locator("#result_list").get_by_role("link", name="Overpaid").click()
    form = desk.locator("#refund")
    form.get_by_role("button").click()
    expect(form.get_by_text("This field is required.")).to_be_visible()
    form.get_by_label("Note").fill("It was too much.")
    form.get_by_role("button").click()
    desk.get_by_role("button", name="Yes, do this").click()

    expect(desk.get_by_text("Done: Refund.")).to_be_visible()
    assert Refund.objects.get().amount == Decimal("10.00")
