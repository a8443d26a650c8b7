"""Over https our cookies have names that no neighbouring host can plant; for one release some old names are read."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as shop_settings
from django.core.signing import Signer
from django.test import Client

from bookings.models import Waiter
from cart.models import Cart, Product
from cart.services import basket_of
from cartsite.cookies import PREFIX
from cartsite.secret_links import MOST
from orders.models import Order
from tests.bookings.lines import join, sold_out

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def browser(settings: Any) -> Client:
    """A browser that reaches the shop over https."""
    settings.COOKIES_SECURE = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = f"{PREFIX}sessionid", f"{PREFIX}csrftoken"
    return Client()


def set_as_before(browser: Client, name: str, value: str) -> None:
    """What an earlier release has set."""
    browser.cookies[name] = value


def signed(thing: Order | Waiter, salt: str) -> str:
    """The value of an earlier release's cookie for one order, or one place in a waiting list."""
    return Signer(salt=salt).sign(str(thing.uuid))


def test_every_cookie_has_the_prefix_and_what_browsers_ask_of_it(
    browser: Client, order: Order, shopper: Any, honey: Product
) -> None:
    browser.post("/cart/items/", {"product": honey.sku, "quantity": "1"})
    browser.get(order.secret_link)
    browser.get(join(sold_out()[0], "ada").secret_link)
    browser.get("/sign-in/")
    browser.force_login(shopper)

    assert {f"{PREFIX}{name}" for name in ("cart", "order", "waiter", "csrftoken", "sessionid")} == set(browser.cookies)
    for cookie in browser.cookies.values():
        assert (cookie["secure"], cookie["path"], cookie["domain"] or "") == (True, "/", "")


def test_over_http_the_plain_names_stand(client: Client, order: Order, honey: Product) -> None:
    client.post("/cart/items/", {"product": honey.sku, "quantity": "1"})
    client.get(order.secret_link)

    assert {"cart", "order"} <= set(client.cookies)


def test_several_orders_are_remembered_in_one_browser(
    browser: Client, place_order: Callable[..., Order], honey: Product
) -> None:
    orders = [place_order((honey, 1)) for _ in range(3)]

    for order in orders:
        browser.get(order.secret_link)

    assert [browser.get(order.get_absolute_url()).status_code for order in orders] == [200, 200, 200]


def test_the_oldest_is_forgotten_once_there_are_too_many(
    client: Client, place_order: Callable[..., Order], honey: Product
) -> None:
    orders = [place_order((honey, 1)) for _ in range(MOST + 1)]

    for order in orders:
        client.get(order.secret_link)

    assert client.get(orders[0].get_absolute_url()).status_code == 404
    assert client.get(orders[1].get_absolute_url()).status_code == 200
    assert len(client.cookies["order"].value) < 1000


def test_an_old_cart_cookie_is_read_and_replaced_at_once(browser: Client, fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 3))
    set_as_before(browser, "cart", token)

    answer = browser.get("/cart/")

    assert "Heather honey" in answer.content.decode()
    assert answer.cookies[f"{PREFIX}cart"].value == token
    assert answer.cookies["cart"]["max-age"] == 0


def test_what_is_set_now_goes_before_what_was_set_before(browser: Client, fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 3))
    _planted, other = fill_cart((honey, 7))
    browser.cookies[f"{PREFIX}cart"] = token
    set_as_before(browser, "cart", other)

    answer = browser.get("/cart/")

    assert 'value="3"' in answer.content.decode()
    assert f"{PREFIX}cart" not in answer.cookies


def test_a_step_that_gives_a_fresh_cart_is_not_undone_by_the_old_cookie(
    browser: Client, fill_cart: Fill, honey: Product, shopper: Any
) -> None:
    _cart, token = fill_cart((honey, 3))
    shopper.set_password("correct horse")
    shopper.save()
    set_as_before(browser, "cart", token)

    browser.post("/sign-in/", {"username": "ada", "password": "correct horse"})

    fresh = browser.cookies[f"{PREFIX}cart"].value
    assert fresh != token
    assert basket_of(fresh, shopper).count == 3


def test_signing_out_drops_the_cart_under_both_names(browser: Client, shopper: Any) -> None:
    browser.force_login(shopper)
    set_as_before(browser, "cart", "of-old")

    answer = browser.post("/sign-out/")

    assert [answer.cookies[name]["max-age"] for name in ("cart", f"{PREFIX}cart")] == [0, 0]


@pytest.mark.parametrize("knows_another", [False, True])
def test_an_old_order_cookie_is_read_and_replaced_at_once(
    browser: Client, place_order: Callable[..., Order], honey: Product, knows_another: bool
) -> None:
    order, other = place_order((honey, 1)), place_order((honey, 2))
    if knows_another:
        browser.get(other.secret_link)
    set_as_before(browser, "order", signed(order, "orders.access"))

    answer = browser.get(order.get_absolute_url())
    del browser.cookies["order"]

    assert (answer.status_code, answer.cookies["order"]["path"]) == (200, order.get_absolute_url())
    assert browser.get(order.get_absolute_url()).status_code == 200
    assert browser.get(other.get_absolute_url()).status_code == (200 if knows_another else 404)


def test_an_old_waiting_list_cookie_is_read_and_replaced_at_once(browser: Client) -> None:
    waiter = join(sold_out()[0], "ada")
    set_as_before(browser, "waiter", signed(waiter, "bookings.waiting"))

    answer = browser.get(waiter.get_absolute_url())

    assert (answer.status_code, answer.cookies["waiter"]["path"]) == (200, waiter.get_absolute_url())
    assert waiter.uuid.hex in answer.cookies[f"{PREFIX}waiter"].value


def test_one_kinds_cookie_opens_nothing_of_another_kind(browser: Client, order: Order) -> None:
    browser.cookies[f"{PREFIX}order"] = signed(order, "bookings.waiting")

    assert browser.get(order.get_absolute_url()).status_code == 404


def test_an_old_session_cookie_signs_nobody_in(browser: Client, shopper: Any) -> None:
    browser.force_login(shopper)
    session = browser.cookies.pop(shop_settings.SESSION_COOKIE_NAME).value
    set_as_before(browser, "sessionid", session)

    assert browser.get("/account/").status_code == 302
