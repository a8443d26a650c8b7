"""What happens to money at SumUp without us: refunds in its dashboard and chargebacks are found, once, and told."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from cartsite.models import Case, Message, User
from orders.models import Order
from payments import events as money_events
from payments import history, ledger, refunds, settling
from payments import sumup as sumup_client
from payments.models import Movement, Payment, Reading, Refund, Stray
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.payments.money import (
    ask_back,
    case,
    pay,
    pay_twice,
    posts,
    pounds,
    sweep_for_days,
    sweep_money,
    transaction_of,
)
from tests.payments.records import Later, events_of, fresh, open_cases
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """The order is paid: £76.50."""
    return pay(payment, sumup)


# --- Refunded in the dashboard ----------------------------------------------------------------------------------------


def test_a_refund_made_in_the_dashboard_is_found_and_a_person_is_told(paid: Payment, sumup: Simulator) -> None:
    event = sumup.refund_in_dashboard(transaction_of(paid), Decimal("12.34"))

    history.sweep()

    refund = Refund.objects.get()
    assert (refund.status, refund.amount, refund.requested_by) == ("external", pounds("12.34"), None)
    assert refund.done_at is not None
    movement = Movement.objects.get(kind="refund")
    assert (movement.sumup_id, movement.amount, movement.refund) == (str(event.id), pounds("-12.34"), refund)
    told = case(Case.Kind.EXTERNAL_REFUND)
    assert (told.subject_uuid, told.at_stake) == (refund.uuid, pounds("12.34"))
    assert events_of(paid.order)[-1] == "refunded"
    assert Message.objects.filter(kind="refund").count() == 1


def test_a_refund_made_in_the_dashboard_is_written_down_once(later: Later, paid: Payment, sumup: Simulator) -> None:
    sumup.refund_in_dashboard(transaction_of(paid), Decimal("12.34"))

    history.sweep()
    history.sweep()
    money_events.take_in(paid, sumup_client.get_transaction(transaction_of(paid)))
    sweep_for_days(later, 2)

    assert Refund.objects.count() == Movement.objects.filter(kind="refund").count() == Case.objects.count() == 1
    assert Message.objects.filter(kind="refund").count() == 1
    assert posts(sumup) == 0


@committed
def test_eight_who_hear_of_a_dashboard_refund_at_once_write_it_down_once(paid: Payment, sumup: Simulator) -> None:
    sumup.refund_in_dashboard(transaction_of(paid), Decimal("12.34"))
    full = sumup_client.get_transaction(transaction_of(paid))

    results_of(run_at_once(*[lambda: money_events.take_in(paid, full)] * 6, history.sweep, history.sweep))

    assert Refund.objects.count() == Movement.objects.filter(kind="refund").count() == Case.objects.count() == 1


def test_two_equal_refunds_in_the_dashboard_are_two(paid: Payment, sumup: Simulator) -> None:
    for _time in range(2):
        sumup.refund_in_dashboard(transaction_of(paid), Decimal(10))

    history.sweep()

    assert [refund.amount for refund in Refund.objects.all()] == [pounds(10)] * 2
    assert open_cases() == ["external_refund"] * 2
    assert ledger.money_of(paid.order).went_back == pounds(20)


@pytest.mark.parametrize("told", ["stays_successful", "becomes_refunded"])
def test_a_payment_refunded_in_the_dashboard_stays_captured(
    later: Later, paid: Payment, sumup: Simulator, told: str
) -> None:
    sumup.behave(refunded_status=told)
    sumup.refund_in_dashboard(transaction_of(paid))

    sweep_money()
    settling.settle(fresh(paid))

    assert (fresh(paid).status, fresh(paid.order).status) == ("captured", "confirmed")
    assert Movement.objects.filter(kind="capture").count() == 1
    assert ledger.money_of(paid.order).state == "refunded"


@pytest.mark.parametrize("told", ["stays_successful", "becomes_refunded"])
def test_money_refunded_in_the_dashboard_before_we_heard_of_it_is_both_in_and_out(
    payment: Payment, sumup: Simulator, told: str
) -> None:
    sumup.behave(refunded_status=told)
    tried = sumup.pay(payment.checkout_id or "").successful
    assert tried is not None
    sumup.refund_in_dashboard(tried.id)

    settling.settle(payment)
    history.sweep()

    assert [movement.kind for movement in Movement.objects.order_by("pk")] == ["capture", "refund"]
    assert ledger.money_of(payment.order).net == 0
    assert open_cases() == ["external_refund"]


def test_dashboard_refunds_leave_nothing_to_be_promised_twice(paid: Payment, staff: User, sumup: Simulator) -> None:
    """Of two refunds that were asked for, the newest one yields."""
    older, newer = ask_back(paid, "30.00", staff), ask_back(paid, "40.00", staff)
    sumup.refund_in_dashboard(transaction_of(paid), Decimal("20.00"))

    history.sweep()

    assert (fresh(older).status, fresh(newer).status) == ("requested", "failed")
    assert case(Case.Kind.REFUND_FAILED).subject_uuid == newer.uuid


def test_the_case_about_a_second_payment_ends_when_it_went_back_in_the_dashboard(
    later: Later, payment: Payment, wire: Wire, sumup: Simulator
) -> None:
    second = pay_twice(later, wire, payment)
    assert open_cases() == ["duplicate_capture"]

    sumup.refund_in_dashboard(transaction_of(second))
    history.sweep()

    assert open_cases() == ["external_refund"]


def test_while_a_transaction_cannot_be_read_its_refund_is_found_later(
    later: Later, paid: Payment, sumup: Simulator
) -> None:
    sumup.refund_in_dashboard(transaction_of(paid), Decimal(10))
    sumup.behave(transaction_read="500")
    history.sweep()
    found_at_once = Refund.objects.count()
    sumup.behave(transaction_read="ok")
    later(minutes=30)

    history.sweep()

    assert (found_at_once, Refund.objects.count()) == (0, 1)


# --- Charged back -----------------------------------------------------------------------------------------------------


def test_a_chargeback_is_found_and_a_person_is_told(paid: Payment, sumup: Simulator) -> None:
    event = sumup.charge_back(transaction_of(paid), Decimal("50.00"))

    history.sweep()

    movement = Movement.objects.get(kind="chargeback")
    assert (movement.sumup_id, movement.amount, movement.refund) == (str(event.id), pounds(-50), None)
    told = case(Case.Kind.CHARGEBACK)
    assert (told.subject_uuid, told.at_stake) == (paid.uuid, pounds(50))
    assert events_of(paid.order)[-1] == "charged_back"
    assert ledger.money_of(paid.order).state == "disputed"
    assert fresh(paid.order).status == "confirmed"


@committed
def test_eight_who_hear_of_a_chargeback_at_once_write_it_down_once(paid: Payment, sumup: Simulator) -> None:
    sumup.charge_back(transaction_of(paid))
    full = sumup_client.get_transaction(transaction_of(paid))

    results_of(run_at_once(*[lambda: money_events.take_in(paid, full)] * 6, history.sweep, history.sweep))

    assert Movement.objects.filter(kind="chargeback").count() == Case.objects.count() == 1
    assert events_of(paid.order).count("charged_back") == 1


def test_what_was_charged_back_cannot_be_refunded(paid: Payment, staff: User, sumup: Simulator) -> None:
    sumup.charge_back(transaction_of(paid), Decimal("50.00"))
    history.sweep()

    with pytest.raises(refunds.CannotRefund):
        ask_back(paid, "26.51", staff)

    assert ledger.refundable(paid) == pounds("26.50")


def test_a_refund_that_was_promised_yields_to_a_chargeback(paid: Payment, staff: User, sumup: Simulator) -> None:
    refund = ask_back(paid, "50.00", staff)
    sumup.charge_back(transaction_of(paid))

    sweep_money()

    assert fresh(refund).status == "failed"
    assert posts(sumup) == 0
    assert open_cases() == ["chargeback", "refund_failed"]


def test_a_chargeback_after_a_refund_costs_more_than_was_paid_and_is_a_fact(
    paid: Payment, staff: User, sumup: Simulator
) -> None:
    """The bank does not ask what was refunded; the house bears what nobody has."""
    ask_back(paid, "50.00", staff)
    sweep_money()
    sumup.charge_back(transaction_of(paid), Decimal("76.50"))

    history.sweep()

    assert ledger.money_of(paid.order).net == pounds(-50)
    assert ledger.refundable(paid) == 0


# --- The history ------------------------------------------------------------------------------------------------------


def test_money_that_no_order_knows_is_kept_and_told_once(later: Later, sumup: Simulator) -> None:
    stray = sumup.take_stray_payment(Decimal("9.99"), "Two coffees")

    for _time in range(3):
        history.sweep()
        later(minutes=20)

    kept = Stray.objects.get()
    assert (kept.transaction_id, kept.transaction_code, kept.amount) == (stray.id, stray.code, pounds("9.99"))
    assert (case(Case.Kind.UNKNOWN_MONEY).subject_uuid, Case.objects.count()) == (kept.uuid, 1)
    assert not Movement.objects.exists()


def test_money_that_names_an_order_but_is_none_of_its_attempts_is_told_after_some_minutes(
    later: Later, order: Order, sumup: Simulator
) -> None:
    sumup.take_stray_payment(Decimal("76.50"), f"Rose Ash order {order.number}")

    history.sweep()
    at_once = open_cases()
    later(minutes=11)
    history.sweep()

    assert (at_once, open_cases()) == ([], ["unknown_money"])
    assert fresh(order).status == "awaiting_payment"


def test_the_history_finds_a_payment_of_ours_that_we_had_not_heard_of(
    later: Later, payment: Payment, sumup: Simulator
) -> None:
    sumup.pay(payment.checkout_id or "")
    later(seconds=5)

    history.sweep()

    assert fresh(payment.order).status == "confirmed"
    assert not Stray.objects.exists()


def test_the_history_is_read_on_from_where_it_was_read_to(later: Later, sumup: Simulator) -> None:
    history.sweep()
    sumup.behave(history="500")
    sumup.take_stray_payment(Decimal(5))
    later(hours=30)
    history.sweep()
    unread = Stray.objects.count()
    sumup.behave(history="ok")

    history.sweep()

    assert (unread, Stray.objects.count()) == (0, 1)
    assert Reading.objects.get().leased_until is None


def test_every_page_of_the_history_is_read(sumup: Simulator) -> None:
    sumup.fill(250, amount=1, seconds_apart=1, payment_type="ECOM")

    history.sweep()

    assert Stray.objects.count() == 250


@committed
def test_one_sweep_reads_the_history_at_a_time(sumup: Simulator, wire: Wire) -> None:
    sumup.take_stray_payment(Decimal(5))
    outcomes: list[int] = []

    def meanwhile() -> None:
        history.sweep()
        outcomes.append(len(wire.calls))

    wire.before("GET", meanwhile)

    history.sweep()

    assert outcomes == [1]
    assert Stray.objects.count() == 1


def test_a_refund_of_money_that_is_not_ours_changes_nothing(sumup: Simulator) -> None:
    stray = sumup.take_stray_payment(Decimal(5))
    sumup.refund_in_dashboard(stray.id)

    history.sweep()

    assert open_cases() == ["unknown_money"]
    assert not Refund.objects.exists()


def test_a_case_about_money_that_turns_out_to_be_an_orders_resolves_itself(
    later: Later, payment: Payment, wire: Wire, sumup: Simulator, place_order: Callable[..., Order]
) -> None:
    """The history shows it before SumUp tells it of the checkout."""
    wire.change(lambda doc: doc | {"status": "PENDING", "transactions": []} if "checkout_reference" in doc else doc)
    sumup.pay(payment.checkout_id or "")
    for _round in range(2):
        history.sweep()
        later(minutes=11)
    assert open_cases() == ["unknown_money"]
    wire._changes.clear()

    later(seconds=timedelta(minutes=1).total_seconds())
    settling.settle(fresh(payment))

    assert fresh(payment.order).status == "confirmed"
    assert open_cases() == []
