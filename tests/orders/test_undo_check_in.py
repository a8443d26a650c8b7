"""What was done at the door by mistake is taken back: the place is as it was, and the books add up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Entry
from cartsite.models import Message, User
from orders import calendar_files, door, services, timeline
from orders.models import LineFact, Order
from payments.cancelling import offers_for
from tests.factories import CalendarFactory, EntryFactory
from tests.orders.acts import all_rows, assert_pools_balance
from tests.orders.door import begin, facts_of, hire, let_in_early, places_of, scan, sell, statuses_of

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def val(db: None) -> User:
    return hire()


@pytest.fixture
def sold(place_order: PlaceOrder, workshop: Entry) -> Order:
    """One place at a workshop that is about to begin."""
    order = sell(place_order, (workshop, 1))
    begin(workshop)
    return order


def test_whoever_was_let_in_by_mistake_is_expected_again(sold: Order, workshop: Entry, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)
    kim = hire("kim")

    assert door.undo(told, by=kim)

    told.refresh_from_db()
    assert (told.outcome, told.undone_by) == ("welcome", kim)
    assert told.undone_at is not None
    assert statuses_of(sold) == ["confirmed"]
    assert facts_of(sold) == [("attended", 1), ("attended", -1)]
    welcome, back = LineFact.objects.order_by("pk")
    assert (back.undoes, back.by) == (welcome, kim)
    event = sold.events.get(kind="line_undone")
    assert event.data == {"line": str(sold.lines.get().uuid), "quantity": 1, "what": "attended"}
    assert_pools_balance()


def test_an_order_that_was_over_with_it_is_not(sold: Order, workshop: Entry, val: User) -> None:
    mails = Message.objects.count()
    told = scan(workshop, places_of(sold)[0].code, val)
    sold.refresh_from_db()
    assert sold.status == "completed"

    door.undo(told, by=val)

    sold.refresh_from_db()
    assert (sold.status, Message.objects.count()) == ("confirmed", mails)
    last = sold.events.order_by("pk").last()
    assert last is not None
    assert (last.kind, last.cause, last.by) == ("confirmed", Order.REOPENED, val)
    assert sold.lines.get().bookings.count() == 1  # nothing is issued again


def test_the_ticket_is_good_again(sold: Order, workshop: Entry, val: User) -> None:
    code = places_of(sold)[0].code
    for _again in range(3):
        told = scan(workshop, code, val)
        assert told.outcome == "welcome"
        assert door.undo(told, by=val)

    assert scan(workshop, code, val).outcome == "welcome"
    assert sum(quantity for _kind, quantity in facts_of(sold)) == 1


def test_it_is_taken_back_once(sold: Order, workshop: Entry, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)
    door.undo(told, by=val)
    scan(workshop, places_of(sold)[0].code, val)
    before = all_rows()

    assert not door.undo(told, by=val)
    assert all_rows() == before


def test_only_a_welcome_is_taken_back(sold: Order, workshop: Entry, val: User) -> None:
    code = places_of(sold)[0].code
    refused = [scan(workshop, "unknown", val), scan(EntryFactory(), code, val)]
    scan(workshop, code, val)
    refused.append(scan(workshop, code, val))
    before = all_rows()

    for told in refused:
        with pytest.raises(door.CannotUndo):
            door.undo(told, by=val)

    assert all_rows() == before


def test_after_the_day_only_the_office_takes_it_back(place_order: PlaceOrder) -> None:
    """The day ends at midnight on the calendar's own clock: here at noon in UTC."""
    val, office = hire(), hire("kim", "change_order")
    ends_at = datetime(2027, 7, 1, 9, tzinfo=UTC)
    auckland = CalendarFactory(time_zone="Pacific/Auckland")
    entry = EntryFactory(calendar=auckland, starts_at=ends_at - timedelta(hours=2), ends_at=ends_at)
    order = sell(place_order, (entry, 2))
    first, second = (let_in_early(booking, val) for booking in places_of(order))

    with time_machine.travel(datetime(2027, 7, 1, 11, 59, 59, tzinfo=UTC), tick=False):
        assert door.undo(first, by=val)
    with time_machine.travel(datetime(2027, 7, 1, 12, 0, tzinfo=UTC), tick=False):
        before = all_rows()
        with pytest.raises(door.CannotUndo, match="day is over"):
            door.undo(second, by=val)
        assert all_rows() == before
        assert door.undo(second, by=office)


def test_whoever_comes_late_after_all_can_be_let_in(sold: Order, workshop: Entry, val: User) -> None:
    begin(workshop, hours_ago=1)
    door.mark_rest_missed(workshop, by=val)
    (booking,) = places_of(sold)

    assert door.undo_missed(booking, by=val)
    assert not door.undo_missed(booking, by=val)

    assert scan(workshop, booking.code, val).outcome == "welcome"
    assert facts_of(sold) == [("missed", 1), ("missed", -1), ("attended", 1)]


# --- Whoever reads facts reads their sum


def test_an_order_of_which_nothing_is_left_standing_can_be_cancelled(sold: Order, workshop: Entry, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)
    door.undo(told, by=val)

    assert services.cancel_confirmed(sold, by=val, cause="staff")
    assert statuses_of(sold) == ["cancelled"]
    assert_pools_balance()


def test_while_somebody_is_in_it_cannot_be_cancelled(place_order: PlaceOrder, workshop: Entry, val: User) -> None:
    order = sell(place_order, (workshop, 2))
    let_in_early(places_of(order)[0], val)
    before = all_rows()

    assert not services.cancel_confirmed(order, by=val, cause="staff")
    assert all_rows() == before


def test_a_cancelled_order_of_which_all_was_taken_back_can_be_revived(sold: Order, workshop: Entry, val: User) -> None:
    door.undo(scan(workshop, places_of(sold)[0].code, val), by=val)
    services.cancel_confirmed(sold, by=val, cause="staff")
    Entry.objects.update(starts_at=timezone.now() + timedelta(days=7), ends_at=timezone.now() + timedelta(days=8))

    assert services.revive(sold, cause="staff", by=val)


def test_the_shopper_may_cancel_a_place_again(place_order: PlaceOrder, workshop: Entry, val: User) -> None:
    order = sell(place_order, (workshop, 1))  # a week ahead
    told = let_in_early(places_of(order)[0], val)
    order.refresh_from_db()
    assert offers_for(order) == []

    door.undo(told, by=val)

    order.refresh_from_db()
    (offer,) = offers_for(order)
    assert (offer.open, offer.already) == (1, 0)


def test_the_shopper_reads_of_it_in_plain_words(sold: Order, workshop: Entry, val: User) -> None:
    door.undo(scan(workshop, places_of(sold)[0].code, val), by=val)

    said = [moment.said for moment in timeline.tell(sold, sold.lines.all(), [])]

    assert said[-1] == "Bread workshop: the last entry at the door was a mistake, and was taken back."
    assert said.count("The order was confirmed.") == 1


def test_the_calendar_file_does_not_count_it_as_a_change(sold: Order, workshop: Entry, val: User) -> None:
    before = calendar_files.write_places(sold)
    door.undo(scan(workshop, places_of(sold)[0].code, val), by=val)

    assert "SEQUENCE:0" in before
    assert "SEQUENCE:0" in calendar_files.write_places(sold)
