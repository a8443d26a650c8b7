"""`manage.py audit_capacity` finds what does not agree, says so in plain lines, and repairs nothing."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from bookings import capacity
from bookings.auditing import CHECKS, audit
from bookings.models import Booking, Entry, Hold, Pool, Waiter
from cart.models import Cart, CartItem, Product
from orders import services
from orders.models import Order
from tests.factories import EntryFactory, PoolFactory, ProductFactory
from tests.orders.acts import all_rows, statements

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]
MANY = 20_000


@pytest.fixture
def sold(place_order: PlaceOrder, honey: Product, workshop: Entry) -> Order:
    """Two places at the workshop and a jar that is counted, confirmed."""
    order = place_order((ProductFactory(stock=5), 1), (workshop, 2))
    services.confirm(order, cause="paid")
    return order


def found() -> list[str]:
    return [str(finding) for finding in audit()]


def say(*arguments: str) -> tuple[int, str, str]:
    """The exit status, what was said, and how far it was said to be."""
    out, err = StringIO(), StringIO()
    try:
        call_command("audit_capacity", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def without(table: str, *constraints: str) -> None:
    """Let go of constraints, until the test ends: what they forbid may have come from a restored backup."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for constraint in constraints:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")


# --- What is right


def test_a_shop_in_order_has_no_findings(
    sold: Order, fill_cart: FillCart, place_order: PlaceOrder, honey: Product, workshop: Entry
) -> None:
    fill_cart((workshop, 3))
    place_order((workshop, 1))
    lapsed = place_order((workshop, 1))
    capacity.give_back([lapsed.lines.get().hold_id or 0])
    Order.objects.filter(pk=lapsed.pk).update(status=Order.Status.EXPIRED)
    services.cancel_some(sold.lines.get(entry=workshop), 1, by=None)
    offer = capacity.claim(workshop.pool_id, 1, timezone.now() + timedelta(hours=1))
    Waiter.objects.create(
        entry=workshop, quantity=1, email="w@example.org", status="offered", hold=offer, offer_until=offer.until
    )

    assert found() == []
    assert say() == (0, "", say()[2])
    assert say()[2].endswith("0 finding(s).\n")


def test_a_place_at_an_entry_that_was_called_off_keeps_what_it_holds(place_order: PlaceOrder, workshop: Entry) -> None:
    order = place_order((workshop, 1))
    Entry.objects.update(cancelled_at=timezone.now())
    services.confirm(order, cause="paid")

    assert Booking.objects.count() == 0
    assert found() == []


# --- What is wrong


def test_a_count_that_does_not_agree_with_the_holds_is_found(sold: Order, workshop: Entry) -> None:
    Pool.objects.filter(pk=workshop.pool_id).update(taken=7)

    assert found() == [f"{workshop.pool} ({workshop.pool_id}): expected 2 taken, as is held, found 7 taken"]


def test_a_capacity_that_is_not_what_is_wanted_is_found(workshop: Entry) -> None:
    Pool.objects.filter(pk=workshop.pool_id).update(capacity=12)

    (finding,) = found()
    assert finding.endswith("expected a capacity of 10, found 12 (wanted 10, taken 0)")


@pytest.mark.parametrize(("wanted", "room"), [(5, None), (None, 5)])
def test_half_a_limit_is_found(wanted: int | None, room: int | None) -> None:
    without("bookings_pool", "pool_capacity_not_below_wanted")
    pool = PoolFactory()
    Pool.objects.filter(pk=pool.pk).update(wanted=wanted, capacity=room)

    assert len(found()) == 1


def test_more_taken_than_there_is_is_found(sold: Order, workshop: Entry) -> None:
    without("bookings_pool", "pool_taken_within_capacity", "pool_capacity_not_below_wanted")
    Pool.objects.filter(pk=workshop.pool_id).update(capacity=1, wanted=1)

    (finding,) = found()
    assert finding.endswith("expected a capacity of 2, found 1 (wanted 1, taken 2)")


