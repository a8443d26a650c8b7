"""The daily close: our books against SumUp's, both ways, until every row is matched or explained."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from time_machine import TimeMachineFixture

from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, User
from orders.models import Order
from payments import casework, closing, history, starting
from payments import sumup as door
from payments.closing import BeingClosed, close_day
from payments.models import DailyClose, Movement, Payment, Reopening, Stray, TheirRow
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.payments.days import (
    DAY,
    NEXT_MORNING,
    NOON,
    explained,
    movements,
    pages_asked,
    paid,
    unexplained,
    unheard,
    write_a_late_movement,
)
from tests.payments.many import take_many
from tests.payments.records import fresh, open_cases, sweep
from tests.payments.wire import Wire, die_in_call

PlaceOrder = Callable[..., Order]
Status = DailyClose.Status

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    """It is noon in London, and stays so until a test says otherwise."""
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def next_morning(clock: TimeMachineFixture) -> Callable[[], None]:
    """The day is over, and its last payments have had their time."""
    return lambda: clock.move_to(NOON + NEXT_MORNING, tick=False)


@pytest.fixture
def orders_of(place_order: PlaceOrder, honey: Product) -> Callable[[int], list[Order]]:
    """So many orders of one jar of honey."""
    return lambda count: [place_order((honey, 1)) for _ in range(count)]


def change_history(wire: Wire, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """From now on SumUp's history is what this makes of its rows."""

    def tamper(document: dict[str, Any]) -> dict[str, Any]:
        if "items" in document:
            document["items"] = change(document["items"])
        return document

    wire.change(tamper)


def change_amounts(wire: Wire, amount: str) -> None:
    """From now on SumUp says this of every transaction, in the history and by itself."""

    def tamper(document: dict[str, Any]) -> dict[str, Any]:
        for row in document.get("items", [document] if "transaction_events" in document else []):
            row["amount"] = float(amount)
        return document

    wire.change(tamper)


# --- A quiet day ------------------------------------------------------------------------------------------------------


def test_a_day_on_which_all_matches_closes_without_a_finding(
    sumup: Simulator, orders_of: Any, next_morning: Any
) -> None:
    for order in orders_of(3):
        paid(sumup, order)
    next_morning()

    close = close_day(DAY)

    assert close.status == Status.CLOSED
    assert not close.findings.exists()
    assert close.figures == {
        "ours": {"capture": {"rows": 3, "sum": "19.50"}},
        "takings": {},
        "theirs": {"capture": {"rows": 3, "sum": "19.50"}},
        "matched": 3,
        "explained": 0,
        "unexplained": 0,
        "rows_read": 3,
    }
    assert not TheirRow.objects.exists()


def test_a_day_without_any_trade_closes(sumup: Simulator, next_morning: Any) -> None:
    next_morning()

    assert close_day(DAY).status == Status.CLOSED


def test_a_refund_of_ours_that_went_well_matches(
    sumup: Simulator, order: Order, staff: User, next_morning: Any
) -> None:
    payment = paid(sumup, order)
    (refund,) = casework.refunds.request_from_order(order, casework.Wish(Decimal("6.50"), "sour", staff))
    casework.refunds.approve(refund, by=staff)
    casework.refunds.sweep()
    next_morning()

    close = close_day(DAY)

    assert (close.status, explained(close)) == (Status.CLOSED, [])
    assert close.figures["matched"] == 2
    assert payment.movements.count() == 2


def test_the_same_payment_and_its_refund_count_on_the_days_on_which_they_happened(
    sumup: Simulator, order: Order, clock: TimeMachineFixture
) -> None:
    payment = paid(sumup, order)
    clock.move_to(NOON + timedelta(days=1), tick=False)
    sumup.refund_in_dashboard(payment.transaction_code)
    clock.move_to(NOON + timedelta(days=2), tick=False)

    first, second = close_day(DAY), close_day(DAY + timedelta(days=1))

    assert (first.status, second.status) == (Status.CLOSED, Status.CLOSED)
    assert (list(first.figures["ours"]), list(second.figures["ours"])) == (["capture"], ["refund"])


# --- The day of the issue ---------------------------------------------------------------------------------------------

FIVE = [
    "capture: attempt_stuck",
    "capture: duplicate_capture",
    "capture: unknown_money",
    "chargeback: chargeback",
    "refund: external_refund",
]


