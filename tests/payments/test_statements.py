"""Stall statements: shares of all that moved, adding up to the movements and to what SumUp paid out."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from time_machine import TimeMachineFixture

from bookings.models import Entry
from cart.models import Product, Stall
from cartsite.models import User
from orders.models import Order
from payments import casework, history, refunds
from payments import sumup as door
from payments.closing import close_day
from payments.models import DailyClose, Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from payments.simulator.checkouts import ALWAYS_DECLINED
from payments.statements import Row, statement
from tests.factories import ProductFactory
from tests.payments.days import DAY, NEXT_MORNING, NOON, movements, paid

PlaceOrder = Callable[..., Order]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    """It is noon in London, and stays so until a test says otherwise."""
    time_machine.move_to(NOON, tick=False)
    return time_machine


def close_the_day(clock: TimeMachineFixture) -> DailyClose:
    clock.move_to(NOON + NEXT_MORNING, tick=False)
    return close_day(DAY)


def said(day: date = DAY) -> dict[str, Row]:
    """The rows of one day's statement, by stall."""
    return {row.stall: row for row in statement(day, day).rows}


def p(amount: str) -> Decimal:
    return Decimal(amount)


def paid_out(first: date = DAY, last: date = DAY) -> Decimal:
    """What SumUp says it paid out in those days, deductions subtracted."""
    return sum((record.amount for record in door.get_payouts(first, last)), Decimal(0))


# --- Payouts and fees -------------------------------------------------------------------------------------------------


def test_fee_and_payout_are_recorded_once_and_shared_as_the_payment_was(
    sumup: Simulator, order: Order, honey: Product, workshop: Entry, clock: TimeMachineFixture
) -> None:
    paid(sumup, order)
    sumup.pay_out()

    assert close_the_day(clock).status == DailyClose.Status.CLOSED

    assert sorted(movements()) == [("capture", p("76.50")), ("fee", p("-1.53")), ("payout", p("74.97"))]
    jar, bread = said()[honey.stall.name], said()[workshop.calendar.stall.name]
    assert (jar.sold, jar.fees, jar.paid_out, jar.at_sumup) == (p("6.50"), p("-0.13"), p("6.37"), 0)
    assert (bread.sold, bread.fees, bread.paid_out, bread.at_sumup) == (p("70.00"), p("-1.40"), p("68.60"), 0)


def test_closing_again_records_no_payout_twice(sumup: Simulator, order: Order, clock: TimeMachineFixture) -> None:
    paid(sumup, order)
    sumup.pay_out()
    close = close_the_day(clock)
    before = movements()
    clock.shift(timedelta(days=1))

    close_day(DAY + timedelta(days=1))  # it reads the week before again

    asked = [request.query for request in sumup.requests if request.path.endswith("/payouts")]

    assert close.status == DailyClose.Status.CLOSED
    assert movements() == before
    assert sum(f"start_date={DAY}" in query for query in asked) == 2


def test_a_payout_that_sumup_shows_late_is_found_within_a_week(
    sumup: Simulator, order: Order, clock: TimeMachineFixture
) -> None:
    paid(sumup, order)
    close_the_day(clock)
    clock.shift(timedelta(days=5))
    sumup.pay_out(DAY)

    close_day(DAY + timedelta(days=5))

    assert statement(DAY, DAY).total.paid_out == p("74.97") == paid_out()


def test_what_is_deducted_for_a_refund_is_borne_by_the_stall_that_gave_it(  # noqa: PLR0917
    sumup: Simulator, order: Order, honey: Product, workshop: Entry, staff: User, clock: TimeMachineFixture
) -> None:
    paid(sumup, order)
    line = order.lines.get(product=honey)
    (refund,) = refunds.request_from_order(order, Wish(p("6.50"), "sour", staff, line))
    refunds.approve(refund, by=staff)
    refunds.sweep()
    sumup.pay_out()

    assert close_the_day(clock).status == DailyClose.Status.CLOSED

    jar, bread = said()[honey.stall.name], said()[workshop.calendar.stall.name]
    assert (jar.sold, jar.refunded, jar.fees, jar.paid_out) == (p("6.50"), p("-6.50"), p("-0.13"), p("-0.13"))
    assert (bread.paid_out, bread.at_sumup) == (p("68.60"), 0)
    assert statement(DAY, DAY).total.paid_out == paid_out() == p("68.47")


