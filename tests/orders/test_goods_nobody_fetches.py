"""Goods of a confirmed order that are collected, called off, or never fetched."""

from collections.abc import Callable

import pytest

from bookings.models import Pool
from cartsite.models import User
from orders import services
from orders.models import Order
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def jars(place_order: Callable[..., Order]) -> Order:
    """Three of ten counted jars, paid for."""
    order = place_order((ProductFactory(stock=10), 3))
    services.confirm(order, cause="paid")
    return order


@pytest.mark.parametrize(
    ("kind", "wanted_and_taken"), [("collected", (8, 1)), ("cancelled", (10, 1)), ("missed", (10, 1))]
)
def test_what_becomes_of_two_jars(jars: Order, staff: User, kind: str, wanted_and_taken: tuple[int, int]) -> None:
    services.record_fact(jars.lines.get(), kind, 2, by=staff)

    pool = Pool.objects.get()
    assert (pool.wanted, pool.taken) == wanted_and_taken


def test_what_is_left_of_a_partly_collected_line_can_be_called_off(jars: Order, staff: User) -> None:
    line = jars.lines.get()
    services.record_fact(line, "collected", 2, by=staff)

    services.record_fact(line, "cancelled", 1, by=staff)

    pool, order = Pool.objects.get(), Order.objects.get()
    assert (pool.wanted, pool.taken, order.status) == (8, 0, "completed")
