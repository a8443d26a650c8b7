"""Everything at once: whoever wins, there is one outcome, and the books balance.

Each race is run TURNS times, and what SumUp says is driven to its end afterwards. (tests/prove runs them far oftener.)
A deadlock is an error that a thread ends with, so no race may have one.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import IntegrityError

from bookings import capacity
from bookings.models import Booking, Entry
from cartsite.models import Case, Message, User
from orders import mail
from orders.models import Order
from payments import (
    cancelling,
    casework,
    closing,
    history,
    late,
    ledger,
    refunds,
    releasing,
    settling,
    starting,
    sweeping,
)
from payments.models import DailyClose, Movement, Payment, Refund, Stray
from payments.refunds import Wish
from payments.simulator import Simulator
from payments.simulator.events import EventType
from payments.simulator.world import Refused
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, held_by_another
from tests.invariants import assert_books_balance
from tests.payments.money import sweep_money
from tests.payments.records import Later, events_of, fresh, make_due, open_cases, sweep, sweep_until_quiet, taken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books_balance", "turn")]

TURNS = 3
CROWD = 32
PlaceOrder = Callable[..., Order]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each race as often as the module says that it is collected from."""
    metafunc.parametrize("turn", range(metafunc.module.TURNS))


@pytest.fixture
def full_house(db: None) -> Entry:
    """A workshop whose two places are just what the order asks for."""
    return EntryFactory(places=2)


@pytest.fixture
def attempt(place_order: PlaceOrder, full_house: Entry, sumup: Simulator) -> Payment:
    """An open attempt to pay for both places."""
    return starting.start(place_order((full_house, 2)))


def pay(sumup: Simulator, payment: Payment) -> None:
    """The shopper pays, if the page lets them; SumUp's knock follows at once."""
    with suppress(Refused):
        sumup.pay(payment.checkout_id or "")
    Payment.objects.filter(pk=payment.pk).update(last_look_at=None)
    sweeping.look_now(payment.pk)


def end_now(order: Order) -> None:
    """The order's deadline is over, its page is not."""
    Order.objects.filter(pk=order.pk).update(deadline=datetime.now(UTC), next_step_at=datetime.now(UTC))


def grab(entry: Entry) -> bool:
    """Somebody else wants the places as soon as they are free."""
    for _try in range(20):
        with suppress(capacity.SoldOut):
            held_by_another(entry, 2)
            return True
    return False


def assert_one_outcome(payment: Payment, sumup: Simulator, unpaid: str) -> None:
    """Paid at SumUp is confirmed here, and nothing else is; what is not sold is free."""
    order, paid = fresh(payment.order), sumup.checkouts()[0].status == "PAID"
    assert order.status == ("confirmed" if paid else unpaid)
    assert Movement.objects.count() == Message.objects.filter(kind="confirmation").count() == int(paid)
    assert Booking.objects.count() == 2 * paid
    assert events_of(order).count("confirmed") == int(paid)
    assert fresh(payment).status == ("captured" if paid else "closed")
    assert open_cases() == []
    assert_books_balance()


def assert_cancelled_with_all_money_back(order: Order, sumup: Simulator) -> None:
    """The order ended cancelled once; if it was paid all the same, that was asked to go back once."""
    paid = sumup.checkouts()[0].status == "PAID"
    sweep_money()
    assert fresh(order).status == "cancelled"
    assert events_of(order).count("cancelled") == 1
    assert list(Refund.objects.values_list("status", "amount")) == ([("done", order.total)] if paid else [])
    assert ledger.money_of(fresh(order)).net == 0
    assert not Booking.objects.exists()
    assert open_cases() == []
    assert_books_balance()


def test_payment_against_expiry(later: Later, attempt: Payment, sumup: Simulator, full_house: Entry) -> None:
    end_now(attempt.order)

    results_of(
        run_at_once(
            lambda: pay(sumup, attempt),
            releasing.sweep,
            releasing.sweep,
            lambda: settling.settle(fresh(attempt)),
        )
    )
    assert taken(full_house) == 2
    sweep_until_quiet(later)

    assert_one_outcome(attempt, sumup, unpaid="expired")