def test_what_is_deducted_for_a_chargeback_is_subtracted(
    sumup: Simulator, order: Order, clock: TimeMachineFixture
) -> None:
    payment = paid(sumup, order)
    sumup.charge_back(payment.transaction_code)
    sumup.pay_out()

    close_the_day(clock)

    total = statement(DAY, DAY).total
    assert (total.charged_back, total.paid_out, total.at_sumup) == (p("-76.50"), p("-1.53"), 0)
    assert total.paid_out == paid_out()


def test_equal_deductions_for_two_stalls_are_not_mixed_up(
    sumup: Simulator, place_order: PlaceOrder, staff: User, clock: TimeMachineFixture
) -> None:
    one, two = ProductFactory(price=p("5.00")), ProductFactory(price=p("5.00"))
    order = place_order((one, 1), (two, 1))
    paid(sumup, order)
    for line in order.lines.order_by("pk"):
        (refund,) = refunds.request_from_order(order, Wish(p("5.00"), "sour", staff, line))
        refunds.approve(refund, by=staff)
        refunds.sweep()
    sumup.pay_out()

    close_the_day(clock)

    rows = said()
    assert [rows[product.stall.name].paid_out for product in (one, two)] == [p("-0.10"), p("-0.10")]


def test_payouts_of_money_that_nobody_knows_are_left_to_its_case(sumup: Simulator, clock: TimeMachineFixture) -> None:
    sumup.take_stray_payment(12)
    sumup.pay_out()

    close = close_the_day(clock)

    assert close.status == DailyClose.Status.CLOSED
    assert movements() == []


def test_the_payout_of_a_stray_is_found_once_a_person_has_attached_it(
    sumup: Simulator, order: Order, staff: User, clock: TimeMachineFixture
) -> None:
    sumup.take_stray_payment(76.5)
    sumup.pay_out()
    history.sweep()
    close_the_day(clock)
    casework.attach(casework.Case.objects.unresolved().get(), order.number, by=staff, note="The receipt")
    clock.shift(timedelta(days=1))

    close_day(DAY + timedelta(days=1))

    assert statement(DAY, DAY).total.paid_out == p("74.97")
    assert statement(DAY, DAY).total.fees == p("-1.53")


