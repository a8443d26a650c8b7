"""Places that were paid for become bookings, each with a code and a hold of its own."""

import pytest

from bookings import capacity
from bookings.models import CODE_ALPHABET, Booking, Entry, Hold
from bookings.services import Sale, call_off, issue
from orders.models import Order, OrderLine

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(order: Order, workshop: Entry) -> OrderLine:
    """Two places at the workshop, not paid yet."""
    return order.lines.get(entry=workshop)


def sale(line: OrderLine) -> Sale:
    return Sale(order_line=line.pk, entry=line.entry_id or 0, hold=line.hold_id or 0)


def test_every_place_sold_becomes_a_booking_with_its_own_code_and_hold(line: OrderLine, workshop: Entry) -> None:
    bookings = issue([sale(line)])

    assert len({booking.code for booking in bookings}) == len({booking.hold_id for booking in bookings}) == 2
    assert all(booking.hold.quantity == 1 and booking.hold.until is None for booking in bookings)
    assert all(set(booking.code) <= set(CODE_ALPHABET) for booking in bookings)
    workshop.pool.refresh_from_db()
    assert workshop.pool.taken == 2


def test_issuing_twice_makes_no_second_bookings(line: OrderLine) -> None:
    issue([sale(line)])

    assert issue([sale(line)]) == []

    assert Booking.objects.count() == 2


def test_a_cancelled_booking_frees_its_place(line: OrderLine, workshop: Entry) -> None:
    first, second = issue([sale(line)])

    assert capacity.give_back(call_off([first])) == 1

    workshop.pool.refresh_from_db()
    assert workshop.pool.taken == 1
    assert [b.status for b in Booking.objects.order_by("pk")] == ["cancelled", "confirmed"]
    assert Hold.objects.get(pk=second.hold_id).quantity == 1


def test_a_booking_is_cancelled_once(line: OrderLine, workshop: Entry) -> None:
    bookings = issue([sale(line)])
    capacity.give_back(call_off(bookings))

    assert call_off(bookings) == []

    workshop.pool.refresh_from_db()
    assert workshop.pool.taken == 0


def test_somebody_who_came_is_not_cancelled(line: OrderLine, workshop: Entry) -> None:
    bookings = issue([sale(line)])
    Booking.objects.update(status=Booking.Status.ATTENDED)

    assert call_off(bookings) == []

    workshop.pool.refresh_from_db()
    assert workshop.pool.taken == 2