def trade(sumup: Simulator, orders: list[Order], pay: Callable[[Simulator, Order], Payment]) -> None:
    """Everything that may go wrong goes wrong once, and two shoppers just pay."""
    lost, doubled, refunded, disputed, *quiet = orders
    for order in quiet:
        pay(sumup, order)
    sumup.behave(create="response_lost", read="500", times={"create": 1, "read": 1})
    starting.start(lost)
    first = starting.start(doubled)
    Payment.objects.filter(pk=first.pk).update(status=Payment.Status.CLOSED)  # its page stays open in another tab
    pay(sumup, doubled)
    sumup.pay(first.checkout_id)
    sumup.refund_in_dashboard(transaction_code(sumup, pay(sumup, refunded)))
    sumup.charge_back(transaction_code(sumup, pay(sumup, disputed)))
    sumup.take_stray_payment(12, "Two teas")


def transaction_code(sumup: Simulator, payment: Payment) -> str:
    (found,) = [checkout for checkout in sumup.checkouts() if checkout.id == payment.checkout_id]
    return found.successful.code


def pay_the_lost_one(sumup: Simulator, order: Order) -> None:
    """The page that nobody was shown at first is paid in the end."""
    reference = order.payments.get().reference
    sumup.pay(next(checkout.id for checkout in sumup.checkouts() if checkout.reference == reference))


def test_a_day_on_which_everything_went_wrong_once_closes_with_exactly_that_explained(
    sumup: Simulator, orders_of: Any, clock: TimeMachineFixture, next_morning: Any
) -> None:
    orders = orders_of(6)
    trade(sumup, orders, paid)
    clock.shift(timedelta(minutes=1))
    sweep()
    pay_the_lost_one(sumup, orders[0])
    for minutes in (5, 20, 40, 60, 300):
        clock.move_to(NOON + timedelta(minutes=minutes), tick=False)
        sweep()
        history.sweep()
    before = movements()
    next_morning()

    close = close_day(DAY)

    assert close.status == Status.CLOSED
    assert explained(close) == FIVE
    assert unexplained(close) == []
    assert (close.figures["matched"], close.figures["explained"], close.figures["unexplained"]) == (5, 5, 0)
    assert movements() == before


def test_the_close_alone_finds_everything_that_went_wrong(
    sumup: Simulator, orders_of: Any, clock: TimeMachineFixture, next_morning: Any
) -> None:
    orders = orders_of(6)
    trade(sumup, orders, unheard)
    clock.shift(timedelta(minutes=1))
    pay_the_lost_one(sumup, orders[0])
    before = movements()
    next_morning()

    close = close_day(DAY)

    assert before == []
    assert close.status == Status.CLOSED
    assert explained(close) == FIVE
    assert (close.figures["matched"], close.figures["unexplained"]) == (5, 0)
    assert [fresh(order).status for order in orders] == [Order.Status.CONFIRMED] * 6


# --- Both ways --------------------------------------------------------------------------------------------------------


def forget_at_sumup(sumup: Simulator) -> None:
    """SumUp has lost everything, though the clocks go on."""
    sumup._shelf.clear()


def test_money_of_ours_that_sumup_does_not_know_is_explained_by_a_case(
    sumup: Simulator, order: Order, next_morning: Any
) -> None:
    payment = paid(sumup, order)
    forget_at_sumup(sumup)
    next_morning()

    close = close_day(DAY)

    assert (close.status, explained(close)) == (Status.CLOSED, ["capture: missing_at_sumup"])
    case = Case.objects.unresolved().get()
    assert (case.subject_uuid, case.at_stake) == (payment.uuid, Decimal("76.50"))
    assert (close.figures["matched"], close.figures["explained"]) == (0, 1)


def test_a_row_that_the_history_leaves_out_matches_if_the_transaction_is_there(
    sumup: Simulator, wire: Wire, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)
    change_history(wire, lambda rows: [])
    next_morning()

    close = close_day(DAY)

    assert (close.status, explained(close), open_cases()) == (Status.CLOSED, [], [])
    assert close.figures["matched"] == 1


