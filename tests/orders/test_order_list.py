"""A shopper's own orders: by status and day, newest first, page by page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cart.models import Product
from cartsite.models import User
from orders.models import Order
from orders.views.mine import PER_PAGE
from tests.factories import UserFactory
from tests.orders.acts import HTMX, statements

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def client_of(shopper: User) -> Client:
    client = Client()
    client.force_login(shopper)
    return client


@pytest.fixture
def place_many(place_order: PlaceOrder, honey: Product, shopper: User) -> Callable[[int], list[Order]]:
    """Place so many orders, a day apart; the newest first."""

    def place(count: int) -> list[Order]:
        orders = [place_order((honey, 1), user=shopper) for _order in range(count)]
        now = timezone.now()
        for days, order in enumerate(orders):
            Order.objects.filter(pk=order.pk).update(placed_at=now - timedelta(days=days))
        return orders

    return place


def numbers(response: Any) -> list[str]:
    """The orders that a page lists."""
    return re.findall(r'href="/orders/([0-9A-Z-]+)/"', response.content.decode())


def test_who_has_not_signed_in_is_asked_to() -> None:
    response = Client().get("/orders/?status=confirmed")

    assert response.status_code == 302
    assert response["Location"] == "/sign-in/?next=/orders/%3Fstatus%3Dconfirmed"


def test_a_shopper_sees_their_own_orders_newest_first(
    client_of: Client, place_many: Any, place_order: PlaceOrder, honey: Product
) -> None:
    orders = place_many(3)
    place_order((honey, 1))
    place_order((honey, 1), user=UserFactory())

    response = client_of.get("/orders/")

    assert numbers(response) == [order.number for order in orders]
    assert response.content.decode().count('data-order-status="awaiting_payment"') == 3


def test_a_shopper_without_orders_is_shown_the_market(client_of: Client) -> None:
    assert "You have not ordered anything yet" in client_of.get("/orders/").content.decode()


@pytest.mark.parametrize("status", Order.Status.values)
def test_orders_are_found_by_status(client_of: Client, place_many: Any, status: str) -> None:
    orders = place_many(len(Order.Status.values))
    for order, its in zip(orders, Order.Status.values, strict=True):
        Order.objects.filter(pk=order.pk).update(status=its)

    response = client_of.get(f"/orders/?status={status}&since=&until=")

    assert numbers(response) == [orders[Order.Status.values.index(status)].number]


def test_days_are_the_shops_own_first_and_last_included(client_of: Client, place_many: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/London"
    # In summer, the 2nd of July begins in London at 23:00 UTC of the 1st.
    moments = [
        datetime(2026, 7, 1, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 7, 1, 23, 0, tzinfo=UTC),
        datetime(2026, 7, 2, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 7, 2, 23, 0, tzinfo=UTC),
    ]
    orders = place_many(4)
    for order, moment in zip(orders, moments, strict=True):
        Order.objects.filter(pk=order.pk).update(placed_at=moment)

    on_the_day = numbers(client_of.get("/orders/?since=2026-07-02&until=2026-07-02"))
    since = numbers(client_of.get("/orders/?since=2026-07-02"))
    until = numbers(client_of.get("/orders/?until=2026-07-02"))

    assert on_the_day == [orders[2].number, orders[1].number]
    assert since == [orders[3].number, *on_the_day]
    assert until == [*on_the_day, orders[0].number]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=paid", "status"),
        ("since=yesterday", "since"),
        ("until=2026-02-30", "until"),
        ("since=2026-07-02&until=2026-07-01", "until"),
        ("until=9999-12-31", "until"),
        ("since=0001-01-01", "since"),
        ("since=%00", "since"),
        ("since=99999999999999", "since"),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_field(
    client_of: Client, place_many: Any, query: str, field: str
) -> None:
    (order,) = place_many(1)

    response = client_of.get(f"/orders/?{query}")

    said = response.content.decode()
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert re.search(rf'id="id_{field}".*?<ul class="errorlist"', said, re.DOTALL)
    assert order.number in said


def test_long_lists_come_page_by_page(client_of: Client, place_many: Any) -> None:
    orders = place_many(2 * PER_PAGE + 1)
    seen, path, pages = [], "/orders/", 0

    while path:
        response = client_of.get(path)
        seen += numbers(response)
        pages += 1
        after = re.search(r'href="(\?[^"]*after=[^"]*)"', response.content.decode())
        path = f"/orders/{after.group(1).replace('&amp;', '&')}" if after else ""

    assert pages == 3
    assert seen == [order.number for order in orders]


def test_the_next_page_keeps_the_filter(client_of: Client, place_many: Any) -> None:
    place_many(PER_PAGE + 1)

    said = client_of.get("/orders/?status=awaiting_payment").content.decode()

    assert re.search(r"\?status=awaiting_payment&amp;after=", said)


def test_orders_of_the_same_moment_are_neither_lost_nor_shown_twice(client_of: Client, place_many: Any) -> None:
    orders = place_many(PER_PAGE + 5)
    Order.objects.update(placed_at=timezone.now())

    first = client_of.get("/orders/")
    second = client_of.get(f"/orders/?after={first.context['page'].next}")

    listed = numbers(first) + numbers(second)
    assert sorted(listed) == sorted(order.number for order in orders)


def test_another_shoppers_cursor_shows_no_more_than_ones_own(
    client_of: Client, place_many: Any, place_order: PlaceOrder, honey: Product
) -> None:
    place_many(PER_PAGE + 1)
    cursor = client_of.get("/orders/").context["page"].next
    other = UserFactory()
    theirs = place_order((honey, 1), user=other)
    Order.objects.filter(pk=theirs.pk).update(placed_at=timezone.now() - timedelta(days=400))
    client_of.force_login(other)

    assert numbers(client_of.get(f"/orders/?after={cursor}")) == [theirs.number]


def test_htmx_gets_the_list_only(client_of: Client, place_many: Any) -> None:
    place_many(1)

    said = client_of.get("/orders/", headers=HTMX).content.decode()

    assert "<html" not in said
    assert 'data-order-status="awaiting_payment"' in said


def test_a_long_list_costs_what_a_short_one_does(client_of: Client, place_many: Any) -> None:
    place_many(1)
    client_of.get("/orders/")
    with statements() as few:
        client_of.get("/orders/")
    place_many(PER_PAGE + 5)
    with statements() as many:
        client_of.get("/orders/?status=awaiting_payment&since=2020-01-01")

    assert len(few) == len(many) <= 4
    assert [sql for sql in many if "COUNT(" in sql] == []
