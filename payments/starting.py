"""Starting to pay: one attempt at a time, written down before SumUp hears of it."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.refusals import Refusal
from orders import services as orders
from orders.models import Order
from payments import ledger, releasing, schedule, sending
from payments.models import Payment

LONGEST = timedelta(minutes=30)  # as long as SumUp's page is usable
BEFORE_DEADLINE = timedelta(minutes=5)  # an attempt ends so long before its order does
WORTH_STARTING = timedelta(minutes=8)
WORTH_RESUMING = timedelta(minutes=3)


class CannotPay(Refusal):
    """No attempt to pay can start or go on now; the text says why, in words for the shopper."""


def start(order: Order) -> Payment:
    """The attempt the shopper is to pay now: the live one, or a fresh one; open if its page can be shown.

    One in doubt comes back as it is: the order's page polls until it is open. Raises CannotPay.
    """
    payment, is_ours_to_send = _find_or_reserve(order)
    if is_ours_to_send:
        sending.send_leased(payment)
    elif _is_nearly_over(payment):
        releasing.close_attempt(payment)
        payment.refresh_from_db()
        if not payment.is_live:
            return start(order)
        raise CannotPay(_("The last payment page is just closing. Please try again in a minute."))
    payment.refresh_from_db()
    return payment


def _is_nearly_over(payment: Payment) -> bool:
    """Whether an attempt's page is open, but for too short a time to send somebody there."""
    ends_soon = payment.valid_until - timezone.now() <= WORTH_RESUMING
    return payment.status in Payment.AT_SUMUP and (ends_soon or payment.expired_since is not None)


@transaction.atomic
def _find_or_reserve(order: Order) -> tuple[Payment, bool]:
    """The live attempt, or a new row with its lease; and whether this process is to send it."""
    order = orders.lock(order.pk)
    if not order.is_awaiting_payment:
        raise CannotPay(_("This order is not waiting for a payment."))
    if order.is_test != settings.ORDERS_ARE_TESTS:
        raise CannotPay(_("This order was placed for a test, or this shop is one: it cannot be paid here."))
    if order.is_closing:
        raise CannotPay(_("This order is being closed, so it cannot be paid any more."))
    if live := order.payments.live().first():
        return live, False
    return _reserve(order), True


def _reserve(order: Order) -> Payment:
    now = timezone.now()
    if order.deadline - now < WORTH_STARTING:
        raise CannotPay(_("There is too little time left to pay this order. Change your basket to order afresh."))
    amount = order.total - ledger.money_of(order).net  # what is to go back counts as gone
    if amount <= 0:
        raise CannotPay(_("Nothing is left to pay."))
    return Payment.objects.create(
        order=order,
        amount=amount,
        currency=order.currency,
        merchant_code=settings.SUMUP_MERCHANT_CODE,
        valid_until=min(now + LONGEST, order.deadline - BEFORE_DEADLINE),
        **schedule.first_lease(),  # if this process dies, the sweep goes on from there
    )
