"""What a sibling counts on its shelf, and what that leaves us to sell."""

from collections.abc import Callable

import pytest

from bookings.models import Pool
from cart.models import Product
from cartsite.models import Case, User
from orders import services
from orders.models import LineFact, Order, OrderEvent
from orders.stock import set_stock
from tests.concurrency import results_of, run_at_once
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


def last_event() -> int:
    event = OrderEvent.objects.last()
    assert event is not None
    return event.pk


def counts(product: Product) -> tuple[int | None, int | None, int]:
    pool = Pool.objects.get(product=product)
    return pool.wanted, pool.capacity, pool.taken


def test_a_first_count_makes_the_thing_scarce(honey: Product) -> None:
    set_stock(honey, 7, as_of=0)

    assert counts(honey) == (7, 7, 0)


def test_what_we_sold_since_the_count_comes_off_the_shelf(place_order: PlaceOrder) -> None:
    jam = ProductFactory(stock=5)
    seen = last_event() if OrderEvent.objects.exists() else 0
    services.confirm(place_order((jam, 2)), cause="paid")

    set_stock(jam, 10, as_of=seen)

    assert counts(jam) == (10, 10, 2)


def test_what_the_sibling_subtracted_already_is_not_subtracted_twice(place_order: PlaceOrder) -> None:
    jam = ProductFactory(stock=5)
    services.confirm(place_order((jam, 2)), cause="paid")

    set_stock(jam, 10, as_of=last_event())

    assert counts(jam) == (12, 12, 2)


def test_what_was_collected_is_on_nobodys_shelf(place_order: PlaceOrder, staff: User) -> None:
    jam = ProductFactory(stock=5)
    order = place_order((jam, 3))
    services.confirm(order, cause="paid")
    services.record_fact(order.lines.get(), LineFact.Kind.COLLECTED, 1, by=staff)

    set_stock(jam, 10, as_of=last_event())

    assert counts(jam) == (12, 12, 2)


def test_what_nobody_came_for_is_no_longer_sold(place_order: PlaceOrder, staff: User) -> None:
    jam = ProductFactory(stock=5)
    order = place_order((jam, 3))
    services.confirm(order, cause="paid")
    services.record_fact(order.lines.get(), LineFact.Kind.COLLECTED, 1, by=staff)
    services.record_fact(order.lines.get(), LineFact.Kind.MISSED, 2, by=staff)

    set_stock(jam, 10, as_of=last_event())  # the sibling has put those two back on its shelf

    assert counts(jam) == (10, 10, 0)


def test_an_order_confirmed_twice_is_sold_once(place_order: PlaceOrder, staff: User) -> None:
    jam = ProductFactory(stock=5)
    order = place_order((jam, 2))
    services.confirm(order, cause="paid")
    services.cancel_confirmed(order, by=staff, cause="staff")
    services.revive(order, cause="staff", by=staff)

    set_stock(jam, 10, as_of=last_event())

    assert counts(jam) == (12, 12, 2)


def test_what_was_sold_again_since_the_count_was_subtracted_once_at_most(place_order: PlaceOrder, staff: User) -> None:
    jam = ProductFactory(stock=5)
    order = place_order((jam, 2))
    services.confirm(order, cause="paid")
    sold = last_event()
    services.cancel_confirmed(order, by=staff, cause="staff")
    cancelled = last_event()
    services.revive(order, cause="staff", by=staff)

    set_stock(jam, 10, as_of=sold)
    assert counts(jam) == (12, 12, 2)

    set_stock(jam, 10, as_of=cancelled)
    assert counts(jam) == (10, 10, 2)


def test_orders_that_are_not_paid_were_subtracted_by_nobody(place_order: PlaceOrder) -> None:
    jam = ProductFactory(stock=5)
    place_order((jam, 2))

    set_stock(jam, 10, as_of=last_event())

    assert counts(jam) == (10, 10, 2)


def test_more_promised_than_there_is_opens_a_case(place_order: PlaceOrder) -> None:
    jam = ProductFactory(stock=5)
    place_order((jam, 4))

    set_stock(jam, 1, as_of=0)

    assert counts(jam) == (1, 4, 4)
    assert Case.objects.get().kind == "oversold"


@pytest.mark.django_db(transaction=True)
def test_a_thing_counted_by_several_at_once_has_one_pool(honey: Product) -> None:
    def count() -> None:
        set_stock(Product.objects.select_related("pool").get(), 7, as_of=0)

    results_of(run_at_once(*[count] * 6))

    assert Pool.objects.get().wanted == 7
    assert counts(honey) == (7, 7, 0)