def test_less_than_nothing_taken_is_found(workshop: Entry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bookings_pool DROP CONSTRAINT pool_taken_not_negative")
        cursor.execute("ALTER TABLE bookings_pool DROP CONSTRAINT IF EXISTS bookings_pool_taken_check")
    Pool.objects.filter(pk=workshop.pool_id).update(taken=-1)

    assert any("found -1 taken" in finding for finding in found())
    assert any("taken -1)" in finding for finding in found())


def test_a_hold_that_nobody_refers_to_is_found(workshop: Entry) -> None:
    hold = capacity.claim(workshop.pool_id, 2, until=None)

    (finding,) = found()
    assert finding.endswith(f"expected one reason for each live hold, found hold {hold.uuid} of 2 for nothing")


def test_what_was_given_back_needs_no_reason(workshop: Entry) -> None:
    capacity.give_back([capacity.claim(workshop.pool_id, 2, until=None).pk])

    assert found() == []


def test_a_hold_with_two_reasons_is_found(sold: Order, fill_cart: FillCart, workshop: Entry) -> None:
    cart, _token = fill_cart((workshop, 2))
    item = cart.items.get()
    sold.lines.filter(entry=workshop).update(hold=item.hold)

    (finding,) = found()
    assert finding.endswith("of 2 for a basket and an order")


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_an_order_that_is_over_and_still_holds_is_found(place_order: PlaceOrder, workshop: Entry, status: str) -> None:
    order = place_order((workshop, 2))
    Order.objects.filter(pk=order.pk).update(status=status)

    (finding,) = found()
    assert finding.endswith("of 2 for nothing")


def test_a_basket_that_was_ordered_and_still_holds_is_found(fill_cart: FillCart, workshop: Entry) -> None:
    cart, _token = fill_cart((workshop, 2))
    Cart.objects.filter(pk=cart.pk).update(ordered_at=timezone.now())

    (finding,) = found()
    assert finding.endswith("of 2 for nothing")


def test_an_offer_that_is_over_and_still_holds_is_found(workshop: Entry) -> None:
    hold = capacity.claim(workshop.pool_id, 1, until=timezone.now())
    Waiter.objects.create(entry=workshop, quantity=1, email="w@example.org", status="passed", hold=hold)

    (finding,) = found()
    assert finding.endswith("of 1 for nothing")


@pytest.mark.parametrize("status", ["cancelled", "moved"])
def test_a_place_that_was_given_back_and_still_holds_is_found(sold: Order, status: str) -> None:
    booking = Booking.objects.first()
    Booking.objects.filter(pk=booking.pk).update(status=status)

    assert [finding for finding in found() if f"expected 0 held by {status} booking {booking.uuid}" in finding]


@pytest.mark.parametrize("status", ["confirmed", "attended", "no_show"])
def test_a_place_that_holds_nothing_is_found(sold: Order, status: str) -> None:
    booking = Booking.objects.first()
    Booking.objects.filter(pk=booking.pk).update(status=status)
    capacity.give_back([booking.hold_id])

    (finding,) = found()
    assert finding.endswith(f"expected 1 held by {status} booking {booking.uuid}, found 0 held")


def test_a_place_that_holds_elsewhere_is_found(sold: Order) -> None:
    booking = Booking.objects.first()
    Booking.objects.filter(pk=booking.pk).update(entry=EntryFactory())

    (finding,) = found()
    assert f"expected booking {booking.uuid} to hold in this pool" in finding


# --- How it is said


def test_findings_are_lines_and_the_exit_status_says_so(workshop: Entry) -> None:
    Pool.objects.filter(pk=workshop.pool_id).update(taken=3)

    status, said, progress = say()

    assert (status, said.splitlines()) == (1, found())
    assert progress.startswith(f"1 of {len(CHECKS)}: What is taken from each pool")
    assert "1 finding(s)." in progress


def test_other_programs_read_json(workshop: Entry) -> None:
    Pool.objects.filter(pk=workshop.pool_id).update(taken=3)

    status, said, _progress = say("--json")

    assert status == 1
    assert [json.loads(line) for line in said.splitlines()] == [
        {"pool": f"{workshop.pool} ({workshop.pool_id})", "expected": "0 taken, as is held", "found": "3 taken"}
    ]


def test_nothing_is_repaired(sold: Order, workshop: Entry) -> None:
    Pool.objects.filter(pk=workshop.pool_id).update(taken=7)
    capacity.claim(workshop.pool_id, 1, until=None)
    Booking.objects.update(status="cancelled")
    before = all_rows()

    assert say()[0] == 1
    assert all_rows() == before


@pytest.mark.django_db(transaction=True)
def test_it_looks_at_one_moment_and_could_not_write_if_it_would(workshop: Entry) -> None:
    modes = []

    def look(_what: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_read_only'), current_setting('transaction_isolation')")
            modes.append(cursor.fetchone())

    assert list(audit(look)) == []
    assert set(modes) == {("on", "repeatable read")}


# --- How much it takes


def make_many(pool: Pool, cart: Cart, count: int) -> None:
    """So many holds of 1 in a pool, each a line's of one basket: straight into the tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH held AS (INSERT INTO bookings_hold (uuid, pool_id, quantity, claimed_at)"
            " SELECT gen_random_uuid(), %s, 1, now() FROM generate_series(1, %s) RETURNING id),"
            " made AS (INSERT INTO cart_product (uuid, sku, title, description, stall_id, price, tax_rate, picture)"
            " SELECT gen_random_uuid(), 'MANY-' || id, 'Many', '', %s, 1, 0, '' FROM held RETURNING id, sku)"
            " INSERT INTO cart_cartitem (cart_id, product_id, quantity, hold_id, seen_price, changed_at)"
            " SELECT %s, made.id, 1, substr(made.sku, 6)::bigint, 1, now() FROM made",
            [pool.pk, count, ProductFactory().stall_id, cart.pk],
        )
        Pool.objects.filter(pk=pool.pk).update(taken=count, wanted=None, capacity=None)
        cursor.execute("ANALYZE bookings_hold, bookings_pool, cart_cartitem")


def test_many_thousand_holds_take_the_same_few_statements(fill_cart: FillCart, honey: Product) -> None:
    cart, _token = fill_cart((honey, 1))
    with statements() as few:
        assert found() == []
    make_many(PoolFactory(), cart, MANY)

    with statements() as many:
        assert found() == []

    assert CartItem.objects.filter(hold__isnull=False).count() == MANY
    assert len(few) == len(many) == len(CHECKS)


def test_no_statement_looks_through_a_table_again_for_each_row(fill_cart: FillCart, honey: Product) -> None:
    cart, _token = fill_cart((honey, 1))
    make_many(PoolFactory(), cart, MANY // 10)
    with statements() as sent:
        assert found() == []

    for sql in sent:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql[sql.index('SELECT') :]}")
            (plan,) = cursor.fetchone()[0]
        assert plan["Plan"]["Total Cost"] < 5 * (MANY // 10), sql
        assert Hold.objects.count() == MANY // 10
