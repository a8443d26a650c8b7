"""Signing in: by name or e-mail, with one's cart; and signing out without it."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from cart import services
from cart.models import Cart, Product
from cartsite.models import User
from tests.cart.baskets import cart_of, lines_of, token_in
from tests.cartsite.accounts import sign_in_by_code
from tests.factories import ProductFactory, UserFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


def sign_in(client: Client, name: str = "ada", password: str = "correct horse", **fields: str) -> HttpResponse:
    return client.post("/sign-in/", {"username": name, "password": password} | fields)


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"])
def test_a_person_signs_in_by_name_or_e_mail_in_any_case(client: Client, shopper: User, name: str) -> None:
    answer = sign_in(client, name)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(shopper.pk)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("", "correct horse"),
        ("nobody", "correct horse"),
        ("ada", "correct horse\x00"),
        ("ada\x00", "correct horse"),
        ("a" * 500, "correct horse"),
        ("ada%", "correct horse"),
        ("ad_", "correct horse"),
    ],
)
def test_whoever_does_not_know_the_password_is_told_so_and_keeps_their_cart(
    client: Client, fill_cart: Fill, shopper: User, name: str, password: str
) -> None:
    cart, token = fill_cart((ProductFactory.create(), 1))
    client.cookies["cart"] = token

    answer = sign_in(client, name, password)

    assert answer.status_code == 200
    assert not is_signed_in(client)
    cart.refresh_from_db()
    assert cart.user is None
    assert services.basket_of(token, None).count == 1


def test_a_person_who_was_switched_off_cannot_sign_in(client: Client, shopper: User) -> None:
    User.objects.update(is_active=False)

    sign_in(client)

    assert not is_signed_in(client)


# --- The cart ---------------------------------------------------------------------------------------------------------


def test_the_cart_filled_before_becomes_ones_own_under_a_new_cookie(
    client: Client, fill_cart: Fill, shopper: User, loaf: Product
) -> None:
    cart, token = fill_cart((loaf, 2))
    client.cookies["cart"] = token

    sign_in(client)

    cart.refresh_from_db()
    assert cart.user == shopper
    assert token_in(client) not in {"", token}
    assert services.basket_of(token_in(client), None).count == 2
    assert client.cookies["cart"]["httponly"]
    assert client.cookies["cart"]["samesite"] == "Lax"


def test_the_old_cookie_is_worth_nothing_to_anybody_else(
    client: Client, fill_cart: Fill, shopper: User, loaf: Product
) -> None:
    _cart, token = fill_cart((loaf, 2))
    client.cookies["cart"] = token
    sign_in(client)
    other = Client()
    other.cookies["cart"] = token
    thief = Client()
    thief.cookies["cart"] = token

    UserFactory.create(username="mallory")
    sign_in(thief, "mallory")

    assert b"Rye loaf" not in other.get("/cart/").content
    assert b"Rye loaf" not in thief.get("/cart/").content
    assert token_in(thief) == ""
    assert lines_of(Cart.objects.get(user=shopper)) == {"Rye loaf": 2}


def test_the_cart_one_had_and_the_one_filled_before_are_joined(
    client: Client, fill_cart: Fill, shopper: User, loaf: Product, honey: Product
) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    _found, token = fill_cart((loaf, 2), (honey, 3))
    client.cookies["cart"] = token

    sign_in(client)

    assert lines_of(mine) == {"Rye loaf": 2, "Heather honey": 3}


def test_one_finds_ones_cart_again_in_a_browser_that_has_none(
    client: Client, fill_cart: Fill, shopper: User, honey: Product
) -> None:
    fill_cart((honey, 1), user=shopper)

    sign_in(client)

    assert b"Heather honey" in client.get("/cart/").content


def test_another_users_cart_is_left_to_them(
    client: Client, fill_cart: Fill, shopper: User, honey: Product, loaf: Product
) -> None:
    other = UserFactory.create(username="grace")
    theirs, token = fill_cart((honey, 1), user=other)
    mine, _token = fill_cart((loaf, 1), user=shopper)
    client.cookies["cart"] = token

    sign_in(client)

    assert is_signed_in(client)
    assert (lines_of(theirs), lines_of(mine)) == ({"Heather honey": 1}, {"Rye loaf": 1})
    assert services.basket_of(token, None).count == 1
    assert b"Rye loaf" in client.get("/cart/").content


def test_a_made_up_cart_cookie_does_not_keep_anybody_from_signing_in(client: Client, shopper: User) -> None:
    client.cookies["cart"] = "made-up"

    sign_in(client)

    assert is_signed_in(client)
    assert token_in(client) == ""


def test_signing_out_clears_the_cart_cookie_but_not_the_cart(
    client: Client, fill_cart: Fill, shopper: User, honey: Product
) -> None:
    _cart, token = fill_cart((honey, 1))
    client.cookies["cart"] = token
    sign_in(client)

    client.post("/sign-out/")

    assert not is_signed_in(client)
    assert token_in(client) == ""
    assert b"Heather honey" not in client.get("/cart/").content
    assert lines_of(Cart.objects.get(user=shopper)) == {"Heather honey": 1}


def test_signing_out_is_only_posted(client: Client, shopper: User) -> None:
    client.force_login(shopper)

    assert client.get("/sign-out/").status_code == 405

    assert is_signed_in(client)


def test_the_session_gets_a_new_name_when_one_signs_in(client: Client, shopper: User) -> None:
    session = client.session
    session["planted"] = "by a stranger"
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted or ""

    sign_in(client)

    assert client.session.session_key != planted


# --- Where to go next -------------------------------------------------------------------------------------------------


def test_one_goes_on_to_where_one_was(client: Client, shopper: User) -> None:
    assert sign_in(client, next="/cart/").headers["Location"] == "/cart/"


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil.example"],
)
def test_nobody_is_sent_to_a_foreign_place(client: Client, shopper: User, address: str) -> None:
    page = client.get("/sign-in/", {"next": address})
    answer = sign_in(client, next=address)

    assert address not in unescape(page.content.decode())
    assert answer.headers["Location"] == "/"


# --- The demo's logins ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["staff", "staff@demo.test", "STAFF@demo.test"])
@pytest.mark.parametrize("demo", [True, False])
def test_the_demos_logins_work_in_the_demo_only(client: Client, settings: Any, name: str, demo: bool) -> None:
    settings.DEMO = demo
    user = UserFactory.create(username="staff", email="staff@demo.test", is_staff=True)
    user.set_password("demo")
    user.save()

    sign_in(client, name, "demo")

    assert is_signed_in(client) == demo


def test_a_demo_session_is_over_when_the_demo_is(client: Client, settings: Any) -> None:
    settings.DEMO = True
    UserFactory.create(username="shopper", email="shopper@demo.test")
    sign_in(client, "shopper")
    settings.DEMO = False

    assert client.get("/orders/").headers["Location"].startswith("/sign-in/")


# --- The brake --------------------------------------------------------------------------------------------------------


def test_after_too_many_tries_even_the_right_password_must_wait(client: Client, shopper: User, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"signin": (3, 600)}
    for _ in range(3):
        sign_in(client, password="wrong")

    answer = sign_in(client)

    assert answer.status_code == 429
    assert "Please wait a few minutes" in answer.content.decode()
    assert not is_signed_in(client)


def test_looking_at_the_sign_in_page_is_no_try(client: Client, shopper: User, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"signin": (3, 600)}
    for _ in range(10):
        client.get("/sign-in/")

    sign_in(client)

    assert is_signed_in(client)


# --- On the way to the checkout ---------------------------------------------------------------------------------------


def test_on_the_way_to_the_checkout_one_buys_exactly_what_one_looked_at(
    client: Client, fill_cart: Fill, shopper: User, loaf: Product, honey: Product
) -> None:
    fill_cart((loaf, 1), user=shopper)
    _found, token = fill_cart((honey, 3))
    client.cookies["cart"] = token

    answer = sign_in(client, next="/checkout/")

    assert answer.headers["Location"] == "/checkout/"
    assert lines_of(cart_of(client)) == {"Heather honey": 3}


def test_by_code_the_cart_filled_before_becomes_ones_own_too(
    client: Client, fill_cart: Fill, shopper: User, loaf: Product, honey: Product
) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    _found, token = fill_cart((honey, 3))
    client.cookies["cart"] = token

    sign_in_by_code(client)

    assert token_in(client) not in {"", token}
    assert lines_of(mine) == {"Rye loaf": 1, "Heather honey": 3}
