"""What happened to money after it came: refunds and chargebacks, as SumUp's own events tell."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case
from orders import services as orders
from orders.models import LineFact, Order
from payments import ledger
from payments.models import Movement, Payment, Refund
from payments.sumup import Event, FullTransaction

# Cases about money that was too much, late or unexpected: over once it has gone back.
ABOUT_TOO_MUCH = (
    Case.Kind.LATE_PAYMENT,
    Case.Kind.DUPLICATE_CAPTURE,
    Case.Kind.AMOUNT_MISMATCH,
    Case.Kind.OVERPAID,
)


@transaction.atomic
def take_in(payment: Payment, full: FullTransaction) -> None:
    """Write down every refund and chargeback of a payment's transaction that we have not heard of.

    A refund event is ours if one of its amount was sent and the event was not there before; else somebody made it in
    SumUp's dashboard, and a person is told.
    """
    order, payment = ledger.lock(payment)
    for event in full.of_kind("REFUND"):
        _take_refund(order, payment, event)
    for event in full.of_kind("CHARGE_BACK"):
        _take_chargeback(order, payment, event)
    _let_yield(order, payment)
    settle_what_is_over(order)


def _take_refund(order: Order, payment: Payment, event: Event) -> None:
    if _is_written_down(payment, Movement.Kind.REFUND, event):
        return
    refund = _find_ours(payment, event) or _write_external(order, payment, event)
    ledger.record_money_back(Movement.Kind.REFUND, payment, event, refund)
    if refund.status != Refund.Status.EXTERNAL:
        refund.status, refund.next_look_at, refund.leased_until = Refund.Status.DONE, None, None
    refund.done_at = event.at
    refund.save()
    order.record("refunded", cause="SumUp", refund=str(refund.uuid), amount=str(event.amount))
    for kind in (Case.Kind.REFUND_UNKNOWN, Case.Kind.REFUND_FAILED):
        Case.settle(kind, refund, _("SumUp shows the refund."))
    # Whatever waited for its turn can go now.
    payment.refunds.filter(status=Refund.Status.REQUESTED, approved_at__isnull=False).update(
        next_look_at=timezone.now(), looks=0
    )
    orders.owe_mail(order, "refund", occurrence=str(refund.uuid))


def _is_written_down(payment: Payment, kind: Movement.Kind, event: Event) -> bool:
    return Movement.objects.filter(merchant_code=payment.merchant_code, kind=kind, sumup_id=event.id).exists()


def _find_ours(payment: Payment, event: Event) -> Refund | None:
    """The refund that this event is of: sent, of this amount, before the event was seen; those under way first."""
    sent = payment.refunds.filter(
        status__in=[*Refund.UNDER_WAY, Refund.Status.FAILED],
        transaction_id=event.transaction_id,
        amount=event.amount,
        sent_at__isnull=False,
    )
    possible = [refund for refund in sent.order_by("sent_at") if event.id not in refund.seen_events]
    return next(iter(sorted(possible, key=lambda refund: refund.status == Refund.Status.FAILED)), None)


def _write_external(order: Order, payment: Payment, event: Event) -> Refund:
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        transaction_id=event.transaction_id,
        status=Refund.Status.EXTERNAL,
        amount=event.amount,
        currency=payment.currency,
        reason=_("Made at SumUp, not here."),
        requested_at=event.at,
    )
    Case.open(
        Case.Kind.EXTERNAL_REFUND,
        refund,
        _("Order %(number)s: somebody refunded this in SumUp's dashboard.") % {"number": order.number},
        at_stake=event.amount,
    )
    return refund


def _take_chargeback(order: Order, payment: Payment, event: Event) -> None:
    if not ledger.record_money_back(Movement.Kind.CHARGEBACK, payment, event):
        return
    order.record("charged_back", cause="SumUp", payment=str(payment.uuid), amount=str(event.amount))
    Case.open(
        Case.Kind.CHARGEBACK,
        payment,
        _("Order %(number)s: the bank took this payment back at the cardholder's word.") % {"number": order.number},
        at_stake=event.amount,
    )


def _let_yield(order: Order, payment: Payment) -> None:
    """What went back elsewhere cannot go back again: refunds that no longer fit what is left have failed.

    One that was sent fails only where SumUp shows so many refunds that it cannot be among them; beside a chargeback it
    may have happened all the same.
    """
    for refund in payment.refunds.filter(status=Refund.Status.REQUESTED).order_by("-pk"):
        if payment.movements.all().net() < payment.refunds.all().promised():
            mark_failed(order, refund, _("The money went back another way meanwhile."))
    left = payment.movements.filter(kind__in=[Movement.Kind.CAPTURE, Movement.Kind.REFUND]).net()
    for refund in payment.refunds.filter(status__in=Refund.UNDER_WAY, amount__gt=left):
        mark_failed(order, refund, _("SumUp shows other refunds of this payment, so that it cannot have happened."))


def mark_failed(order: Order, refund: Refund, why: str) -> None:
    """A locked order's refund did not happen: say so, and ask a person what to do."""
    refund.status, refund.leased_until = Refund.Status.FAILED, None
    refund.answer = why[:300]
    refund.save(update_fields=["status", "answer", "leased_until"])
    order.record("refund_failed", cause="SumUp", refund=str(refund.uuid), amount=str(refund.amount))
    Case.settle(Case.Kind.REFUND_UNKNOWN, refund, _("It has failed."))
    what_happened = _("Order %(number)s: a refund did not happen. %(why)s")
    Case.open(
        Case.Kind.REFUND_FAILED,
        refund,
        what_happened % {"number": order.number, "why": refund.answer},
        at_stake=refund.amount,
    )


def settle_what_is_over(order: Order) -> None:
    """Resolve the cases about money that was too much, where it has gone back or the locked order's sum is right."""
    is_right = order.movements.all().net() == (order.total if order.is_sold else ledger.NOTHING)
    if order.is_sold and _has_lost_worth(order):
        is_right = False  # its total is more than what is left of it comes to: a person decides
    for payment in order.payments.filter(status=Payment.Status.CAPTURED):
        if is_right or payment.movements.all().net() <= 0:
            _settle(payment, _("The money has gone back, or the order's sum is right again."))
    if is_right:
        Case.settle(Case.Kind.OVERPAID, order, _("The order's sum is right again."))
    for line in order.lines.filter(refunds__status=Refund.Status.DONE):
        Case.settle(Case.Kind.ENTRY_CANCELLED, line, _("The money has gone back."))


def _has_lost_worth(order: Order) -> bool:
    """Whether something of it was called off, or moved to where it costs less."""
    called_off = Q(total__gt=0, facts__kind=LineFact.Kind.CANCELLED)
    return order.lines.filter(called_off | Q(bookings__given_back__gt=0)).exists()


def _settle(payment: Payment, note: str) -> None:
    for kind in ABOUT_TOO_MUCH:
        Case.settle(kind, payment, note)
