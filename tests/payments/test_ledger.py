"""The books: each fact once and for good, and an order's money is what they say."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.utils import DatabaseError

from cartsite.models import User
from orders import services as orders
from orders.models import Order
from payments import ledger, refunds, settling
from payments.ledger import MoneyState
from payments.models import Movement, MovementShare, Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from payments.sumup import Event, PayoutRecord, Transaction
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory
from tests.payments.money import ask_back, pay, pounds, sweep_money, transaction_of
from tests.payments.records import fresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """The order is paid: £76.50."""
    return pay(payment, sumup)


def state_of(order: Order) -> MoneyState:
    return ledger.money_of(order).state


# --- Written once -----------------------------------------------------------------------------------------------------


def test_a_capture_is_written_down_once(paid: Payment) -> None:
    again = Transaction(transaction_of(paid), "TCODE", "SUCCESSFUL", Decimal("76.50"), "GBP", NOW)

    assert not ledger.record_capture(paid, again)

    assert Movement.objects.count() == 1


def test_an_event_is_written_down_once_per_kind(paid: Payment) -> None:
    event = Event("e-1", transaction_of(paid), "CHARGE_BACK", "SUCCESSFUL", Decimal(5), NOW)

    assert ledger.record_money_back(Movement.Kind.CHARGEBACK, paid, event)
    assert not ledger.record_money_back(Movement.Kind.CHARGEBACK, paid, event)

    assert Movement.objects.filter(kind="chargeback").count() == 1


def test_a_fee_and_a_payout_are_written_down_once(paid: Payment) -> None:
    capture = paid.movements.get()
    record = PayoutRecord("p-1", "PAYOUT", Decimal("74.97"), Decimal("1.53"), "GBP", "SUCCESSFUL", "TCODE", NOW)

    fees = [ledger.record_fee(capture, Decimal("1.53"), NOW) for _time in range(2)]
    payouts = [ledger.record_payout(capture, record) for _time in range(2)]

    assert fees == payouts == [True, False]
    assert not ledger.record_fee(capture, Decimal("0.00"), NOW)


def test_fees_and_payouts_are_no_money_of_the_shopper(paid: Payment) -> None:
    before = ledger.money_of(paid.order)
    capture = paid.movements.get()

    ledger.record_fee(capture, Decimal("1.53"), NOW)
    record = PayoutRecord("p-1", "PAYOUT", Decimal("74.97"), Decimal("1.53"), "GBP", "SUCCESSFUL", "TCODE", NOW)
    ledger.record_payout(capture, record)

    assert ledger.money_of(paid.order) == before
    assert ledger.refundable(paid) == pounds("76.50")


def test_movements_and_their_shares_are_kept_as_they_are(paid: Payment) -> None:
    for rows in (Movement.objects.all(), MovementShare.objects.all()):
        with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
            rows.update(amount=1)
        with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
            rows._raw_delete(rows.db)


@committed
def test_sixteen_captures_at_once_are_one_with_its_shares(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id or "")

    results_of(run_at_once(*[lambda: settling.settle(fresh(payment))] * 16))

    assert Movement.objects.count() == 1
    assert MovementShare.objects.count() == 2


# --- What they say ----------------------------------------------------------------------------------------------------


def test_an_order_that_nobody_has_paid_is_unpaid(order: Order) -> None:
    money = ledger.money_of(order)

    assert (money.total, money.came_in, money.net, money.state) == (pounds("76.50"), 0, 0, "unpaid")


def test_an_order_of_nothing_is_paid(place_order: Callable[..., Order]) -> None:
    assert state_of(place_order((EntryFactory(price=0), 1))) == "paid"


def test_an_order_is_part_paid_paid_then_overpaid(order: Order) -> None:
    states = []
    for amount in ("6.50", "70.00", "0.01"):
        ledger.record_cash(order, Decimal(amount))
        states.append(state_of(order))
    orders.confirm(order, cause="paid")

    assert states == ["part-paid", "paid", "overpaid"]


def test_an_order_is_part_refunded_then_refunded(paid: Payment, staff: User) -> None:
    states = []
    for amount in ("20.00", "56.50"):
        ask_back(paid, amount, staff)
        states.append(state_of(paid.order))
        sweep_money()
        states.append(state_of(paid.order))

    assert states == ["paid", "part-refunded", "part-refunded", "refunded"]


def test_cash_that_went_back_counts_as_a_refund(paid: Payment, staff: User) -> None:
    refunds.give_by_hand(paid.order, Wish(Decimal("6.50"), "Broken jar", staff))

    money = ledger.money_of(paid.order)

    assert (money.came_in, money.went_back, money.net) == (pounds("76.50"), pounds("6.50"), pounds(70))
    assert money.state == "part-refunded"


def test_a_charged_back_order_is_disputed_whatever_else(paid: Payment, staff: User, sumup: Simulator) -> None:
    ask_back(paid, "20.00", staff)
    sweep_money()
    sumup.charge_back(transaction_of(paid), Decimal(1))
    sweep_money()

    money = ledger.money_of(paid.order)

    assert (money.state, money.charged_back, money.net) == ("disputed", pounds(1), pounds("55.50"))


def test_what_is_on_its_way_back_is_ours_no_more(paid: Payment, staff: User) -> None:
    refund = ask_back(paid, "20.00", staff)

    on_its_way = ledger.money_of(paid.order)
    refunds.turn_down(refund, by=staff, note="No")

    assert (on_its_way.promised, on_its_way.net, on_its_way.state) == (pounds(20), pounds("56.50"), "paid")
    assert ledger.money_of(paid.order).net == pounds("76.50")


def test_of_two_transactions_on_one_page_the_one_with_more_left_goes_back_first(paid: Payment, staff: User) -> None:
    """SumUp says it took £80 once more on the same page."""
    tried = Transaction("t-two", "TTWO", "SUCCESSFUL", Decimal("80.00"), "GBP", NOW)
    ledger.record_capture(paid, tried)

    first = refunds.request(paid, Wish(Decimal("80.00"), "Paid twice", staff))
    second = refunds.request(paid, Wish(Decimal("76.50"), "All of it", staff))

    assert (first.transaction_id, second.transaction_id) == ("t-two", transaction_one(paid))
    assert ledger.refundable(paid) == 0


def transaction_one(payment: Payment) -> str:
    return str(payment.movements.filter(kind="capture").order_by("pk")[0].sumup_id)


def test_an_orders_refund_may_take_from_both_transactions_of_one_page(paid: Payment, staff: User) -> None:
    tried = Transaction("t-two", "TTWO", "SUCCESSFUL", Decimal("80.00"), "GBP", NOW)
    ledger.record_capture(paid, tried)

    asked = refunds.request_from_order(paid.order, Wish(Decimal("156.50"), "All of it", staff))

    assert sorted(refund.amount for refund in asked) == [pounds("76.50"), pounds(80)]
