"""Everything at once: whoever wins, there is one outcome, and the books balance.

Each race is run several times, and what SumUp says is driven to its end afterwards.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from bookings import capacity
from bookings.models import Booking, Entry
from cartsite.models import Message
from orders.models import Order
from payments import releasing, settling, starting, sweeping
from payments.models import Movement, Payment
from payments.simulator import Simulator
from payments.simulator.world import Refused
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory
from tests.invariants import assert_books_balance
from tests.payments.records import Later, events_of, fresh, make_due, open_cases, sweep, sweep_until_quiet, taken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books_balance")]

several_times = pytest.mark.parametrize("turn", range(3))
PlaceOrder = Callable[..., Order]


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
            capacity.claim(entry.pool_id, 2, until=None)
            return True
    return False


def assert_one_outcome(payment: Payment, sumup: Simulator, unpaid: str) -> None:
    """Paid at SumUp is confirmed here, and nothing else is; what is not sold is free."""
    order, paid = fresh(payment.order), sumup.checkouts()[0].status == "PAID"
    assert order.status == ("confirmed" if paid else unpaid)
    assert Movement.objects.count() == Message.objects.count() == int(paid)
    assert Booking.objects.count() == 2 * paid
    assert events_of(order).count("confirmed") == int(paid)
    assert fresh(payment).status == ("captured" if paid else "closed")
    assert open_cases() == []
    assert_books_balance()


@several_times
def test_payment_against_expiry(later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int) -> None:
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


@several_times
def test_payment_against_cancelling(
    later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int
) -> None:
    def cancel() -> None:
        with suppress(releasing.CannotRelease):
            releasing.release(attempt.order, to="cancelled", by="shopper")

    results_of(run_at_once(lambda: pay(sumup, attempt), cancel, cancel, sweep))
    assert taken(full_house) == 2
    sweep_until_quiet(later)

    assert_one_outcome(attempt, sumup, unpaid="cancelled")


@several_times
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


@several_times
def test_a_second_attempt_against_a_release(
    later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int
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


@several_times
def test_withdrawing_against_a_release(
    later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int
) -> None:
    releasing.begin(attempt.order, to="cancelled", by="shopper")

    withdrawn = results_of(
        run_at_once(lambda: releasing.withdraw(attempt.order), releasing.sweep, lambda: releasing.step(attempt.order))
    )[0]
    assert taken(full_house) == 2
    assert fresh(attempt.order).is_closing == (not withdrawn)
    sweep_until_quiet(later)

    assert fresh(attempt.order).status == ("expired" if withdrawn else "cancelled")
    assert taken(full_house) == 0


@several_times
def test_everybody_at_once(later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int) -> None:
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


@several_times
def test_a_capture_and_a_second_attempt_at_once(
    later: Later, attempt: Payment, sumup: Simulator, full_house: Entry, turn: int
) -> None:
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


@several_times
def test_many_orders_in_one_storm(
    later: Later, place_order: PlaceOrder, sumup: Simulator, workshop: Entry, turn: int
) -> None:
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