def test_payment_against_cancelling(later: Later, attempt: Payment, sumup: Simulator, full_house: Entry) -> None:
    def cancel() -> None:
        with suppress(releasing.CannotRelease):
            releasing.release(attempt.order, to="cancelled", by="shopper")

    results_of(run_at_once(lambda: pay(sumup, attempt), cancel, cancel, sweep))
    assert taken(full_house) == 2
    sweep_until_quiet(later)

    assert_one_outcome(attempt, sumup, unpaid="cancelled")


def test_payment_against_expiry_and_somebody_who_wants_the_places(
    later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int
) -> None:
    sumup.behave(delete="payment_in_flight_wins", challenge_seconds=90 * (turn % 2))
    end_now(attempt.order)
    releasing.sweep()
    with suppress(Refused):
        sumup.challenge(attempt.checkout_id or "")
    later(minutes=1)

    outcomes = run_at_once(
        releasing.sweep,
        lambda: settling.settle(fresh(attempt)),
        lambda: grab(full_house),
        lambda: pay(sumup, attempt),
    )
    results_of(outcomes)
    sweep_until_quiet(later)

    order = fresh(attempt.order)
    assert order.status in {"confirmed", "expired"}
    assert taken(full_house) == 2 * (order.status == "confirmed") + 2 * bool(outcomes[2].result)
    paid_in_vain = Movement.objects.exists() and order.status == "expired"
    assert open_cases() == (["late_payment"] if paid_in_vain else [])


def test_a_second_attempt_against_a_release(
    later: Later, attempt: Payment, sumup: Simulator, full_house: Entry
) -> None:
    sumup.delete(attempt.checkout_id or "")
    settling.settle(attempt)
    later(minutes=1)

    def start() -> None:
        with suppress(starting.CannotPay):
            starting.start(attempt.order)

    def release() -> None:
        with suppress(releasing.CannotRelease):
            releasing.release(attempt.order, to="cancelled", by="shopper")

    results_of(run_at_once(start, start, release, sweep))
    sweep_until_quiet(later)

    assert fresh(attempt.order).status == "cancelled"
    assert {checkout.status for checkout in sumup.checkouts()} == {"EXPIRED"}
    assert not Payment.objects.live().exists()
    assert taken(full_house) == 0
    assert open_cases() == []


def test_withdrawing_against_a_release(later: Later, attempt: Payment, full_house: Entry) -> None:
    releasing.begin(attempt.order, to="cancelled", by="shopper")

    withdrawn = results_of(
        run_at_once(lambda: releasing.withdraw(attempt.order), releasing.sweep, lambda: releasing.step(attempt.order))
    )[0]
    assert taken(full_house) == 2
    assert fresh(attempt.order).is_closing == (not withdrawn)
    sweep_until_quiet(later)

    assert fresh(attempt.order).status == ("expired" if withdrawn else "cancelled")
    assert taken(full_house) == 0


def test_everybody_at_once(later: Later, attempt: Payment, sumup: Simulator, full_house: Entry) -> None:
    def release() -> None:
        with suppress(releasing.CannotRelease):
            releasing.release(attempt.order, to="cancelled", by="shopper")

    def start() -> None:
        with suppress(starting.CannotPay):
            starting.start(attempt.order)

    results_of(
        run_at_once(
            lambda: pay(sumup, attempt),
            release,
            start,
            start,
            lambda: releasing.withdraw(attempt.order),
            sweep,
            sweep,
            lambda: settling.settle(fresh(attempt)),
        )
    )
    sweep_until_quiet(later)

    order = fresh(attempt.order)
    paid = [checkout for checkout in sumup.checkouts() if checkout.status == "PAID"]
    assert order.status == "confirmed" if paid else order.status in {"expired", "cancelled"}
    assert Movement.objects.count() == len(paid)
    assert taken(full_house) == 2 * (order.status == "confirmed")


def test_a_capture_and_a_second_attempt_at_once(attempt: Payment, sumup: Simulator) -> None:
    """Nobody is asked to pay once more what has just been paid."""
    sumup.pay(attempt.checkout_id or "")
    make_due(attempt)

    def start() -> Payment | None:
        with suppress(starting.CannotPay):
            return starting.start(attempt.order)
        return None

    started = results_of(run_at_once(sweep, start, start, start))[1:]

    assert {payment.pk for payment in started if payment} <= {attempt.pk}
    assert len(sumup.checkouts()) == 1
    assert fresh(attempt.order).status == "confirmed"


