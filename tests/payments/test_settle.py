"""What SumUp says becomes what our records say."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bookings import waiting
from bookings.models import Booking, Entry, Waiter
from cart.models import Product
from cartsite.models import Case, Message, User
from orders import services as orders
from orders.models import Order
from payments import releasing, settling, starting, sumup, sweeping
from payments.models import Movement, Payment
from payments.simulator import Simulator
from tests.bookings.lines import join, statuses
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, held_by_another
from tests.payments.records import Later, events_of, fresh, open_cases, sweep_until_quiet, taken, tallies
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

PAID_ONCE = {"movements": 1, "bookings": 2, "messages": 1}
NOTHING = {"movements": 0, "bookings": 0, "messages": 0}


def state_of(payment: Payment) -> tuple[str, str, list[str], dict[str, int]]:
    """Everything that settling may move."""
    order = fresh(payment.order)
    return fresh(payment).status, order.status, events_of(order), tallies()


def expire(order: Order, later: Later) -> None:
    """Let the order's time run out, with all that SumUp must say before it is let go."""
    sweep_until_quiet(later)
    assert fresh(order).status == "expired"


def turn_paid(wire: Wire, **changes: Any) -> None:
    """From now on SumUp says that checkouts were paid, whatever it said before: late money, told as `changes` say."""

    def change(checkout: dict[str, Any]) -> dict[str, Any]:
        transaction = {
            "id": f"t-{checkout['id']}",
            "transaction_code": "TAAA",
            "amount": checkout["amount"],
            "currency": checkout["currency"],
            "timestamp": "2026-01-02T03:04:05.678Z",
            "status": "SUCCESSFUL",
        }
        return checkout | {"status": "PAID", "transactions": [transaction | changes]}

    wire.change(change)


# --- Paid -------------------------------------------------------------------------------------------------------------


def test_a_paid_checkout_confirms_its_order(payment: Payment, sumup: Simulator, workshop: Entry) -> None:
    sumup.pay(payment.checkout_id)

    settling.settle(payment)

    order = Order.objects.get(pk=payment.order_id)
    assert order.status == "confirmed"
    assert Movement.objects.get().amount == order.total
    assert Booking.objects.count() == 2
    assert Message.objects.get().kind == "confirmation"
    assert taken(workshop) == 2


def test_a_capture_is_written_down_as_sumup_tells_it(payment: Payment, sumup: Simulator) -> None:
    paid = sumup.pay(payment.checkout_id).successful
    assert paid is not None

    settling.settle(payment)

    movement = Movement.objects.get()
    assert (movement.kind, movement.sumup_id, movement.merchant_code) == ("capture", paid.id, "MROSEASH")
    assert (movement.amount, movement.currency) == (Decimal("76.50"), "GBP")
    assert (movement.order, movement.payment) == (payment.order, payment)
    assert abs(movement.happened_at - paid.started_at).total_seconds() < 0.001
    assert fresh(payment).transaction_code == paid.code