def test_a_record_without_a_transaction_belongs_to_nobody(
    sumup: Simulator, order: Order, clock: TimeMachineFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid(sumup, order)
    type(payment).objects.update(transaction_code="")
    record = door._read_payout(
        {"id": 7, "type": "BALANCE_DEDUCTION", "amount": 5, "date": str(DAY), "currency": "GBP", "status": "SUCCESSFUL"}
    )
    monkeypatch.setattr(door, "get_payouts", lambda first, last: [record])

    close_the_day(clock)

    assert [kind for kind, _amount in movements()] == ["capture"]


def test_a_payout_that_failed_is_no_payout(
    sumup: Simulator, order: Order, clock: TimeMachineFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid(sumup, order)
    failed = {"id": 7, "type": "PAYOUT", "amount": 74.97, "fee": 1.53, "date": str(DAY), "status": "FAILED"}
    record = door._read_payout(failed | {"transaction_code": payment.transaction_code})
    monkeypatch.setattr(door, "get_payouts", lambda first, last: [record])

    close_the_day(clock)

    assert [kind for kind, _amount in movements()] == ["capture"]


# --- Statements -------------------------------------------------------------------------------------------------------


def test_cash_counts_in_both_directions_but_not_as_money_at_sumup(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)
    refunds.give_by_hand(order, Wish(p("6.50"), "sour", staff))

    total = statement(DAY, DAY).total

    assert (total.cash, total.net, total.at_sumup) == (p("70.00"), p("70.00"), 0)


def test_a_stalls_own_statement_is_its_row_in_the_whole(sumup: Simulator, order: Order) -> None:
    payment = paid(sumup, order)
    sumup.refund_in_dashboard(payment.transaction_code, p("10.01"))
    history.sweep()

    whole = statement(DAY, DAY)

    assert len(whole.rows) == 2
    for row in whole.rows:
        assert statement(DAY, DAY, Stall.objects.get(name=row.stall)).rows == [row]


def test_a_stall_without_any_movement_has_no_row(sumup: Simulator, order: Order) -> None:
    idle = ProductFactory().stall
    paid(sumup, order)

    assert idle.name not in said()
    assert statement(DAY, DAY, idle).rows == []
    assert statement(DAY, DAY, idle).total == Row("")


def test_a_statement_covers_whole_days_of_the_shop_both_included(
    sumup: Simulator, place_order: PlaceOrder, honey: Product, clock: TimeMachineFixture
) -> None:
    for hour in (-13, -12, 11, 12):  # 23:00, 00:00, 23:00 and 00:00 in London
        clock.move_to(NOON + timedelta(hours=hour), tick=False)
        paid(sumup, place_order((honey, 1)))

    assert statement(DAY, DAY).total.sold == p("13.00")
    assert statement(DAY - timedelta(days=1), DAY).total.sold == p("19.50")
    assert statement(DAY, DAY + timedelta(days=1)).total.sold == p("19.50")


def test_the_parts_of_a_time_add_up_to_the_whole(
    sumup: Simulator, place_order: PlaceOrder, honey: Product, clock: TimeMachineFixture
) -> None:
    for day in range(3):
        clock.move_to(NOON + timedelta(days=day), tick=False)
        payment = paid(sumup, place_order((honey, 1)))
        sumup.refund_in_dashboard(payment.transaction_code, p("0.01"))
        sumup.pay_out()
        close_day(DAY + timedelta(days=day))

    days = [DAY + timedelta(days=n) for n in range(3)]
    whole = statement(days[0], days[-1]).total

    for name in ("sold", "refunded", "fees", "paid_out", "net", "at_sumup"):
        assert sum(getattr(statement(day, day).total, name) for day in days) == getattr(whole, name), name
    assert whole.paid_out == paid_out(days[0], days[-1])


# --- Whatever was bought, given back and taken away -------------------------------------------------------------------

PERCENT = st.integers(min_value=0, max_value=100)
PRICES = st.lists(st.integers(min_value=1, max_value=99_999), min_size=1, max_size=4)  # in pennies, a stall each
PURCHASES = st.lists(st.tuples(PRICES, PERCENT, PERCENT, st.booleans()), min_size=1, max_size=4)


def take_back(sumup: Simulator, payment: Payment, percents: tuple[int, int], by_staff: User | None) -> None:
    """A part of it goes back, by staff for a line or in the dashboard, and the bank takes a part of the rest."""
    order, (refunded, disputed) = payment.order, percents
    if by_staff is not None:
        line = order.lines.order_by("pk")[0]
        (refund,) = refunds.request_from_order(order, Wish(line.total, "sour", by_staff, line))
        refunds.approve(refund, by=by_staff)
        refunds.sweep()
    for act, percent in ((sumup.refund_in_dashboard, refunded), (sumup.charge_back, disputed)):
        amount = (sumup.refundable(payment.transaction_code) * percent / 100).quantize(p("0.01"))
        if amount:
            act(payment.transaction_code, amount)


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(purchases=PURCHASES)
def test_statement_movements_and_payouts_agree_to_the_penny_whatever_happened(
    sumup: Simulator, place_order: PlaceOrder, clock: TimeMachineFixture, staff: User, purchases: list[Any]
) -> None:
    day = timezone.localdate() + timedelta(days=1)  # one of its own for every example
    clock.shift(timedelta(days=1))
    for prices, refunded, disputed, by_staff in purchases:
        order = place_order(*[(ProductFactory(price=Decimal(price) / 100), 1) for price in prices])
        if order.total not in ALWAYS_DECLINED:
            take_back(sumup, paid(sumup, order), (refunded, disputed), staff if by_staff else None)
    sumup.pay_out()

    history.sweep()
    close = close_day(day)

    assert (close.status, close.figures["unexplained"]) == (DailyClose.Status.EARLY, 0)
    whole = statement(day, day)
    ours = {kind: Decimal(figure["sum"]) for kind, figure in close.figures["ours"].items()}
    kinds = ("capture", "refund", "chargeback", "fee", "payout")
    total = whole.total
    sums = (total.sold, total.refunded, total.charged_back, total.fees, total.paid_out)
    assert sums == tuple(ours.get(kind, 0) for kind in kinds)
    assert total.paid_out == paid_out(day, day)
    assert all(row.at_sumup == 0 for row in whole.rows)
    assert all(statement(day, day, Stall.objects.get(name=row.stall)).rows == [row] for row in whole.rows)
