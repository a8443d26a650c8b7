"""The checkout in a real browser: with JavaScript and without, on a desk and on a phone, by keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from cart.models import Product
from orders.models import Order
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, VoucherFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_checkout(page: Page, payable: None, honey: Product) -> Page:
    """A visitor with one jar for £6.50, where goods are fetched or brought, and a voucher."""
    CollectionSlotFactory()
    DeliveryZoneFactory()
    VoucherFactory(code="SPRING", title="Spring is here")
    page.goto("/")
    page.locator("form:has(input[value=HONEY]) button").click()
    expect(page.locator("#cart-badge")).to_contain_text("1")
    page.goto("/checkout/")
    return page


def test_everything_is_chosen_and_placed_by_keyboard_alone(at_checkout: Page) -> None:
    page = at_checkout
    page.locator("#id_voucher").focus()
    page.keyboard.type("spring")
    page.keyboard.press("Enter")
    expect(page.locator("#review")).to_contain_text("Spring is here")
    expect(page.locator("[data-total]")).to_have_text("£5.85")
    assert not Order.objects.exists()

    page.locator("input[name=handover]").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[value=delivery]")).to_be_checked()
    expect(page.locator("input[name=street]")).to_be_visible()
    for typed in ("1 High Street", "Bristol", "bs13ab"):
        page.keyboard.press("Tab")
        page.keyboard.type(typed)
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_contain_text("£9.35")

    page.locator("input[name=name]").focus()
    page.keyboard.type("Ada Shopper")
    page.keyboard.press("Tab")
    page.keyboard.type("ada@example.org")
    page.locator("input[name=terms]").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")  # to the link that shows the terms
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("button[value=pay]")).to_be_visible()
    assert str(Order.objects.get().total) == "9.35"


def test_no_address_is_shown_where_things_are_fetched(at_checkout: Page) -> None:
    page = at_checkout

    expect(page.locator("input[name=street]")).to_be_hidden()
    page.locator("input[name=handover]").first.check()
    page.locator("#update").click()

    expect(page.locator("#review")).to_contain_text("Collection: Saturday market")
    expect(page.locator("input[name=street]")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_window_is_chosen_and_the_order_placed_with_one_press(at_checkout: Page) -> None:
    page = at_checkout

    page.locator("input[name=handover]").first.check()
    if page.evaluate("'htmx' in window"):  # the sums come by themselves, with a fresh box for the terms
        expect(page.locator("#review")).to_contain_text("Collection: Saturday market")
    page.locator("input[name=name]").fill("Ada Shopper")
    page.locator("input[name=email]").fill("ada@example.org")
    page.locator("input[name=terms]").check()
    page.locator("#place").click()

    expect(page.locator("button[value=pay]")).to_be_visible()
    assert str(Order.objects.get().total) == "6.50"


def test_a_quantity_that_was_typed_goes_along_to_the_checkout(page: Page, honey: Product) -> None:
    page.goto("/")
    page.locator("form:has(input[value=HONEY]) button").click()
    expect(page.locator("#cart-badge")).to_contain_text("1")
    page.goto("/cart/")

    page.locator("input[type=number]").fill("7")
    page.locator("#checkout").click()

    expect(page.locator("#review [data-total]")).to_have_text("£45.50")


def test_a_quantity_is_updated_by_its_button_and_by_enter(page: Page, honey: Product) -> None:
    page.goto("/")
    page.locator("form:has(input[value=HONEY]) button").click()
    expect(page.locator("#cart-badge")).to_contain_text("1")
    page.goto("/cart/")

    page.locator("input[type=number]").fill("3")
    page.get_by_role("button", name="Update").click()
    expect(page.locator("[data-total]")).to_have_text("£19.50")
    page.locator("input[type=number]").fill("4")
    page.keyboard.press("Enter")
    expect(page.locator("[data-total]")).to_have_text("£26.00")
    assert page.url.endswith("/cart/")
