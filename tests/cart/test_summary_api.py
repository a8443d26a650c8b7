"""GET /internal/cart/summary: what a sibling's header shows of a cart."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from time_machine import travel

from bookings.models import Entry
from cart.models import Cart, Product
from cartsite.models import User
from tests.cart.problems import problem_in
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
ADDRESS = "/internal/cart/summary"
NOTHING = {"count": 0, "lines": 0, "total": "0.00", "currency": "GBP", "holds_until": None}


def count_of(sibling: Client, headers: dict[str, str] | None = None, **query: object) -> int:
    """How many things are in the cart that a sibling asks for."""
    answer = sibling.get(ADDRESS, query, headers=headers or {})
    assert answer.status_code == 200, answer.content
    return int(answer.json()["count"])


def test_a_cart_is_summed_up(sibling: Client, fill_cart: Fill, honey: Product, workshop: Entry) -> None:
    with travel(datetime(2026, 6, 1, 12, 0, tzinfo=UTC), tick=False):
        _cart, token = fill_cart((honey, 3))

        answer = sibling.get(ADDRESS, {"cart": token})

    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json() == {"count": 3, "lines": 1, "total": "19.50", "currency": "GBP", "holds_until": None}


def test_the_first_end_of_a_hold_is_told_in_utc(sibling: Client, fill_cart: Fill, loaf: Product) -> None:
    with travel(datetime(2026, 6, 1, 12, 0, tzinfo=UTC), tick=False):
        _cart, token = fill_cart((loaf, 1))

        answer = sibling.get(ADDRESS, {"cart": token})

    assert answer.json()["holds_until"] == "2026-06-01T12:15:00Z"


def test_the_token_may_come_in_a_header(sibling: Client, fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 3))

    assert count_of(sibling, headers={"X-Cart-Token": token}) == 3


def test_a_user_is_asked_for_by_uuid(sibling: Client, fill_cart: Fill, honey: Product, shopper: User) -> None:
    fill_cart((honey, 2), user=shopper)

    assert count_of(sibling, user=shopper.uuid) == 2


def test_the_tokens_cart_goes_before_the_users(sibling: Client, fill_cart: Fill, honey: Product, shopper: User) -> None:
    fill_cart((honey, 2), user=shopper)
    _cart, token = fill_cart((honey, 5))

    assert count_of(sibling, user=shopper.uuid, cart=token) == 5


def test_a_user_with_another_users_token_gets_their_own(
    sibling: Client, fill_cart: Fill, honey: Product, shopper: User
) -> None:
    fill_cart((honey, 2), user=shopper)
    _theirs, token = fill_cart((honey, 5), user=UserFactory.create())

    assert count_of(sibling, user=shopper.uuid, cart=token) == 2


@pytest.mark.parametrize("token", ["unknown", "\x00", "ключ", "%", "a" * 100])
def test_a_token_that_nobody_knows_is_an_empty_cart(sibling: Client, token: str) -> None:
    answer = sibling.get(ADDRESS, {"cart": token})

    assert answer.json() == NOTHING


def test_an_ordered_cart_is_an_empty_one(sibling: Client, fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 5))
    Cart.objects.filter(pk=cart.pk).update(ordered_at=timezone.now())

    assert sibling.get(ADDRESS, {"cart": token}).json() == NOTHING


def test_a_user_that_nobody_knows_has_an_empty_cart(sibling: Client, fill_cart: Fill, honey: Product) -> None:
    fill_cart((honey, 5))

    assert sibling.get(ADDRESS, {"user": str(uuid4())}).json() == NOTHING


@pytest.mark.parametrize("query", [{}, {"cart": ""}, {"token": "x"}])
def test_whose_cart_must_be_said(sibling: Client, query: dict[str, str]) -> None:
    assert problem_in(sibling.get(ADDRESS, query)) == 422


@pytest.mark.parametrize(
    "query", [{"user": "junk"}, {"user": ""}, {"user": "1"}, {"user": "\x00"}, {"cart": "a" * 101}]
)
def test_what_cannot_be_read_is_refused(sibling: Client, query: dict[str, str]) -> None:
    assert problem_in(sibling.get(ADDRESS, query)) == 422


def test_a_header_that_is_too_long_is_refused(sibling: Client) -> None:
    assert problem_in(sibling.get(ADDRESS, headers={"X-Cart-Token": "a" * 101})) == 422


def test_asking_changes_nothing(sibling: Client, fill_cart: Fill, loaf: Product, shopper: User) -> None:
    _cart, token = fill_cart((loaf, 1))

    answers = [sibling.get(ADDRESS, {"cart": token, "user": shopper.uuid}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert not answers[0].cookies
    assert Cart.objects.get().user is None
