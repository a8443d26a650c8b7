"""By keyboard alone, and as a screen reader hears it: where one is after each step, and what one is told."""

import pytest
from playwright.sync_api import Page, expect

from bookings import capacity
from bookings.models import Attendee, Calendar, Entry
from cart import views as shop
from cart.models import Product
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db(transaction=True)

with_script = pytest.mark.parametrize("page", [(True, 1280)], ids=str, indirect=True)


@pytest.fixture
def at_checkout(page: Page, payable: None, workshop: Entry) -> Page:
    """A visitor with two places at a workshop that asks who comes."""
    Calendar.objects.filter(pk=workshop.calendar_id).update(ask_names=True)
    page.goto(workshop.get_absolute_url())
    page.get_by_label("How many of Bread workshop").fill("2")
    page.keyboard.press("Enter")
    expect(page.locator("#cart-badge")).to_contain_text("2")
    page.goto("/checkout/")
    return page


def test_whoever_forgot_something_is_led_to_it_and_orders_by_keyboard(at_checkout: Page) -> None:
    page = at_checkout
    page.get_by_label("Your name").fill("Ada Shopper")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Name", exact=True).first.fill("Ada")
    page.get_by_label("Name", exact=True).last.fill(" ")
    page.get_by_label("I accept the terms").check()
    page.locator("#place").focus()
    page.keyboard.press("Enter")

    expect(page).to_have_title("Not placed yet: checkout · Rose Ash")
    summary = page.get_by_role("alert").filter(has_text="Your order was not placed yet.")
    expect(summary).to_be_focused()
    page.keyboard.press("Tab")
    expect(summary.get_by_role("link")).to_be_focused()
    expect(summary.get_by_role("link")).to_contain_text("Place 2 of 2: Bread workshop, ")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True).last).to_be_focused()
    expect(page.locator("label", has_text="Name").last).to_be_in_viewport(ratio=1)

    page.keyboard.type("Grace")
    page.locator("#place").press("Enter")
    expect(page.locator("button[value=pay]")).to_be_visible()
    assert list(Attendee.objects.order_by("pk").values_list("name", flat=True)) == ["Ada", "Grace"]


@with_script
def test_whoever_joins_a_waiting_list_goes_on_at_the_thanks(page: Page, workshop: Entry) -> None:
    capacity.claim(workshop.pool_id, 10, until=None)
    page.goto(workshop.get_absolute_url())
    page.locator("summary").press("Enter")

    page.get_by_label("E-mail address").press("Enter")
    expect(page.get_by_text("Please tell us where we can write to.")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("ada@example.org")
    page.keyboard.press("Enter")

    expect(page.get_by_text("One more step: check your inbox.").locator("..")).to_be_focused()


@with_script
def test_whoever_asks_for_more_goes_on_at_the_first_of_it(
    page: Page, honey: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "PER_PAGE", 1)
    ProductFactory(title="Rye loaf", stall__name="Zest")
    page.goto("/")

    page.get_by_role("link", name="Show more").press("Enter")

    expect(page.get_by_role("region", name="Zest")).to_be_focused()


@with_script
def test_a_number_that_is_none_has_the_focus_when_the_page_comes(page: Page) -> None:
    page.goto("/orders/find/")
    page.get_by_label("Order number").fill("12")
    page.get_by_label("Order number").press("Enter")

    expect(page.get_by_text("An order number has 10 letters and digits")).to_be_visible()
    expect(page.get_by_label("Order number")).to_be_focused()
