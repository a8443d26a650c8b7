"""Letting an unpaid order go: its capacity is freed only when none of its payments can be paid any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bookings import capacity
from bookings.models import Entry
from cart import services as carts
from cart.models import Cart, CartItem, Product
from cartsite.models import Case, User
from orders.models import Order
from orders.placing import place
from payments import releasing, sending, settling, starting, sweeping
from payments.models import Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import agreed_for
from tests.payments.records import Later, events_of, fresh, make_due, open_cases, sweep, sweep_until_quiet, taken
from tests.payments.wire import Wire, die_in_call

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

FillCart = Callable[..., tuple[Cart, str]]


def let_go(order: Order, *, cart: Cart | None = None) -> bool:
    """The shopper changes their mind."""
    return releasing.release(order, to="cancelled", by="shopper", cart=cart)


def contents(cart: Cart) -> dict[str, tuple[int, int]]:
    """What the cart has of each thing, and how much of it is held."""
    items = CartItem.objects.loaded().filter(cart=cart)
    return {item.thing.title: (item.quantity, item.hold.quantity if item.hold else 0) for item in items}


# --- In time ----------------------------------------------------------------------------------------------------------


def test_an_order_expires_after_its_deadline_and_not_before(
    later: Later, order: Order, sumup: Simulator, workshop: Entry
) -> None:
    later(seconds=(order.deadline - datetime.now(UTC)).total_seconds() - 1)
    releasing.sweep()
    before = fresh(order).status, taken(workshop)
    later(seconds=1)

    releasing.sweep()

    assert before == ("awaiting_payment", 2)
    assert (fresh(order).status, taken(workshop)) == ("expired", 0)
    assert events_of(order) == ["placed", "closing", "expired"]


def test_a_step_that_comes_too_early_ends_nothing(order: Order, sumup: Simulator) -> None:
    Order.objects.filter(pk=order.pk).update(next_step_at=order.placed_at)

    releasing.sweep()

    assert events_of(order) == ["placed"]


def test_an_order_with_an_attempt_expires_when_sumup_has_said_so_twice(
    later: Later, order: Order, sumup: Simulator, workshop: Entry
) -> None:
    later(minutes=30)
    payment = starting.start(order)
    later(minutes=15)
    releasing.sweep()
    closing = fresh(order)
    assert (closing.status, closing.is_closing, taken(workshop)) == ("awaiting_payment", True, 2)

    later(minutes=1)
    releasing.sweep()

    assert (fresh(order).status, fresh(payment).status, taken(workshop)) == ("expired", "closed", 0)


def test_an_order_paid_before_its_deadline_does_not_expire(
    later: Later, order: Order, payment: Payment, sumup: Simulator
) -> None:
    sumup.pay(payment.checkout_id)
    later(minutes=45)

    releasing.sweep()

    assert fresh(order).status == "confirmed"


def test_an_order_with_an_answer_outstanding_expires_nevertheless(
    later: Later, order: Order, wire: Wire, workshop: Entry
) -> None:
    """Nobody was ever shown its page, so nobody can have paid."""
    wire.is_cut = True
    payment = starting.start(order)
    later(minutes=45)

    releasing.sweep()

    assert fresh(payment).status == "closed"
    assert (fresh(order).status, taken(workshop)) == ("expired", 0)


def test_an_order_that_breaks_our_own_code_delays_no_other(
    later: Later, place_order: Callable[..., Order], workshop: Entry, wire: Wire
) -> None:
    """A transaction's id is longer than we thought possible."""
    broken, good = (starting.start(place_order((workshop, 2))) for _order in range(2))

    def break_it(checkout: dict[str, Any]) -> dict[str, Any]:
        if checkout["id"] == broken.checkout_id:
            tried = {"id": "t" * 65, "amount": 1, "currency": "GBP", "status": "SUCCESSFUL"}
            return checkout | {"status": "PAID", "transactions": [tried]}
        return checkout

    wire.change(break_it)
    later(minutes=45)
    releasing.sweep()
    later(minutes=1)
    releasing.sweep()

    assert (fresh(broken.order).status, fresh(good.order).status) == ("awaiting_payment", "expired")


# --- Step by step -----------------------------------------------------------------------------------------------------


