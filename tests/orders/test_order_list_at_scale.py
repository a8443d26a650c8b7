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

ALL, HERS = 100_000, 2_000
FIRST = 1_000_000  # far above what the sequences have given out
# One in so many of her orders expired, and has truffles in it; every second one of the others did.
RARE = 1_000


def copy(table: str, row: int, **own: str) -> None:
    """A hundred thousand copies of a row, numbered by `n`, but for what must be their own."""
    own |= {"id": f"{FIRST} + n", "uuid": "gen_random_uuid()"}
    with connection.cursor() as cursor:
        names = [c.name for c in connection.introspection.get_table_description(cursor, table) if c.name not in own]
        into, values = ", ".join([*own, *names]), ", ".join([*own.values(), *(f"old.{name}" for name in names)])
        cursor.execute(
            f"INSERT INTO {table} ({into}) SELECT {values} "
            f"FROM {table} old, generate_series(1, {ALL}) n WHERE id = {row}"
        )
        cursor.execute(f"ANALYZE {table}")


@pytest.fixture
def client_with_many(place_order: Callable[..., Order], honey: Product, shopper: User) -> Client:
    """A shopper with 2,000 of 100,000 orders, one a minute; the others are of a hundred other people."""
    order = place_order((honey, 1), user=shopper)
    others = [person.pk for person in UserFactory.create_batch(100)]
    copy("cart_cart", order.cart_id, token_hash="'many-' || n")
    copy(
        "orders_order",
        order.pk,
        cart_id=f"{FIRST} + n",
        number="'N' || n",
        user_id=f"CASE WHEN n <= {HERS} THEN user_id ELSE (ARRAY{others})[1 + n % 100] END",
        status=f"CASE WHEN n % {RARE} = 0 OR n > {HERS} AND n % 2 = 0 THEN 'expired' ELSE 'completed' END",
        placed_at="placed_at - n * interval '1 minute'",
    )
    title = f"CASE WHEN n % {RARE} = 0 THEN 'Truffles' ELSE title END"
    copy("orders_orderline", order.lines.get().pk, order_id=f"{FIRST} + n", title=title)
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


# What is asked, and how many orders it shows.
QUERIES = {
    "": PER_PAGE,
    "after={deep}": PER_PAGE,
    "status=completed": PER_PAGE,
    "status=completed&after={deep}": PER_PAGE,
    "status=expired": HERS // RARE,
    "status=awaiting_payment": 1,
    "since=2020-01-01": PER_PAGE,
    "until={long_ago}": PER_PAGE,
    "q=honey": PER_PAGE,
    "q=honey&after={deep}": PER_PAGE,
    "q=truffles": 0,  # not among the newest: the page says that there are older ones
    "q=truffles&after={before_truffles}": 1,
    "q=stall": PER_PAGE,
    "q=nothing+at+all": 0,
    "q={number}": 1,
    "q=CCCC-CCCC-CC": 0,
    "q=truffles&status=expired": HERS // RARE,
}


def test_the_list_stays_as_fast_with_a_hundred_thousand_orders(client_with_many: Client) -> None:
    newest = Order.objects.latest("placed_at")
    known = {
        "deep": far_down(1_600),
        "before_truffles": far_down(RARE - 5),
        "long_ago": f"{Order.objects.get(pk=FIRST + 1_500).placed_at:%Y-%m-%d}",
        "number": newest.number.replace("-", "").lower(),
    }

    for query, shown in QUERIES.items():
        with statements() as sent:
            response = client_with_many.get(f"/orders/?{query.format(**known)}")
        plans = plans_of(sent)
        nodes = [node for plan in plans for node in nodes_in(plan)]

        assert response.status_code == 200, query
        assert len(response.context["page"].rows) == shown, query
        assert len(sent) <= 5, query  # one more where words are searched for
        assert [sql for sql in sent if "COUNT(" in sql] == [], query
        assert 1 <= len(plans) <= 2, query
        whole = [node.get("Relation Name", "") for node in nodes if node["Node Type"] == "Seq Scan"]
        assert not [table for table in whole if table.startswith("orders_")], (query, plans)
        most = 2 * (LOOK_THROUGH + 1) if "q=" in query else 2 * (PER_PAGE + 1)
        assert max(looked_at(node) for node in nodes) <= most, (query, plans)
        if query in ("q={number}", "q=CCCC-CCCC-CC"):
            used = [node.get("Index Name", "") for node in nodes]
            assert any(name.startswith("orders_order_number") for name in used), (query, plans)
