"""Two baskets that met, and lines saved for later, in a real browser, with JavaScript and without."""

from decimal import Decimal

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from bookings.models import Entry
from cart import services
from cart.models import Cart, Product
from cartsite.models import User
from tests.cart.baskets import held_by, lines_of, saved_in
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own(shopper: User, fill_cart: object, honey: Product, workshop: Entry) -> Cart:
    """The basket in the shopper's account: three jars of honey, and a place."""
    cart: Cart = fill_cart((honey, 3), (workshop, 1), user=shopper)[0]  # type: ignore[operator]
    return cart


@pytest.fixture
def ada(page: Page, own: Cart, shopper: User, fill_cart: object, honey: Product) -> Page:
    """The shopper signed in with another basket in hand: a jar of honey, and two loaves. They look at the result."""
    loaf = ProductFactory.create(title="Rye loaf", sku="LOAF", stock=5)
    _cart, token = fill_cart((honey, 1), (loaf, 2))  # type: ignore[operator]
    _cart, token = services.adopt(token, shopper)
    client = Client()
    client.force_login(shopper)
    page.goto("/healthz")
    cookies = {"sessionid": client.cookies["sessionid"].value, "cart": token}
    page.context.add_cookies([{"name": name, "value": value, "url": page.url} for name, value in cookies.items()])
    page.goto("/cart/")
    return page


def test_a_meeting_is_told_undone_and_made_again(ada: Page, own: Cart) -> None:
    expect(ada.get_by_text("From the basket in your account came: 1 x Bread workshop.")).to_be_visible()

    ada.get_by_role("button", name="Undo").click()
    expect(ada.get_by_role("heading", name="There is another basket in your account")).to_be_visible()
    expect(ada.locator("[data-item]")).to_have_count(2)
    parted = lines_of(own)
    ada.get_by_role("button", name="Put them together").click()
    expect(ada.locator("[data-item]")).to_have_count(3)
    ada.get_by_role("button", name="All right").click()
    expect(ada.get_by_role("button", name="Undo")).to_have_count(0)

    assert parted == {"Heather honey": 3, "Bread workshop": 1}
    assert lines_of(own) == {"Heather honey": 3, "Bread workshop": 1, "Rye loaf": 2}


def test_a_line_is_saved_for_later_and_brought_back(ada: Page, own: Cart) -> None:
    ada.get_by_role("button", name="Save for later Rye loaf").click()
    expect(ada.locator("[data-saved]")).to_have_count(1)
    saved = saved_in(own)
    ada.get_by_role("button", name="Put into basket Rye loaf").click()
    expect(ada.locator("[data-saved]")).to_have_count(0)

    assert saved == {"Rye loaf": 2}
    assert held_by(own) == {"Rye loaf": 2, "Bread workshop": 1}


def test_prices_that_rose_are_accepted_one_by_one_or_together(ada: Page, own: Cart) -> None:
    Product.objects.update(price=Decimal("7.00"))
    ada.reload()

    ada.get_by_role("button", name="Accept £7.00 for Rye loaf").click()
    expect(ada.get_by_text("was £6.50, now £7.00 each")).to_have_count(1)
    expect(ada.get_by_role("button", name="Accept the new prices")).to_have_count(0)  # one line shows one button
    ada.get_by_role("button", name="Accept £7.00").click()
    expect(ada.get_by_text("was £6.50, now £7.00 each")).to_have_count(0)

    assert not services.basket_of("", own.user).prices_rose


def test_the_page_fits_and_is_used_by_keyboard(ada: Page) -> None:
    ada.get_by_role("button", name="Save for later Heather honey").focus()
    ada.keyboard.press("Enter")
    expect(ada.locator("[data-saved]")).to_have_count(1)

    wide = ada.locator("html").evaluate("page => page.scrollWidth > page.clientWidth")

    assert not wide


@pytest.mark.parametrize("page", [(True, 1280)], indirect=True)
def test_whoever_pressed_a_button_that_is_gone_goes_on_in_the_basket(ada: Page) -> None:
    ada.get_by_role("button", name="Undo").press("Enter")

    expect(ada.locator("#basket")).to_be_focused()


@pytest.mark.parametrize("page", [(True, 1280)], indirect=True)
@pytest.mark.parametrize("width", [360, 640, 768, 1024])
def test_the_basket_stands_beside_the_shops_name_at_any_width(ada: Page, width: int) -> None:
    ada.set_viewport_size({"width": width, "height": 800})

    name, basket = ada.locator("header a").first.bounding_box(), ada.locator("#cart-badge").bounding_box()

    assert name is not None
    assert basket is not None
    assert abs(name["y"] - basket["y"]) < name["height"] / 2
