"""Moving places within their order: the new ones are held before the old ones are let go, and nothing else changes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from bookings import capacity
from bookings.models import Attendee, Booking, Entry
from cartsite.models import Message
from orders import services
from orders.models import Order, OrderLine
from orders.moving import CannotMove, move_in_place
from tests.concurrency import run_at_once
from tests.factories import EntryFactory, held_by_another
from tests.orders.acts import all_rows, assert_pools_balance
from tests.payments.records import events_of, fresh, taken

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once


@pytest.fixture
def line(order: Order) -> OrderLine:
    """Two places at the workshop, which were paid for."""
    services.confirm(order, cause="paid")
    return order.lines.get(kind="entry")


@pytest.fixture
def later_date(workshop: Entry) -> Entry:
    """The same workshop once more, a week later."""
    return EntryFactory(
        calendar=workshop.calendar, title=workshop.title, starts_at=workshop.starts_at + timedelta(days=7)
    )


def places(line: OrderLine) -> list[Booking]:
    return list(line.bookings.filter(status="confirmed").order_by("pk"))


def test_a_moved_place_is_a_fresh_one_of_the_same_line(line: OrderLine, workshop: Entry, later_date: Entry) -> None:
    first, second = places(line)

    (new,) = move_in_place([second], later_date, by=None, cause="shopper")

    new = fresh(new)
    assert (new.order_line, new.entry, new.moved_from) == (line, later_date, second)
    assert (new.status, fresh(second).status, fresh(first).status) == ("confirmed", "moved", "confirmed")
    assert new.code not in (first.code, second.code)
    assert (taken(workshop), taken(later_date)) == (1, 1)
    assert_pools_balance()


def test_it_is_written_down_and_told_once(line: OrderLine, workshop: Entry, later_date: Entry) -> None:
    move_in_place(places(line), later_date, by=None, cause="shopper")

    event = line.order.events.get(kind="place_moved")
    assert (event.data["line"], event.data["quantity"]) == (str(line.uuid), 2)
    assert (event.data["from"], event.data["to"]) == (str(workshop.uuid), str(later_date.uuid))
    assert Message.objects.get(kind="moved").occurrence == f"moved-{event.pk}"


def test_whoever_was_to_come_comes_to_the_new_place(line: OrderLine, later_date: Entry) -> None:
    first, _second = places(line)
    guest = Attendee.objects.create(order_line=line, number=1, booking=first, name="Ada")

    (new,) = move_in_place([first], later_date, by=None, cause="shopper")

    assert fresh(guest).booking == new


def test_without_room_nothing_moves(line: OrderLine, later_date: Entry) -> None:
    held_by_another(later_date, 9)
    before = all_rows()

    with pytest.raises(capacity.SoldOut):
        move_in_place(places(line), later_date, by=None, cause="shopper")

    assert all_rows() == before


def test_a_full_pool_never_blocks_a_move_within_it(line: OrderLine, workshop: Entry) -> None:
    evening = EntryFactory(title=workshop.title, calendar=workshop.calendar, pool=workshop.pool)
    held_by_another(workshop, 8)

    move_in_place(places(line), evening, by=None, cause="shopper")

    assert taken(workshop) == 10
    assert {booking.entry for booking in places(line)} == {evening}
    assert_pools_balance()


@pytest.mark.parametrize("state", ["attended", "cancelled", "moved", "no_show"])
def test_a_place_that_does_not_stand_is_not_moved(line: OrderLine, later_date: Entry, state: str) -> None:
    seen = places(line)
    Booking.objects.filter(pk=seen[0].pk).update(status=state)
    before = all_rows()

    with pytest.raises(CannotMove):
        move_in_place(seen, later_date, by=None, cause="shopper")

    assert all_rows() == before


def test_a_place_on_its_way_to_another_order_is_not_moved(line: OrderLine, later_date: Entry) -> None:
    Booking.objects.filter(order_line=line).update(moving_to=line)
    before = all_rows()

    with pytest.raises(CannotMove):
        move_in_place(places(line), later_date, by=None, cause="shopper")

    assert all_rows() == before


def test_nothing_moves_to_where_it_is(line: OrderLine, workshop: Entry) -> None:
    with pytest.raises(CannotMove):
        move_in_place(places(line), workshop, by=None, cause="shopper")


def test_nothing_moves_to_what_was_called_off(line: OrderLine, later_date: Entry) -> None:
    Entry.objects.filter(pk=later_date.pk).update(cancelled_at=timezone.now())
    before = all_rows()

    with pytest.raises(CannotMove):
        move_in_place(places(line), later_date, by=None, cause="shopper")

    assert all_rows() == before


def test_it_may_be_cancelled_as_the_new_date_says(line: OrderLine, later_date: Entry) -> None:
    (new,) = move_in_place(places(line)[:1], later_date, by=None, cause="shopper")

    assert new.cancel_until == later_date.starts_at - timedelta(hours=48)


def test_a_move_never_makes_a_place_cancellable_that_was_not(line: OrderLine, later_date: Entry) -> None:
    OrderLine.objects.filter(pk=line.pk).update(cancel_until=timezone.now() - timedelta(hours=1))

    (new,) = move_in_place(places(line)[:1], later_date, by=None, cause="shopper")

    assert new.cancel_until is not None
    assert new.cancel_until <= timezone.now()


def test_a_place_moves_twice_and_back(line: OrderLine, workshop: Entry, later_date: Entry) -> None:
    (there,) = move_in_place(places(line)[:1], later_date, by=None, cause="shopper")
    (back,) = move_in_place([there], workshop, by=None, cause="shopper")

    assert (back.entry, fresh(there).status) == (workshop, "moved")
    assert (taken(workshop), taken(later_date)) == (2, 0)
    assert events_of(line.order).count("place_moved") == 2
    assert_pools_balance()


@committed
def test_of_two_who_want_the_last_place_one_moves(
    place_order: Callable[..., Order], workshop: Entry, later_date: Entry
) -> None:
    held_by_another(later_date, 9)
    lines = []
    for _turn in range(2):
        order = place_order((workshop, 1))
        services.confirm(order, cause="paid")
        lines.append(order.lines.get())

    outcomes = run_at_once(
        *[lambda line=line: move_in_place(places(line), later_date, by=None, cause="shopper") for line in lines]
    )

    assert sorted(type(outcome.error).__name__ for outcome in outcomes) == ["NoneType", "SoldOut"]
    assert (taken(later_date), taken(workshop)) == (10, 1)
    assert_pools_balance()


@committed
def test_places_that_change_their_dates_with_each_other_never_block_each_other(
    place_order: Callable[..., Order], workshop: Entry, later_date: Entry
) -> None:
    lines = []
    for entry in (workshop, later_date):
        capacity.set_capacity(entry.pool, 12)  # all of them may be on their way to one date at the same moment
    for turn in range(12):
        order = place_order((later_date if turn % 2 else workshop, 1))
        services.confirm(order, cause="paid")
        lines.append((order.lines.get(), workshop if turn % 2 else later_date))

    outcomes = run_at_once(
        *[lambda line=line, to=to: move_in_place(places(line), to, by=None, cause="shopper") for line, to in lines]
    )

    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert (taken(later_date), taken(workshop)) == (6, 6)
    assert_pools_balance()