def test_many_orders_in_one_storm(later: Later, place_order: PlaceOrder, sumup: Simulator, workshop: Entry) -> None:
    attempts = [starting.start(place_order((workshop, 2))) for _order in range(4)]

    def work(payment: Payment, number: int) -> None:
        if number % 2:
            pay(sumup, payment)
        else:
            with suppress(releasing.CannotRelease):
                releasing.release(payment.order, to="cancelled", by="shopper")

    storm = [lambda p=payment, n=number: work(p, n) for number, payment in enumerate(attempts)]
    results_of(run_at_once(*storm, sweep, sweep))
    sweep_until_quiet(later)

    assert [fresh(payment.order).status for payment in attempts] == ["cancelled", "confirmed"] * 2
    assert taken(workshop) == 4


# --- A crowd at one payment -------------------------------------------------------------------------------------------


def test_a_crowd_settles_one_payment_once(attempt: Payment, sumup: Simulator, mailoutbox: list[Any]) -> None:
    sumup.pay(attempt.checkout_id or "")

    results_of(run_at_once(*[lambda: settling.settle(attempt)] * CROWD))
    results_of(run_at_once(*[mail.send_owed] * 4))

    assert_one_outcome(attempt, sumup, unpaid="expired")
    assert [sent.subject for sent in mailoutbox] == [f"Your order {attempt.order.number} is confirmed"]


def test_payment_against_cancelling_by_staff(later: Later, attempt: Payment, sumup: Simulator, staff: User) -> None:
    def cancel() -> None:
        with suppress(releasing.CannotRelease):
            releasing.release(attempt.order, to="cancelled", by="staff", user=staff)

    results_of(run_at_once(lambda: pay(sumup, attempt), cancel, cancel, sweep))
    sweep_until_quiet(later)

    if fresh(attempt.order).status == "confirmed":  # it was paid before staff's wish was written down
        assert_one_outcome(attempt, sumup, unpaid="cancelled")
        assert not Refund.objects.exists()
    else:
        assert_cancelled_with_all_money_back(attempt.order, sumup)


def test_money_on_the_old_page_against_a_second_attempt(later: Later, attempt: Payment, sumup: Simulator) -> None:
    sumup.delete(attempt.checkout_id or "")
    settling.settle(attempt)
    later(minutes=2)

    def start() -> Payment | None:
        with suppress(starting.CannotPay):
            return starting.start(attempt.order)
        return None

    started = results_of(run_at_once(lambda: pay_too_late(sumup, attempt), start, start, sweep))[1:3]
    for payment in {payment.pk: payment for payment in started if payment}.values():
        pay(sumup, fresh(payment))
    sweep_until_quiet(later)

    assert_money_is_sumups(sumup)
    paid = [checkout for checkout in sumup.checkouts() if checkout.status == "PAID"]
    assert fresh(attempt.order).status == "confirmed"
    assert Booking.objects.count() == 2
    assert open_cases() == ["duplicate_capture"] * (len(paid) - 1)
    assert not Payment.objects.live().exists()


def test_cash_against_a_payment(later: Later, attempt: Payment, sumup: Simulator, staff: User) -> None:
    def take_cash() -> bool:
        with suppress(casework.CannotDo):
            casework.take_cash(attempt.order, Decimal("70.00"), by=staff)
            return True
        return False

    outcomes = run_at_once(lambda: pay(sumup, attempt), take_cash, take_cash, lambda: settling.settle(attempt))
    given = sum(results_of(outcomes)[1:3])
    sweep_until_quiet(later)

    paid = sumup.checkouts()[0].status == "PAID"
    assert given <= 1
    assert Movement.objects.count() == given + paid
    assert open_cases() == ["duplicate_capture"] * (given and paid)
    assert events_of(attempt.order).count("confirmed") == Message.objects.count() == 1
    assert fresh(attempt).status == ("captured" if paid else "closed")


# --- Money that goes back ---------------------------------------------------------------------------------------------


@pytest.fixture
def paid(attempt: Payment, sumup: Simulator) -> Payment:
    """A captured payment of £70.00."""
    sumup.pay(attempt.checkout_id or "")
    settling.settle(attempt)
    return fresh(attempt)


def transaction_of(payment: Payment) -> str:
    """SumUp's name for the money of a payment."""
    return payment.movements.get(kind=Movement.Kind.CAPTURE).transaction_id


