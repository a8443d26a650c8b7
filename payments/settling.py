"""Settling: ask SumUp what became of a payment, and make our records agree.

Webhook, way back, sweep and staff button all end here. It may run any number of times, in any order, and at once.
"""

from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case
from orders import services as orders
from orders.models import Order
from payments import events, giving_back, ledger, refunds, schedule, sumup, takings
from payments.models import Payment, Stray
from payments.sumup import Checkout, Transaction

# How long after its end an attempt may still turn out to have been paid (payments under way are waited for).
GRACE = timedelta(minutes=10)
SILENCE = timedelta(hours=1)
# Who was declined is trying again, or has given up by then.
BEFORE_NAGGING = timedelta(minutes=10)


def settle(payment: Payment) -> Checkout | None:
    """Read the payment's checkout and record what it says; what SumUp said, or None if it knows no such checkout.

    Raises SumUpError, with nothing recorded, if SumUp gives no answer.
    """
    checkout = read(payment)  # no transaction is open meanwhile
    with transaction.atomic():
        order, payment = ledger.lock(payment)
        if checkout is None:
            _record_missing(payment)
        elif not _is_ours(payment, checkout):
            _record_unknown_money(payment, checkout)
        else:
            _record(order, payment, checkout)
    return checkout


def read(payment: Payment) -> Checkout | None:
    """What SumUp says of the payment's checkout, by its id, or by reference if we never learned the id."""
    if payment.checkout_id is None:
        return next(iter(sumup.find_checkouts(payment.reference)), None)
    try:
        return sumup.get_checkout(payment.checkout_id)
    except sumup.SumUpNotFound:
        return None


# --- What SumUp may say -----------------------------------------------------------------------------------------------


def _record_missing(payment: Payment) -> None:
    """SumUp knew this checkout once and does not now: its capacity stays held until a person has looked."""
    if payment.status in Payment.AT_SUMUP:
        Case.open(
            Case.Kind.MISSING_AT_SUMUP,
            payment,
            _("SumUp does not know the checkout of this attempt any more, so nobody can say whether it was paid."),
            at_stake=payment.amount,
        )


def _is_ours(payment: Payment, checkout: Checkout) -> bool:
    """Whether the answer is about this attempt, and about money of ours."""
    return (
        checkout.id == (payment.checkout_id or checkout.id)
        and checkout.reference == payment.reference
        and checkout.merchant_code == payment.merchant_code
        and checkout.currency == payment.currency
        and all(tried.currency == payment.currency for tried in checkout.successful)
    )


def _record_unknown_money(payment: Payment, checkout: Checkout) -> None:
    """Money under another reference, merchant or currency is not this order's: a person must find out whose it is."""
    if not checkout.successful and checkout.status != "PAID":
        raise sumup.SumUpInDoubt("SumUp answered about another checkout than ours")
    if payment.status == Payment.Status.CLOSED and Case.objects.filter(kind=Case.Kind.UNKNOWN_MONEY).about(payment):
        return  # a person has seen it and said what it is
    Case.open(
        Case.Kind.UNKNOWN_MONEY,
        payment,
        _("SumUp says this attempt was paid, but with another reference, merchant or currency than ours."),
        at_stake=sum((tried.amount for tried in checkout.successful), Decimal(0)),
    )


def _record(order: Order, payment: Payment, checkout: Checkout) -> None:
    Case.settle(Case.Kind.MISSING_AT_SUMUP, payment, _("SumUp knows the checkout again."))
    payment.checkout_id = payment.checkout_id or checkout.id
    if checkout.successful:
        _record_captures(order, payment, checkout.successful)
    elif payment.is_live:
        _record_not_paid(order, payment, checkout)
    payment.save()


def _record_captures(order: Order, payment: Payment, successful: list[Transaction]) -> None:
    """Write down each successful transaction once, at its actual amount, and let the first telling decide.

    Where staff are cancelling the order, all of it is written down first: all of it goes back.
    """
    goes_back, came_in = order.is_cancelled_by_staff, Decimal(0)
    for tried in successful:
        takings.hold_name(tried.id)
        if takings.is_taking(tried.id):
            raise sumup.SumUpInDoubt(f"{tried.id} is among the takings of card readers")
        if ledger.record_capture(payment, tried):
            payment.transaction_code = tried.code
            schedule.changed(payment, Payment.Status.CAPTURED)
            payment.save()  # whoever asks the database from here on finds it captured
            order.record("captured", cause="SumUp", payment=str(payment.uuid), amount=str(tried.amount))
            came_in += tried.amount
            if not goes_back:
                decide(order, payment, tried.amount)
    if goes_back and came_in:
        decide(order, payment, came_in)
    if payment.is_live:  # a person was faster, and has attached this money to an order already
        close(order, payment, "its money was attached by staff")


