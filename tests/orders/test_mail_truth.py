"""Mail says what is so when it is sent, or is not sent at all; and what happens to an order owes the right mail."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Entry
from cart import services as carts
from cart.models import Product
from cartsite.models import Message, User
from orders import letters, mail, services
from orders.models import Order, OrderContact
from payments import refunds, releasing, settling, starting
from payments.casework import take_cash
from payments.models import Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.orders.late import come_late, expire
from tests.orders.letterbox import Outbox

pytestmark = pytest.mark.django_db


def owed(order: Order) -> list[tuple[str, str]]:
    """Kind and status of all mail about the order, oldest first."""
    return list(letters.mail_of(order).order_by("pk").values_list("kind", "status"))


def subjects(mailoutbox: Outbox) -> list[str]:
    return [str(sent.subject).partition(":")[0].split(" order ")[0] for sent in mailoutbox]


def send_and_read(order: Order) -> str:
    """What became of the last mail that was owed."""
    mail.send_owed()
    return owed(order)[-1][1]


# --- Payment problem


def decline(payment: Payment, sumup: Simulator) -> Order:
    sumup.decline(payment.checkout_id or "")
    settling.settle(payment)
    return Order.objects.get(pk=payment.order_id)


def test_a_declined_payment_owes_one_mail_that_waits_ten_minutes(
    payment: Payment, sumup: Simulator, mailoutbox: Outbox
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        order = decline(payment, sumup)

        clock.shift(timedelta(minutes=9, seconds=59))
        mail.send_owed()
        assert mailoutbox == []

        clock.shift(timedelta(seconds=1))
        mail.send_owed()

    assert subjects(mailoutbox) == ["Your payment for"]
    assert owed(order) == [("payment_problem", "sent")]


def test_a_second_decline_owes_no_second_mail(payment: Payment, sumup: Simulator) -> None:
    order = decline(payment, sumup)
    services.owe_mail(order, "payment_problem", not_before=timezone.now())

    assert owed(order) == [("payment_problem", "owed")]


def test_who_paid_after_all_is_not_nagged(payment: Payment, sumup: Simulator, mailoutbox: Outbox) -> None:
    order = decline(payment, sumup)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)

    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        mail.send_owed()

    assert sorted(owed(order)) == [("confirmation", "sent"), ("payment_problem", "dropped")]
    assert len(mailoutbox) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "sent"),
        ({"status": "confirmed"}, "dropped"),
        ({"status": "expired"}, "dropped"),
        ({"closing_since": timezone.now(), "closing_to": "cancelled"}, "dropped"),
    ],
)
def test_a_problem_is_told_only_while_it_can_be_put_right(
    order: Order, mailoutbox: Outbox, change: dict[str, Any], status: str
) -> None:
    Order.objects.filter(pk=order.pk).update(**change)
    services.owe_mail(order, "payment_problem")

    assert send_and_read(order) == status


@pytest.mark.parametrize(("minutes", "status"), [(10, "sent"), (9.99, "dropped"), (-1, "dropped")])
def test_a_problem_is_told_only_with_time_left_to_pay(
    order: Order, mailoutbox: Outbox, minutes: float, status: str
) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        Order.objects.filter(pk=order.pk).update(deadline=timezone.now() + timedelta(minutes=minutes))
        services.owe_mail(order, "payment_problem")

        assert send_and_read(order) == status


def test_a_problem_is_not_told_once_something_was_paid(order: Order, mailoutbox: Outbox) -> None:
    Payment.objects.create(
        order=order, amount=1, currency="GBP", merchant_code="M", status="captured", valid_until=timezone.now()
    )
    services.owe_mail(order, "payment_problem")

    assert send_and_read(order) == "dropped"


# --- The end of orders


def test_an_order_whose_time_is_over_owes_one_mail(order: Order, mailoutbox: Outbox) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=46)):
        releasing.sweep()
        releasing.sweep()
        mail.send_owed()

    assert owed(order) == [("expired", "sent")]


def test_who_changes_their_basket_gets_no_mail(order: Order, fill_cart: Callable[..., Any], honey: Product) -> None:
    cart, _token = carts.open_cart("", None)

    releasing.release(order, to="cancelled", by="shopper", cart=cart)

    assert Order.objects.get(pk=order.pk).status == "cancelled"
    assert owed(order) == []


def test_an_unpaid_order_that_staff_cancel_owes_one_mail(order: Order, staff: User, mailoutbox: Outbox) -> None:
    releasing.release(order, to="cancelled", by="staff", user=staff)

    assert send_and_read(order) == "sent"
    assert owed(order) == [("cancelled", "sent")]


def test_an_order_that_was_revived_meanwhile_has_not_ended(
    payment: Payment, sumup: Simulator, mailoutbox: Outbox
) -> None:
    order = expire(payment.order)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)

    mail.send_owed()

    assert owed(order) == [("expired", "dropped"), ("confirmation", "sent")]
    assert subjects(mailoutbox) == ["Your"]


def test_who_is_told_that_their_money_came_late_is_not_told_that_nothing_was_charged(
    payment: Payment, sumup: Simulator, place_order: Callable[..., Order], workshop: Entry, mailoutbox: Outbox
) -> None:
    order = come_late(payment, sumup, place_order, workshop)

    mail.send_owed()

    assert owed(order) == [("expired", "dropped"), ("late_payment", "sent")]


def test_a_confirmed_order_that_is_cancelled_says_only_that(order: Order, staff: User, mailoutbox: Outbox) -> None:
    services.confirm(order, cause="paid")
    services.cancel_confirmed(order, by=staff, cause="staff")

    mail.send_owed()

    assert owed(order) == [("confirmation", "dropped"), ("cancelled", "sent")]


def test_each_time_that_staff_change_their_mind_is_told(order: Order, staff: User, mailoutbox: Outbox) -> None:
    services.confirm(order, cause="paid")
    for _time in range(2):
        mail.send_owed()
        services.cancel_confirmed(order, by=staff, cause="staff")
        mail.send_owed()
        services.revive(order, cause="staff", by=staff)
    mail.send_owed()

    kinds = [kind for kind, _status in owed(order)]
    assert kinds == ["confirmation", "cancelled", "confirmation", "cancelled", "confirmation"]
    assert len(mailoutbox) == 5


def test_a_cancellation_that_was_undone_is_not_told(order: Order, staff: User, mailoutbox: Outbox) -> None:
    services.confirm(order, cause="paid")
    services.cancel_confirmed(order, by=staff, cause="staff")
    services.revive(order, cause="staff", by=staff)

    mail.send_owed()

    assert [status for kind, status in owed(order) if kind == "cancelled"] == ["dropped"]


def test_late_money_that_was_used_after_all_is_not_called_late(order: Order, mailoutbox: Outbox) -> None:
    services.confirm(order, cause="paid")
    services.owe_mail(order, "late_payment", occurrence="9b2c7b0e-0000-4000-8000-000000000000")

    assert send_and_read(order) == "dropped"


def test_money_given_back_by_hand_owes_a_mail(order: Order, staff: User, mailoutbox: Outbox) -> None:
    take_cash(order, order.total, by=staff)
    mail.send_owed()

    refunds.give_by_hand(order, Wish(order.total, "Why.", staff))
    mail.send_owed()

    assert owed(order)[-1] == ("refund", "sent")
    assert "by hand" in mailoutbox[-1].body


# --- Reminder


@pytest.fixture
def booked(order: Order) -> Order:
    services.confirm(order, cause="paid")
    mail.send_owed()
    services.owe_mail(order, "reminder", occurrence=str(Entry.objects.get().uuid))
    return order


def test_what_lies_ahead_is_reminded_of(booked: Order, mailoutbox: Outbox) -> None:
    assert send_and_read(booked) == "sent"


def test_what_has_begun_is_not_reminded_of(booked: Order, mailoutbox: Outbox) -> None:
    Entry.objects.update(starts_at=timezone.now())

    assert send_and_read(booked) == "dropped"


def test_what_was_called_off_is_not_reminded_of(booked: Order, mailoutbox: Outbox) -> None:
    Entry.objects.update(cancelled_at=timezone.now())

    assert send_and_read(booked) == "dropped"


@pytest.mark.parametrize(("quantity", "status"), [(1, "sent"), (2, "dropped")])
def test_places_that_are_gone_are_not_reminded_of(
    booked: Order, staff: User, mailoutbox: Outbox, quantity: int, status: str
) -> None:
    services.cancel_some(booked.lines.get(kind="entry"), quantity, by=staff)

    assert send_and_read(booked) == status


def test_a_cancelled_order_is_not_reminded_of(booked: Order, staff: User, mailoutbox: Outbox) -> None:
    services.cancel_confirmed(booked, by=staff, cause="staff")
    mail.send_owed()

    assert ("reminder", "dropped") in owed(booked)


# --- Nobody to tell


@pytest.mark.parametrize("kind", sorted(letters.KINDS))
def test_nobody_is_written_to_once_they_are_erased(order: Order, mailoutbox: Outbox, kind: str) -> None:
    OrderContact.objects.all().delete()
    services.owe_mail(order, kind)

    assert send_and_read(order) == "dropped"
    assert mailoutbox == []


def test_an_order_that_is_not_confirmed_is_not_called_so(order: Order, mailoutbox: Outbox) -> None:
    services.owe_mail(order, "confirmation")

    assert send_and_read(order) == "dropped"


def test_a_mail_that_was_dropped_is_no_trouble(order: Order, mailoutbox: Outbox) -> None:
    services.owe_mail(order, "confirmation")
    mail.send_owed()

    message = Message.objects.get()
    assert (message.last_error, message.tries, message.leased_until) == ("", 0, None)
    assert not order.events.filter(kind__startswith="mail").exists()


def test_a_new_attempt_does_not_stop_the_mail_about_the_old_one(
    payment: Payment, sumup: Simulator, mailoutbox: Outbox
) -> None:
    order = decline(payment, sumup)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        starting.start(order)

        assert send_and_read(order) == "sent"