def test_another_amount_at_sumup_is_unexplained_until_a_person_has_accepted_it(
    sumup: Simulator, wire: Wire, order: Order, staff: User, next_morning: Any
) -> None:
    payment = paid(sumup, order)
    change_amounts(wire, "70.00")
    next_morning()

    at_first, again = close_day(DAY).status, close_day(DAY)
    differing = unexplained(again)
    case = Case.objects.unresolved().get()
    casework.accept(case, by=staff, note="SumUp's support has confirmed it")
    closed = close_day(DAY)

    assert (at_first, again.status, differing) == (Status.RED, Status.RED, ["capture"])
    assert closed.pk == again.pk
    assert (case.kind, case.subject_uuid, case.at_stake) == ("missing_at_sumup", payment.uuid, Decimal("6.50"))
    assert (closed.status, explained(closed)) == (Status.CLOSED, ["capture: missing_at_sumup"])


def test_accepting_one_difference_does_not_accept_another(
    sumup: Simulator, wire: Wire, order: Order, staff: User, next_morning: Any
) -> None:
    paid(sumup, order)
    change_amounts(wire, "70.00")
    next_morning()
    close_day(DAY)
    casework.accept(Case.objects.unresolved().get(), by=staff, note="seen")
    change_amounts(wire, "60.00")

    assert close_day(DAY).status == Status.RED
    assert Case.objects.unresolved().get().at_stake == Decimal("16.50")


def test_more_money_at_sumup_than_here_is_unexplained_too(
    sumup: Simulator, wire: Wire, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)
    change_amounts(wire, "80.00")
    next_morning()

    close = close_day(DAY)

    assert (close.status, unexplained(close), open_cases()) == (Status.RED, ["capture"], ["unknown_money"])


def test_a_case_about_something_else_does_not_explain_that_the_amounts_differ(
    sumup: Simulator, wire: Wire, order: Order, next_morning: Any
) -> None:
    payment = paid(sumup, order)
    Case.open(Case.Kind.LATE_PAYMENT, payment, "It came late.")
    change_amounts(wire, "70.00")
    next_morning()

    assert close_day(DAY).status == Status.RED


def test_the_same_amount_in_another_currency_does_not_match(
    sumup: Simulator, wire: Wire, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)

    def in_euros(document: dict[str, Any]) -> dict[str, Any]:
        for row in document.get("items", [document]):
            row["currency"] = "EUR"
        return document

    wire.change(lambda answer: in_euros(answer) if "checkout_reference" not in answer else answer)
    next_morning()

    assert close_day(DAY).status == Status.RED


def test_a_difference_that_is_gone_closes_the_day_and_its_case(
    sumup: Simulator, wire: Wire, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)
    change_amounts(wire, "70.00")
    next_morning()
    red = close_day(DAY).status
    wire._changes.clear()
    change_history(wire, lambda rows: [])  # they differ, but the transaction agrees

    closed = close_day(DAY)

    assert (red, closed.status, open_cases()) == (Status.RED, Status.CLOSED, [])
    assert not closed.findings.exists()


def test_a_stray_that_a_person_attaches_to_its_order_matches_when_the_day_is_closed_again(
    sumup: Simulator, order: Order, staff: User, next_morning: Any
) -> None:
    sumup.take_stray_payment(76.5, "Honey and bread")
    next_morning()
    first = close_day(DAY)
    casework.attach(Case.objects.unresolved().get(), order.number, by=staff, note="He showed the receipt")
    closing.reopen_changed_days()

    second = close_day(DAY)

    assert (first.status, explained(first)) == (Status.CLOSED, ["capture: unknown_money"])
    assert (second.status, second.round, second.figures["matched"]) == (Status.CLOSED, 2, 1)


def test_what_went_back_of_a_stray_on_another_day_is_written_down_once_it_is_attached(
    sumup: Simulator, order: Order, staff: User, clock: TimeMachineFixture
) -> None:
    stray = sumup.take_stray_payment(76.5)
    clock.shift(timedelta(days=1))
    sumup.refund_in_dashboard(stray.id, 5)
    clock.shift(timedelta(days=1))
    next_day = DAY + timedelta(days=1)
    close_day(DAY)
    close_day(next_day)
    casework.attach(Case.objects.unresolved().get(), order.number, by=staff, note="He showed the receipt")

    history.sweep()
    closing.reopen_changed_days()
    days = [close_day(DAY), close_day(next_day)]
    closing.reopen_changed_days()

    assert [(day.round, day.status) for day in days] == [(2, Status.CLOSED), (2, Status.CLOSED)]
    assert movements() == [("capture", Decimal("76.50")), ("refund", Decimal("-5.00"))]
    assert DailyClose.objects.count() == 4


