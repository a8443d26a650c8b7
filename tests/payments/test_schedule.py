"""When a payment is looked at, and by whom: soon at first, then with patience, and by one process at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from cart.models import Product
from orders.models import Order
from payments import releasing, schedule, settling, starting, sweeping
from payments.models import Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.payments.records import Later, fresh, make_due
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def looks_at(simulator: Simulator, payment: Payment) -> int:
    """How often SumUp was asked about the payment's checkout."""
    return sum(call.method == "GET" and call.path.endswith(f"/{payment.checkout_id}") for call in simulator.requests)


def jump_to_next_look(later: Later, payment: Payment) -> timedelta:
    """Wait until the payment's next look is due; how long that was."""
    due = fresh(payment).next_look_at
    assert due is not None
    wait = due - datetime.now(UTC)
    later(seconds=wait.total_seconds())
    return wait


@pytest.fixture
def patient_order(place_order: Callable[..., Order], honey: Product, sumup: Simulator) -> Order:
    """An order whose time never ends, so that its payment can be watched for days."""
    order = place_order((honey, 1))
    Order.objects.filter(pk=order.pk).update(deadline=datetime.now(UTC) + 100 * DAY)
    return fresh(order)


# --- When -------------------------------------------------------------------------------------------------------------


def test_looks_grow_rarer_the_longer_nothing_changes(later: Later, patient_order: Order, wire: Wire) -> None:
    wire.change(lambda checkout: checkout | {"status": "PENDING"})
    payment = starting.start(patient_order)
    Payment.objects.filter(pk=payment.pk).update(valid_until=datetime.now(UTC) + 100 * DAY)

    waits = []
    for _look in range(40):
        waits.append(jump_to_next_look(later, payment))
        sweeping.sweep()

    minutes = [10 / 60, 0.5, 1, 2, 5, 10, 20, 30, *[60] * 23, *[24 * 60] * 9]
    for wait, least in zip(waits, minutes, strict=True):
        assert least * MINUTE <= wait <= 1.2 * least * MINUTE


def test_looks_are_spread_so_that_not_all_come_at_once(later: Later, payment: Payment) -> None:
    assert len({schedule.next_look(payment) for _draw in range(20)}) > 1


def test_a_change_begins_the_schedule_anew(later: Later, payment: Payment, sumup: Simulator) -> None:
    for _look in range(4):
        jump_to_next_look(later, payment)
        sweeping.sweep()
    sumup.decline(payment.checkout_id)
    jump_to_next_look(later, payment)

    sweeping.sweep()

    assert fresh(payment).status == "declined"
    assert jump_to_next_look(later, payment) <= timedelta(seconds=12)


def test_an_answer_that_brings_no_change_does_not_begin_the_schedule_anew(
    later: Later, payment: Payment, sumup: Simulator
) -> None:
    sumup.decline(payment.checkout_id)
    settling.settle(payment)
    jump_to_next_look(later, payment)
    sweeping.sweep()

    sumup.decline(payment.checkout_id)
    jump_to_next_look(later, payment)
    sweeping.sweep()

    assert fresh(payment).looks == 2


