"""What the machine found, each as the smallest story that shows it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Entry
from cart.models import Cart, Product
from cartsite.models import Case, User
from orders import services as orders
from orders.models import LineFact, Order
from orders.quoting import Choices
from payments import cancelling, casework, history, refunds, settling, starting
from payments.cancelling import Part
from payments.models import Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.factories import VoucherFactory
from tests.machine.invariants import find_breaches
from tests.orders.acts import place_cart
from tests.payments.records import Later, fresh, open_cases
from tests.payments.wire import Wire

pytestmark = pytest.mark.django_db


def test_money_that_turns_out_to_be_ours_is_not_unknown_any_more(
    sumup: Simulator, payment: Payment, wire: Wire
) -> None:
    sumup.pay(payment.checkout_id or "")
    lies: list[dict[str, Any]] = [{"currency": "EUR"}]
    wire.change(lambda checkout: checkout | (lies[0] if lies else {}))
    settling.settle(payment)
    assert open_cases() == ["unknown_money"]

    lies.clear()
    settling.settle(fresh(payment))

    assert fresh(payment).status == Payment.Status.CAPTURED
    assert open_cases() == []


def test_what_went_back_before_money_was_attached_is_written_down_too(
    sumup: Simulator, order: Order, staff: User, later: Later
) -> None:
    stray = sumup.take_stray_payment(order.total, "At the till")
    sumup.refund_in_dashboard(stray.id, Decimal("6.50"))
    history.sweep()
    later(hours=3)
    history.sweep()

    casework.attach(Case.objects.get(), order.number, by=staff, note="It is theirs.")
    later(minutes=5)
    history.sweep()

    assert order.movements.all().net() == order.total - Decimal("6.50")


def test_an_order_paid_in_full_by_hand_is_confirmed_although_some_went_back_before(order: Order, staff: User) -> None:
    casework.take_cash(order, Decimal("6.50"), by=staff)
    refunds.give_by_hand(order, Wish(Decimal("6.50"), "They wanted it back", staff))

    casework.take_cash(order, order.total, by=staff)

    order.refresh_from_db()
    assert order.status == Order.Status.CONFIRMED


def test_a_row_of_history_that_could_not_be_taken_in_is_read_again(
    sumup: Simulator, payment: Payment, later: Later
) -> None:
    charged = sumup.pay(payment.checkout_id or "").successful
    settling.settle(payment)
    history.sweep()
    assert charged is not None
    later(hours=2)
    sumup.charge_back(charged.id, Decimal("3.25"))
    sumup.behave(transaction_read="500", times={"transaction_read": 1})
    history.sweep()

    later(hours=3)  # nobody was at work meanwhile
    history.sweep()

    assert open_cases() == ["chargeback"]


def test_for_places_at_an_event_that_was_called_off_no_more_goes_back_than_was_paid_after_a_discount(
    sumup: Simulator, fill_cart: Callable[..., tuple[Cart, str]], honey: Product, workshop: Entry
) -> None:
    VoucherFactory(code="HALF", value=Decimal("50.00"))
    cart, token = fill_cart((honey, 4), (workshop, 1))
    order = place_cart(cart, token, chosen=Choices(voucher="HALF"))
    payment = starting.start(order)
    Entry.objects.update(cancelled_at=timezone.now())

    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)

    assert list(order.refunds.values_list("amount", "line__title")) == [(Decimal("17.50"), "Bread workshop")]
    assert Case.objects.get(kind=Case.Kind.ENTRY_CANCELLED).at_stake == Decimal("17.50")


def test_an_order_of_which_some_was_called_off_before_all_of_it_does_not_come_back(
    sumup: Simulator, payment: Payment, staff: User
) -> None:
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    order, workshop = payment.order, payment.order.lines.get(kind="entry")
    cancelling.cancel_parts([Part(workshop, 1)], by=staff, reason="One is ill.")
    cancelling.cancel_order(order, by=staff, reason="So is the other.")

    came_back = orders.revive(order, cause="staff", by=staff)

    # Its facts would still say that one of the two places was called off.
    assert not came_back
    assert fresh(payment).order.status == Order.Status.CANCELLED
    assert workshop.bookings.exclude(status="cancelled").count() == 0
    assert find_breaches() == []


def test_of_places_about_to_be_moved_none_is_cancelled_by_a_fact_alone(
    sumup: Simulator, payment: Payment, staff: User
) -> None:
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    line = payment.order.lines.get(kind="entry")
    one = line.bookings.earliest("pk")
    line.bookings.filter(pk=one.pk).update(moving_to=line)  # any line will do

    with pytest.raises(orders.CannotRecord):
        orders.cancel_some(line, 2, by=staff)

    assert not LineFact.objects.exists()
    assert line.bookings.filter(status="confirmed").count() == 2