def decide(order: Order, payment: Payment, amount: Decimal) -> None:
    """What this much fresh money of a locked order means: confirm it, revive it, or ask a person."""
    Case.settle(Case.Kind.ATTEMPT_STUCK, payment, _("It was paid."))
    Case.settle(Case.Kind.UNKNOWN_MONEY, payment, _("It is this order's money after all."))
    for stray in Stray.objects.filter(transaction_id__in=payment.movements.values("transaction_id")):
        Case.settle(Case.Kind.UNKNOWN_MONEY, stray, _("It belongs to an order."))
    net = ledger.money_of(order).net
    if amount != payment.amount:
        _open(Case.Kind.AMOUNT_MISMATCH, order, payment, amount)
    if order.is_cancelled_by_staff:
        _end_as_cancelled(order, payment, amount)
    elif order.refunds.exists() and not order.is_sold:
        _open(Case.Kind.LATE_PAYMENT, order, payment, amount)  # once a refund exists, no machine confirms
    elif order.is_awaiting_payment:
        if net < order.total:
            _open(Case.Kind.AMOUNT_MISMATCH, order, payment, amount)
        elif orders.confirm(order, cause="paid"):
            _after_confirming(order, payment, amount)
    elif order.is_sold:
        _open(Case.Kind.DUPLICATE_CAPTURE, order, payment, amount)
    elif net < order.total or not orders.revive(order, cause="late payment"):
        _open(Case.Kind.LATE_PAYMENT, order, payment, amount)
    else:
        _after_confirming(order, payment, amount)


def _end_as_cancelled(order: Order, payment: Payment, amount: Decimal) -> None:
    """Staff are cancelling the order that this came in for: it ends so now, and all its money is asked to go back.

    While another attempt can still be paid the release goes on: it ends the order once that one is over.
    """
    what_happened = _("Order %(number)s was paid while staff cancelled it: it is cancelled, and the money goes back.")
    Case.open(Case.Kind.LATE_PAYMENT, payment, what_happened % {"number": order.number}, at_stake=amount)
    if not order.payments.live().exclude(pk=payment.pk).exists():
        giving_back.end_unpaid(order, None)


def _after_confirming(order: Order, payment: Payment, amount: Decimal) -> None:
    """What else is open for this order must not be paid as well; what is too much, or was called off, must go back."""
    for other in order.payments.live().exclude(pk=payment.pk):
        schedule.look_soon(other.pk)
    events.settle_what_is_over(order)  # a part that came late is needed now
    too_much = ledger.money_of(order).net - order.total
    if too_much > 0 and amount == payment.amount:
        _open(Case.Kind.OVERPAID, order, payment, too_much)
    refunds.prepare_for_called_off(order)


def _open(kind: Case.Kind, order: Order, payment: Payment, amount: Decimal) -> None:
    if kind == Case.Kind.LATE_PAYMENT:
        orders.owe_mail(order, "late_payment", occurrence=str(payment.uuid))
    said = {
        Case.Kind.AMOUNT_MISMATCH: _("Order %(number)s: another amount was paid than was asked for."),
        Case.Kind.OVERPAID: _("Order %(number)s: more was paid than it costs."),
        Case.Kind.LATE_PAYMENT: _("Order %(number)s was paid after it had ended, and could not be revived by itself."),
        Case.Kind.DUPLICATE_CAPTURE: _("Order %(number)s was paid once more, although it was paid already."),
    }[kind]
    Case.open(kind, payment, said % {"number": order.number}, at_stake=amount)


def _record_not_paid(order: Order, payment: Payment, checkout: Checkout) -> None:
    """PENDING, FAILED or EXPIRED; none of them is final by itself (contract, section 5)."""
    Case.settle(Case.Kind.ATTEMPT_STUCK, payment, _("SumUp answered."))
    now = timezone.now()
    if checkout.status != "EXPIRED":
        payment.expired_since = None
    elif payment.expired_since is None:
        payment.expired_since = now
    if checkout.status == "PAID" or checkout.is_being_paid:
        _wait_for_money(payment)
    elif payment.expired_since is not None and now - payment.expired_since >= schedule.STABLE:
        close(order, payment, "expired at SumUp")
    elif now > payment.valid_until + GRACE:
        close(order, payment, "never paid")
    elif checkout.status == "FAILED" and payment.status == Payment.Status.OPEN:
        schedule.changed(payment, Payment.Status.DECLINED)
        order.record("declined", cause="SumUp", payment=str(payment.uuid))
        orders.owe_mail(order, "payment_problem", not_before=now + BEFORE_NAGGING)


def _wait_for_money(payment: Payment) -> None:
    """Paid without a transaction we can use, or still being paid: all stays held; after an hour a person looks."""
    if timezone.now() - payment.valid_until > SILENCE:
        open_stuck(payment, _("SumUp has called this attempt paid, or being paid, for an hour, but shows no payment."))


def open_stuck(payment: Payment, what_happened: str) -> None:
    """Ask a person to look at an attempt that does not come to an end."""
    Case.open(Case.Kind.ATTEMPT_STUCK, payment, what_happened, at_stake=payment.amount)


def close(order: Order, payment: Payment, cause: str) -> None:
    """Write down that a locked attempt cannot be paid any more, as far as anybody can say (unsaved)."""
    schedule.changed(payment, Payment.Status.CLOSED)
    order.record("attempt_closed", cause=cause, payment=str(payment.uuid))