def test_a_refund_of_money_that_nobody_knew_is_explained_by_the_same_case(sumup: Simulator, next_morning: Any) -> None:
    stray = sumup.take_stray_payment(12)
    sumup.refund_in_dashboard(stray.id, 5)
    next_morning()

    close = close_day(DAY)

    assert (close.status, explained(close)) == (Status.CLOSED, ["capture: unknown_money", "refund: unknown_money"])


def test_a_refund_that_sumups_history_puts_on_the_next_day_matches_on_both(
    sumup: Simulator, wire: Wire, order: Order, clock: TimeMachineFixture
) -> None:
    payment = paid(sumup, order)
    clock.move_to(datetime(2026, 6, 17, 22, 59, 58, tzinfo=UTC), tick=False)
    sumup.refund_in_dashboard(payment.transaction_code)
    history.sweep()

    def a_little_later(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | {"timestamp": "2026-06-17T23:00:03.000Z"} if row["type"] == "REFUND" else row for row in rows]

    change_history(wire, a_little_later)
    clock.move_to(NOON + timedelta(days=2), tick=False)

    days = [close_day(DAY), close_day(DAY + timedelta(days=1))]

    assert [day.status for day in days] == [Status.CLOSED, Status.CLOSED]
    assert [explained(day) for day in days] == [["refund: external_refund"], []]
    assert [day.figures["matched"] for day in days] == [1, 1]


def test_failed_tries_are_no_money(sumup: Simulator, payment: Payment, next_morning: Any) -> None:
    sumup.decline(payment.checkout_id)
    next_morning()

    close = close_day(DAY)

    assert (close.status, close.figures["theirs"], close.figures["rows_read"]) == (Status.CLOSED, {}, 1)


def test_cash_is_between_us_and_the_shopper(sumup: Simulator, order: Order, staff: User, next_morning: Any) -> None:
    casework.take_cash(order, order.total, by=staff)
    next_morning()

    close = close_day(DAY)

    assert (close.status, close.figures["matched"]) == (Status.CLOSED, 0)
    assert close.figures["ours"] == {"cash": {"rows": 1, "sum": "76.50"}}


# --- Days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "start", "hours"),
    [
        (date(2026, 3, 29), datetime(2026, 3, 29, 0, tzinfo=UTC), 23),
        (date(2026, 6, 17), datetime(2026, 6, 16, 23, tzinfo=UTC), 24),
        (date(2026, 10, 25), datetime(2026, 10, 24, 23, tzinfo=UTC), 25),
        (date(2026, 12, 24), datetime(2026, 12, 24, 0, tzinfo=UTC), 24),
    ],
)
def test_a_day_is_the_shops_own_even_when_the_clocks_change(day: date, start: datetime, hours: int) -> None:
    begins, ends = (moment.astimezone(UTC) for moment in closing.bounds(day))

    assert begins == start
    assert ends - begins == timedelta(hours=hours)
    assert ends == closing.bounds(day + timedelta(days=1))[0].astimezone(UTC)


def test_what_happened_in_the_hour_that_comes_twice_is_of_one_day_only(
    sumup: Simulator, clock: TimeMachineFixture
) -> None:
    clock.move_to(datetime(2026, 10, 26, 12, tzinfo=UTC), tick=False)
    first = datetime(2026, 10, 24, 22, 59, tzinfo=UTC)  # 23:59 in London
    hours = [first + timedelta(minutes=2) + timedelta(hours=n) for n in range(25)]
    sumup.fill([(f"t{n}", f"T{n}", 5, at) for n, at in enumerate([first, *hours])])

    saturday, sunday = close_day(date(2026, 10, 24)), close_day(date(2026, 10, 25))

    assert saturday.figures["theirs"]["capture"]["rows"] == 1
    assert sunday.figures["theirs"]["capture"]["rows"] == 25


