"""Money that goes back: asked for and approved by people, sent once, and never more than came."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.utils import DatabaseError

from bookings import capacity
from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, Message, User
from orders.models import Order
from payments import ledger, refunds, releasing, settling, starting
from payments.models import Movement, Payment, Refund
from payments.refunds import CannotRefund, Wish
from payments.simulator import Simulator
from tests.concurrency import Outcome, results_of, run_at_once
from tests.payments.money import (
    ask_back,
    case,
    pay,
    pay_a_part,
    pay_twice,
    pay_unseen_and_start_again,
    pay_unseen_until_over,
    posts,
    pounds,
    show_all,
    sweep_for_days,
    sweep_money,
    transaction_of,
    went_back,
)
from tests.payments.records import Later, events_of, fresh, open_cases, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

PlaceOrder = Callable[..., Order]
SIXTY_PERCENT = Decimal("45.90")


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """The order is paid: £76.50."""
    return pay(payment, sumup)


@pytest.fixture
def paid_twice(later: Later, payment: Payment, wire: Wire) -> Payment:
    """The order was paid on two pages; the second payment."""
    return pay_twice(later, wire, payment)


@pytest.fixture
def part_paid(payment: Payment, wire: Wire) -> Payment:
    """SumUp took £6.50 of £76.50, nobody knows why; the order waits for the rest."""
    return pay_a_part(payment, wire, "6.50")


def wish(amount: str | Decimal, by: User | None = None) -> Wish:
    return Wish(Decimal(amount), "Too much honey", by)


# --- Asking and approving ---------------------------------------------------------------------------------------------


def test_a_refund_is_asked_for_with_a_reason_and_nothing_is_sent(paid: Payment, staff: User, sumup: Simulator) -> None:
    refund = refunds.request(paid, wish("20.00", staff))

    assert (refund.status, refund.amount, refund.currency) == ("requested", pounds(20), "GBP")
    assert (refund.reason, refund.requested_by, refund.approved_at) == ("Too much honey", staff, None)
    assert refund.transaction_id == transaction_of(paid)
    assert events_of(paid.order)[-1] == "refund_requested"
    assert posts(sumup) == 0


def test_a_refund_that_nobody_approved_is_never_sent(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    refund = refunds.request(paid, wish("20.00", staff))

    refunds.look_now(refund)
    sweep_for_days(later, 3)

    assert fresh(refund).status == "requested"
    assert posts(sumup) == 0


def test_an_approved_refund_is_sent_once_and_done(later: Later, paid: Payment, staff: User, sumup: Simulator) -> None:
    refund = ask_back(paid, "20.00", staff)

    sweep_money()
    sweep_for_days(later, 2)

    done = fresh(refund)
    assert (done.status, done.approved_by) == ("done", staff)
    assert done.done_at is not None
    assert went_back(sumup, paid) == [pounds(20)]
    assert posts(sumup) == 1
    movement = Movement.objects.get(kind="refund")
    assert (movement.amount, movement.refund, movement.transaction_id) == (pounds(-20), done, transaction_of(paid))
    assert open_cases() == []


def test_a_refund_leaves_its_steps_in_the_orders_history(paid: Payment, staff: User) -> None:
    ask_back(paid, "20.00", staff)

    sweep_money()

    steps = events_of(paid.order)
    assert steps[-4:] == ["refund_requested", "refund_approved", "refund_sending", "refunded"]
    assert fresh(paid.order).status == "confirmed"


def test_the_shopper_is_told_of_each_refund_once(later: Later, paid: Payment, staff: User) -> None:
    for _time in range(2):
        ask_back(paid, "20.00", staff)
        sweep_money()

    sweep_for_days(later, 1)

    assert Message.objects.filter(kind="refund").count() == 2


def test_approving_twice_is_approving_once(paid: Payment, staff: User) -> None:
    refund = refunds.request(paid, wish("20.00", staff))

    assert [refunds.approve(refund, by=staff) for _time in range(2)] == [True, False]

    assert events_of(paid.order).count("refund_approved") == 1


@committed
def test_of_eight_approvals_at_once_one_counts(paid: Payment, staff: User) -> None:
    refund = refunds.request(paid, wish("20.00", staff))

    approved = results_of(run_at_once(*[lambda: refunds.approve(refund, by=staff)] * 8))

    assert sorted(approved) == [False] * 7 + [True]
    assert events_of(paid.order).count("refund_approved") == 1


def test_a_refund_turned_down_is_not_sent_and_its_money_is_free_again(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    refund = ask_back(paid, "76.50", staff)

    assert refunds.turn_down(refund, by=staff, note="They want the honey after all")

    sweep_for_days(later, 1)
    turned_down = fresh(refund)
    assert (turned_down.status, turned_down.note) == ("failed", "They want the honey after all")
    assert posts(sumup) == 0
    assert open_cases() == []
    assert ledger.refundable(paid) == pounds("76.50")


def test_it_is_too_late_to_turn_down_what_was_sent(paid: Payment, staff: User) -> None:
    refund = ask_back(paid, "20.00", staff)
    sweep_money()

    assert not refunds.turn_down(refund, by=staff, note="Too late")

    assert fresh(refund).status == "done"
    assert fresh(refund).note == ""


def test_a_refund_turned_down_is_not_approved_afterwards(paid: Payment, staff: User, sumup: Simulator) -> None:
    refund = refunds.request(paid, wish("20.00", staff))
    refunds.turn_down(refund, by=staff, note="No")

    assert not refunds.approve(refund, by=staff)

    sweep_money()
    assert posts(sumup) == 0


# --- How much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "20.005", "76.51", "1000000"])
def test_a_refund_is_a_whole_number_of_pennies_and_not_more_than_came(paid: Payment, staff: User, amount: str) -> None:
    with pytest.raises(CannotRefund):
        refunds.request(paid, wish(amount, staff))
    with pytest.raises(CannotRefund):
        refunds.request_from_order(paid.order, wish(amount, staff))
    with pytest.raises(CannotRefund):
        refunds.give_by_hand(paid.order, wish(amount, staff))

    assert not Refund.objects.exists()
    assert events_of(paid.order)[-1] == "confirmed"


def test_parts_may_go_back_until_nothing_is_left(paid: Payment, staff: User, sumup: Simulator) -> None:
    for amount in ("30.00", "46.49", "0.01"):
        ask_back(paid, amount, staff)
        sweep_money()

    with pytest.raises(CannotRefund):
        refunds.request(paid, wish("0.01", staff))

    assert went_back(sumup, paid) == [pounds(30), pounds("46.49"), pounds("0.01")]
    assert paid.order.movements.all().net() == 0
    assert ledger.money_of(paid.order).state == "refunded"


def test_what_is_promised_cannot_be_asked_for_again(paid: Payment, staff: User) -> None:
    refunds.request(paid, wish("60.00", staff))

    with pytest.raises(CannotRefund):
        refunds.request(paid, wish("16.51", staff))

    assert ledger.refundable(paid) == pounds("16.50")
    assert ledger.money_of(paid.order).promised == pounds(60)


@committed
def test_of_eight_at_once_who_ask_for_most_of_a_payment_one_gets_it(paid: Payment, staff: User) -> None:
    outcomes = run_at_once(*[lambda: refunds.request(paid, wish(SIXTY_PERCENT, staff))] * 8)

    assert_one_of_eight(outcomes)
    assert Refund.objects.get().amount == SIXTY_PERCENT


@committed
def test_of_eight_at_once_who_ask_in_different_ways_one_gets_it(paid: Payment, staff: User) -> None:
    ways = [
        lambda: refunds.request(paid, wish(SIXTY_PERCENT, staff)),
        lambda: refunds.request_from_order(paid.order, wish(SIXTY_PERCENT, staff)),
        lambda: refunds.give_by_hand(paid.order, wish(SIXTY_PERCENT, staff)),
        lambda: refunds.request(paid, wish(SIXTY_PERCENT, staff)),
    ]

    outcomes = run_at_once(*ways * 2)

    assert_one_of_eight(outcomes)
    assert ledger.money_of(paid.order).net == pounds("30.60")


def assert_one_of_eight(outcomes: list[Outcome]) -> None:
    """One was given what they asked for, and all others were told no."""
    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome.error, CannotRefund) for outcome in outcomes) == 7


def test_an_attempt_that_was_not_paid_has_nothing_to_go_back(payment: Payment, staff: User) -> None:
    with pytest.raises(CannotRefund):
        refunds.request(payment, wish("0.01", staff))


def test_an_orders_refund_comes_from_the_newest_payment_first(
    payment: Payment, paid_twice: Payment, staff: User, sumup: Simulator
) -> None:
    asked = refunds.request_from_order(payment.order, wish("100.00", staff))

    assert [(refund.payment, refund.amount) for refund in asked] == [
        (paid_twice, pounds("76.50")),
        (payment, pounds("23.50")),
    ]
    for refund in asked:
        refunds.approve(refund, by=staff)
    sweep_money()
    assert (went_back(sumup, paid_twice), went_back(sumup, payment)) == ([pounds("76.50")], [pounds("23.50")])


def test_what_one_payment_has_left_does_not_cover_another(payment: Payment, paid_twice: Payment, staff: User) -> None:
    with pytest.raises(CannotRefund):
        refunds.request(paid_twice, wish("76.51", staff))

    refunds.request(paid_twice, wish("76.50", staff))
    refunds.request(payment, wish("76.50", staff))


def test_refunding_the_second_payment_ends_the_case_about_it(
    payment: Payment, paid_twice: Payment, staff: User
) -> None:
    assert open_cases() == ["duplicate_capture"]

    ask_back(paid_twice, "76.50", staff)
    sweep_money()

    assert open_cases() == []
    assert fresh(payment.order).status == "confirmed"


# --- Sending ----------------------------------------------------------------------------------------------------------


@committed
def test_eight_sweeps_at_once_send_a_refund_once(paid: Payment, staff: User, wire: Wire, sumup: Simulator) -> None:
    refund = ask_back(paid, "20.00", staff)
    wire.calls.clear()

    results_of(run_at_once(*[refunds.sweep] * 4, *[lambda: refunds.look_now(refund)] * 4))

    assert wire.calls.count("POST") == 1
    assert fresh(refund).status == "done"
    assert went_back(sumup, paid) == [pounds(20)]
    assert Movement.objects.filter(kind="refund").count() == 1


@committed
def test_eight_who_believe_they_may_send_a_refund_send_it_once(
    paid: Payment, staff: User, wire: Wire, sumup: Simulator
) -> None:
    """As if the lease meant nothing: the status decides."""
    refund = ask_back(paid, "20.00", staff)
    wire.calls.clear()

    results_of(run_at_once(*[lambda: refunds.send(fresh(refund))] * 8))

    assert wire.calls.count("POST") == 1
    assert went_back(sumup, paid) == [pounds(20)]


def test_a_refund_whose_transaction_cannot_be_read_waits(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    sumup.behave(transaction_read="500")
    refund = ask_back(paid, "20.00", staff)

    refunds.sweep()
    waiting = fresh(refund).status, posts(sumup)
    sumup.behave(transaction_read="ok")
    later(minutes=5)
    refunds.sweep()

    assert waiting == ("requested", 0)
    assert fresh(refund).status == "done"


def test_one_refund_of_a_payment_is_under_way_at_a_time(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    sumup.behave(refund="event_late", event_late_seconds=3600)
    first, second = ask_back(paid, "20.00", staff), ask_back(paid, "30.00", staff)

    for _round in range(5):
        sweep_money()
        later(minutes=10)
    waiting = fresh(first).status, fresh(second).status, posts(sumup)
    sumup.behave(refund="201")
    for _round in range(5):
        sweep_money()
        later(minutes=10)

    assert waiting == ("unknown", "requested", 1)
    assert (fresh(first).status, fresh(second).status) == ("done", "done")
    assert went_back(sumup, paid) == [pounds(20), pounds(30)]


def test_the_database_refuses_two_refunds_of_a_payment_under_way(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    sumup.behave(refund="500")
    ask_back(paid, "20.00", staff)
    second = ask_back(paid, "30.00", staff)
    sweep_money()

    with pytest.raises(IntegrityError, match="refund_one_under_way_per_payment"), transaction.atomic():
        Refund.objects.filter(pk=second.pk).update(status="sending", sent_at=later())


def test_the_database_refuses_to_send_what_nobody_approved(later: Later, paid: Payment, staff: User) -> None:
    refund = refunds.request(paid, wish("20.00", staff))

    with pytest.raises(IntegrityError, match="refund_is_sent_only_when_approved"), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).update(status="sending", sent_at=later())


def test_the_database_keeps_every_refund(paid: Payment, staff: User) -> None:
    refund = refunds.request(paid, wish("20.00", staff))

    with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).delete()


def test_what_went_back_in_the_dashboard_before_sending_does_not_go_back_again(
    paid: Payment, staff: User, sumup: Simulator
) -> None:
    refund = ask_back(paid, "76.50", staff)
    sumup.refund_in_dashboard(transaction_of(paid), Decimal("76.50"))

    refunds.sweep()

    assert fresh(refund).status == "failed"
    assert posts(sumup) == 0
    assert open_cases() == ["external_refund", "refund_failed"]


def test_a_refund_that_still_fits_beside_one_from_the_dashboard_is_sent(
    paid: Payment, staff: User, sumup: Simulator
) -> None:
    refund = ask_back(paid, "50.00", staff)
    sumup.refund_in_dashboard(transaction_of(paid), Decimal("26.50"))

    refunds.sweep()

    assert fresh(refund).status == "done"
    assert went_back(sumup, paid) == [pounds("26.50"), pounds(50)]


# --- By hand ----------------------------------------------------------------------------------------------------------


def test_money_given_back_by_hand_is_written_down_and_not_sent(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    refund = refunds.give_by_hand(paid.order, wish("20.00", staff))

    sweep_for_days(later, 1)
    assert (refund.status, refund.method, refund.payment) == ("done", "cash", None)
    movement = Movement.objects.get(kind="cash")
    assert (movement.amount, movement.refund, movement.sumup_id) == (pounds(-20), refund, None)
    assert posts(sumup) == 0
    assert ledger.money_of(paid.order).net == pounds("56.50")


def test_money_given_back_by_hand_cannot_go_back_to_the_card_as_well(paid: Payment, staff: User) -> None:
    refunds.give_by_hand(paid.order, wish("70.00", staff))

    with pytest.raises(CannotRefund):
        refunds.request(paid, wish("6.51", staff))

    assert ledger.refundable(paid) == pounds("6.50")


def test_money_promised_to_the_card_cannot_be_given_by_hand(paid: Payment, staff: User) -> None:
    refunds.request(paid, wish("70.00", staff))

    with pytest.raises(CannotRefund):
        refunds.give_by_hand(paid.order, wish("6.51", staff))


def test_giving_the_second_payment_back_by_hand_ends_the_case_about_it(
    payment: Payment, paid_twice: Payment, staff: User
) -> None:
    refunds.give_by_hand(payment.order, wish("76.50", staff))

    assert open_cases() == []


# --- Once a refund exists ---------------------------------------------------------------------------------------------


def test_a_part_paid_orders_next_attempt_counts_refunds_on_their_way_as_gone(
    order: Order, part_paid: Payment, staff: User
) -> None:
    refunds.request(part_paid, wish("6.50", staff))

    second = starting.start(order)

    assert second.amount == order.total


@pytest.mark.parametrize("end", ["done", "failed"])
def test_once_a_refund_exists_no_machine_confirms(
    order: Order, part_paid: Payment, staff: User, sumup: Simulator, end: str
) -> None:
    refund = ask_back(part_paid, "6.50", staff)
    if end == "done":
        refunds.sweep()
    else:
        refunds.turn_down(refund, by=staff, note="No")
    second = starting.start(order)

    pay(second, sumup)

    assert fresh(refund).status == end
    assert fresh(order).status == "awaiting_payment"
    assert case(Case.Kind.LATE_PAYMENT).subject_uuid == second.uuid


def test_once_a_refund_exists_no_machine_revives(
    later: Later, place_order: PlaceOrder, workshop: Entry, wire: Wire, staff: User
) -> None:
    payment = starting.start(place_order((workshop, 2)))

    def refuse() -> None:
        Refund.objects.create(
            order=payment.order, payment=payment, status="failed", amount=1, currency="GBP", reason="An old one"
        )

    pay_unseen_until_over(later, wire, payment, refuse)

    assert fresh(payment.order).status == "expired"
    assert open_cases() == ["late_payment"]
    assert taken(workshop) == 0


def test_without_a_refund_the_same_late_money_revives(
    later: Later, place_order: PlaceOrder, workshop: Entry, wire: Wire
) -> None:
    payment = starting.start(place_order((workshop, 2)))

    pay_unseen_until_over(later, wire, payment, lambda: None)

    assert fresh(payment.order).status == "confirmed"
    assert open_cases() == []


@pytest.mark.parametrize("to", ["expired", "cancelled"])
def test_an_order_with_a_refund_on_its_way_is_not_let_go(
    order: Order, part_paid: Payment, staff: User, to: str, workshop: Entry
) -> None:
    ask_back(part_paid, "6.50", staff)

    with pytest.raises(releasing.CannotRelease):
        releasing.release(order, to=to, by="timer" if to == "expired" else "shopper")

    assert taken(workshop) == 2


def test_an_order_with_a_refund_in_doubt_is_not_let_go_even_if_nothing_of_its_money_is_here(
    order: Order, payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    """The bank took it back while we wait for our own refund of it: both may be true."""
    part_paid = pay_a_part(payment, wire, "6.50")
    show_all(wire)
    wire.simulator.behave(refund="500")
    refund = ask_back(part_paid, "6.50", staff)
    refunds.sweep()
    wire.simulator.charge_back(transaction_of(part_paid))
    refunds.read(fresh(refund))
    assert order.movements.all().net() == 0

    with pytest.raises(releasing.CannotRelease):
        releasing.release(order, to="cancelled", by="shopper")

    assert (fresh(refund).status, taken(workshop)) == ("unknown", 2)


def test_an_order_is_let_go_once_all_its_money_is_back(
    later: Later, order: Order, part_paid: Payment, staff: User, workshop: Entry
) -> None:
    ask_back(part_paid, "6.50", staff)
    later(minutes=46)
    releasing.sweep()
    held = fresh(order).status, taken(workshop)

    for _round in range(4):
        sweep_money()
        later(minutes=15)

    assert held == ("awaiting_payment", 2)
    assert (fresh(order).status, taken(workshop)) == ("expired", 0)
    assert open_cases() == []


def test_a_second_open_page_is_closed_after_late_money_has_confirmed_the_order(
    later: Later, order: Order, payment: Payment, wire: Wire, sumup: Simulator
) -> None:
    """The first attempt was closed, and a second one is open, when the first turns out to have been paid."""
    second = pay_unseen_and_start_again(later, wire, payment)
    assert (fresh(payment).status, second.status) == ("closed", "open")

    settling.settle(fresh(payment))
    for _round in range(3):
        sweep_money()
        later(minutes=2)

    assert fresh(order).status == "confirmed"
    assert [checkout.status for checkout in sumup.checkouts()] == ["PAID", "EXPIRED"]
    assert fresh(second).status == "closed"
    assert open_cases() == []


def test_a_second_open_page_that_was_paid_as_well_is_a_case(
    later: Later, order: Order, payment: Payment, wire: Wire, sumup: Simulator
) -> None:
    second = pay_unseen_and_start_again(later, wire, payment)
    settling.settle(fresh(payment))
    sumup.pay(second.checkout_id or "")
    later(seconds=5)

    sweep_money()

    assert fresh(second).status == "captured"
    assert case(Case.Kind.DUPLICATE_CAPTURE).subject_uuid == second.uuid


# --- Called off while it was being paid -------------------------------------------------------------------------------


def test_places_at_an_entry_called_off_while_being_paid_get_a_prepared_refund_and_a_case(
    payment: Payment, sumup: Simulator, workshop: Entry, later: Later, staff: User
) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=later())

    pay(payment, sumup)

    line = payment.order.lines.get(kind="entry")
    refund = Refund.objects.get()
    assert (refund.line, refund.amount, refund.status, refund.approved_at) == (line, pounds(70), "requested", None)
    assert case(Case.Kind.ENTRY_CANCELLED).subject_uuid == line.uuid
    assert fresh(payment.order).status == "confirmed"
    assert not line.bookings.exists()
    sweep_for_days(later, 1)
    assert posts(sumup) == 0

    refunds.approve(refund, by=staff)
    sweep_money()
    assert went_back(sumup, payment) == [pounds(70)]
    assert open_cases() == []


def test_what_was_prepared_for_a_called_off_entry_is_prepared_once(
    payment: Payment, sumup: Simulator, workshop: Entry, later: Later
) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=later())
    pay(payment, sumup)

    refunds.prepare_for_called_off(payment.order)
    settling.settle(fresh(payment))

    assert Refund.objects.count() == 1


def test_goods_beside_a_called_off_entry_are_not_refunded(
    payment: Payment, sumup: Simulator, workshop: Entry, honey: Product, later: Later
) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=later())

    pay(payment, sumup)

    assert ledger.money_of(payment.order).net == honey.price
    assert capacity.Pool.objects.get(pk=workshop.pool_id).taken == 0
