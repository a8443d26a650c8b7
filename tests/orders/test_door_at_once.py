"""Several phones at one door at the same moment."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from bookings.models import Entry, Scan
from cartsite.models import User
from orders import door, services
from orders.models import Order
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import assert_pools_balance
from tests.orders.door import begin, facts_of, hire, places_of, scan, sell, statuses_of

pytestmark = pytest.mark.django_db(transaction=True)

PlaceOrder = Callable[..., Order]
AT_ONCE = 6


@pytest.fixture
def val(db: None) -> User:
    return hire()


@pytest.fixture
def sold(place_order: PlaceOrder, workshop: Entry) -> Order:
    order = sell(place_order, (workshop, 2))
    begin(workshop)
    return order


def test_of_phones_that_scan_one_ticket_at_once_one_says_welcome(sold: Order, workshop: Entry, val: User) -> None:
    code = places_of(sold)[0].code

    told = results_of(run_at_once(*[lambda: scan(workshop, code, val)] * AT_ONCE))

    assert sorted(each.outcome for each in told) == ["already_in"] * (AT_ONCE - 1) + ["welcome"]
    assert facts_of(sold) == [("attended", 1)]


def test_one_scan_that_arrives_several_times_at_once_is_one_scan(sold: Order, workshop: Entry, val: User) -> None:
    code, uuid = places_of(sold)[0].code, uuid4()

    told = results_of(run_at_once(*[lambda: door.check_in(workshop, code, uuid, by=val)] * AT_ONCE))

    assert [each.outcome for each in told] == ["welcome"] * AT_ONCE
    assert (Scan.objects.count(), facts_of(sold)) == (1, [("attended", 1)])


def test_both_tickets_of_an_order_at_once(sold: Order, workshop: Entry, val: User) -> None:
    codes = [booking.code for booking in places_of(sold)]

    told = results_of(run_at_once(*(lambda code=code: scan(workshop, code, val) for code in codes)))

    assert [each.outcome for each in told] == ["welcome", "welcome"]
    sold.refresh_from_db()
    assert (facts_of(sold), sold.status) == ([("attended", 1)] * 2, "completed")


def test_what_is_taken_back_twice_at_once_is_taken_back_once(sold: Order, workshop: Entry, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)

    done = results_of(run_at_once(*[lambda: door.undo(told, by=val)] * AT_ONCE))

    assert (done.count(True), facts_of(sold)) == (1, [("attended", 1), ("attended", -1)])


def test_a_ticket_is_scanned_while_its_order_is_called_off(sold: Order, workshop: Entry, val: User) -> None:
    for _again in range(3):
        code = places_of(sold)[-2].code

        told, called_off = results_of(
            run_at_once(
                lambda code=code: scan(workshop, code, val),
                lambda: services.cancel_confirmed(sold, by=val, cause="staff"),
            )
        )

        assert (told.outcome, called_off) in {("welcome", False), ("gone", True)}
        assert statuses_of(sold)[-2:] == (["cancelled"] * 2 if called_off else ["attended", "confirmed"])
        assert_pools_balance()
        if called_off:
            break
        assert door.undo(told, by=val)


def test_the_rest_is_marked_while_one_of_them_is_let_in(sold: Order, workshop: Entry, val: User) -> None:
    begin(workshop, hours_ago=1)
    code = places_of(sold)[0].code

    outcome, missed = results_of(
        run_at_once(
            lambda: scan(workshop, code, val).outcome,
            lambda: door.mark_rest_missed(workshop, by=val),
        )
    )

    assert (outcome, missed) in {("welcome", 1), ("gone", 2)}
    assert sum(quantity for _kind, quantity in facts_of(sold)) == 2
