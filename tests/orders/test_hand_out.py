"""What became of each line: collected, attended, missed, cancelled; and an order that is all accounted for."""

from collections.abc import Callable

import pytest

from bookings.models import Entry, Pool
from cart.models import Product
from cartsite.models import User
from orders import services
from orders.models import LineFact, Order, OrderLine
from orders.services import CannotRecord
from tests.concurrency import run_at_once
from tests.factories import ProductFactory
from tests.orders.acts import all_rows, assert_pools_balance

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def sold(place_order: PlaceOrder, workshop: Entry) -> Order:
    """Three of five jars and two places, paid for."""
    order = place_order((ProductFactory(stock=5, title="Jam"), 3), (workshop, 2))
    services.confirm(order, cause="paid")
    return order


@pytest.fixture
def jars(sold: Order) -> OrderLine:
    return sold.lines.get(kind="product")


@pytest.fixture
def places(sold: Order) -> OrderLine:
    return sold.lines.get(kind="entry")


def test_what_was_collected_is_neither_taken_nor_there_any_more(jars: OrderLine, staff: User) -> None:
    services.record_fact(jars, LineFact.Kind.COLLECTED, 2, by=staff)

    pool = Pool.objects.get(product=jars.product_id)
    assert (pool.taken, pool.wanted, pool.capacity) == (1, 3, 3)
    assert_pools_balance()


@pytest.mark.parametrize("kind", [LineFact.Kind.MISSED, LineFact.Kind.CANCELLED])
def test_goods_that_nobody_fetches_are_there_for_others_again(jars: OrderLine, staff: User, kind: str) -> None:
    services.record_fact(jars, kind, 2, by=staff)

    pool = Pool.objects.get(product=jars.product_id)
    assert (pool.taken, pool.wanted, pool.capacity) == (1, 5, 5)
    assert_pools_balance()


def test_a_place_that_somebody_missed_was_still_theirs(places: OrderLine, staff: User, workshop: Entry) -> None:
    services.record_fact(places, LineFact.Kind.MISSED, 1, by=staff)

    assert Pool.objects.get(entries=workshop).taken == 2


def test_a_fact_is_written_down_with_who_saw_it(sold: Order, jars: OrderLine, staff: User) -> None:
    services.record_fact(jars, LineFact.Kind.COLLECTED, 2, by=staff)

    fact = LineFact.objects.get()
    assert (fact.line, fact.kind, fact.quantity, fact.by) == (jars, "collected", 2, staff)
    event = sold.events.get(kind="line_collected")
    assert (event.by, event.data) == (staff, {"line": str(jars.uuid), "quantity": 2})


def test_an_order_is_completed_once_every_line_is_accounted_for(
    sold: Order, jars: OrderLine, places: OrderLine, staff: User
) -> None:
    for line, kind, quantity in [
        (jars, LineFact.Kind.COLLECTED, 2),
        (places, LineFact.Kind.ATTENDED, 1),
        (jars, LineFact.Kind.MISSED, 1),
    ]:
        services.record_fact(line, kind, quantity, by=staff)
        sold.refresh_from_db()
        assert sold.status == "confirmed"

    services.record_fact(places, LineFact.Kind.MISSED, 1, by=staff)

    sold.refresh_from_db()
    assert sold.status == "completed"
    assert sold.events.last().kind == "completed"  # type: ignore[union-attr]


@pytest.mark.parametrize("quantity", [0, -1, 4, 10**9])
def test_no_more_than_was_bought_can_be_collected(jars: OrderLine, staff: User, quantity: int) -> None:
    before = all_rows()

    with pytest.raises(CannotRecord, match="Jam: 3 of 3 are still to be accounted for"):
        services.record_fact(jars, LineFact.Kind.COLLECTED, quantity, by=staff)

    assert all_rows() == before


def test_what_was_accounted_for_counts_whatever_became_of_it(jars: OrderLine, staff: User) -> None:
    services.record_fact(jars, LineFact.Kind.MISSED, 2, by=staff)

    with pytest.raises(CannotRecord):
        services.record_fact(jars, LineFact.Kind.COLLECTED, 2, by=staff)

    assert LineFact.objects.count() == 1


@pytest.mark.parametrize("status", ["awaiting_payment", "expired", "cancelled", "completed"])
def test_only_what_is_confirmed_can_be_collected(sold: Order, jars: OrderLine, staff: User, status: str) -> None:
    Order.objects.update(status=status)
    before = all_rows()

    with pytest.raises(CannotRecord):
        services.record_fact(jars, LineFact.Kind.COLLECTED, 1, by=staff)
    assert not services.collect_rest(jars, by=staff)

    assert all_rows() == before


@pytest.mark.parametrize(("bought", "kind"), [("entry", "collected"), ("product", "attended"), ("product", "eaten")])
def test_goods_are_collected_and_places_attended(sold: Order, staff: User, bought: str, kind: str) -> None:
    line = sold.lines.get(kind=bought)
    before = all_rows()

    with pytest.raises(CannotRecord, match="cannot be recorded that way"):
        services.record_fact(line, kind, 1, by=staff)

    assert all_rows() == before


def test_the_rest_is_collected_in_one_step(sold: Order, jars: OrderLine, staff: User) -> None:
    services.record_fact(jars, LineFact.Kind.COLLECTED, 1, by=staff)

    assert services.collect_rest(jars, by=staff)
    assert not services.collect_rest(jars, by=staff)

    assert sorted(LineFact.objects.values_list("quantity", flat=True)) == [1, 2]
    assert_pools_balance()


def test_what_is_not_counted_can_be_collected_too(place_order: PlaceOrder, honey: Product, staff: User) -> None:
    order = place_order((honey, 2))
    services.confirm(order, cause="paid")

    assert services.collect_rest(order.lines.get(), by=staff)

    order.refresh_from_db()
    assert order.status == "completed"
    assert not Pool.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_line_handed_out_at_two_counters_at_once_is_handed_out_once(jars: OrderLine, staff: User) -> None:
    def collect() -> None:
        services.record_fact(OrderLine.objects.get(pk=jars.pk), LineFact.Kind.COLLECTED, 2, by=staff)

    outcomes = run_at_once(*[collect] * 4)

    assert [type(outcome.error) for outcome in outcomes].count(CannotRecord) == 3
    assert sum(LineFact.objects.values_list("quantity", flat=True)) == 2
    assert_pools_balance()