def ask_for(payment: Payment, amount: int, by: User) -> Refund | None:
    """Ask for a refund; None if it cannot be asked for."""
    with suppress(refunds.CannotRefund):
        return refunds.request(payment, Wish(Decimal(amount), "Not as it should be.", by))
    return None


def approved(payment: Payment, amount: int, by: User) -> Refund:
    """A refund that only has to be sent."""
    refund = ask_for(payment, amount, by)
    assert refund is not None
    refunds.approve(refund, by=by)
    return refund


def posts(sumup: Simulator) -> int:
    """How often SumUp was asked for a refund."""
    return sum(seen.method == "POST" and seen.path.endswith("/refunds") for seen in sumup.requests)


def pay_too_late(sumup: Simulator, payment: Payment) -> None:
    """SumUp takes money on a checkout that it had called EXPIRED, and knocks."""
    with patch.object(sumup, "_payable", sumup._current):
        pay(sumup, payment)


def assert_money_is_sumups(sumup: Simulator) -> None:
    """Every capture and every refund at SumUp is one movement here (or a case of a stray), and there are no others."""
    asked = Case.objects.unresolved().filter(kind=Case.Kind.UNKNOWN_MONEY).values("subject_uuid")
    strays = Stray.objects.filter(uuid__in=asked).values_list("transaction_id", "amount")
    ours = [*Movement.objects.filter(kind__in=["capture", "refund"]).values_list("kind", "sumup_id", "amount")]
    ours += [("capture", *stray) for stray in strays]
    theirs = []
    for statement in sumup.newest_transactions(0, 1_000):
        if statement.transaction.moved_money:
            theirs.append(("capture", statement.transaction.id, statement.transaction.amount))
        theirs += [("refund", str(e.id), -e.amount) for e in statement.events if e.type is EventType.REFUND]
    assert sorted(ours) == sorted(theirs)


def sweep_refunds_until_quiet(later: Later) -> None:
    for _round in range(6):
        later(minutes=10)
        refunds.sweep()
        history.sweep()


def test_a_crowd_of_sweeps_sends_one_refund_once(later: Later, paid: Payment, sumup: Simulator, staff: User) -> None:
    refund = approved(paid, 40, staff)

    results_of(run_at_once(*[refunds.sweep] * 6, *[lambda: refunds.look_now(refund)] * 2))
    sweep_refunds_until_quiet(later)

    assert (posts(sumup), fresh(refund).status) == (1, "done")
    assert_money_is_sumups(sumup)


def test_approving_at_once_is_approving_once(later: Later, paid: Payment, sumup: Simulator, staff: User) -> None:
    refund = refunds.request(paid, Wish(Decimal(40), "Not as it should be.", staff))

    def approve_and_send() -> bool:
        told = refunds.approve(refund, by=staff)
        refunds.sweep()
        return told

    told = results_of(run_at_once(*[approve_and_send] * 4))
    sweep_refunds_until_quiet(later)

    assert sorted(told) == [False, False, False, True]
    assert (posts(sumup), fresh(refund).status) == (1, "done")
    assert_money_is_sumups(sumup)


def test_two_refunds_of_more_than_half_are_one(later: Later, paid: Payment, sumup: Simulator, staff: User) -> None:
    wish = Wish(Decimal(42), "Not as it should be.", staff)

    def ask_the_order() -> list[Refund]:
        with suppress(refunds.CannotRefund):
            return refunds.request_from_order(paid.order, wish)
        return []

    asked = results_of(run_at_once(*[lambda: ask_for(paid, 42, staff)] * 2, ask_the_order, ask_the_order))
    for refund in Refund.objects.all():
        refunds.approve(refund, by=staff)
    sweep_refunds_until_quiet(later)

    assert sum(map(bool, asked)) == posts(sumup) == Refund.objects.filter(status="done").count() == 1
    assert_money_is_sumups(sumup)


def test_two_refunds_of_one_payment_are_sent_one_after_the_other(
    later: Later, paid: Payment, sumup: Simulator, staff: User, turn: int
) -> None:
    both = [approved(paid, 20, staff), approved(paid, 20 + turn % 2, staff)]

    results_of(run_at_once(*[refunds.sweep] * 4))
    sweep_refunds_until_quiet(later)

    assert [fresh(refund).status for refund in both] == ["done", "done"]
    assert posts(sumup) == 2
    assert open_cases() == []
    assert_money_is_sumups(sumup)


