"""What a person may do about a case: each step moves what it says, in their name, or nothing."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bookings.models import Entry
from cartsite.models import Case, User
from orders.models import Order
from payments import casework, history, ledger, refunds, settling, starting
from payments import sumup as sumup_client
from payments.casework import CannotDo, Step
from payments.models import Movement, Payment, Refund, Stray
from payments.refunds import CannotRefund, Wish
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.payments.money import (
    ask_back,
    case,
    fill_up,
    make_room,
    pay,
    pay_a_part,
    pay_twice,
    pay_unseen_until_over,
    pounds,
    show_all,
    sweep_for_days,
    sweep_money,
    went_back,
)
from tests.payments.records import Later, fresh, open_cases, sweep_until_quiet, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

PlaceOrder = Callable[..., Order]


@pytest.fixture
def paid_twice(later: Later, payment: Payment, wire: Wire) -> Payment:
    """The order was paid on two pages; the second payment."""
    return pay_twice(later, wire, payment)


@pytest.fixture
def stray(order: Order, sumup: Simulator) -> Case:
    """SumUp took £76.50 at a card reader, and no order knows of it."""
    sumup.take_stray_payment(Decimal("76.50"), "Honey and a workshop")
    history.sweep()
    return case(Case.Kind.UNKNOWN_MONEY)


# --- What may be done -------------------------------------------------------------------------------------------------


def test_every_kind_of_case_says_what_may_be_done() -> None:
    assert set(casework.STEPS) == set(Case.Kind.values)


@pytest.mark.parametrize("kind", Case.Kind.values)
def test_every_case_may_be_accepted_or_put_off_until_it_is_resolved(order: Order, staff: User, kind: str) -> None:
    Case.open(Case.Kind(kind), order, "Something happened.")
    about = Case.objects.get()

    before = casework.steps_for(about)
    about.resolve(by=staff, note="Done")

    assert {Step.ACCEPT, Step.SNOOZE} <= set(before)
    assert casework.steps_for(fresh(about)) == ()


def test_a_case_knows_its_order(later: Later, payment: Payment, staff: User, sumup: Simulator, workshop: Entry) -> None:
    pay(payment, sumup)
    line, refund = payment.order.lines.get(kind="entry"), ask_back(payment, "1.00", staff)
    subjects = [payment.order, payment, line, refund]
    for subject in subjects:
        Case.open(Case.Kind.OVERPAID, subject, "Something happened.")

    assert [casework.order_of(about) for about in Case.objects.all()] == [payment.order] * 4
    assert [casework.subject_of(about) for about in Case.objects.order_by("pk")] == subjects


def test_a_case_about_no_order_has_none(workshop: Entry, staff: User) -> None:
    Case.open(Case.Kind.OVERSOLD, workshop.pool, "Too many.")  # type: ignore[arg-type]

    assert casework.order_of(Case.objects.get()) is None
    with pytest.raises(CannotDo):
        casework.refund(Case.objects.get(), Decimal(1), by=staff, note="Why not")


# --- Money back -------------------------------------------------------------------------------------------------------


def test_money_goes_back_from_the_payment_that_the_case_is_about(
    payment: Payment, paid_twice: Payment, staff: User
) -> None:
    about = case(Case.Kind.DUPLICATE_CAPTURE)

    (refund,) = casework.refund(about, Decimal("76.50"), by=staff, note="Paid twice")

    assert (refund.payment, refund.status, refund.reason) == (paid_twice, "requested", "Paid twice")
    assert (fresh(about).resolved_by, fresh(about).note) == (staff, "Paid twice")


def test_a_refund_that_cannot_be_leaves_its_case_open(paid_twice: Payment, staff: User) -> None:
    about = case(Case.Kind.DUPLICATE_CAPTURE)

    with pytest.raises(CannotRefund):
        casework.refund(about, Decimal("76.51"), by=staff, note="Paid twice")

    assert open_cases() == ["duplicate_capture"]
    assert not Refund.objects.exists()


def test_money_given_back_by_hand_resolves_its_case_in_the_name_of_who_did(paid_twice: Payment, staff: User) -> None:
    about = case(Case.Kind.DUPLICATE_CAPTURE)

    casework.give_by_hand(about, Decimal("76.50"), by=staff, note="At the stall")

    assert (fresh(about).status, fresh(about).resolved_by, fresh(about).note) == ("resolved", staff, "At the stall")
    assert ledger.money_of(paid_twice.order).net == pounds("76.50")


@committed
def test_of_eight_who_send_a_cases_money_back_at_once_one_does(paid_twice: Payment, staff: User) -> None:
    about = case(Case.Kind.DUPLICATE_CAPTURE)

    outcomes = run_at_once(*[lambda: casework.refund(about, Decimal(10), by=staff, note="Paid twice")] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert Refund.objects.get().amount == pounds(10)


def test_a_called_off_lines_money_goes_back_for_that_line(
    later: Later, payment: Payment, sumup: Simulator, workshop: Entry, staff: User
) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=later())
    pay(payment, sumup)
    refunds.turn_down(Refund.objects.get(), by=staff, note="Another amount")

    (refund,) = casework.refund(case(Case.Kind.ENTRY_CANCELLED), Decimal(60), by=staff, note="Less the flour")

    assert (refund.line, refund.amount) == (payment.order.lines.get(kind="entry"), pounds(60))


# --- Revive -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def too_late(later: Later, place_order: PlaceOrder, workshop: Entry, wire: Wire) -> Payment:
    """£70 for two places came when both were gone."""
    payment = starting.start(place_order((workshop, 2)))
    return pay_unseen_until_over(later, wire, payment, lambda: fill_up(workshop))


def test_staff_revive_an_order_when_there_is_room_again(too_late: Payment, staff: User, workshop: Entry) -> None:
    about = case(Case.Kind.LATE_PAYMENT)
    make_room(workshop)

    casework.revive(about, by=staff, note="There is room again")

    assert (fresh(too_late.order).status, taken(workshop)) == ("confirmed", 2)
    assert fresh(about).resolved_by == staff


def test_without_room_nothing_is_revived(too_late: Payment, staff: User, workshop: Entry) -> None:
    with pytest.raises(CannotDo):
        casework.revive(case(Case.Kind.LATE_PAYMENT), by=staff, note="There is room again")

    assert (fresh(too_late.order).status, taken(workshop)) == ("expired", 9)


def test_money_on_its_way_back_revives_nothing(too_late: Payment, staff: User, workshop: Entry) -> None:
    make_room(workshop)
    ask_back(too_late, "1.00", staff)

    with pytest.raises(CannotDo):
        casework.revive(case(Case.Kind.LATE_PAYMENT), by=staff, note="There is room again")

    assert fresh(too_late.order).status == "expired"


def test_a_revived_place_at_a_called_off_entry_gets_a_prepared_refund(
    later: Later, too_late: Payment, staff: User, workshop: Entry
) -> None:
    make_room(workshop)
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=later())

    casework.revive(case(Case.Kind.LATE_PAYMENT), by=staff, note="There is room again")

    assert open_cases() == ["entry_cancelled"]
    assert Refund.objects.get().amount == pounds(70)


def test_an_order_that_still_waits_with_all_its_money_can_be_confirmed(
    order: Order, payment: Payment, staff: User, sumup: Simulator
) -> None:
    """Once a refund exists no machine confirms it, but a person may."""
    casework.take_cash(order, Decimal("6.50"), by=staff)
    refunds.give_by_hand(order, Wish(Decimal("6.50"), "It was for another order", staff))
    pay(payment, sumup)
    assert (fresh(order).status, open_cases()) == ("awaiting_payment", ["late_payment"])

    casework.revive(case(Case.Kind.LATE_PAYMENT), by=staff, note="It is all here")

    assert (fresh(order).status, open_cases()) == ("confirmed", [])


# --- Unknown money ----------------------------------------------------------------------------------------------------


def test_unknown_money_attached_to_an_order_confirms_it(stray: Case, order: Order, staff: User) -> None:
    payment = casework.attach(stray, f" {order.number.lower()} ", by=staff, note="They paid at the stall")

    assert (fresh(order).status, payment.status) == ("confirmed", "captured")
    assert Movement.objects.get().sumup_id == Stray.objects.get().transaction_id
    assert order.events.get(kind="money_attached").by == staff
    assert (fresh(stray).resolved_by, open_cases()) == (staff, [])


def test_attached_money_can_go_back_like_any_other(stray: Case, order: Order, staff: User, sumup: Simulator) -> None:
    payment = casework.attach(stray, order.number, by=staff, note="They paid at the stall")

    ask_back(payment, "76.50", staff)
    sweep_money()

    assert went_back(sumup, payment) == [pounds("76.50")]


def test_money_attached_to_an_order_that_is_paid_already_is_a_case(
    payment: Payment, sumup: Simulator, stray: Case, staff: User
) -> None:
    pay(payment, sumup)

    attached = casework.attach(stray, payment.order.number, by=staff, note="They paid at the stall")

    assert case(Case.Kind.DUPLICATE_CAPTURE).subject_uuid == attached.uuid


def test_a_part_attached_to_an_order_is_a_case_for_nobody_else_would_look(
    later: Later, order: Order, staff: User, sumup: Simulator
) -> None:
    """The order neither is paid nor can end, so it holds its places until somebody decides."""
    sumup.take_stray_payment(Decimal("6.50"), "Honey")
    history.sweep()

    casework.attach(case(Case.Kind.UNKNOWN_MONEY), order.number, by=staff, note="They paid at the stall")
    sweep_until_quiet(later)

    assert fresh(order).status == "awaiting_payment"
    assert open_cases() != []


def test_money_that_is_in_the_books_already_is_not_attached_again(
    order: Order, payment: Payment, staff: User, sumup: Simulator
) -> None:
    """Its own attempt was settled just before; the case that a person has open still says otherwise."""
    pay(payment, sumup)
    moved = Movement.objects.get()
    stray = Stray.objects.create(
        merchant_code=moved.merchant_code,
        transaction_id=moved.transaction_id,
        amount=moved.amount,
        currency=moved.currency,
        happened_at=moved.happened_at,
    )
    Case.open(Case.Kind.UNKNOWN_MONEY, stray, "Nobody knows it.")

    with pytest.raises(CannotDo):
        casework.attach(case(Case.Kind.UNKNOWN_MONEY), order.number, by=staff, note="They paid at the stall")

    assert (order.payments.count(), Movement.objects.count()) == (1, 1)
    assert open_cases() == ["unknown_money"]


@pytest.mark.parametrize("number", ["", "CFGH-JKMP-QR", "nonsense"])
def test_money_is_attached_to_no_order_that_does_not_exist(stray: Case, staff: User, number: str) -> None:
    with pytest.raises(CannotDo):
        casework.attach(stray, number, by=staff, note="They paid at the stall")

    assert not Payment.objects.exists()


def test_money_is_attached_once(stray: Case, order: Order, place_order: PlaceOrder, honey: Any, staff: User) -> None:
    other = place_order((honey, 1))
    casework.attach(stray, order.number, by=staff, note="They paid at the stall")

    with pytest.raises(CannotDo):
        casework.attach(stray, other.number, by=staff, note="No, this one")

    assert Payment.objects.count() == Movement.objects.count() == 1


@committed
def test_of_eight_who_attach_the_same_money_at_once_one_does(
    stray: Case, order: Order, place_order: PlaceOrder, honey: Any, staff: User
) -> None:
    other = place_order((honey, 1))

    outcomes = run_at_once(
        *[lambda: casework.attach(stray, order.number, by=staff, note="This one")] * 4,
        *[lambda: casework.attach(stray, other.number, by=staff, note="That one")] * 4,
    )

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotDo | None) for outcome in outcomes)
    assert Movement.objects.count() == 1


def test_money_in_another_currency_is_attached_to_nothing(order: Order, staff: User, sumup: Simulator) -> None:
    sumup.take_stray_payment(Decimal("76.50"), "Honey", "EUR")
    history.sweep()

    with pytest.raises(CannotDo):
        casework.attach(case(Case.Kind.UNKNOWN_MONEY), order.number, by=staff, note="They paid at the stall")

    assert fresh(order).status == "awaiting_payment"


def test_an_order_confirmed_by_attached_money_has_no_page_left_to_pay(
    later: Later, payment: Payment, stray: Case, staff: User, sumup: Simulator
) -> None:
    casework.attach(stray, payment.order.number, by=staff, note="They paid at the stall")

    for _round in range(3):
        later(minutes=2)
        sweep_money()

    assert fresh(payment).status == "closed"
    assert sumup.checkouts()[0].status == "EXPIRED"


def test_accepting_money_in_a_wrong_currency_closes_its_attempt(
    later: Later, payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    wire.simulator.pay(payment.checkout_id or "")
    wire.change(lambda doc: doc | {"currency": "EUR"} if "checkout_reference" in doc else doc)
    settling.settle(payment)
    about = case(Case.Kind.UNKNOWN_MONEY)

    casework.accept(about, by=staff, note="It was sent back by hand")
    sweep_until_quiet(later)

    assert fresh(payment).status == "closed"
    assert (fresh(payment.order).status, taken(workshop)) == ("expired", 0)
    assert open_cases() == []
    assert not Movement.objects.exists()


# --- Cash -------------------------------------------------------------------------------------------------------------


def test_cash_for_all_of_an_order_confirms_it(order: Order, staff: User) -> None:
    casework.take_cash(order, Decimal("76.50"), by=staff)

    assert fresh(order).status == "confirmed"
    movement = Movement.objects.get()
    assert (movement.kind, movement.amount, movement.sumup_id) == ("cash", pounds("76.50"), None)
    assert order.events.get(kind="cash").by == staff


def test_cash_for_the_rest_of_a_part_paid_order_confirms_it_and_ends_its_case(
    payment: Payment, wire: Wire, staff: User
) -> None:
    pay_a_part(payment, wire, "6.50")

    casework.take_cash(payment.order, Decimal(70), by=staff)

    assert fresh(payment.order).status == "confirmed"
    assert open_cases() == []


@pytest.mark.parametrize("amount", ["0", "-1", "76.51"])
def test_cash_is_not_more_than_is_owed(order: Order, staff: User, amount: str) -> None:
    with pytest.raises(CannotDo):
        casework.take_cash(order, Decimal(amount), by=staff)

    assert not Movement.objects.exists()


def test_an_order_that_does_not_wait_takes_no_cash(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay(payment, sumup)

    with pytest.raises(CannotDo):
        casework.take_cash(payment.order, Decimal(1), by=staff)


@committed
def test_of_eight_who_take_the_same_cash_at_once_one_does(order: Order, staff: User) -> None:
    outcomes = run_at_once(*[lambda: casework.take_cash(order, Decimal("76.50"), by=staff)] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert Movement.objects.count() == 1
    assert fresh(order).status == "confirmed"


def test_nobody_pays_an_order_again_that_was_paid_in_cash(
    later: Later, payment: Payment, staff: User, sumup: Simulator
) -> None:
    casework.take_cash(payment.order, Decimal("76.50"), by=staff)

    for _round in range(3):
        later(minutes=2)
        sweep_money()

    assert sumup.checkouts()[0].status == "EXPIRED"
    assert fresh(payment).status == "closed"


def test_a_person_who_takes_all_that_is_owed_confirms_the_order_or_is_refused(
    payment: Payment, wire: Wire, staff: User
) -> None:
    """Once a refund exists no machine confirms; but cash is never taken for nothing."""
    part = pay_a_part(payment, wire, "6.50")
    show_all(wire)
    ask_back(part, "6.50", staff)
    sweep_money()
    assert ledger.money_of(payment.order).net == 0

    try:
        casework.take_cash(payment.order, Decimal("76.50"), by=staff)
    except CannotDo:
        assert not Movement.objects.filter(kind="cash").exists()
    else:
        assert fresh(payment.order).status == "confirmed"


# --- An attempt that does not come to an end --------------------------------------------------------------------------


def test_staff_close_an_attempt_that_sumup_does_not_know(
    later: Later, payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    sumup_forgets(wire)
    settling.settle(payment)
    about = case(Case.Kind.MISSING_AT_SUMUP)
    sweep_until_quiet(later)
    assert taken(workshop) == 2

    casework.close_attempt(about, by=staff, note="SumUp's support says it never existed")
    sweep_until_quiet(later)

    assert fresh(payment).status == "closed"
    assert (fresh(payment.order).status, taken(workshop)) == ("expired", 0)
    assert fresh(about).resolved_by == staff


def sumup_forgets(wire: Wire) -> None:
    """From now on SumUp knows none of its checkouts."""
    wire.simulator._shelf.clear()


def test_an_attempt_that_sumup_knows_is_not_closed_by_hand(payment: Payment, staff: User) -> None:
    settling.open_stuck(payment, "Nobody knows.")

    with pytest.raises(CannotDo):
        casework.close_attempt(case(Case.Kind.ATTEMPT_STUCK), by=staff, note="I believe it is over")

    assert fresh(payment).status == "open"


def test_no_attempt_is_closed_by_hand_while_sumup_is_silent(payment: Payment, wire: Wire, staff: User) -> None:
    settling.open_stuck(payment, "Nobody knows.")
    wire.is_cut = True

    with pytest.raises(sumup_client.SumUpError):
        casework.close_attempt(case(Case.Kind.ATTEMPT_STUCK), by=staff, note="I believe it is over")

    assert fresh(payment).status == "open"
    assert open_cases() == ["attempt_stuck"]


def test_an_attempt_in_doubt_that_sumup_does_know_after_all_can_still_be_paid(
    later: Later, order: Order, wire: Wire, staff: User, sumup: Simulator
) -> None:
    """Staff wanted to close it and were told no; the sweep then opens it, and the shopper gets its page."""
    sumup.behave(create="response_lost", times={"create": 1})
    wire.after("POST", lambda: wire.reply(500))
    payment = starting.start(order)
    assert payment.status == "unknown"
    with pytest.raises(CannotDo):
        casework.close_attempt(case(Case.Kind.ATTEMPT_STUCK), by=staff, note="I believe it is over")

    later(minutes=1)
    sweep_money()

    assert fresh(payment).status == "open"
    assert fresh(payment).checkout_url


def test_asking_about_an_attempt_settles_it(later: Later, payment: Payment, sumup: Simulator) -> None:
    settling.open_stuck(payment, "Nobody knows.")
    sumup.pay(payment.checkout_id or "")
    later(seconds=5)

    casework.ask(case(Case.Kind.ATTEMPT_STUCK))

    assert fresh(payment.order).status == "confirmed"
    assert open_cases() == []


def test_asking_about_a_refund_looks_for_it(later: Later, payment: Payment, sumup: Simulator, staff: User) -> None:
    pay(payment, sumup)
    sumup.behave(refund="event_late", event_late_seconds=1800)
    refund = ask_back(payment, "20.00", staff)
    for _round in range(3):
        sweep_money()
        later(minutes=8)
    about = case(Case.Kind.REFUND_UNKNOWN)
    later(minutes=10)

    casework.ask(about)

    assert fresh(refund).status == "done"
    assert fresh(about).status == "resolved"


# --- Refunds that failed, or may have ---------------------------------------------------------------------------------


def test_a_case_about_a_failed_refund_sends_it_again(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay(payment, sumup)
    sumup.behave(refund="409", times={"refund": 1})
    ask_back(payment, "20.00", staff)
    sweep_money()
    about = case(Case.Kind.REFUND_FAILED)

    casework.retry(about, by=staff, note="It had just been paid")
    sweep_money()

    assert went_back(sumup, payment) == [pounds(20)]
    assert fresh(about).resolved_by == staff


def test_a_case_about_a_refund_in_doubt_calls_it_failed(
    later: Later, payment: Payment, sumup: Simulator, staff: User
) -> None:
    pay(payment, sumup)
    sumup.behave(refund="500")
    refund = ask_back(payment, "20.00", staff)
    sweep_for_days(later, 2)
    about = case(Case.Kind.REFUND_UNKNOWN)

    casework.give_up(about, by=staff, note="I looked")

    assert fresh(refund).status == "failed"
    assert fresh(about).resolved_by == staff


@pytest.mark.parametrize("step", [casework.retry, casework.give_up])
def test_steps_about_refunds_need_a_case_about_one(order: Order, staff: User, step: Callable[..., Any]) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")

    with pytest.raises(CannotDo):
        step(Case.objects.get(), by=staff, note="Why not")


# --- Leaving it, or putting it off ------------------------------------------------------------------------------------


def test_a_case_is_accepted_with_a_reason_in_somebodys_name(order: Order, staff: User) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")

    casework.accept(Case.objects.get(), by=staff, note="A gift")

    accepted = Case.objects.get()
    assert (accepted.status, accepted.resolved_by, accepted.note) == ("resolved", staff, "A gift")


@pytest.mark.parametrize("note", ["", "   "])
def test_nothing_is_accepted_without_a_reason(order: Order, staff: User, note: str) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")

    with pytest.raises(CannotDo):
        casework.accept(Case.objects.get(), by=staff, note=note)

    assert open_cases() == ["overpaid"]


def test_a_case_is_resolved_once(order: Order, staff: User) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")
    casework.accept(Case.objects.get(), by=staff, note="A gift")

    with pytest.raises(CannotDo):
        casework.accept(Case.objects.get(), by=staff, note="Something else")

    assert Case.objects.get().note == "A gift"


def test_a_case_that_is_put_off_wakes_up_in_time(later: Later, order: Order) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")
    casework.snooze(Case.objects.get(), later() + timedelta(days=2), note="On market day")

    states = []
    for _day in range(2):
        later(days=1)
        woken = Case.wake_up()
        states.append((woken, Case.objects.get().status))

    assert states == [(0, "snoozed"), (1, "open")]


def test_a_case_that_is_put_off_is_not_opened_a_second_time(later: Later, order: Order) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")
    casework.snooze(Case.objects.get(), later() + timedelta(days=2), note="On market day")

    Case.open(Case.Kind.OVERPAID, order, "Something happened.")

    assert Case.objects.count() == 1


def test_a_case_is_put_off_to_a_moment_to_come_and_only_while_it_is_unresolved(
    later: Later, order: Order, staff: User
) -> None:
    Case.open(Case.Kind.OVERPAID, order, "Something happened.")
    with pytest.raises(CannotDo):
        casework.snooze(Case.objects.get(), later(), note="Now")
    casework.accept(Case.objects.get(), by=staff, note="A gift")

    with pytest.raises(CannotDo):
        casework.snooze(Case.objects.get(), later() + timedelta(days=1), note="On market day")

    assert Case.objects.get().status == "resolved"


def test_a_case_may_open_again_after_it_was_resolved(order: Order, staff: User) -> None:
    for _time in range(2):
        Case.open(Case.Kind.OVERPAID, order, "Something happened.")
        casework.accept(Case.objects.unresolved().get(), by=staff, note="A gift")

    assert Case.objects.count() == 2
