"""Starting to pay: one attempt at a time, written down before SumUp hears of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cart.models import Product
from orders.models import Order
from payments import releasing, sending, settling, starting, sweeping
from payments.models import Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import ProductFactory
from tests.payments.records import Later, events_of, fresh, open_cases
from tests.payments.wire import Wire, die_in_call

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once


def test_an_attempt_asks_for_what_the_order_owes(order: Order, sumup: Simulator, settings: Any) -> None:
    payment = starting.start(order)

    (checkout,) = sumup.checkouts()
    assert payment.status == "open"
    assert (payment.checkout_id, payment.amount, payment.currency) == (checkout.id, order.total, "GBP")
    assert (checkout.reference, checkout.amount, checkout.currency) == (payment.reference, Decimal("76.50"), "GBP")
    assert checkout.merchant_code == payment.merchant_code == settings.SUMUP_MERCHANT_CODE
    assert payment.checkout_url == f"{settings.SUMUP_ORIGIN}/pay/{checkout.page}"
    assert order.number in (checkout.description or "")


def test_sumup_is_told_where_to_knock_and_where_to_send_the_shopper_back(
    payment: Payment, sumup: Simulator, settings: Any
) -> None:
    (checkout,) = sumup.checkouts()

    assert checkout.return_url == f"{settings.PUBLIC_URL}/webhooks/sumup/{payment.webhook_token}/"
    assert checkout.redirect_url is not None
    assert checkout.redirect_url.startswith(f"{settings.PUBLIC_URL}/")
    assert checkout.redirect_url.endswith(f"?token={payment.return_token}")
    assert payment.webhook_token != payment.return_token


def test_a_reference_is_short_enough_for_sumup_and_says_nothing_of_the_shopper(payment: Payment) -> None:
    assert len(payment.reference) <= 64
    assert payment.reference.isascii()
    assert payment.reference.removeprefix("ra-").isalnum()
    assert payment.order.number not in payment.reference


@committed
def test_the_row_with_its_reference_is_committed_before_sumup_hears_of_it(order: Order, wire: Wire) -> None:
    seen: list[tuple[str, str]] = []
    wire.before("POST", lambda: seen.extend(Payment.objects.values_list("status", "reference")))

    payment = starting.start(order)

    assert seen == [("created", payment.reference)]


def test_an_attempt_is_valid_for_half_an_hour(later: Later, order: Order, sumup: Simulator) -> None:
    now = later()

    payment = starting.start(order)

    assert payment.valid_until == now + timedelta(minutes=30)
    told = sumup.checkouts()[0].valid_until
    assert told is not None
    assert timedelta(0) <= payment.valid_until - told < timedelta(seconds=1)


def test_an_attempt_ends_five_minutes_before_its_order_does(later: Later, order: Order, sumup: Simulator) -> None:
    later(minutes=30)

    payment = starting.start(order)

    assert payment.valid_until == order.deadline - timedelta(minutes=5)


def test_with_less_than_eight_minutes_left_no_attempt_starts(later: Later, order: Order, sumup: Simulator) -> None:
    later(seconds=(order.deadline - datetime.now(UTC)).total_seconds() - 8 * 60 + 1)

    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert not Payment.objects.exists()
    assert sumup.requests == []


def test_with_just_over_eight_minutes_left_an_attempt_still_starts(
    later: Later, order: Order, sumup: Simulator
) -> None:
    later(seconds=(order.deadline - datetime.now(UTC)).total_seconds() - 8 * 60 - 1)

    assert starting.start(order).status == "open"


def test_what_was_paid_already_is_not_asked_for_again(order: Order, payment: Payment, wire: Wire) -> None:
    wire.change(lambda checkout: _with_amounts(checkout, 20.25))
    wire.simulator.pay(payment.checkout_id)
    settling.settle(payment)

    second = starting.start(order)

    assert second.amount == order.total - Decimal("20.25")
    assert wire.simulator.checkouts()[-1].amount == Decimal("56.25")


def _with_amounts(checkout: dict[str, Any], amount: float) -> dict[str, Any]:
    for tried in checkout["transactions"]:
        tried["amount"] = amount
    return checkout


def test_a_live_checkout_is_gone_on_with(order: Order, payment: Payment, sumup: Simulator) -> None:
    again = starting.start(order)

    assert again == payment
    assert again.checkout_url == payment.checkout_url
    assert len(sumup.checkouts()) == 1


def test_a_declined_checkout_is_gone_on_with(order: Order, payment: Payment, sumup: Simulator) -> None:
    sumup.decline(payment.checkout_id)
    settling.settle(payment)

    again = starting.start(order)

    assert again == payment
    assert again.status == "declined"
    assert len(sumup.checkouts()) == 1


def test_a_page_with_less_than_three_minutes_left_is_closed_before_a_new_attempt_starts(
    later: Later, order: Order, sumup: Simulator
) -> None:
    first = starting.start(order)
    later(minutes=27, seconds=1)

    with pytest.raises(starting.CannotPay):  # EXPIRED must be said twice, a minute apart
        starting.start(order)
    later(minutes=1)
    second = starting.start(order)

    assert second != first
    assert (fresh(first).status, second.status) == ("closed", "open")
    assert [checkout.status for checkout in sumup.checkouts()] == ["EXPIRED", "PENDING"]
    assert first.reference != second.reference


def test_a_page_with_more_than_three_minutes_left_is_gone_on_with(later: Later, order: Order, sumup: Simulator) -> None:
    first = starting.start(order)
    later(minutes=26, seconds=59)

    assert starting.start(order) == first


def test_a_page_about_to_be_closed_that_turns_out_paid_confirms_the_order(
    later: Later, order: Order, sumup: Simulator
) -> None:
    payment = starting.start(order)
    later(minutes=28)
    sumup.pay(payment.checkout_id)

    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert fresh(order).status == "confirmed"
    assert len(sumup.checkouts()) == 1


@pytest.mark.parametrize("minutes_left", [2, 20])
def test_a_page_whose_end_sumup_has_announced_is_not_shown_again(
    later: Later, order: Order, sumup: Simulator, minutes_left: int
) -> None:
    payment = starting.start(order)
    later(minutes=30 - minutes_left)
    sumup.delete(payment.checkout_id)
    settling.settle(payment)

    with pytest.raises(starting.CannotPay):
        starting.start(order)


@pytest.mark.parametrize("status", ["confirmed", "expired", "cancelled", "completed"])
def test_an_order_that_does_not_wait_for_payment_is_not_paid(
    place_order: Callable[..., Order], honey: Product, sumup: Simulator, status: str
) -> None:
    order = place_order((honey, 1))
    Order.objects.filter(pk=order.pk).update(status=status)

    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert not Payment.objects.exists()
    assert sumup.requests == []
    Order.objects.filter(pk=order.pk).update(status="awaiting_payment")


def test_an_order_that_is_closing_is_not_paid(order: Order, sumup: Simulator) -> None:
    releasing.begin(order, to="cancelled", by="shopper")

    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert not Payment.objects.exists()
    assert sumup.requests == []


def test_an_order_of_nothing_never_goes_to_sumup(place_order: Callable[..., Order], sumup: Simulator) -> None:
    order = place_order((ProductFactory(price=Decimal("0.00")), 1))

    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert order.status == "confirmed"
    assert sumup.requests == []


@committed
def test_eight_tabs_at_once_make_one_attempt_and_one_post(order: Order, sumup: Simulator) -> None:
    outcomes = run_at_once(*[lambda: starting.start(order)] * 8)

    assert len({payment.pk for payment in results_of(outcomes)}) == 1
    assert [call.method for call in sumup.requests] == ["POST"]
    assert len(sumup.checkouts()) == 1
    assert events_of(order) == ["placed", "attempt_open"]


@committed
def test_a_second_tab_neither_waits_for_the_first_nor_posts(order: Order, wire: Wire) -> None:
    seconds: list[Payment] = []
    wire.before("POST", lambda: seconds.append(starting.start(order)))

    first = starting.start(order)

    assert seconds == [first]
    assert (seconds[0].status, first.status) == ("created", "open")
    assert wire.calls == ["POST"]


# --- A process that dies ----------------------------------------------------------------------------------------------


@committed
@pytest.mark.parametrize("heard", [False, True], ids=["before SumUp hears of it", "after SumUp has made it"])
def test_the_sweep_finishes_what_a_dead_process_began(later: Later, order: Order, wire: Wire, heard: bool) -> None:
    die_in_call(wire, "POST", lambda: starting.start(order), heard=heard)
    left = Payment.objects.get()
    later(seconds=26)  # the deadline of its call, and five seconds

    sweeping.sweep()

    payment = Payment.objects.get()
    (checkout,) = wire.simulator.checkouts()
    assert left.status == "created"
    assert (payment.status, payment.checkout_id) == ("open", checkout.id)
    assert (payment.reference, payment.valid_until) == (left.reference, left.valid_until)
    assert checkout.reference == left.reference


@committed
def test_as_long_as_the_lease_lasts_nobody_else_sends(later: Later, order: Order, wire: Wire) -> None:
    die_in_call(wire, "POST", lambda: starting.start(order), heard=False)
    later(seconds=24)

    sweeping.sweep()
    starting.start(order)

    assert Payment.objects.get().status == "created"
    assert wire.calls == ["POST"]


@committed
def test_a_sender_that_comes_back_from_the_dead_takes_the_checkout_that_was_found(
    later: Later, order: Order, wire: Wire
) -> None:
    """The lease lapses while SumUp takes its time: the sweep finds nothing and posts; our own POST comes second."""

    def overtake() -> None:
        later(minutes=3)
        sweeping.sweep()

    wire.before("POST", overtake)

    payment = starting.start(order)

    (checkout,) = wire.simulator.checkouts()
    assert (payment.status, payment.checkout_id) == ("open", checkout.id)
    assert wire.calls == ["POST", "GET", "POST", "GET"]
    assert open_cases() == []


def test_a_reserved_attempt_is_leased_to_the_one_who_sends_it(later: Later, order: Order, sumup: Simulator) -> None:
    now = later()

    payment, is_ours = starting._find_or_reserve(order)
    same, is_ours_too = starting._find_or_reserve(order)

    assert (is_ours, is_ours_too) == (True, False)
    assert same == payment
    assert payment.leased_until is not None
    assert payment.leased_until > now
    assert payment.next_look_at == payment.leased_until
    sending.send(payment)