def test_a_day_that_is_not_over_is_compared_but_stays_open(
    sumup: Simulator, order: Order, orders_of: Any, next_morning: Any
) -> None:
    paid(sumup, order)
    early = close_day(DAY)
    paid(sumup, orders_of(1)[0])
    next_morning()

    closed = close_day(DAY)

    assert (early.status, early.figures["matched"]) == (Status.EARLY, 1)
    assert (closed.pk, closed.status, closed.figures["matched"]) == (early.pk, Status.CLOSED, 2)


def test_another_merchants_movements_are_none_of_this_close(
    sumup: Simulator, order: Order, next_morning: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid(sumup, order)
    forget_at_sumup(sumup)
    settings.SUMUP_MERCHANT_CODE = "MOTHER"
    monkeypatch.setattr(sumup, "merchant", replace(sumup.merchant, code="MOTHER"))
    next_morning()

    close = close_day(DAY)

    assert (close.status, explained(close)) == (Status.CLOSED, [])


# --- Interrupted ------------------------------------------------------------------------------------------------------


def known_strays(sumup: Simulator, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Money that our books know already, ten rows a page: so closing asks for nothing but pages."""
    monkeypatch.setattr(closing, "ROWS_PER_PAGE", 10)
    sumup.fill(count, amount=5, seconds_apart=1, payment_type="ECOM")
    history.sweep()
    sumup._requests.clear()


def test_where_sumup_fails_midway_the_next_run_goes_on_from_that_page(
    sumup: Simulator, wire: Wire, next_morning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_strays(sumup, 45, monkeypatch)
    next_morning()
    for _page in range(2):
        wire.before("GET", lambda: None)
    wire.before("GET", lambda: sumup.behave(history="500"))
    with pytest.raises(door.SumUpInDoubt):
        close_day(DAY)
    asked, kept = pages_asked(sumup), TheirRow.objects.count()

    sumup.behave(history="ok")
    close = close_day(DAY)

    assert (asked, kept) == (3, 20)
    assert pages_asked(sumup) == 3 + 3
    assert (close.status, close.rows_read, close.figures["explained"]) == (Status.CLOSED, 45, 45)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("heard", [True, False])
def test_where_the_process_is_killed_midway_the_next_run_goes_on_from_that_page(  # noqa: PLR0917
    sumup: Simulator,
    wire: Wire,
    clock: TimeMachineFixture,
    next_morning: Any,
    monkeypatch: pytest.MonkeyPatch,
    heard: bool,
) -> None:
    known_strays(sumup, 45, monkeypatch)
    next_morning()
    wire.calls.clear()
    for _page in range(2):
        (wire.after if heard else wire.before)("GET", lambda: None)

    die_in_call(wire, "GET", lambda: close_day(DAY), heard=heard)
    pages, kept = sum(call == "GET" for call in wire.calls), TheirRow.objects.count()
    with pytest.raises(BeingClosed):
        close_day(DAY)  # nobody can know yet that it died
    clock.shift(closing.LEASE + timedelta(seconds=1))
    wire.calls.clear()
    close = close_day(DAY)

    assert (pages, kept) == (3, 20)
    assert len(wire.calls) == 3 + closing.PAYOUT_DAYS
    assert (close.status, close.rows_read, close.figures["explained"]) == (Status.CLOSED, 45, 45)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_killed_while_comparing_leaves_nothing_doubled(
    sumup: Simulator, wire: Wire, orders_of: Any, clock: TimeMachineFixture, next_morning: Any
) -> None:
    for order in orders_of(3):
        paid(sumup, order)
    change_history(wire, lambda rows: [])
    next_morning()
    for _call in range(1 + closing.PAYOUT_DAYS + 1):
        wire.before("GET", lambda: None)

    die_in_call(wire, "GET", lambda: close_day(DAY), heard=False)
    left = DailyClose.objects.get().status
    clock.shift(closing.LEASE + timedelta(seconds=1))
    close = close_day(DAY)

    assert left == Status.COMPARING
    assert (close.status, close.round, close.figures["matched"]) == (Status.CLOSED, 1, 3)
    assert len(movements()) == 3


@pytest.mark.django_db(transaction=True)
def test_while_one_process_is_at_work_on_a_day_another_is_told_so(
    sumup: Simulator, wire: Wire, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)
    next_morning()
    told: list[Any] = []
    wire.before("GET", lambda: told.extend(run_at_once(partial(close_day, DAY))))

    close = close_day(DAY)

    assert isinstance(told[0].error, BeingClosed)
    assert (close.status, close.figures["matched"]) == (Status.CLOSED, 1)


@pytest.mark.django_db(transaction=True)
def test_who_was_so_slow_that_another_took_over_changes_nothing_any_more(
    sumup: Simulator, wire: Wire, order: Order, clock: TimeMachineFixture, next_morning: Any
) -> None:
    paid(sumup, order)
    next_morning()

    def take_over() -> None:
        clock.shift(closing.LEASE + timedelta(seconds=1))
        assert run_at_once(partial(close_day, DAY))[0].result.status == Status.CLOSED

    wire.before("GET", take_over)

    with pytest.raises(BeingClosed):
        close_day(DAY)
    close = DailyClose.objects.get()
    assert (close.status, close.rows_read, close.figures["matched"]) == (Status.CLOSED, 1, 1)


def test_what_takes_longer_than_it_may_goes_on_next_time(
    sumup: Simulator, next_morning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_strays(sumup, 25, monkeypatch)
    next_morning()

    first = close_day(DAY, stop_at=timezone.now()).status
    second = close_day(DAY)

    assert (first, second.status, second.rows_read) == (Status.READING, Status.CLOSED, 25)


def test_progress_is_told_after_every_page(
    sumup: Simulator, next_morning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_strays(sumup, 25, monkeypatch)
    next_morning()
    told: list[int] = []

    close_day(DAY, progress=lambda close: told.append(close.rows_read))

    assert told == [10, 20, 25, 25]


# --- Closed days ------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(sumup: Simulator, order: Order, next_morning: Any) -> DailyClose:
    """A day with one payment, closed."""
    paid(sumup, order)
    next_morning()
    return close_day(DAY)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payments_dailyclose SET status = 'red'",
        "UPDATE payments_dailyclose SET figures = '{}'",
        "UPDATE payments_dailyclose SET digest = ''",
        "UPDATE payments_dailyclose SET leased_until = now()",
        "DELETE FROM payments_dailyclose",
    ],
)
def test_the_database_refuses_to_change_a_closed_day(closed: DailyClose, change: str) -> None:
    with pytest.raises(DatabaseError, match="is refused"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)

    assert fresh(closed).status == Status.CLOSED


def test_a_day_that_is_not_closed_is_kept_too(sumup: Simulator) -> None:
    early = close_day(DAY)

    with pytest.raises(DatabaseError, match="is refused"), transaction.atomic():
        early.delete()

    assert fresh(early).status == Status.EARLY


def test_closing_a_closed_day_asks_nobody_and_keeps_figures_and_digest(sumup: Simulator, closed: DailyClose) -> None:
    asked = len(sumup.requests)

    again = close_day(DAY)

    assert (again.pk, again.figures, again.digest) == (closed.pk, closed.figures, closed.digest)
    assert len(closed.digest) == 64
    assert len(sumup.requests) == asked


def test_the_digest_tells_of_every_movement_of_the_day_and_of_no_other(closed: DailyClose) -> None:
    payment = Payment.objects.get()
    other = closing.digest(DAY + timedelta(days=1))

    write_a_late_movement(payment)

    assert closing.digest(DAY) != closed.digest
    assert closing.digest(DAY + timedelta(days=1)) == other


def test_a_movement_written_later_opens_the_day_again_in_nobodys_name(closed: DailyClose) -> None:
    write_a_late_movement(Payment.objects.get())

    closing.reopen_changed_days()
    closing.reopen_changed_days()

    assert Reopening.objects.get().close == closed
    assert Reopening.objects.get().by is None
    assert list(DailyClose.objects.order_by("round").values_list("round", "status")) == [(1, "closed"), (2, "reading")]


def test_an_unchanged_day_stays_closed(closed: DailyClose) -> None:
    closing.reopen_changed_days()

    assert not Reopening.objects.exists()


def test_a_person_who_opens_a_day_again_is_recorded_with_their_note_once(closed: DailyClose, staff: User) -> None:
    rounds = {closing.reopen(closed, by=staff, note=note).pk for note in ("The till was wrong", "And again")}

    assert len(rounds) == 1
    reopening = Reopening.objects.get()
    assert (reopening.close, reopening.by, reopening.note) == (closed, staff, "The till was wrong")


@pytest.mark.django_db(transaction=True)
def test_opening_a_day_again_at_once_gives_one_round(closed: DailyClose, staff: User) -> None:
    run_at_once(*[partial(closing.reopen, closed, by=staff, note="why")] * 4)

    assert Reopening.objects.count() == 1
    assert DailyClose.objects.count() == 2


def test_only_a_closed_day_can_be_opened_again(sumup: Simulator, staff: User) -> None:
    early = close_day(DAY)

    assert closing.reopen(early, by=staff, note="why") == early
    assert not Reopening.objects.exists()


def test_a_reopened_day_is_closed_in_a_new_round_and_the_old_one_stays(
    sumup: Simulator, closed: DailyClose, staff: User
) -> None:
    sumup.refund_in_dashboard(Payment.objects.get().transaction_code)  # now, on the next day
    closing.reopen(closed, by=staff, note="why")

    again = close_day(DAY)

    assert (again.round, again.status) == (2, Status.CLOSED)
    assert (fresh(closed).figures, fresh(closed).digest) == (closed.figures, closed.digest)


# --- On the timer -----------------------------------------------------------------------------------------------------


def close_all() -> dict[date, str]:
    closing.close_due(stop_at=timezone.now() + timedelta(minutes=5))
    return {close.day: close.status for close in DailyClose.objects.order_by("day", "round")}


def test_the_timer_closes_yesterday_first_and_then_every_day_that_follows(
    sumup: Simulator, clock: TimeMachineFixture, next_morning: Any
) -> None:
    next_morning()
    first = close_all()
    clock.shift(timedelta(days=3))

    later = close_all()

    assert first == {DAY: "closed"}
    assert later == {DAY + timedelta(days=n): "closed" for n in range(4)}


def test_the_timer_leaves_the_last_payments_of_a_day_their_time(sumup: Simulator, clock: TimeMachineFixture) -> None:
    clock.move_to(datetime(2026, 6, 17, 23, 9, tzinfo=UTC), tick=False)  # 00:09 in London
    early = close_all()
    clock.shift(timedelta(minutes=1))

    assert early == {DAY - timedelta(days=1): "closed"}
    assert DAY in close_all()


def test_the_timer_tries_a_red_day_again_after_six_hours(
    sumup: Simulator, wire: Wire, order: Order, clock: TimeMachineFixture, next_morning: Any
) -> None:
    paid(sumup, order)
    change_amounts(wire, "70.00")
    next_morning()
    close_all()
    wire._changes.clear()

    clock.shift(timedelta(hours=5))
    soon = close_all()
    clock.shift(timedelta(hours=2))
    later = close_all()

    assert (soon[DAY], later[DAY]) == ("red", "closed")


def test_the_timer_opens_a_changed_day_again_the_night_after_and_closes_it(
    sumup: Simulator, closed: DailyClose, clock: TimeMachineFixture
) -> None:
    sumup.fill([("t1", "T1", 5, NOON)], payment_type="ECOM")  # SumUp shows it late
    write_a_late_movement(Payment.objects.get())
    clock.shift(timedelta(days=1))

    close_all()

    rounds = DailyClose.objects.filter(day=DAY).order_by("round")
    assert [(close.round, close.status) for close in rounds] == [(1, "closed"), (2, "red")]
    assert explained(rounds[1]) == ["capture: unknown_money"]
    assert unexplained(rounds[1]) == ["refund"]  # SumUp knows nothing of that


def test_one_day_that_cannot_be_closed_delays_no_other(
    sumup: Simulator, clock: TimeMachineFixture, next_morning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_morning()
    close_all()
    clock.shift(timedelta(days=2))
    compare = closing._compare

    def break_down(close: DailyClose) -> None:
        if close.day == DAY + timedelta(days=1):
            raise ZeroDivisionError
        compare(close)

    monkeypatch.setattr(closing, "_compare", break_down)

    assert list(close_all().values()) == ["closed", "comparing", "closed"]


def test_the_timer_stops_when_its_time_is_over(sumup: Simulator, clock: TimeMachineFixture, next_morning: Any) -> None:
    next_morning()

    closing.close_due(stop_at=timezone.now())

    assert not DailyClose.objects.exists()


def test_sumup_out_of_reach_leaves_the_day_for_later(sumup: Simulator, next_morning: Any) -> None:
    next_morning()
    sumup.behave(history="500")
    first = close_all()
    sumup.behave(history="ok")

    assert (first[DAY], close_all()[DAY]) == ("reading", "closed")


# --- Payouts ----------------------------------------------------------------------------------------------------------


def test_a_payout_list_that_may_be_cut_off_keeps_the_day_red_until_a_person_has_accepted_it(
    sumup: Simulator, order: Order, staff: User, next_morning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid(sumup, order)
    sumup.pay_out()
    monkeypatch.setattr(door, "MOST_PAYOUTS", 1)
    next_morning()

    red = close_day(DAY)
    differing = unexplained(red)
    case = Case.objects.unresolved().get()
    casework.accept(case, by=staff, note="We wrote to SumUp")
    closed = close_day(DAY)

    assert (red.status, differing) == (Status.RED, ["payout"])
    assert (red.figures["matched"], red.figures["unexplained"]) == (1, 1)
    assert (case.kind, case.subject_uuid) == ("unknown_money", red.uuid)
    assert (closed.status, explained(closed)) == (Status.CLOSED, ["payout: unknown_money"])


def test_where_sumup_does_not_tell_of_payouts_the_day_is_not_closed(
    sumup: Simulator, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)
    next_morning()
    sumup.behave(payouts="500")
    with pytest.raises(door.SumUpInDoubt):
        close_day(DAY)

    sumup.behave(payouts="ok")

    assert close_day(DAY).status == Status.CLOSED
    assert pages_asked(sumup) == 1


# --- What the database does for it ------------------------------------------------------------------------------------


def test_the_work_of_a_page_does_not_grow_with_its_rows(
    sumup: Simulator, next_morning: Any, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    counts = []
    known_strays(sumup, 90, monkeypatch)
    next_morning()
    for size in (10, 45):
        monkeypatch.setattr(closing, "ROWS_PER_PAGE", size)
        close = closing._take(DAY)
        close.status, close.cursor = Status.READING, ""
        with django_assert_max_num_queries(1_000) as counted:
            closing._read(close, lambda close: None, None)
        counts.append(len(counted.captured_queries) / (90 / size))
        closing._let_go(close)
        TheirRow.objects.all().delete()

    assert counts[0] == counts[1]


def test_the_movements_of_a_day_are_found_by_index_among_many_days(order: Order, sumup: Simulator) -> None:
    payment = paid(sumup, order)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_movement (uuid, kind, order_id, payment_id, merchant_code, sumup_id, transaction_id,"
            " amount, currency, happened_at, recorded_at)"
            " SELECT gen_random_uuid(), 'capture', %s, %s, 'MROSEASH', 'b' || n, 'b' || n, 5, 'GBP',"
            " %s - n * interval '10 minutes', now() FROM generate_series(1, 20000) n",
            [payment.order_id, payment.pk, NOON],
        )
        cursor.execute("ANALYZE payments_movement")
        close = DailyClose.objects.create(day=DAY)
        wanted = closing._of_the_day(close) | {"kind": "", "transaction": "", "most": 500}
        cursor.execute("EXPLAIN " + closing.DIFFERENCES, wanted)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "movement_by_day" in plan
    assert "Seq Scan on payments_movement" not in plan


def test_a_day_of_thousands_closes_with_all_matched_and_little_asked(
    sumup: Simulator, order: Order, next_morning: Any, django_assert_max_num_queries: Any
) -> None:
    take_many(sumup, paid(sumup, order), 2_999, NOON - timedelta(hours=1))
    next_morning()

    with django_assert_max_num_queries(120):
        close = close_day(DAY)

    assert (close.status, close.figures["matched"], close.rows_read) == (Status.CLOSED, 3_000, 3_000)
    assert (close.figures["explained"], close.figures["unexplained"]) == (0, 0)
    assert pages_asked(sumup) == 6


def test_strays_and_movements_are_what_they_were_after_a_close(
    sumup: Simulator, order: Order, next_morning: Any
) -> None:
    paid(sumup, order)
    sumup.take_stray_payment(12)
    history.sweep()
    next_morning()
    before = list(Movement.objects.values()), list(Stray.objects.values())

    close_day(DAY)

    assert (list(Movement.objects.values()), list(Stray.objects.values())) == before
    assert Entry.objects.exists()
