"""POST /internal/cart/adopt: a sibling signed somebody in, and their cart comes with them."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from cart.models import BurntToken, Cart, CartMerge, Product
from cartsite.models import User
from tests.cart.baskets import lines_of, saved_in
from tests.cart.problems import problem_in
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
ADDRESS = "/internal/cart/adopt"
SOMEBODY = "6f1d5c1e-0b0a-4c57-9a57-2f6d6a3a9a10"


def adopt(sibling: Client, **body: Any) -> HttpResponse:
    return sibling.post(ADDRESS, json.dumps(body, default=str), content_type="application/json")


def test_an_anonymous_cart_becomes_the_users(sibling: Client, fill_cart: Fill, loaf: Product, shopper: User) -> None:
    cart, token = fill_cart((loaf, 2))

    answer = adopt(sibling, cart=token, user=shopper.uuid)

    body = answer.json()  # type: ignore[attr-defined]
    cart.refresh_from_db()
    assert answer.status_code == 200
    assert cart.user == shopper
    assert body["holds_until"]
    assert (body["user"], body["count"], body["lines"], body["total"]) == (str(shopper.uuid), 2, 1, "13.00")
    assert sibling.get("/internal/cart/summary", {"cart": body["cart"]}).json()["count"] == 2
    assert sibling.get("/internal/cart/summary", {"cart": token}).json()["count"] == 0


def test_the_cart_the_user_had_is_joined(
    sibling: Client, fill_cart: Fill, loaf: Product, honey: Product, shopper: User
) -> None:
    mine, _token = fill_cart((honey, 1), user=shopper)
    _found, token = fill_cart((loaf, 2))

    answer = adopt(sibling, cart=token, user=shopper.uuid)

    assert answer.json()["count"] == 3  # type: ignore[attr-defined]
    assert lines_of(mine) == {"Heather honey": 1, "Rye loaf": 2}


def test_what_the_shopper_finds_changed_is_told_and_told_again_when_it_is_repeated(
    sibling: Client, fill_cart: Fill, loaf: Product, honey: Product, shopper: User
) -> None:
    mine, _token = fill_cart((honey, 3), user=shopper)
    _found, token = fill_cart((honey, 1), (loaf, 2))

    bodies = [adopt(sibling, cart=token, user=shopper.uuid).json() for _ in range(3)]  # type: ignore[attr-defined]

    said = ["Of Heather honey there are 3 now, as many as in the basket of your account."]
    assert [body["changed"] for body in bodies] == [said] * 3
    assert CartMerge.objects.count() == 1
    assert lines_of(mine) == {"Heather honey": 3, "Rye loaf": 2}


def test_on_the_way_to_the_checkout_the_users_other_lines_are_saved(
    sibling: Client, fill_cart: Fill, loaf: Product, honey: Product, shopper: User
) -> None:
    mine, _token = fill_cart((honey, 3), user=shopper)
    _found, token = fill_cart((loaf, 2))

    bodies = [
        adopt(sibling, cart=token, user=shopper.uuid, checkout=True).json()  # type: ignore[attr-defined]
        for _ in range(2)
    ]

    assert [(body["count"], body["total"]) for body in bodies] == [(2, "13.00")] * 2
    said = "What was in the basket of your account is saved for later: 3 x Heather honey."
    assert [body["changed"] for body in bodies] == [[said]] * 2
    assert (lines_of(mine), saved_in(mine)) == ({"Rye loaf": 2}, {"Heather honey": 3})


def test_where_nothing_met_nothing_is_told(sibling: Client, fill_cart: Fill, loaf: Product, shopper: User) -> None:
    _cart, token = fill_cart((loaf, 2))

    assert adopt(sibling, cart=token, user=shopper.uuid).json()["changed"] == []  # type: ignore[attr-defined]


def test_repeating_it_is_safe_and_gives_a_fresh_token(
    sibling: Client, fill_cart: Fill, loaf: Product, shopper: User
) -> None:
    cart, token = fill_cart((loaf, 2))

    bodies = [adopt(sibling, cart=token, user=shopper.uuid).json() for _ in range(3)]  # type: ignore[attr-defined]

    tokens = [body.pop("cart") for body in bodies]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len({token, *tokens}) == 4
    assert sibling.get("/internal/cart/summary", {"cart": tokens[-1]}).json()["count"] == 2
    assert lines_of(cart) == {"Rye loaf": 2}


def test_somebody_else_gets_the_answer_for_a_token_nobody_knows(
    sibling: Client, fill_cart: Fill, loaf: Product, shopper: User
) -> None:
    cart, token = fill_cart((loaf, 2))
    fresh = adopt(sibling, cart=token, user=shopper.uuid).json()["cart"]  # type: ignore[attr-defined]
    other = UserFactory.create()

    answers = [adopt(sibling, cart=value, user=other.uuid) for value in (token, fresh, "unknown")]

    assert [problem_in(answer) for answer in answers] == [404, 404, 404]
    assert len({answer.content for answer in answers}) == 1
    cart.refresh_from_db()
    assert cart.user == shopper


def test_an_unknown_user_gets_nothing(sibling: Client, fill_cart: Fill, loaf: Product) -> None:
    cart, token = fill_cart((loaf, 2))

    assert problem_in(adopt(sibling, cart=token, user=uuid4())) == 404

    assert sibling.get("/internal/cart/summary", {"cart": token}).json()["count"] == 2
    cart.refresh_from_db()
    assert cart.user is None


def test_a_user_who_was_switched_off_gets_nothing(
    sibling: Client, fill_cart: Fill, loaf: Product, shopper: User
) -> None:
    _cart, token = fill_cart((loaf, 2))
    User.objects.update(is_active=False)

    assert problem_in(adopt(sibling, cart=token, user=shopper.uuid)) == 404

    assert not BurntToken.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cart": "x"},
        {"user": SOMEBODY},
        {"cart": "", "user": SOMEBODY},
        {"cart": "x" * 101, "user": SOMEBODY},
        {"cart": "x", "user": "junk"},
        {"cart": "x", "user": ""},
        {"cart": "x", "user": None},
        {"cart": "x", "user": 7},
        {"cart": None, "user": SOMEBODY},
        {"cart": 7, "user": SOMEBODY},
        {"cart": ["x"], "user": {"uuid": "x"}},
        {"cart": "\ud800", "user": SOMEBODY},
        {"cart": "x", "user": SOMEBODY, "checkout": "perhaps"},
        {"cart": "x", "user": SOMEBODY, "checkout": None},
    ],
    ids=str,
)
def test_a_body_that_makes_no_sense_is_refused(sibling: Client, body: dict[str, object]) -> None:
    assert problem_in(adopt(sibling, **body)) == 422

    assert not Cart.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "null", "[]", "7", '"x"', "{", "{'cart': 1}", "\xff\xfe", "[" * 5000, "cart=x&user=y"]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_no_object_is_refused(sibling: Client, body: str, content_type: str) -> None:
    answer = sibling.post(ADDRESS, body.encode("latin-1"), content_type=content_type)

    assert problem_in(answer) in {400, 422}


def test_a_token_with_nul_is_one_that_nobody_knows(sibling: Client, shopper: User) -> None:
    assert problem_in(adopt(sibling, cart="\x00", user=shopper.uuid)) == 404


def test_fields_that_nobody_asked_for_are_refused_and_change_nothing(
    sibling: Client, fill_cart: Fill, loaf: Product, shopper: User
) -> None:
    cart, token = fill_cart((loaf, 2))

    answer = adopt(sibling, cart=token, user=shopper.uuid, token_hash="x", quantity=99, is_staff=True)

    assert answer.status_code == 422
    assert lines_of(cart) == {"Rye loaf": 2}
    shopper.refresh_from_db()
    assert not shopper.is_staff
