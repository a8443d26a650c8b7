"""The organiser changes when an entry is: everybody concerned hears of it, and may have their money back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Entry, Resource
from cart.models import Cart, Product
from cartsite.models import Message, User
from orders import services, timeline
from orders.models import Order
from orders.rescheduling import CannotReschedule, ResourceTaken, reschedule
from payments.casework import take_cash
from tests.concurrency import results_of, run_at_once
from tests.factories import CalendarFactory, EntryFactory
from tests.invariants import assert_books_balance
from tests.orders.acts import agreed_for, all_rows
from tests.payments.records import fresh

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

PlaceOrder = Callable[..., Order]
LATER = timedelta(days=1)


def buy(place_order: PlaceOrder, staff: User, *things: tuple[Any, int], user: User | None = None) -> Order:
    """An order of these, paid."""
    order = place_order(*things, user=user)
    take_cash(order, order.total, by=staff)
    return fresh(order)


def put_off(entry: Entry, staff: User, by: timedelta = LATER) -> int:
    """Let it be so much later."""
    return reschedule(entry, entry.starts_at + by, entry.ends_at + by, by=staff, reason="The oven is cold")


def owed(order: Order) -> list[str]:
    """The occurrences of the mail about a new time."""
    return list(
        Message.objects.filter(kind="rescheduled", subject_uuid=order.uuid).values_list("occurrence", flat=True)
    )


def told(order: Order) -> list[dict[str, Any]]:
    return [event.data for event in order.events.filter(kind="entry_rescheduled")]


def test_whoever_has_places_is_told_once_and_may_give_them_back(
    place_order: PlaceOrder, workshop: Entry, honey: Product, staff: User
) -> None:
    order = buy(place_order, staff, (honey, 1), (workshop, 2))
    began = workshop.starts_at

    assert put_off(workshop, staff) == 1

    assert (workshop.starts_at, workshop.sequence) == (began + LATER, 1)
    assert fresh(workshop).rescheduled_at is not None
    assert set(Booking.objects.values_list("free_until", flat=True)) == {began + LATER}
    assert owed(order) == [f"{workshop.uuid}-1"]
    (data,) = told(order)
    assert (data["from"], data["to"]) == (began.isoformat(), (began + LATER).isoformat())
    assert order.events.get(kind="entry_rescheduled").by == staff
    assert_books_balance()


def test_each_new_time_is_told(place_order: PlaceOrder, workshop: Entry, staff: User) -> None:
    order = buy(place_order, staff, (workshop, 1))

    put_off(workshop, staff)
    put_off(workshop, staff)

    assert sorted(owed(order)) == [f"{workshop.uuid}-1", f"{workshop.uuid}-2"]
    assert Booking.objects.get().free_until == fresh(workshop).starts_at


def test_the_same_time_changes_nothing(place_order: PlaceOrder, workshop: Entry, staff: User) -> None:
    buy(place_order, staff, (workshop, 1))
    before = all_rows()

    assert put_off(workshop, staff, by=timedelta(0)) == 0

    assert all_rows() == before


def test_an_order_that_waits_to_be_paid_is_told_and_its_places_may_be_given_back_once_they_are_paid(
    place_order: PlaceOrder, workshop: Entry, staff: User
) -> None:
    order = place_order((workshop, 1))

    assert put_off(workshop, staff) == 1
    take_cash(order, order.total, by=staff)

    assert owed(order) == [f"{workshop.uuid}-1"]
    assert Booking.objects.get().free_until == fresh(workshop).starts_at


def test_who_orders_afterwards_knows_the_time_and_is_told_nothing(
    place_order: PlaceOrder, workshop: Entry, staff: User
) -> None:
    put_off(workshop, staff)

    order = buy(place_order, staff, (workshop, 1))

    assert (owed(order), told(order)) == ([], [])
    assert Booking.objects.get().free_until is None


@pytest.mark.parametrize("status", ["attended", "cancelled", "moved", "no_show"])
def test_who_has_no_place_there_any_more_is_told_nothing(
    place_order: PlaceOrder, workshop: Entry, staff: User, status: str
) -> None:
    order = buy(place_order, staff, (workshop, 1))
    Booking.objects.update(status=status)

    assert put_off(workshop, staff) == 0

    assert owed(order) == []
    assert Booking.objects.get().free_until is None


def test_other_entries_and_their_orders_are_left_alone(place_order: PlaceOrder, workshop: Entry, staff: User) -> None:
    other = buy(place_order, staff, (EntryFactory(), 1))

    assert put_off(workshop, staff) == 0

    assert (owed(other), told(other)) == ([], [])
    assert Booking.objects.get().free_until is None


def test_places_that_were_moved_there_are_told_too(place_order: PlaceOrder, workshop: Entry, staff: User) -> None:
    order = buy(place_order, staff, (EntryFactory(), 1))
    Booking.objects.update(entry=workshop)

    assert put_off(workshop, staff) == 1

    assert owed(order) == [f"{workshop.uuid}-1"]


def test_a_taken_resource_is_refused_with_nothing_moved(place_order: PlaceOrder, workshop: Entry, staff: User) -> None:
    kiln = Resource.objects.create(name="The kiln")
    Entry.objects.filter(pk=workshop.pk).update(resource=kiln)
    EntryFactory(resource=kiln, starts_at=workshop.starts_at + LATER)
    buy(place_order, staff, (workshop, 1))
    before = all_rows()

    with pytest.raises(ResourceTaken, match="The kiln"), transaction.atomic():
        put_off(workshop, staff)

    assert all_rows() == before


def test_what_is_called_off_or_ends_before_it_begins_is_refused(workshop: Entry, staff: User) -> None:
    before = all_rows()
    with pytest.raises(CannotReschedule):
        reschedule(workshop, workshop.ends_at, workshop.starts_at, by=staff, reason="A slip")
    assert all_rows() == before

    Entry.objects.update(cancelled_at=workshop.starts_at)
    before = all_rows()
    with pytest.raises(CannotReschedule):
        put_off(workshop, staff)
    assert all_rows() == before


def test_a_basket_shows_the_new_time_and_must_be_looked_at_again(
    fill_cart: Callable[..., tuple[Cart, str]], workshop: Entry, staff: User
) -> None:
    Entry.objects.select_related("calendar").get().calendar.__class__.objects.update(cancel_hours=None)
    cart, _token = fill_cart((workshop, 1))
    agreed = agreed_for(cart)

    put_off(workshop, staff)

    assert agreed_for(cart) != agreed


def test_the_order_tells_of_it_on_the_calendars_own_clock(
    place_order: PlaceOrder, staff: User, time_machine: Any
) -> None:
    time_machine.move_to(datetime.fromisoformat("2026-10-01T09:00+00:00"))
    starts_at = datetime.fromisoformat("2026-10-24T17:00+00:00")
    walk = EntryFactory(title="A walk", starts_at=starts_at, calendar=CalendarFactory(time_zone="Europe/London"))
    order = buy(place_order, staff, (walk, 1))

    put_off(walk, staff)

    said = [moment.said for moment in timeline.tell(order, order.lines.all(), [])]
    assert (
        "The co-operative changed the time of A walk from Saturday 24 October 2026, 18:00"
        " to Sunday 25 October 2026, 17:00." in said
    )


def test_many_orders_take_few_statements(place_order: PlaceOrder, staff: User) -> None:
    fair = EntryFactory(places=100)
    counts = []
    for more in (3, 12):
        for _order in range(more):
            buy(place_order, staff, (fair, 1))
        with CaptureQueriesContext(connection) as captured:
            put_off(fair, staff)
        counts.append(len(captured))

    assert counts[0] == counts[1]
    assert Message.objects.filter(kind="rescheduled").count() == 3 + 15


@committed
def test_a_place_that_is_called_off_at_the_same_moment_blocks_nobody(
    place_order: PlaceOrder, workshop: Entry, staff: User
) -> None:
    bought = [buy(place_order, staff, (workshop, 2)) for _order in range(3)]

    def call_off(order: Order) -> Callable[[], None]:
        return lambda: services.cancel_some(order.lines.get(), 1, by=staff)

    results_of(run_at_once(lambda: put_off(fresh(workshop), staff), *map(call_off, bought)))

    standing = Booking.objects.filter(status=Booking.Status.CONFIRMED)
    assert set(standing.values_list("free_until", flat=True)) == {fresh(workshop).starts_at}
    assert standing.count() == 3
    assert_books_balance()
