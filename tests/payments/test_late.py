"""Money that came when its order was over: back within three days, unless somebody decides otherwise, and once."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from bookings.models import Entry
from cartsite.models import Case, Message, User
from orders.models import Order
from payments import casework, late, refunds, starting
from payments.models import Payment, Refund
from payments.refunds import CannotRefund
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.factories import held_by_another
from tests.payments.money import (
    ask_back,
    case,
    fill_up,
    make_room,
    pay_unseen_until_over,
    posts,
    pounds,
    sweep_money,
    went_back,
)
from tests.payments.records import Later, fresh, open_cases, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once


@pytest.fixture
def too_late(later: Later, place_order: Callable[..., Order], workshop: Entry, wire: Wire, sumup: Simulator) -> Payment:
    """£70 for two places came when both were gone."""
    payment = starting.start(place_order((workshop, 2)))
    return pay_unseen_until_over(later, wire, payment, lambda: fill_up(workshop))


@pytest.fixture
def about_it(too_late: Payment) -> Case:
    return case(Case.Kind.LATE_PAYMENT)


def test_late_money_without_room_is_a_case_and_its_shopper_is_told(too_late: Payment, about_it: Case) -> None:
    assert (fresh(too_late.order).status, too_late.status) == ("expired", "captured")
    assert (about_it.subject_uuid, about_it.at_stake) == (too_late.uuid, pounds(70))
    assert late.open_case(too_late.order) == about_it
    assert late.goes_back_at(about_it) == about_it.opened_at + timedelta(days=3)
    message = Message.objects.get(kind="late_payment")
    assert (message.subject_uuid, message.occurrence) == (too_late.order.uuid, str(too_late.uuid))


def test_the_shopper_may_have_it_back_at_once(too_late: Payment, about_it: Case, sumup: Simulator) -> None:
    late.send_back(about_it, by=None, note="The shopper asked for it.")

    refund = Refund.objects.get()
    assert (refund.amount, refund.requested_by, refund.approved_by) == (pounds(70), None, None)
    assert refund.approved_at is not None
    assert late.open_case(too_late.order) is None
    assert (fresh(about_it).status, fresh(about_it).resolved_by) == ("resolved", None)
    sweep_money()
    assert went_back(sumup, too_late) == [pounds(70)]
    assert open_cases() == []


def test_staff_may_send_it_back(about_it: Case, staff: User) -> None:
    late.send_back(about_it, by=staff, note="The places are gone.")

    refund = Refund.objects.get()
    assert (refund.requested_by, refund.approved_by, refund.reason) == (staff, staff, "The places are gone.")
    assert fresh(about_it).resolved_by == staff


def test_it_goes_back_once_however_often_it_is_asked_for(about_it: Case, staff: User, sumup: Simulator) -> None:
    for by in (None, staff, None):
        late.send_back(about_it, by=by, note="Again")
        sweep_money()

    assert Refund.objects.count() == posts(sumup) == 1


@committed
def test_of_eight_who_decide_at_once_one_does(later: Later, about_it: Case, staff: User) -> None:
    later(days=3)

    outcomes = run_at_once(
        *[lambda: late.send_back(about_it, by=None, note="Shopper")] * 3,
        *[late.send_back_by_itself] * 3,
        *[lambda: late.send_back(about_it, by=staff, note="Staff")] * 2,
    )

    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert Refund.objects.get().amount == pounds(70)


def test_without_a_word_it_goes_back_after_three_days_and_not_before(
    later: Later, too_late: Payment, about_it: Case, sumup: Simulator
) -> None:
    later(days=2, hours=23, minutes=59)
    sweep_money()
    assert not Refund.objects.exists()

    later(minutes=1)
    sweep_money()
    sweep_money()

    assert went_back(sumup, too_late) == [pounds(70)]
    assert fresh(about_it).status == "resolved"


def test_while_staff_have_put_it_off_it_does_not_go_back(later: Later, about_it: Case) -> None:
    until = later() + timedelta(days=5)
    casework.snooze(about_it, until, note="The stall may add places")

    later(days=4, hours=23)
    Case.wake_up()
    sweep_money()
    asleep = Refund.objects.count()
    later(hours=1)
    Case.wake_up()
    sweep_money()

    assert late.goes_back_at(fresh(about_it)) == until
    assert (asleep, Refund.objects.count()) == (0, 1)


def test_putting_it_off_for_a_day_does_not_bring_it_forward(later: Later, about_it: Case) -> None:
    casework.snooze(about_it, later() + timedelta(days=1), note="Tomorrow")

    later(days=2)
    Case.wake_up()
    sweep_money()

    assert not Refund.objects.exists()
    assert late.goes_back_at(fresh(about_it)) == about_it.opened_at + timedelta(days=3)


def test_the_shopper_may_have_it_back_while_staff_have_put_it_off(later: Later, about_it: Case) -> None:
    casework.snooze(about_it, later() + timedelta(days=5), note="The stall may add places")

    late.send_back(fresh(about_it), by=None, note="The shopper asked for it.")

    assert Refund.objects.get().amount == pounds(70)


def test_an_order_that_staff_revived_keeps_its_money(
    later: Later, too_late: Payment, about_it: Case, staff: User, workshop: Entry
) -> None:
    make_room(workshop)

    casework.revive(about_it, by=staff, note="There is room again")
    later(days=4)
    sweep_money()

    assert (fresh(too_late.order).status, taken(workshop)) == ("confirmed", 2)
    assert not Refund.objects.exists()


def test_only_what_is_left_of_it_goes_back(too_late: Payment, about_it: Case, staff: User, sumup: Simulator) -> None:
    ask_back(too_late, "30.00", staff)
    sweep_money()

    late.send_back(fresh(about_it), by=None, note="The rest")

    assert Refund.objects.latest("pk").amount == pounds(40)


def test_what_is_on_its_way_already_is_not_asked_for_again(
    later: Later, too_late: Payment, about_it: Case, staff: User
) -> None:
    refunds.request(too_late, refunds.Wish(pounds(70), "Gone", staff))

    with pytest.raises(CannotRefund):
        late.send_back(about_it, by=None, note="The shopper asked for it.")
    later(days=4)
    sweep_money()

    assert Refund.objects.count() == 1
    assert fresh(about_it).status == "open"


def test_one_that_cannot_go_back_by_itself_delays_no_other(
    later: Later, place_order: Callable[..., Order], too_late: Payment, workshop: Entry, wire: Wire
) -> None:
    refunds.request(too_late, refunds.Wish(pounds(70), "Gone", None))
    make_room(workshop)
    other = starting.start(place_order((workshop, 1)))
    pay_unseen_until_over(later, wire, other, lambda: held_by_another(workshop, 10))

    later(days=4)
    late.send_back_by_itself()

    assert other.refunds.get().amount == pounds(35)


def test_an_order_without_late_money_has_no_such_case(order: Order) -> None:
    assert late.open_case(order) is None