def test_capacity_stays_held_until_the_last_step(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    held = []
    releasing.begin(order, to="cancelled", by="shopper")
    held.append(taken(workshop))
    first = releasing.step(order)
    held.append(taken(workshop))
    later(seconds=59)
    second = releasing.step(order)
    held.append(taken(workshop))
    later(seconds=1)
    third = releasing.step(order)
    held.append(taken(workshop))

    assert (first, second, third) == (False, False, True)
    assert held == [2, 2, 2, 0]
    assert fresh(order).status == "cancelled"


def test_sumup_is_asked_then_told_then_asked_again(order: Order, payment: Payment, wire: Wire) -> None:
    wire.calls.clear()

    let_go(order)

    assert wire.calls == ["GET", "DELETE", "GET"]


def test_a_declined_attempt_is_deleted_like_any_other(
    later: Later, order: Order, payment: Payment, sumup: Simulator
) -> None:
    sumup.decline(payment.checkout_id)

    let_go(order)
    later(minutes=1)
    releasing.sweep()

    assert sumup.checkouts()[0].status == "EXPIRED"
    assert fresh(order).status == "cancelled"


def test_an_order_without_attempts_is_let_go_at_once(order: Order, sumup: Simulator, workshop: Entry) -> None:
    assert let_go(order)

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)
    assert sumup.requests == []


def test_a_closing_remembers_who_asked_and_where_to(order: Order, payment: Payment, shopper: User) -> None:
    cart = Cart.objects.create(token_hash="x")

    releasing.begin(order, to="cancelled", by="shopper", user=shopper, cart=cart)

    closing = fresh(order)
    assert (closing.closing_to, closing.closing_by, closing.closing_user) == ("cancelled", "shopper", shopper)
    assert closing.closing_cart == cart
    assert order.events.get(kind="closing").by == shopper


def test_a_closing_that_has_begun_goes_on_as_it_was(order: Order, payment: Payment) -> None:
    releasing.begin(order, to="cancelled", by="shopper")

    releasing.begin(order, to="expired", by="timer")

    closing = fresh(order)
    assert (closing.closing_to, closing.closing_by) == ("cancelled", "shopper")
    assert events_of(order).count("closing") == 1


# --- Paid at the last moment ------------------------------------------------------------------------------------------


def test_paid_before_the_release_wins(order: Order, payment: Payment, sumup: Simulator, workshop: Entry) -> None:
    sumup.pay(payment.checkout_id)

    assert not let_go(order)

    assert (fresh(order).status, fresh(order).is_closing, taken(workshop)) == ("confirmed", False, 2)
    assert "DELETE" not in [call.method for call in sumup.requests]


@committed
def test_paid_between_asking_and_deleting_wins(order: Order, payment: Payment, wire: Wire, workshop: Entry) -> None:
    """DELETE is answered 409 then."""
    wire.before("DELETE", lambda: wire.simulator.pay(payment.checkout_id))

    assert not let_go(order)

    assert [call.status for call in wire.simulator.requests if call.method == "DELETE"] == [409]
    assert (fresh(order).status, taken(workshop)) == ("confirmed", 2)


@committed
def test_declined_between_asking_and_deleting_changes_nothing(
    later: Later, order: Order, payment: Payment, wire: Wire
) -> None:
    wire.before("DELETE", lambda: wire.simulator.decline(payment.checkout_id))

    let_go(order)
    later(minutes=1)
    releasing.sweep()

    assert fresh(order).status == "cancelled"


@committed
@pytest.mark.parametrize("challenge", ["paid", "declined"])
def test_a_challenge_begun_between_asking_and_deleting_may_still_win(
    *, later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry, challenge: str
) -> None:
    """DELETE says EXPIRED, and money that was under way may arrive all the same."""
    wire.simulator.behave(delete="payment_in_flight_wins", challenge=challenge, challenge_seconds=200)
    wire.before("DELETE", lambda: wire.simulator.challenge(payment.checkout_id))

    held = []
    let_go(order)
    for _step in range(3):
        held.append(taken(workshop))
        later(minutes=1)
        releasing.sweep()
    sweep_until_quiet(later)

    assert held == [2, 2, 2]
    assert fresh(order).status == ("confirmed" if challenge == "paid" else "cancelled")
    assert taken(workshop) == (2 if challenge == "paid" else 0)