def test_turning_a_refund_down_against_sending_it(later: Later, paid: Payment, sumup: Simulator, staff: User) -> None:
    refund = approved(paid, 40, staff)

    outcomes = run_at_once(lambda: refunds.turn_down(refund, by=staff, note="A mistake."), refunds.sweep, refunds.sweep)
    turned_down = results_of(outcomes)[0]
    sweep_refunds_until_quiet(later)

    assert fresh(refund).status == ("failed" if turned_down else "done")
    assert posts(sumup) == (not turned_down)
    assert_money_is_sumups(sumup)


def test_a_refund_in_the_dashboard_against_ours(
    later: Later, paid: Payment, sumup: Simulator, staff: User, turn: int
) -> None:
    transaction_id = transaction_of(paid)
    refund = approved(paid, 40, staff)
    amount = (40, 30, 50)[turn % 3]  # the same, both fit, or only one does

    def refund_by_hand() -> bool:
        with suppress(Refused):
            sumup.refund_in_dashboard(transaction_id, amount)
            return True
        return False

    by_hand = results_of(run_at_once(refund_by_hand, refunds.sweep, refunds.sweep, history.sweep))[0]
    sweep_refunds_until_quiet(later)

    refund = fresh(refund)
    assert refund.status in {"done", "failed"}
    assert posts(sumup) <= 1
    assert paid.movements.all().net() >= 0
    assert ("refund_failed" in open_cases()) == (refund.status == "failed")
    if amount != 40:
        assert ("external_refund" in open_cases()) == by_hand
    assert_money_is_sumups(sumup)


def test_calling_an_order_off_twice_at_once_gives_its_money_back_once(
    later: Later, paid: Payment, sumup: Simulator, full_house: Entry, staff: User
) -> None:
    def cancel() -> bool:
        with suppress(cancelling.CannotCancel):
            for refund in cancelling.cancel_order(paid.order, by=staff, reason="No bread today."):
                refunds.approve(refund, by=staff)
            return True
        return False

    cancelled = results_of(run_at_once(cancel, cancel, refunds.sweep, lambda: ask_for(paid, 50, staff)))[:2]
    sweep_refunds_until_quiet(later)

    assert sorted(cancelled) == [False, True]
    assert sum(refund.amount for refund in Refund.objects.all()) == 70
    assert taken(full_house) == 0
    assert_money_is_sumups(sumup)


def test_two_people_retry_a_failed_refund_once(later: Later, paid: Payment, sumup: Simulator, staff: User) -> None:
    sumup.behave(refund="422", times={"refund": 1})
    refund = approved(paid, 40, staff)
    refunds.sweep()

    def retry() -> bool:
        with suppress(refunds.CannotRefund):
            refunds.retry(refund, by=staff, note="Once more.")
            return True
        return False

    retried = results_of(run_at_once(retry, retry, retry, refunds.sweep))[:3]
    sweep_refunds_until_quiet(later)

    assert sorted(retried) == [False, False, True]
    assert (posts(sumup), Refund.objects.filter(status="done").count()) == (2, 1)
    assert_money_is_sumups(sumup)


# --- Money that nobody expected ---------------------------------------------------------------------------------------


@pytest.fixture
def late_case(later: Later, attempt: Payment, sumup: Simulator, full_house: Entry) -> Case:
    """Money came when the order had expired and its places were held by somebody else; they are free again now."""
    end_now(attempt.order)
    releasing.sweep()
    later(minutes=2)
    sweep()
    hold = held_by_another(full_house, 2)
    pay_too_late(sumup, attempt)
    settling.settle(attempt)
    capacity.give_back([hold.pk])
    return Case.objects.get(kind="late_payment")


def test_sending_late_money_back_against_reviving(
    later: Later, late_case: Case, attempt: Payment, sumup: Simulator, staff: User
) -> None:
    def send_back() -> None:
        late.send_back(late_case, by=None, note="The shopper wants it back.")

    def revive() -> bool:
        with suppress(casework.CannotDo):
            return bool(casework.revive(late_case, by=staff, note="There is room again."))
        return False

    revived = results_of(run_at_once(revive, send_back, send_back, lambda: settling.settle(attempt), revive))
    sweep_refunds_until_quiet(later)

    is_sold = revived[0] or revived[4]
    assert fresh(attempt.order).status == ("confirmed" if is_sold else "expired")
    assert Booking.objects.count() == 2 * is_sold
    assert list(Refund.objects.values_list("status", flat=True)) == ["done"] * (not is_sold)
    assert open_cases() == []
    assert_money_is_sumups(sumup)