def test_a_captured_payment_is_looked_at_no_more(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    jump_to_next_look(later, payment)
    sweeping.sweep()

    later(days=2)
    sweeping.sweep()
    schedule.look_soon(payment.pk)
    sweeping.look_now(payment.pk)

    assert fresh(payment).next_look_at is None
    assert looks_at(sumup, payment) == 1


def test_an_expired_checkout_is_asked_again_a_minute_later(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.delete(payment.checkout_id)
    jump_to_next_look(later, payment)
    sweeping.sweep()

    assert jump_to_next_look(later, payment) == MINUTE
    sweeping.sweep()

    assert fresh(payment).status == "closed"


def test_silence_after_expired_was_said_once_is_borne_patiently(later: Later, payment: Payment, wire: Wire) -> None:
    wire.simulator.delete(payment.checkout_id)
    jump_to_next_look(later, payment)
    sweeping.sweep()
    wire.is_cut = True
    wire.calls.clear()

    for _sweep in range(120):
        later(seconds=5)
        sweeping.sweep()

    assert fresh(payment).expired_since is not None
    assert 3 <= len(wire.calls) <= 8


def test_a_closed_attempt_is_asked_about_after_5_minutes_an_hour_6_hours_and_a_day(
    later: Later, order: Order, payment: Payment, sumup: Simulator
) -> None:
    releasing.release(order, to="cancelled", by="shopper")
    later(minutes=1)
    releasing.step(order)
    closed_at = fresh(payment).changed_at
    asked = looks_at(sumup, payment)

    at = []
    for _look in range(4):
        jump_to_next_look(later, payment)
        sweeping.sweep()
        at.append(datetime.now(UTC) - closed_at)

    assert at == [5 * MINUTE, HOUR, 6 * HOUR, DAY]
    assert looks_at(sumup, payment) == asked + 4
    assert fresh(payment).next_look_at is None


# --- Who --------------------------------------------------------------------------------------------------------------


def test_nobody_looks_before_it_is_due(payment: Payment, sumup: Simulator) -> None:
    sweeping.sweep()

    assert looks_at(sumup, payment) == 0


def test_at_most_one_look_in_three_seconds(later: Later, payment: Payment, sumup: Simulator) -> None:
    for _knock in range(5):
        sweeping.look_now(payment.pk)
    later(seconds=2.9)
    sweeping.look_now(payment.pk)
    assert looks_at(sumup, payment) == 0  # starting was a look, too

    later(seconds=0.2)
    for _knock in range(5):
        sweeping.look_now(payment.pk)

    assert looks_at(sumup, payment) == 1


def test_a_flood_of_knocks_makes_the_sweep_look_once_in_three_seconds(
    later: Later, payment: Payment, sumup: Simulator
) -> None:
    for _tenth in range(60):
        later(seconds=0.1)
        schedule.look_soon(payment.pk)
        sweeping.sweep()

    assert looks_at(sumup, payment) == 2


@committed
def test_sixteen_knocks_at_once_are_one_look(later: Later, payment: Payment, sumup: Simulator) -> None:
    later(seconds=4)

    results_of(run_at_once(*[lambda: sweeping.look_now(payment.pk)] * 16))

    assert looks_at(sumup, payment) == 1


@committed
def test_a_knock_during_a_look_is_not_forgotten(later: Later, payment: Payment, wire: Wire) -> None:
    """The page is paid just after SumUp said PENDING, and the webhook comes before that answer is dealt with."""
    wire.after("GET", lambda: [wire.simulator.pay(payment.checkout_id), schedule.look_soon(payment.pk)])
    later(seconds=4)
    payment = make_due(payment)

    sweeping.sweep()
    later(seconds=4)
    sweeping.sweep()

    assert fresh(payment).status == "captured"


def test_a_leased_payment_is_left_alone(later: Later, payment: Payment, sumup: Simulator) -> None:
    later(minutes=1)
    assert schedule.take(payment.pk)
    later(seconds=24)
    schedule.look_soon(payment.pk)

    sweeping.sweep()
    sweeping.look_now(payment.pk)

    assert schedule.take_next() is None
    assert looks_at(sumup, payment) == 0


def test_a_lease_of_a_dead_process_lapses(later: Later, payment: Payment, sumup: Simulator) -> None:
    later(minutes=1)
    assert schedule.take(payment.pk)
    later(seconds=26)

    sweeping.sweep()

    assert looks_at(sumup, payment) == 1


def test_a_look_gives_its_lease_back(payment: Payment) -> None:
    sweeping.look(make_due(payment))

    assert fresh(payment).leased_until is None


def test_a_look_that_failed_gives_its_lease_back_and_comes_again(later: Later, payment: Payment, wire: Wire) -> None:
    later(seconds=4)
    payment = make_due(payment)
    wire.is_cut = True

    sweeping.sweep()

    failed = fresh(payment)
    assert failed.leased_until is None
    assert (failed.status, failed.looks, failed.answered_at) == ("open", 1, None)
    assert failed.next_look_at is not None
    assert failed.next_look_at > datetime.now(UTC)


@committed
def test_four_sweeps_at_once_look_at_each_payment_once(
    place_order: Callable[..., Order], honey: Product, sumup: Simulator
) -> None:
    payments = [make_due(starting.start(place_order((honey, 1)))) for _order in range(6)]

    results_of(run_at_once(*[sweeping.sweep] * 4))

    assert [looks_at(sumup, payment) for payment in payments] == [1] * 6


@committed
def test_a_sweep_passes_over_a_payment_that_somebody_has_locked(
    place_order: Callable[..., Order], honey: Product, sumup: Simulator
) -> None:
    locked, free = (make_due(starting.start(place_order((honey, 1)))) for _order in range(2))

    with transaction.atomic():
        Payment.objects.select_for_update().get(pk=locked.pk)
        results_of(run_at_once(sweeping.sweep))

    assert (looks_at(sumup, locked), looks_at(sumup, free)) == (0, 1)


@pytest.mark.parametrize("answer", [b"<html>", b'{"id": "x", "status": "PAID", "transactions": 7}'])
def test_a_payment_that_keeps_failing_delays_no_other(
    place_order: Callable[..., Order], honey: Product, wire: Wire, answer: bytes
) -> None:
    failing = make_due(starting.start(place_order((honey, 1))))
    others = [make_due(starting.start(place_order((honey, 1)))) for _order in range(3)]
    for other in others:
        wire.simulator.pay(other.checkout_id)
    wire.reply(200, answer)

    sweeping.sweep()

    assert fresh(failing).status == "open"
    assert {fresh(other).status for other in others} == {"captured"}


def test_a_payment_that_breaks_our_own_code_delays_no_other(
    place_order: Callable[..., Order], honey: Product, wire: Wire
) -> None:
    """A transaction's id is longer than we thought possible."""
    broken, good = (make_due(starting.start(place_order((honey, 1)))) for _order in range(2))
    for payment in (broken, good):
        wire.simulator.pay(payment.checkout_id)
    wire.change(lambda checkout: _break_id(checkout) if checkout["id"] == broken.checkout_id else checkout)

    sweeping.sweep()

    assert (fresh(broken).status, fresh(good).status) == ("open", "captured")
    assert fresh(broken).leased_until is None


def _break_id(checkout: dict[str, object]) -> dict[str, object]:
    transactions = checkout["transactions"]
    assert isinstance(transactions, list)
    for tried in transactions:
        tried["id"] = "t" * 65
    return checkout


def test_a_payment_that_cannot_be_put_back_is_not_looked_at_without_end(payment: Payment, sumup: Simulator) -> None:
    """A clock that runs ahead elsewhere must not make a sweep ask SumUp two hundred times."""
    Payment.objects.filter(pk=payment.pk).update(changed_at=datetime.now(UTC) + HOUR)
    make_due(payment)

    sweeping.sweep()

    assert looks_at(sumup, payment) == 1


def test_a_sweep_stops_after_so_many(place_order: Callable[..., Order], honey: Product, sumup: Simulator) -> None:
    payments = [make_due(starting.start(place_order((honey, 1)))) for _order in range(3)]

    sweeping.sweep(most=2)

    assert sum(looks_at(sumup, payment) for payment in payments) == 2


# --- Rule 11 ----------------------------------------------------------------------------------------------------------


@committed
def test_no_call_to_sumup_is_made_inside_a_transaction(
    later: Later, place_order: Callable[..., Order], honey: Product, wire: Wire
) -> None:
    """From start to settling, and from start to release, PostgreSQL never sees one of us idle in a transaction."""
    idle: list[str] = []

    def spy() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
            )
            idle.extend(query for (query,) in cursor.fetchall())

    wire.on_every_call = spy

    wire.simulator.behave(create="response_lost", times={"create": 1})
    paid = starting.start(place_order((honey, 1)))
    wire.simulator.pay(paid.checkout_id)
    sweeping.sweep()
    later(seconds=15)
    sweeping.sweep()
    unpaid = starting.start(place_order((honey, 1)))
    releasing.release(unpaid.order, to="cancelled", by="shopper")
    later(minutes=1)
    releasing.sweep()

    assert (fresh(paid).status, fresh(unpaid).status) == ("captured", "closed")
    assert len(wire.calls) >= 8
    assert idle == []


def test_a_sweep_does_not_wait_for_a_silent_sumup_again_and_again(
    later: Later, place_order: Callable[..., Order], honey: Product, sumup: Simulator, wire: Wire
) -> None:
    """Three questions without an answer are enough; the next sweep begins with those that were not asked about."""
    payments = [starting.start(place_order((honey, 1))) for _ in range(5)]
    later(minutes=1)
    wire.is_cut, wire.calls = True, []

    sweeping.sweep()
    after_one = len(wire.calls)
    sweeping.sweep()

    assert (after_one, len(wire.calls)) == (3, 5)
    assert {fresh(payment).looks for payment in payments} == {1}