def test_a_payment_under_way_is_waited_for_and_not_deleted(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    sumup.behave(challenge_seconds=80_000)
    sumup.challenge(payment.checkout_id)
    let_go(order)
    for _step in range(5):
        later(minutes=5)
        sweep()
    assert (fresh(order).status, taken(workshop)) == ("awaiting_payment", 2)
    assert "DELETE" not in [call.method for call in sumup.requests]

    sumup.answer_challenge(payment.checkout_id or "", approve=True)
    later(minutes=10)
    sweep()

    assert (fresh(order).status, taken(workshop)) == ("confirmed", 2)


def test_after_a_payment_under_way_has_failed_the_order_is_let_go(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    sumup.behave(challenge_seconds=80_000)
    sumup.challenge(payment.checkout_id)
    let_go(order)
    sumup.answer_challenge(payment.checkout_id or "", approve=False)

    later(minutes=5)
    sweep()
    later(minutes=5)
    sweep()

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)


# --- When SumUp does not play along -----------------------------------------------------------------------------------


def test_a_deletion_that_failed_is_tried_again(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    sumup.behave(delete="500", times={"delete": 2})
    let_go(order)
    assert sumup.checkouts()[0].status == "PENDING"

    held = []
    for _step in range(6):
        held.append((taken(workshop), sumup.checkouts()[0].status == "PENDING"))
        later(seconds=61)
        releasing.sweep()

    assert all(places == 2 for places, payable in held if payable)
    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)


def test_while_sumup_is_silent_everything_stays_held_and_after_an_hour_a_person_is_asked(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    let_go_at = datetime.now(UTC)
    wire.is_cut = True
    let_go(order)

    while datetime.now(UTC) - let_go_at < timedelta(hours=2):
        assert (fresh(order).status, taken(workshop)) == ("awaiting_payment", 2)
        later(minutes=10)
        sweep()
    assert open_cases() == ["attempt_stuck"]

    wire.is_cut = False
    sweep_until_quiet(later)
    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)
    assert open_cases() == []


def test_a_checkout_missing_at_sumup_keeps_everything_held(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    sumup.reset()

    let_go(order)
    sweep_until_quiet(later)

    assert (fresh(order).status, taken(workshop)) == ("awaiting_payment", 2)
    assert open_cases() == ["missing_at_sumup"]


def test_a_broken_release_is_tried_patiently(later: Later, order: Order, payment: Payment, wire: Wire) -> None:
    wire.is_cut = True
    let_go(order)
    wire.calls.clear()

    for _second in range(600):
        later(seconds=1)
        releasing.sweep()

    assert 5 <= len(wire.calls) <= 25


def test_silence_after_expired_was_said_once_is_borne_patiently(
    later: Later, order: Order, payment: Payment, wire: Wire
) -> None:
    let_go(order)
    wire.is_cut = True
    wire.calls.clear()

    for _second in range(600):
        later(seconds=1)
        releasing.sweep()

    assert fresh(payment).expired_since is not None
    assert 5 <= len(wire.calls) <= 25


def test_an_answer_about_another_checkout_deletes_nothing(order: Order, payment: Payment, wire: Wire) -> None:
    wire.change(lambda checkout: checkout | {"id": "somebody-elses"})

    let_go(order)

    assert fresh(order).status == "awaiting_payment"
    assert "DELETE" not in wire.calls


# --- The guard --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["amount_mismatch", "duplicate_capture", "missing_at_sumup"])
def test_money_that_is_not_understood_keeps_the_order(
    order: Order, payment: Payment, sumup: Simulator, workshop: Entry, kind: str
) -> None:
    Case.open(Case.Kind(kind), payment, "Nobody knows.")

    with pytest.raises(releasing.CannotRelease):
        let_go(order)

    assert (fresh(order).is_closing, taken(workshop)) == (False, 2)
    assert [call.method for call in sumup.requests] == ["POST"]


@pytest.mark.parametrize("kind", ["amount_mismatch", "duplicate_capture", "missing_at_sumup"])
def test_a_snoozed_case_is_not_a_resolved_one(order: Order, payment: Payment, kind: str) -> None:
    Case.open(Case.Kind(kind), payment, "Nobody knows.")
    Case.objects.update(status="snoozed", snoozed_until=order.deadline)

    with pytest.raises(releasing.CannotRelease):
        let_go(order)


@pytest.mark.parametrize("kind", ["attempt_stuck", "unknown_money", "mail_failed", "oversold"])
def test_other_cases_keep_nothing(later: Later, order: Order, payment: Payment, sumup: Simulator, kind: str) -> None:
    Case.open(Case.Kind(kind), payment, "Nobody knows.")

    let_go(order)
    later(minutes=1)
    releasing.sweep()

    assert fresh(order).status == "cancelled"


def test_a_case_about_another_order_keeps_nothing(
    order: Order, place_order: Callable[..., Order], honey: Product, sumup: Simulator
) -> None:
    Case.open(Case.Kind.AMOUNT_MISMATCH, starting.start(place_order((honey, 1))), "Nobody knows.")

    assert let_go(order)


def test_money_that_is_here_keeps_the_order_until_it_is_understood(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    """A part of it turns up while the order is closing."""
    releasing.begin(order, to="cancelled", by="shopper")
    wire.simulator.pay(payment.checkout_id)
    wire.change(_pay_a_penny)

    sweep_until_quiet(later)

    stays = fresh(order)
    assert (stays.status, stays.is_closing, taken(workshop)) == ("awaiting_payment", False, 2)
    assert order.movements.all().net() == Decimal("0.01")
    assert order.events.get(kind="closing_stopped").cause == "shopper"


def _pay_a_penny(checkout: dict[str, Any]) -> dict[str, Any]:
    for tried in checkout["transactions"]:
        tried["amount"] = 0.01
    return checkout


@pytest.mark.parametrize("status", ["confirmed", "expired", "cancelled", "completed"])
def test_only_an_order_that_waits_for_payment_can_be_let_go(
    place_order: Callable[..., Order], honey: Product, status: str
) -> None:
    order = place_order((honey, 1))
    Order.objects.filter(pk=order.pk).update(status=status)

    with pytest.raises(releasing.CannotRelease):
        let_go(order)

    assert fresh(order).status == status
    Order.objects.filter(pk=order.pk).update(status="awaiting_payment")


# --- Back into the cart -----------------------------------------------------------------------------------------------


def test_changing_the_basket_puts_lines_and_holds_back(
    *, later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry, fill_cart: FillCart
) -> None:
    cart, _token = fill_cart()
    held = []
    let_go(order, cart=cart)
    held.append(taken(workshop))
    later(minutes=1)
    releasing.sweep()
    held.append(taken(workshop))

    assert held == [2, 2]
    assert fresh(order).status == "cancelled"
    assert contents(cart) == {"Heather honey": (1, 0), "Bread workshop": (2, 2)}


def test_what_comes_back_into_the_cart_is_held_for_a_quarter_of_an_hour(
    later: Later, order: Order, fill_cart: FillCart, workshop: Entry
) -> None:
    cart, _token = fill_cart()
    later(minutes=20)
    let_go(order, cart=cart)

    later(minutes=14)
    capacity.give_expired_back()
    before = taken(workshop)
    later(minutes=1)
    capacity.give_expired_back()

    assert (before, taken(workshop)) == (2, 0)


def test_what_comes_back_joins_what_is_there(
    order: Order, fill_cart: FillCart, workshop: Entry, honey: Product
) -> None:
    cart, _token = fill_cart((workshop, 3), (honey, 4))

    let_go(order, cart=cart)

    assert contents(cart) == {"Heather honey": (4, 0), "Bread workshop": (3, 3)}
    assert taken(workshop) == 3


def test_a_basket_that_came_back_can_be_ordered_again(
    order: Order, fill_cart: FillCart, workshop: Entry, sumup: Simulator
) -> None:
    cart, token = fill_cart()
    let_go(order, cart=cart)

    agreed = agreed_for(cart)
    again, is_new = place(cart.uuid, token=token, user=None, agreed=agreed, name="Ada", email="ada@example.org")

    assert is_new
    assert again.total == order.total
    assert starting.start(again).status == "open"
    assert taken(workshop) == 2


def test_a_cart_merged_by_signing_in_meanwhile_gets_the_lines(
    *, later: Later, order: Order, payment: Payment, fill_cart: FillCart, shopper: User, honey: Product, workshop: Entry
) -> None:
    own, _ = fill_cart((honey, 3), user=shopper)
    cart, token = fill_cart()
    let_go(order, cart=cart)
    carts.adopt(token, shopper)

    later(minutes=1)
    releasing.sweep()

    assert fresh(cart).merged_into == own
    assert contents(cart) == {}
    assert contents(own) == {"Heather honey": (3, 0), "Bread workshop": (2, 2)}
    assert taken(workshop) == 2


def test_a_cart_ordered_meanwhile_gets_nothing_and_the_holds_are_given_back(
    *, later: Later, order: Order, payment: Payment, fill_cart: FillCart, honey: Product, workshop: Entry
) -> None:
    cart, token = fill_cart((honey, 1))
    let_go(order, cart=cart)
    agreed = agreed_for(cart)
    other, _new = place(cart.uuid, token=token, user=None, agreed=agreed, name="Ada", email="ada@example.org")

    later(minutes=1)
    releasing.sweep()

    assert fresh(order).status == "cancelled"
    assert taken(workshop) == 0
    assert (fresh(other).status, other.lines.count()) == ("awaiting_payment", 1)


def test_a_cart_purged_meanwhile_gets_nothing_and_the_holds_are_given_back(
    later: Later, order: Order, payment: Payment, fill_cart: FillCart, workshop: Entry
) -> None:
    cart, _token = fill_cart()
    let_go(order, cart=cart)
    Cart.objects.filter(pk=cart.pk).delete()

    later(minutes=1)
    releasing.sweep()

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)


def test_late_money_after_the_basket_came_back_is_a_case_and_the_cart_keeps_its_lines(
    *, later: Later, order: Order, payment: Payment, wire: Wire, fill_cart: FillCart, workshop: Entry
) -> None:
    cart, _token = fill_cart()
    let_go(order, cart=cart)
    later(minutes=1)
    releasing.sweep()
    tried = {"id": "t", "amount": 76.5, "currency": "GBP", "status": "SUCCESSFUL"}
    wire.change(lambda checkout: checkout | {"status": "PAID", "transactions": [tried]})

    settling.settle(fresh(payment))

    assert fresh(order).status == "cancelled"
    assert open_cases() == ["late_payment"]
    assert contents(cart)["Bread workshop"] == (2, 2)
    assert taken(workshop) == 2


# --- Withdrawing ------------------------------------------------------------------------------------------------------


def test_a_shopper_may_withdraw_while_the_page_works(
    later: Later, order: Order, payment: Payment, sumup: Simulator, workshop: Entry
) -> None:
    sumup.behave(challenge_seconds=80_000)
    sumup.challenge(payment.checkout_id)
    let_go(order)

    assert releasing.withdraw(order)

    kept = fresh(order)
    assert (kept.is_closing, kept.closing_to, kept.closing_by, kept.closing_cart) == (False, "", "", None)
    assert kept.next_step_at == order.deadline
    assert starting.start(order) == payment
    later(minutes=1)
    releasing.sweep()
    assert (fresh(order).status, fresh(payment).status, taken(workshop)) == ("awaiting_payment", "open", 2)


def test_once_the_page_is_deleted_it_is_too_late_to_withdraw(order: Order, payment: Payment) -> None:
    let_go(order)

    assert not releasing.withdraw(order)

    assert fresh(order).is_closing


@pytest.mark.parametrize("by", ["staff", "timer"])
def test_only_the_shoppers_own_closing_can_be_withdrawn(order: Order, payment: Payment, by: str) -> None:
    releasing.begin(order, to="cancelled", by=by)

    assert not releasing.withdraw(order)

    assert fresh(order).is_closing


def test_an_order_that_is_not_closing_has_nothing_to_withdraw(order: Order, payment: Payment) -> None:
    assert not releasing.withdraw(order)

    assert events_of(order) == ["placed", "attempt_open"]


def test_a_step_that_was_overtaken_by_a_withdrawal_leaves_the_page_alone(
    later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry
) -> None:
    """The sweep read that the order is closing; before it took its step, the shopper thought better of it."""
    releasing.begin(order, to="cancelled", by="shopper")
    assert releasing.withdraw(order)

    releasing.step(order)

    assert wire.simulator.checkouts()[0].status == "PENDING"
    assert (fresh(order).status, taken(workshop)) == ("awaiting_payment", 2)


# --- Processes that die -----------------------------------------------------------------------------------------------


def test_what_a_dead_process_only_began_is_finished_by_the_sweep(
    later: Later, order: Order, payment: Payment, fill_cart: FillCart, workshop: Entry
) -> None:
    cart, _token = fill_cart()
    releasing.begin(order, to="cancelled", by="shopper", cart=cart)

    releasing.sweep()
    later(minutes=1)
    releasing.sweep()

    assert fresh(order).status == "cancelled"
    assert contents(cart)["Bread workshop"] == (2, 2)


@committed
@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_release_killed_in_any_call_is_finished_by_the_sweep(
    *, later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry, method: str, heard: bool
) -> None:
    die_in_call(wire, method, lambda: let_go(order), heard=heard)
    assert (fresh(order).is_closing, taken(workshop)) == (True, 2)

    releasing.sweep()
    assert taken(workshop) == 2
    later(minutes=1)
    releasing.sweep()

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)
    assert wire.simulator.checkouts()[0].status == "EXPIRED"


@committed
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_sweep_killed_in_any_call_is_finished_by_the_next(
    *, later: Later, order: Order, payment: Payment, wire: Wire, workshop: Entry, method: str
) -> None:
    later(minutes=39, seconds=59)  # DELETE is still needed
    Order.objects.filter(pk=order.pk).update(deadline=datetime.now(UTC), next_step_at=datetime.now(UTC))
    wire.simulator.behave(session_over="stays_pending")
    wire.change(lambda checkout: checkout if checkout["status"] == "EXPIRED" else checkout | {"status": "PENDING"})
    if method == "DELETE":
        wire.change(_as_if_pending_until_deleted(wire))

    die_in_call(wire, method, releasing.sweep, heard=True)
    wire._changes.clear()
    later(minutes=10, seconds=1)
    releasing.sweep()
    later(minutes=10, seconds=1)
    releasing.sweep()

    assert (fresh(order).status, taken(workshop)) == ("expired", 0)


def _as_if_pending_until_deleted(wire: Wire) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(checkout: dict[str, Any]) -> dict[str, Any]:
        return checkout if "DELETE" in wire.calls else checkout | {"status": "PENDING"}

    return change


@committed
def test_two_sweeps_at_once_take_each_order_once(
    later: Later, place_order: Callable[..., Order], workshop: Entry, sumup: Simulator
) -> None:
    placed = [place_order((workshop, 1)) for _order in range(6)]
    later(minutes=45)

    results_of(run_at_once(*[releasing.sweep] * 4))

    assert {fresh(order).status for order in placed} == {"expired"}
    assert all(events_of(order) == ["placed", "closing", "expired"] for order in placed)
    assert taken(workshop) == 0


# --- Afterwards -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [5, 60, 360, 1440])
def test_a_late_capture_is_found_at_each_of_the_looks_after_closing(
    later: Later, order: Order, payment: Payment, wire: Wire, minutes: int
) -> None:
    later(minutes=45)
    releasing.sweep()
    later(minutes=1)
    releasing.sweep()
    closed_at = fresh(payment).changed_at
    due: datetime | None = None
    while (due := fresh(payment).next_look_at) is not None and due - closed_at < timedelta(minutes=minutes):
        later(seconds=(due - datetime.now(UTC)).total_seconds())
        sweeping.sweep()
    tried = {"id": "t", "amount": 76.5, "currency": "GBP", "status": "SUCCESSFUL"}
    wire.change(lambda checkout: checkout | {"status": "PAID", "transactions": [tried]})
    assert due is not None

    later(seconds=(due - datetime.now(UTC)).total_seconds())
    sweeping.sweep()

    assert due - closed_at == timedelta(minutes=minutes)
    assert (fresh(payment).status, fresh(order).status) == ("captured", "confirmed")


@committed
def test_a_closed_attempt_whose_id_we_never_learned_is_asked_about_by_its_reference(
    later: Later, order: Order, wire: Wire
) -> None:
    wire.simulator.behave(create="response_lost")
    wire.after("POST", lambda: setattr(wire, "is_cut", True))
    payment = starting.start(order)
    let_go(order)
    assert (fresh(payment).status, fresh(payment).checkout_id) == ("closed", None)
    wire.is_cut = False
    wire.simulator.pay(wire.simulator.checkouts()[0].id)

    later(minutes=5)
    sweeping.sweep()

    assert fresh(payment).status == "captured"
    assert open_cases() == ["late_payment"]


def test_an_attempt_never_sent_is_closed_and_what_sumup_made_of_it_deleted(
    order: Order, sumup: Simulator, workshop: Entry
) -> None:
    payment, _ = starting._find_or_reserve(order)
    sending._post(payment)

    assert let_go(order)

    assert fresh(payment).status == "closed"
    assert [checkout.status for checkout in sumup.checkouts()] == ["EXPIRED"]
    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)


def test_a_look_at_a_payment_of_an_order_let_go_changes_nothing(
    later: Later, order: Order, payment: Payment, sumup: Simulator
) -> None:
    let_go(order)
    later(minutes=1)
    releasing.step(order)
    before = events_of(order), fresh(order).status

    sweeping.look(make_due(payment))

    assert (events_of(order), fresh(order).status) == before