def test_settling_twice_is_settling_once(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    once = state_of(payment)

    settling.settle(payment)
    settling.settle(fresh(payment))

    assert state_of(payment) == once
    assert tallies() == PAID_ONCE


@committed
def test_settling_sixteen_times_at_once_is_settling_once(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)

    results_of(run_at_once(*[lambda: settling.settle(fresh(payment))] * 16))

    assert tallies() == PAID_ONCE
    assert events_of(payment.order) == ["placed", "attempt_open", "captured", "confirmed"]
    assert open_cases() == []


def test_a_pending_checkout_moves_nothing(payment: Payment, sumup: Simulator) -> None:
    before = state_of(payment)

    settling.settle(payment)

    assert state_of(payment) == before


def test_a_payment_under_way_is_waited_for(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.behave(challenge_seconds=80_000)
    sumup.challenge(payment.checkout_id)
    later(minutes=39)

    settling.settle(payment)
    later(minutes=2)
    settling.settle(payment)

    assert fresh(payment).status == "open"
    assert fresh(payment.order).status == "awaiting_payment"


def test_money_may_take_its_time_after_the_shopper_is_back(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.behave(settles_after=60)
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    assert state_of(payment)[:2] == ("open", "awaiting_payment")

    later(minutes=1)
    settling.settle(payment)

    assert state_of(payment)[:2] == ("captured", "confirmed")


# --- Failed is not final ----------------------------------------------------------------------------------------------


def test_a_declined_checkout_keeps_its_order_waiting(payment: Payment, sumup: Simulator, workshop: Entry) -> None:
    sumup.decline(payment.checkout_id)

    settling.settle(payment)
    settling.settle(payment)

    assert state_of(payment) == ("declined", "awaiting_payment", ["placed", "attempt_open", "declined"], NOTHING)
    assert taken(workshop) == 2
    assert open_cases() == []


def test_a_checkout_paid_after_it_was_declined_confirms_its_order(payment: Payment, sumup: Simulator) -> None:
    sumup.decline(payment.checkout_id)
    settling.settle(payment)
    sumup.decline(payment.checkout_id)
    paid = sumup.pay(payment.checkout_id)

    settling.settle(payment)

    assert [tried.status for tried in paid.transactions] == ["FAILED", "FAILED", "SUCCESSFUL"]
    assert state_of(payment)[:2] == ("captured", "confirmed")
    assert Movement.objects.get().sumup_id == paid.transactions[-1].id


def test_an_order_confirmed_after_a_decline_has_no_case_left(payment: Payment, sumup: Simulator) -> None:
    settling.open_stuck(payment, "Nobody knows.")
    sumup.pay(payment.checkout_id)

    settling.settle(payment)

    assert open_cases() == []


# --- Another amount ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["76.49", "20", "0.01"])
def test_less_money_than_asked_for_is_recorded_but_confirms_nothing(
    payment: Payment, wire: Wire, amount: str, workshop: Entry
) -> None:
    turn_paid(wire, amount=float(amount))

    settling.settle(payment)

    assert Movement.objects.get().amount == Decimal(amount)
    assert state_of(payment)[:2] == ("captured", "awaiting_payment")
    case = Case.objects.get()
    assert (case.kind, case.at_stake) == ("amount_mismatch", Decimal(amount))
    assert taken(workshop) == 2


def test_more_money_than_asked_for_is_recorded_and_confirms(payment: Payment, wire: Wire) -> None:
    turn_paid(wire, amount=80.05)

    settling.settle(payment)

    assert Movement.objects.get().amount == Decimal("80.05")
    assert state_of(payment)[:2] == ("captured", "confirmed")
    assert open_cases() == ["amount_mismatch"]


def test_an_order_paid_in_two_parts_is_confirmed_by_the_second(order: Order, payment: Payment, wire: Wire) -> None:
    turn_paid(wire, amount=6.5)
    settling.settle(payment)
    wire._changes.clear()
    second = starting.start(order)
    wire.simulator.pay(second.checkout_id)

    settling.settle(second)

    assert fresh(order).status == "confirmed"
    assert order.movements.all().net() == order.total
    assert second.amount == Decimal("70.00")


def test_a_part_paid_order_is_not_let_go(later: Later, order: Order, payment: Payment, wire: Wire) -> None:
    turn_paid(wire, amount=6.5)
    settling.settle(payment)

    with pytest.raises(releasing.CannotRelease):
        releasing.release(order, to="cancelled", by="shopper")
    sweep_until_quiet(later)

    assert fresh(order).status == "awaiting_payment"


@pytest.mark.parametrize("amount", [19.99, 0.1 + 0.2, 1, "19.99", 1e1])
def test_money_is_read_to_the_penny_however_it_is_written(payment: Payment, wire: Wire, amount: Any) -> None:
    turn_paid(wire, amount=amount)

    settling.settle(payment)

    assert Movement.objects.get().amount == round(Decimal(str(amount)), 2)


# --- Somebody else's money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"checkout_reference": "somebody-elses"},
        {"checkout_reference": None},
        {"merchant_code": "MOTHER"},
        {"currency": "EUR"},
        {"id": "another-checkout"},
    ],
    ids=["reference", "no reference", "merchant", "currency", "id"],
)
def test_money_that_is_not_this_orders_is_a_case_and_no_movement(
    payment: Payment, wire: Wire, workshop: Entry, change: dict[str, Any]
) -> None:
    turn_paid(wire)
    wire.change(lambda checkout: checkout | change)

    settling.settle(payment)
    settling.settle(payment)

    assert state_of(payment) == ("open", "awaiting_payment", ["placed", "attempt_open"], NOTHING)
    case = Case.objects.get()
    assert (case.kind, case.at_stake) == ("unknown_money", Decimal("76.50"))
    assert taken(workshop) == 2


def test_a_transaction_in_another_currency_is_not_this_orders(payment: Payment, wire: Wire) -> None:
    turn_paid(wire, currency="EUR")

    settling.settle(payment)

    assert state_of(payment)[3] == NOTHING
    assert open_cases() == ["unknown_money"]


def test_paid_without_a_transaction_is_waited_for_and_holds_everything(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    wire.change(lambda checkout: checkout | {"status": "PAID", "transactions": []})

    settling.settle(payment)
    assert open_cases() == []
    sweep_until_quiet(later)

    assert state_of(payment)[:2] == ("open", "awaiting_payment")
    assert taken(workshop) == 2
    assert open_cases() == ["attempt_stuck"]


@pytest.mark.parametrize(
    "transactions", [None, {}, [None], [{"status": "SUCCESSFUL"}], [{"status": "SUCCESSFUL", "id": "t-1"}]]
)
def test_a_transaction_that_cannot_be_read_is_not_yet_a_fact(payment: Payment, wire: Wire, transactions: Any) -> None:
    wire.change(lambda checkout: checkout | {"status": "PAID", "transactions": transactions})

    settling.settle(payment)

    assert state_of(payment) == ("open", "awaiting_payment", ["placed", "attempt_open"], NOTHING)


# --- Late money -------------------------------------------------------------------------------------------------------


def test_a_capture_on_a_closed_attempt_is_recorded_and_confirms(
    later: Later, order: Order, payment: Payment, wire: Wire
) -> None:
    later(minutes=28)
    with pytest.raises(starting.CannotPay):
        starting.start(order)
    later(minutes=1)
    settling.settle(payment)
    assert fresh(payment).status == "closed"
    turn_paid(wire)

    settling.settle(fresh(payment))

    assert state_of(payment)[:2] == ("captured", "confirmed")
    assert tallies() == PAID_ONCE


def test_late_money_revives_an_expired_order_while_there_is_room(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    expire(order, later)
    assert taken(workshop) == 0
    turn_paid(wire)

    settling.settle(fresh(payment))

    assert state_of(payment)[:2] == ("captured", "confirmed")
    assert tallies() == PAID_ONCE
    assert taken(workshop) == 2
    assert open_cases() == []


def test_late_money_without_room_is_a_case_and_the_order_stays_expired(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    expire(order, later)
    held_by_another(workshop, 9)
    turn_paid(wire)

    settling.settle(fresh(payment))

    assert state_of(payment)[:2] == ("captured", "expired")
    assert tallies() == {"movements": 1, "bookings": 0, "messages": 1}
    told = Message.objects.order_by("pk").values_list("kind", "occurrence")
    assert list(told) == [("expired", ""), ("late_payment", str(payment.uuid))]
    assert taken(workshop) == 9
    case = Case.objects.get()
    assert (case.kind, case.at_stake) == ("late_payment", order.total)


@pytest.fixture
def ada(later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry) -> Waiter:
    """Somebody who waits for the places of an order that was paid after it had expired."""
    held_by_another(workshop, 8)
    waiter = join(workshop, "ada")
    expire(order, later)
    turn_paid(wire)
    return waiter


def test_late_money_comes_before_those_who_wait(ada: Waiter, payment: Payment) -> None:
    settling.settle(fresh(payment))

    assert state_of(payment)[:2] == ("captured", "confirmed")
    assert (statuses(ada), open_cases()) == (["waiting"], [])


def test_late_money_takes_no_offer_away(ada: Waiter, payment: Payment, workshop: Entry) -> None:
    waiting.offer_freed(workshop.pool_id)

    settling.settle(fresh(payment))

    assert state_of(payment)[:2] == ("captured", "expired")
    assert (statuses(ada), open_cases()) == (["offered"], ["late_payment"])


def test_late_money_claims_all_or_nothing(
    later: Later, place_order: Callable[..., Order], workshop: Entry, wire: Wire
) -> None:
    small = EntryFactory(places=1)
    order = place_order((workshop, 2), (small, 1))
    payment = starting.start(order)
    expire(order, later)
    held_by_another(small, 1)
    turn_paid(wire)

    settling.settle(fresh(payment))

    assert fresh(order).status == "expired"
    assert (taken(workshop), taken(small)) == (0, 1)


def test_late_money_for_an_entry_that_has_begun_is_a_case(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    expire(order, later)
    later(days=7)
    turn_paid(wire)

    settling.settle(fresh(payment))

    assert fresh(order).status == "expired"
    assert open_cases() == ["late_payment"]


@committed
def test_late_money_told_sixteen_times_at_once_has_one_outcome(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    expire(order, later)
    turn_paid(wire)

    results_of(run_at_once(*[lambda: settling.settle(fresh(payment))] * 16))

    assert state_of(payment)[:2] == ("captured", "confirmed")
    assert tallies() == PAID_ONCE
    assert taken(workshop) == 2


@committed
def test_two_expired_orders_paid_late_at_once_share_what_room_there_is(
    later: Later, place_order: Callable[..., Order], workshop: Entry, wire: Wire
) -> None:
    payments = [starting.start(place_order((workshop, 2))) for _order in range(2)]
    sweep_until_quiet(later)
    held_by_another(workshop, 7)
    turn_paid(wire)

    results_of(run_at_once(*[lambda p=payment: settling.settle(fresh(p)) for payment in payments]))

    assert sorted(fresh(payment.order).status for payment in payments) == ["confirmed", "expired"]
    assert Movement.objects.count() == 2
    assert open_cases() == ["late_payment"]
    assert taken(workshop) == 9


def test_a_cancelled_order_is_never_revived_by_a_machine(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    releasing.release(order, to="cancelled", by="shopper")
    sweep_until_quiet(later)
    assert fresh(order).status == "cancelled"
    turn_paid(wire)

    settling.settle(fresh(payment))
    settling.settle(fresh(payment))

    assert state_of(payment)[:2] == ("captured", "cancelled")
    assert taken(workshop) == 0
    assert open_cases() == ["late_payment"]


def test_staff_may_revive_a_cancelled_order_that_was_paid(
    *, later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry, staff: User
) -> None:
    releasing.release(order, to="cancelled", by="shopper")
    sweep_until_quiet(later)
    turn_paid(wire)
    settling.settle(fresh(payment))

    assert orders.revive(fresh(order), cause="a person decided", by=staff)

    assert fresh(order).status == "confirmed"
    assert taken(workshop) == 2


def test_too_little_late_money_revives_nothing(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    expire(order, later)
    turn_paid(wire, amount=70)

    settling.settle(fresh(payment))

    assert fresh(order).status == "expired"
    assert open_cases() == ["amount_mismatch", "late_payment"]
    assert taken(workshop) == 0


# --- Paid twice -------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_attempts(later: Later, order: Order, wire: Wire) -> list[Payment]:
    """A closed attempt and an open one of the same order."""
    first = starting.start(order)
    later(minutes=28)
    with pytest.raises(starting.CannotPay):
        starting.start(order)
    later(minutes=1)
    return [first, starting.start(order)]


def test_two_attempts_that_were_both_paid_are_both_recorded(
    order: Order, two_attempts: list[Payment], wire: Wire, workshop: Entry
) -> None:
    turn_paid(wire)

    for payment in two_attempts:
        settling.settle(fresh(payment))

    assert [fresh(payment).status for payment in two_attempts] == ["captured", "captured"]
    assert fresh(order).status == "confirmed"
    assert tallies() == {"movements": 2, "bookings": 2, "messages": 1}
    case = Case.objects.unresolved().get()
    assert (case.kind, case.subject_uuid) == ("duplicate_capture", two_attempts[1].uuid)
    assert taken(workshop) == 2


@committed
def test_two_attempts_paid_at_once_confirm_once(order: Order, two_attempts: list[Payment], wire: Wire) -> None:
    turn_paid(wire)

    results_of(run_at_once(*[lambda p=payment: settling.settle(fresh(p)) for payment in two_attempts * 4]))

    assert tallies() == {"movements": 2, "bookings": 2, "messages": 1}
    assert events_of(order).count("confirmed") == 1
    assert open_cases() == ["duplicate_capture"]


def test_a_checkout_that_took_the_money_twice_is_recorded_twice(payment: Payment, wire: Wire) -> None:
    turn_paid(wire)
    wire.change(lambda paid: paid | {"transactions": [*paid["transactions"], paid["transactions"][0] | {"id": "t-2"}]})

    settling.settle(payment)
    settling.settle(payment)

    assert tallies() == {"movements": 2, "bookings": 2, "messages": 1}
    assert open_cases() == ["duplicate_capture"]


# --- Captured is final ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["PENDING", "FAILED", "EXPIRED", "PAID"])
def test_captured_is_overwritten_by_no_later_word(later: Later, payment: Payment, wire: Wire, status: str) -> None:
    wire.simulator.pay(payment.checkout_id)
    settling.settle(payment)
    before = state_of(payment)
    wire.change(lambda checkout: checkout | {"status": status, "transactions": []})

    for _word in range(3):
        later(minutes=30)
        settling.settle(fresh(payment))

    assert state_of(payment) == before
    assert open_cases() == []


def test_captured_is_not_missing_when_sumup_forgets_it(payment: Payment, wire: Wire) -> None:
    wire.simulator.pay(payment.checkout_id)
    settling.settle(payment)
    before = state_of(payment)
    wire.reply(404, b'{"error_code": "NOT_FOUND", "message": "Resource not found"}')

    settling.settle(fresh(payment))

    assert state_of(payment) == before
    assert open_cases() == []


@committed
def test_a_stale_answer_that_comes_last_undoes_nothing(later: Later, payment: Payment, wire: Wire) -> None:
    """SumUp says EXPIRED to one process; before that is dealt with, another hears PAID and settles."""
    overtaken: list[Any] = []

    def overtake() -> None:
        wire.simulator.pay(payment.checkout_id)
        overtaken.append(settling.settle(fresh(payment)))

    Payment.objects.filter(pk=payment.pk).update(expired_since=datetime(2026, 1, 1, tzinfo=UTC))
    wire.after("GET", overtake)

    settling.settle(fresh(payment))

    assert overtaken[0].status == "PAID"
    assert state_of(payment)[:2] == ("captured", "confirmed")


# --- Not paid ---------------------------------------------------------------------------------------------------------


def test_expired_said_once_closes_nothing(payment: Payment, sumup: Simulator) -> None:
    sumup.delete(payment.checkout_id)

    settling.settle(payment)
    settling.settle(payment)

    assert fresh(payment).status == "open"
    assert fresh(payment).expired_since is not None


def test_expired_said_twice_less_than_a_minute_apart_closes_nothing(
    later: Later, payment: Payment, sumup: Simulator
) -> None:
    sumup.delete(payment.checkout_id)
    settling.settle(payment)
    later(seconds=59)

    settling.settle(payment)

    assert fresh(payment).status == "open"


def test_expired_said_twice_a_minute_apart_closes_the_attempt(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.delete(payment.checkout_id)
    settling.settle(payment)
    later(minutes=1)

    settling.settle(payment)

    assert state_of(payment)[:2] == ("closed", "awaiting_payment")
    assert events_of(payment.order)[-1] == "attempt_closed"


def test_expired_must_be_said_twice_in_a_row(later: Later, payment: Payment, wire: Wire) -> None:
    words = iter(["EXPIRED", "PENDING", "EXPIRED", "EXPIRED"])
    wire.change(lambda checkout: checkout | {"status": next(words)})

    seen = []
    for _word in range(4):
        settling.settle(payment)
        seen.append(fresh(payment).status)
        later(minutes=1)

    assert seen == ["open", "open", "open", "closed"]


def test_expired_with_a_payment_under_way_is_waited_for(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.behave(delete="payment_in_flight_wins", challenge_seconds=600)
    sumup.challenge(payment.checkout_id)
    sumup.delete(payment.checkout_id, in_flight_wins=True)
    for _look in range(3):
        settling.settle(payment)
        later(minutes=2)
    assert fresh(payment).status == "open"

    later(minutes=5)
    settling.settle(payment)

    assert state_of(payment)[:2] == ("captured", "confirmed")


@pytest.mark.parametrize("status", ["PENDING", "FAILED"])
def test_an_attempt_is_closed_ten_minutes_after_its_end(
    later: Later, payment: Payment, wire: Wire, status: str
) -> None:
    """Expiry may be silent: SumUp may go on saying PENDING."""
    wire.change(lambda checkout: checkout | {"status": status})
    settling.settle(payment)
    later(minutes=39, seconds=59)
    settling.settle(payment)
    kept = fresh(payment).status
    later(seconds=2)

    settling.settle(payment)

    assert kept in Payment.AT_SUMUP
    assert state_of(payment)[:2] == ("closed", "awaiting_payment")


# --- Missing, silent --------------------------------------------------------------------------------------------------


def test_a_checkout_sumup_does_not_know_any_more_is_a_case_and_frees_nothing(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    sumup.reset()

    settling.settle(payment)
    settling.settle(payment)
    case = Case.objects.get()
    sweep_until_quiet(later)

    assert (case.kind, case.subject_uuid, case.at_stake) == ("missing_at_sumup", payment.uuid, payment.amount)
    assert open_cases() == ["missing_at_sumup"]
    assert state_of(payment)[:2] == ("open", "awaiting_payment")
    assert taken(workshop) == 2
    with pytest.raises(releasing.CannotRelease):
        releasing.release(order, to="cancelled", by="shopper")


def test_a_missing_checkout_that_turns_up_again_resolves_its_case(payment: Payment, wire: Wire) -> None:
    wire.reply(404, b"{}")
    settling.settle(payment)
    assert open_cases() == ["missing_at_sumup"]

    settling.settle(payment)

    assert open_cases() == []
    assert Case.objects.get().note


def test_a_closed_attempt_sumup_has_forgotten_is_nobodys_worry(
    later: Later, order: Order, payment: Payment, sumup: Simulator
) -> None:
    releasing.release(order, to="cancelled", by="shopper")
    sweep_until_quiet(later)
    sumup.reset()

    settling.settle(fresh(payment))

    assert open_cases() == []


@pytest.mark.parametrize("status", [409, 429, 500, 503, 401, 403])
def test_without_an_answer_nothing_is_recorded(payment: Payment, wire: Wire, status: int) -> None:
    before = state_of(payment)
    wire.reply(status, b"{}")

    with pytest.raises(sumup.SumUpError):
        settling.settle(payment)

    assert state_of(payment) == before
    assert open_cases() == []


def test_an_hour_without_an_answer_is_a_case_that_an_answer_resolves(
    later: Later, payment: Payment, wire: Wire
) -> None:
    wire.is_cut = True
    seen = []
    for _look in range(8):
        later(minutes=10)
        sweeping.sweep()
        seen.append(open_cases())
    wire.is_cut = False
    wire.change(lambda checkout: checkout | {"status": "PENDING"})
    Payment.objects.update(valid_until=later(minutes=40))

    sweeping.sweep()

    assert seen[:6] == [[]] * 6
    assert seen[-1] == ["attempt_stuck"]
    assert open_cases() == []


def test_other_orders_are_not_moved(
    place_order: Callable[..., Order], honey: Product, payment: Payment, sumup: Simulator
) -> None:
    bystander = starting.start(place_order((honey, 1)))
    sumup.pay(payment.checkout_id)

    settling.settle(payment)

    assert (fresh(bystander).status, fresh(bystander.order).status) == ("open", "awaiting_payment")
