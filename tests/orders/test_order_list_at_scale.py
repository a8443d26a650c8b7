"""A hundred thousand orders: the list asks the same few questions, and the database answers them from its indexes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from cart.models import Product
from cartsite.models import User
from cartsite.paging import cursor_of
from orders.models import Order
from orders.views.mine import LOOK_THROUGH, NEWEST_FIRST, PER_PAGE
from tests.factories import UserFactory
from tests.orders.acts import statements

pytestmark = pytest.mark.django_db

ALL, HERS = 100_000, 50_000
FIRST = 1_000_000  # far above what the sequences have given out
# One in so many orders expired, and has truffles in it.
RARE = 10_000
# Each row is a copy of one that is there, but for what must be its own. All orders but hers are of a hundred others.
COPY = """
INSERT INTO {table} SELECT fresh.* FROM {table} old, generate_series(1, %(all)s) n,
LATERAL jsonb_populate_record(old, jsonb_build_object('uuid', gen_random_uuid(), {own})) fresh WHERE old.id = %(old)s
"""
CARTS = COPY.format(table="cart_cart", own="'id', %(first)s + n, 'token_hash', 'many-' || n")
ORDERS = COPY.format(
    table="orders_order",
    own="""'id', %(first)s + n, 'cart_id', %(first)s + n, 'number', 'N' || n,
    'user_id', CASE WHEN n <= %(hers)s THEN old.user_id ELSE (%(others)s::bigint[])[1 + n %% 100] END,
    'status', CASE WHEN n %% %(rare)s = 0 THEN 'expired' WHEN n %% 10 = 0 THEN 'cancelled' ELSE 'completed' END,
    'placed_at', old.placed_at - n * interval '1 minute'""",
)
LINES = COPY.format(
    table="orders_orderline",
    own="""'id', 2 * (%(first)s + n) + %(position)s, 'order_id', %(first)s + n, 'position', %(position)s,
    'title', CASE WHEN n %% %(rare)s = 0 THEN 'Truffles' ELSE old.title END""",
)


@pytest.fixture
def client_with_many(place_order: Callable[..., Order], honey: Product, shopper: User) -> Client:
    """A shopper with half of a hundred thousand orders, one a minute, with two lines each."""
    order = place_order((honey, 1), user=shopper)
    span = {
        "all": ALL,
        "hers": HERS,
        "rare": RARE,
        "first": FIRST,
        "others": [u.pk for u in UserFactory.create_batch(100)],
    }
    with connection.cursor() as cursor:
        cursor.execute(CARTS, span | {"old": order.cart_id})
        cursor.execute(ORDERS, span | {"old": order.pk})
        for position in (0, 1):
            cursor.execute(LINES, span | {"old": order.lines.get(position=0).pk, "position": position})
        cursor.execute("ANALYZE orders_order, orders_orderline, cart_cart")
    client = Client()
    client.force_login(shopper)
    client.get("/orders/")
    return client


def far_down(orders: int) -> str:
    """The cursor behind so many of her orders."""
    return cursor_of(Order.objects.get(pk=FIRST + orders), NEWEST_FIRST)


def plans_of(sent: list[str]) -> list[dict[str, Any]]:
    """How the database answered what was asked of orders and lines."""
    plans = []
    for sql in sent:
        if 'FROM "orders_order' in sql:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
                (answer,) = cursor.fetchone()
            plans.append((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])
    return plans


def nodes_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes_in(part)


def looked_at(node: dict[str, Any]) -> int:
    """How many rows the database had in its hands there."""
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(rows * node["Actual Loops"])


# What is asked, how many orders it shows, and how many of the order's own rows may be looked at for it.
QUERIES = {
    "": PER_PAGE,
    "after={deep}": PER_PAGE,
    "status=completed": PER_PAGE,
    "status=completed&after={deep}": PER_PAGE,
    "status=expired": HERS // RARE,
    "status=awaiting_payment": 1,
    "since=2020-01-01": PER_PAGE,
    "until={long_ago}": PER_PAGE,
    "status=expired&until={long_ago}": 4,
    "q=honey": PER_PAGE,
    "q=honey&after={deep}": PER_PAGE,
    "q=truffles": 0,
    "q=truffles&after={before_truffles}": 1,
    "q=stall": PER_PAGE,
    "q=nothing+at+all": 0,
    "q={number}": 1,
    "q=CCCC-CCCC-CC": 0,
    "q=honey&status=expired": HERS // RARE,
}


def test_the_list_stays_as_fast_with_a_hundred_thousand_orders(client_with_many: Client) -> None:
    newest = Order.objects.latest("placed_at")
    known = {
        "deep": far_down(40_000),
        "before_truffles": far_down(RARE - 5),
        "long_ago": f"{Order.objects.get(pk=FIRST + 15_000).placed_at:%Y-%m-%d}",
        "number": newest.number.replace("-", "").lower(),
    }

    for query, shown in QUERIES.items():
        with statements() as sent:
            response = client_with_many.get(f"/orders/?{query.format(**known)}")
        plans = plans_of(sent)
        nodes = [node for plan in plans for node in nodes_in(plan)]

        assert response.status_code == 200, query
        assert len(response.context["page"].rows) == shown, query
        assert len(sent) <= 4, query
        assert [sql for sql in sent if "COUNT(" in sql] == [], query
        assert len(plans) == 1 + ("q=" in query and shown != 1 or "truffles" in query), query
        assert not [node for node in nodes if node["Node Type"] in ("Seq Scan", "Sort")], (query, plans)
        assert max(looked_at(node) for node in nodes) <= 3 * LOOK_THROUGH, (query, plans)
        indexes = {node["Index Name"] for node in nodes if node.get("Relation Name") == "orders_order"}
        assert indexes == ({"orders_order_number_key"} if "number" in query or "CCCC" in query else indexes), query