def test_reading_history_against_settling(later: Later, attempt: Payment, sumup: Simulator) -> None:
    """The money has been there for so long that it would be a stray, if it were not this order's."""
    sumup.pay(attempt.checkout_id or "")
    later(minutes=15)

    results_of(
        run_at_once(history.sweep, sweep, lambda: pay(sumup, attempt), lambda: settling.settle(attempt), history.sweep)
    )
    later(minutes=5)
    history.sweep()

    assert_one_outcome(attempt, sumup, unpaid="expired")
    assert_money_is_sumups(sumup)


def test_an_attempt_whose_money_was_attached_by_staff_is_over(
    later: Later, attempt: Payment, sumup: Simulator, staff: User
) -> None:
    sumup.pay(attempt.checkout_id or "")
    later(minutes=15)
    with patch.object(sweeping, "look_now"):
        history.sweep()
    casework.attach(Case.objects.get(), attempt.order.number, by=staff, note="It is theirs.")

    settling.settle(attempt)

    assert not fresh(attempt).is_live


def test_settling_against_attaching(later: Later, attempt: Payment, sumup: Simulator, staff: User) -> None:
    """SumUp's history told of the money first; staff attach it while its own attempt hears of it."""
    sumup.pay(attempt.checkout_id or "")
    later(minutes=15)
    with patch.object(sweeping, "look_now"):
        history.sweep()
    case = Case.objects.get(kind="unknown_money")

    def attach() -> bool:
        with suppress(casework.CannotDo):
            return bool(casework.attach(case, attempt.order.number, by=staff, note="It is theirs."))
        return False

    results_of(run_at_once(attach, attach, lambda: settling.settle(attempt), lambda: pay(sumup, attempt)))
    sweep_until_quiet(later)

    assert_money_is_sumups(sumup)
    assert fresh(attempt.order).status == "confirmed"
    assert Booking.objects.count() == 2
    assert events_of(attempt.order).count("confirmed") == Message.objects.count() == 1
    assert not Payment.objects.live().exists()
    assert open_cases() == []


# --- The daily close --------------------------------------------------------------------------------------------------


@pytest.fixture
def yesterday(later: Later, paid: Payment, sumup: Simulator) -> Any:
    """A day with a payment, a refund in the dashboard, and money that nobody knows."""
    day = datetime.now(closing.ZoneInfo("Europe/London")).date()
    sumup.take_stray_payment(5)
    sumup.refund_in_dashboard(transaction_of(paid), 30)
    later(days=1)
    return day


def test_several_closes_of_one_day_are_one(yesterday: Any, sumup: Simulator) -> None:
    def close() -> DailyClose | None:
        with suppress(closing.BeingClosed):
            return closing.close_day(yesterday)
        return None

    results_of(run_at_once(close, close, close, history.sweep))

    closed = DailyClose.objects.get()
    assert (closed.status, closed.round, closed.rows_read) == ("closed", 1, 3)
    assert (closed.figures["explained"], closed.figures["unexplained"]) == (2, 0)
    assert closed.digest == closing.digest(yesterday)
    assert_money_is_sumups(sumup)


@pytest.mark.parametrize("slow", ["get_history", "get_payouts", "get_transaction"])
def test_a_close_that_was_overtaken_spoils_nothing(later: Later, yesterday: Any, sumup: Simulator, slow: str) -> None:
    """SumUp takes so long to answer that the lease lapses, and another process closes the day meanwhile."""
    real = getattr(closing.sumup, slow)

    def answer_late(*asked: Any) -> Any:
        with patch.object(closing.sumup, slow, real):
            answer = real(*asked)
            later(minutes=2)
            with suppress(closing.BeingClosed):
                closing.close_day(yesterday)
        return answer

    # The database refuses to change a closed day.
    with patch.object(closing.sumup, slow, answer_late), suppress(closing.BeingClosed, IntegrityError):
        closing.close_day(yesterday)

    closed = DailyClose.objects.get()
    assert (closed.status, closed.rows_read) == ("closed", 3)
    assert {kind: row["rows"] for kind, row in closed.figures["theirs"].items()} == {"capture": 2, "refund": 1}
    assert not closed.their_rows.exists()
    assert closed.digest == closing.digest(yesterday)
