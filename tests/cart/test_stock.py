"""What the market says is on its shelf: without our uncollected sales up to the last event it has subtracted."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from bookings import capacity
from bookings.models import Pool
from cart.models import Cart, Product
from cartsite.models import Case
from orders.models import LineFact, Order, OrderEvent
from orders.services import confirm, record_fact
from orders.stock import set_stock
from tests.cart.problems import problem_in

pytestmark = pytest.mark.django_db


def numbers(product: Product) -> tuple[int | None, int | None, int]:
    """What is wanted of a product's pool, its capacity, and what is taken."""
    pool = Pool.objects.get(product=product)
    return pool.wanted, pool.capacity, pool.taken


def sold(place_order: Callable[..., Order], product: Product, quantity: int) -> Order:
    """An order of so many that was paid."""
    order = place_order((product, quantity))
    confirm(order, cause="paid")
    return order


def last_event() -> int:
    return OrderEvent.objects.latest("pk").pk


# --- The rule ---------------------------------------------------------------------------------------------------------


def test_what_lies_there_can_be_sold(loaf: Product) -> None:
    set_stock(loaf, on_hand=8, as_of=0)

    assert numbers(loaf) == (8, 8, 0)


def test_a_product_that_was_not_counted_is_from_now_on(honey: Product) -> None:
    set_stock(honey, on_hand=3, as_of=0)

    honey.refresh_from_db()
    assert numbers(honey) == (3, 3, 0)


def test_what_carts_hold_is_taken_from_it_and_not_from_the_count(
    fill_cart: Callable[..., tuple[Cart, str]], loaf: Product
) -> None:
    fill_cart((loaf, 2))

    set_stock(loaf, on_hand=5, as_of=0)

    assert numbers(loaf) == (5, 5, 2)


def test_sales_the_market_has_not_heard_of_are_among_what_lies_there(
    place_order: Callable[..., Order], loaf: Product
) -> None:
    heard_of = 0
    sold(place_order, loaf, 2)

    set_stock(loaf, on_hand=5, as_of=heard_of)

    assert numbers(loaf) == (5, 5, 2)


def test_sales_the_market_has_subtracted_are_added_again(place_order: Callable[..., Order], loaf: Product) -> None:
    sold(place_order, loaf, 2)
    heard_of = last_event()
    sold(place_order, loaf, 1)

    set_stock(loaf, on_hand=3, as_of=heard_of)

    assert numbers(loaf) == (5, 5, 3)


def test_an_unpaid_order_is_no_sale(place_order: Callable[..., Order], loaf: Product) -> None:
    place_order((loaf, 2))

    set_stock(loaf, on_hand=5, as_of=last_event())

    assert numbers(loaf) == (5, 5, 2)


def test_collection_lowers_what_is_wanted_and_what_is_taken(place_order: Callable[..., Order], loaf: Product) -> None:
    line = sold(place_order, loaf, 3).lines.get()

    record_fact(line, LineFact.Kind.COLLECTED, 2, by=None)

    assert numbers(loaf) == (3, 3, 1)


def test_what_was_collected_is_not_added_again(place_order: Callable[..., Order], loaf: Product) -> None:
    line = sold(place_order, loaf, 3).lines.get()
    record_fact(line, LineFact.Kind.COLLECTED, 2, by=None)

    set_stock(loaf, on_hand=2, as_of=last_event())

    assert numbers(loaf) == (3, 3, 1)


def test_the_count_after_everything_was_collected_is_what_lies_there(
    place_order: Callable[..., Order], loaf: Product
) -> None:
    order = sold(place_order, loaf, 3)
    record_fact(order.lines.get(), LineFact.Kind.COLLECTED, 3, by=None)

    set_stock(loaf, on_hand=2, as_of=last_event())

    order.refresh_from_db()
    assert order.status == "completed"
    assert numbers(loaf) == (2, 2, 0)


def test_less_than_was_promised_opens_a_case_and_enough_resolves_it(
    place_order: Callable[..., Order], loaf: Product
) -> None:
    sold(place_order, loaf, 4)

    set_stock(loaf, on_hand=1, as_of=0)
    opened = Case.objects.get()
    shortfall = numbers(loaf)
    set_stock(loaf, on_hand=4, as_of=0)

    assert (opened.kind, opened.status, shortfall) == ("oversold", "open", (1, 4, 4))
    assert Case.objects.get().status == "resolved"


def test_the_price_and_title_of_a_product_are_not_touched(loaf: Product) -> None:
    set_stock(loaf, on_hand=8, as_of=0)

    loaf.refresh_from_db()
    assert (loaf.title, loaf.price) == ("Rye loaf", Decimal("6.50"))


# --- The door ---------------------------------------------------------------------------------------------------------


def put(sibling: Client, sku: str, body: Any) -> HttpResponse:
    return sibling.put(f"/internal/stock/{sku}", json.dumps(body), content_type="application/json")


def test_the_market_says_how_much_there_is(sibling: Client, loaf: Product) -> None:
    capacity.claim(loaf.pool_id or 0, 2, until=None)

    answer = put(sibling, "LOAF", {"on_hand": 9, "as_of": 0})

    assert (answer.status_code, answer.json()) == (200, {"sku": "LOAF", "wanted": 9, "taken": 2})  # type: ignore[attr-defined]


def test_saying_it_twice_is_saying_it_once(sibling: Client, loaf: Product) -> None:
    answers = [put(sibling, "LOAF", {"on_hand": 9}) for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert numbers(loaf) == (9, 9, 0)


@pytest.mark.parametrize("sku", ["NOTHING", "loaf", "%00", "L" * 300, "LOAF%20"])
def test_a_product_that_is_not_there_is_not_found(sibling: Client, loaf: Product, sku: str) -> None:
    assert problem_in(put(sibling, sku, {"on_hand": 9})) in {404, 422}

    assert numbers(loaf) == (5, 5, 0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"on_hand": -1},
        {"on_hand": 10**9 + 1},
        {"on_hand": "many"},
        {"on_hand": 1.5},
        {"on_hand": None},
        {"on_hand": 1, "as_of": -1},
        {"on_hand": 1, "as_of": 2**63},
        {"on_hand": 1, "as_of": "now"},
        [],
        None,
        7,
    ],
    ids=str,
)
def test_a_count_that_makes_no_sense_is_refused(sibling: Client, loaf: Product, body: object) -> None:
    assert problem_in(put(sibling, "LOAF", body)) in {400, 422}

    assert numbers(loaf) == (5, 5, 0)


def test_the_largest_count_there_is_can_be_said(sibling: Client, loaf: Product) -> None:
    assert put(sibling, "LOAF", {"on_hand": 10**9, "as_of": 2**63 - 1}).status_code == 200

    assert numbers(loaf) == (10**9, 10**9, 0)
