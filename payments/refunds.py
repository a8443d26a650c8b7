"""Refunds: asked for and approved by people, sent once, and believed only when SumUp's own events show them.

SumUp has no idempotency for refunds and its answers may lie (contract, section 7.1). So: the row is committed before
anything is sent, with the events that were there before; one POST; then only a new REFUND event of the amount makes
it done. In any doubt it stays in doubt, and no machine ever sends it again.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case, User
from cartsite.refusals import Refusal
from cartsite.templatetags.shop import in_words
from orders import services as orders
from orders.models import Order, OrderLine
from orders.worth import worth_of
from payments import events, ledger, schedule, sumup
from payments.models import Payment, Refund, RefundBatch, RefundQuerySet

logger = logging.getLogger(__name__)

# A person may call a refund failed only after SumUp has shown no event of it for so long.
BEFORE_GIVING_UP = timedelta(hours=24)
# In doubt for longer than this, a person is told.
WORTH_TELLING = timedelta(minutes=10)


MAY_APPROVE = "payments.approve_refund"


class CannotRefund(Refusal):
    """The refund cannot be asked for, sent or ended that way; nothing has moved. The text says why, to staff."""


@dataclass(frozen=True)
class Wish:
    """So much money to go back, and why."""

    amount: Decimal  # in the order's currency
    reason: str  # without personal data
    by: User | None  # None: the shopper, or a rule that was promised to them
    line: OrderLine | None = None
    batch: RefundBatch | None = None  # the refunds that it is approved with


# --- Asking and approving ---------------------------------------------------------------------------------------------


@transaction.atomic
def request(payment: Payment, wish: Wish) -> Refund:
    """Ask for a part of a captured payment to go back to the card. Raises CannotRefund."""
    order, payment = ledger.lock(payment)
    name, most = ledger.transaction_with_most(payment)
    _check_amount(wish.amount, most)
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        line=wish.line,
        batch=wish.batch,
        transaction_id=name,
        amount=wish.amount,
        currency=payment.currency,
        reason=wish.reason,
        requested_by=wish.by,
    )
    order.record("refund_requested", by=wish.by, refund=str(refund.uuid), amount=str(wish.amount))
    return refund


def _check_amount(amount: Decimal, most: Decimal) -> None:
    if amount <= 0 or amount != amount.quantize(ledger.NOTHING):
        raise CannotRefund(_("A refund is at least one penny, in whole pennies."))
    if amount > most:
        raise CannotRefund(_("At most %(most)s can go back here.") % {"most": in_words(most)})


@transaction.atomic
def request_from_order(order: Order, wish: Wish) -> list[Refund]:
    """Ask for an amount to go back from whichever payments of the order have it, the newest first.

    Raises CannotRefund with nothing asked for, also where a part of it came in by hand and must go back so.
    """
    order = orders.lock(order.pk)
    _check_amount(wish.amount, ledger.money_of(order).net)
    asked, left = [], wish.amount
    for payment in order.payments.filter(status=Payment.Status.CAPTURED).order_by("-pk"):
        while (part := min(left, ledger.refundable(payment))) > 0:  # again where it has several transactions
            asked.append(request(payment, replace(wish, amount=part)))
            left -= part
    if left > 0:
        raise CannotRefund(_("%(left)s of it did not come by card: that goes back by hand.") % {"left": in_words(left)})
    return asked


@transaction.atomic
def approve(refund: Refund, *, by: User | None) -> bool:
    """Let a requested refund be sent by the next sweep; False if it was approved, sent or turned down already."""
    now = timezone.now()
    approved = Refund.objects.filter(pk=refund.pk, status=Refund.Status.REQUESTED, approved_at=None).update(
        approved_at=now, approved_by=by, next_look_at=now
    )
    if approved:
        refund.order.record("refund_approved", by=by, refund=str(refund.uuid))
    return bool(approved)


@transaction.atomic
def turn_down(refund: Refund, *, by: User, note: str) -> bool:
    """Drop a refund that was not sent yet, and say why; False if it is too late for that."""
    order, refund = _lock(refund)
    if refund.status != Refund.Status.REQUESTED:
        return False
    _drop(order, refund, note, by=by)
    return True


def _drop(order: Order, refund: Refund, note: str, *, by: User | None = None) -> None:
    """End a refund that was never sent, and is not wanted any more: nobody needs to look at that."""
    refund.status, refund.note, refund.next_look_at = Refund.Status.FAILED, note, None
    refund.save()
    order.record("refund_turned_down", by=by, refund=str(refund.uuid))


@transaction.atomic
def give_by_hand(order: Order, wish: Wish) -> Refund:
    """Write down that money went back from hand to hand (or by bank transfer). Raises CannotRefund."""
    order = orders.lock(order.pk)
    _check_amount(wish.amount, ledger.money_of(order).net)
    now = timezone.now()
    refund = Refund.objects.create(
        order=order,
        line=wish.line,
        method=Refund.Method.CASH,
        status=Refund.Status.DONE,
        amount=wish.amount,
        currency=order.currency,
        reason=wish.reason,
        requested_by=wish.by,
        approved_by=wish.by,
        approved_at=now,
        done_at=now,
    )
    ledger.record_cash(order, -wish.amount, refund)
    order.record("refunded", cause="by hand", by=wish.by, refund=str(refund.uuid), amount=str(wish.amount))
    orders.owe_mail(order, "refund", occurrence=str(refund.uuid))
    events.settle_what_is_over(order)
    return refund


@transaction.atomic
def prepare_for_called_off(order: Order) -> None:
    """Ask for what was paid for places that could not be issued; staff only have to approve it.

    Their entries had been called off, or the places that they were to replace did not stand any more.
    """
    in_vain = Case.objects.unresolved().filter(kind=Case.Kind.ENTRY_CANCELLED).values("subject_uuid")
    for line in order.lines.filter(uuid__in=in_vain, bookings=None, refunds=None, total__gt=0):
        why = _("The event was called off.") if line.entry and line.entry.cancelled_at else _("It could not be moved.")
        try:
            batch = RefundBatch.objects.filter(entry=line.entry_id).order_by("pk").last()
            request_from_order(order, Wish(worth_of(line), why, None, line, batch))
        except CannotRefund as refusal:
            logger.warning("No refund was prepared for line %s: %s", line.uuid, refusal)


def hold_still(refund: Refund) -> Refund:
    """The refund as it is now, and stays until the caller's transaction ends."""
    return _lock(refund)[1]


def _lock(refund: Refund) -> tuple[Order, Refund]:
    order = orders.lock(refund.order_id)
    return order, Refund.objects.select_for_update(no_key=True).get(pk=refund.pk)


# --- Sending, once ----------------------------------------------------------------------------------------------------


def send(refund: Refund) -> None:
    """Send an approved refund, once; then it is done, failed, or in doubt.

    Raises SumUpError, with nothing sent, if SumUp does not show the transaction first. Only the holder of the
    refund's lease may call this.
    """
    before = read(refund)  # what was refunded in the dashboard meanwhile counts first
    if not _begin(refund, [event.id for event in before.events]):
        return
    try:
        answer, refused = sumup.refund(refund.transaction_id, refund.amount), False
    except sumup.SumUpNotAsked:
        _unsend(refund)
        raise
    except sumup.SumUpRefused as refusal:
        answer, refused = str(refusal), True
    except sumup.SumUpInDoubt as doubt:
        answer, refused = str(doubt), False
    _conclude(refund, answer, refused=refused)


def read(refund: Refund) -> sumup.FullTransaction:
    """Take in what SumUp shows of the refund's transaction now, and hand it on. Raises SumUpError."""
    full = sumup.get_transaction(refund.transaction_id)
    if refund.payment is not None:
        events.take_in(refund.payment, full)
    return full


@transaction.atomic
def _begin(refund: Refund, seen: list[str]) -> bool:
    """Commit that it is being sent, with the events that were there before; False if it must not be sent now."""
    order, refund = _lock(refund)
    if refund.status != Refund.Status.REQUESTED or refund.approved_at is None or refund.payment is None:
        return False
    if refund.payment.refunds.filter(status__in=Refund.UNDER_WAY).exists():
        return False  # its turn comes when the other one is clear
    if ledger.money_of(order).net < 0 or refund.payment.movements.all().net() < refund.payment.refunds.all().promised():
        events.mark_failed(order, refund, _("Meanwhile there is less left of this money than it asks for."))
        return False
    if refund.retry_of is not None and refund.retry_of.status == Refund.Status.DONE:
        _drop(order, refund, _("The one that it was to repeat has happened after all."))
        return False
    now = timezone.now()
    refund.status, refund.sent_at, refund.seen_events = Refund.Status.SENDING, now, seen
    refund.looks, refund.leased_until, refund.next_look_at = 0, now + schedule.LEASE, now + schedule.LEASE
    refund.save()
    order.record("refund_sending", refund=str(refund.uuid), amount=str(refund.amount))
    return True


@transaction.atomic
def _unsend(refund: Refund) -> None:
    """Nothing was sent after all, for a page waited: it is as it was before, and the sweep sends it."""
    _order, refund = _lock(refund)
    if refund.status == Refund.Status.SENDING:
        refund.status, refund.sent_at, refund.seen_events = Refund.Status.REQUESTED, None, []
        refund.save()


def _conclude(refund: Refund, answer: str, *, refused: bool) -> None:
    """Believe the events, not the answer: failed takes both SumUp's no and no event; all else is in doubt."""
    try:
        read(refund)
    except sumup.SumUpError as error:
        answer, refused = f"{answer}; then {error}", False
    with transaction.atomic():
        order, refund = _lock(refund)
        if refund.status != Refund.Status.SENDING:
            return  # the event is there: it is done
        if refused:
            events.mark_failed(order, refund, answer)
        else:
            _doubt(order, refund, answer)


def _doubt(order: Order, refund: Refund, answer: str) -> None:
    refund.status, refund.answer = Refund.Status.UNKNOWN, answer[:300]
    refund.leased_until, refund.next_look_at = None, timezone.now() + schedule.WAITS[0]
    refund.save()
    order.record("refund_unknown", cause="SumUp", refund=str(refund.uuid))


# --- Looking for it afterwards ----------------------------------------------------------------------------------------


def look(refund: Refund) -> None:
    """One look at a leased refund: send it if it is approved, else see whether SumUp shows it; plan the next look."""
    try:
        if refund.status == Refund.Status.REQUESTED:
            send(refund)
        else:
            _doubt_if_abandoned(refund)
            read(refund)
    except sumup.SumUpError as error:
        logger.warning("Refund %s: %s", refund.uuid, error)
    finally:
        _put_back(refund)


@transaction.atomic
def _doubt_if_abandoned(refund: Refund) -> None:
    """Whoever was sending it has lost the lease: nobody knows whether it went out, so nobody sends it again."""
    order, refund = _lock(refund)
    if refund.status == Refund.Status.SENDING:
        _doubt(order, refund, _("The process that sent it was interrupted."))


@transaction.atomic
def _put_back(refund: Refund) -> None:
    """End a look: count it, plan the next, give the lease back; a doubt that lasts becomes a case."""
    order, refund = _lock(refund)
    refund.looks += 1
    refund.leased_until, refund.next_look_at = None, _next_look(refund)
    refund.save(update_fields=["looks", "leased_until", "next_look_at"])
    if refund.status == Refund.Status.UNKNOWN and refund.sent_at and timezone.now() - refund.sent_at > WORTH_TELLING:
        Case.open(
            Case.Kind.REFUND_UNKNOWN,
            refund,
            _("Order %(number)s: nobody can say yet whether this refund happened.") % {"number": order.number},
            at_stake=refund.amount,
        )


def _next_look(refund: Refund) -> datetime | None:
    """When to look again: a doubt never ends by itself; a failed one may turn up for another day."""
    waits = schedule.WAITS
    if refund.status == Refund.Status.FAILED and refund.sent_at:
        waits = schedule.WAITS_ONCE_CLOSED
        if refund.looks >= len(waits):
            return None
    elif not refund.is_alive or refund.approved_at is None:
        return None
    return timezone.now() + (waits[refund.looks] if refund.looks < len(waits) else schedule.DAY)


def sweep(most: int = 100) -> None:
    """Send and look for up to `most` refunds that are due, each on its own: one that fails delays no other."""
    for _turn in range(most):
        refund = _take_next()
        if refund is None:
            return
        try:
            look(refund)
        except Exception:
            logger.exception("Refund %s could not be looked at; the sweep goes on.", refund.uuid)


def look_now(refund: Refund) -> bool:
    """Look at one refund at once; False if another process is at it."""
    taken = _take(Refund.objects.filter(pk=refund.pk))
    if taken is not None:
        look(taken)
    return taken is not None


def _take_next() -> Refund | None:
    return _take(Refund.objects.due())


@transaction.atomic
def _take(refunds: RefundQuerySet) -> Refund | None:
    """Lease the first of these refunds that nobody works on."""
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    refund = refunds.filter(free).select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
    if refund is not None:
        refund.leased_until = refund.next_look_at = now + schedule.LEASE
        refund.save(update_fields=["leased_until", "next_look_at"])
    return refund


# --- What only a person may decide ------------------------------------------------------------------------------------


def give_up(refund: Refund, *, by: User, note: str) -> None:
    """A person says that a refund in doubt for a day has failed. Raises CannotRefund, or SumUpError if SumUp does not
    show the transaction now; and if it shows the refund after all, it is done."""
    look_before_giving_up(refund)
    call_failed(refund, by=by, note=note)


def look_before_giving_up(refund: Refund) -> None:
    """Take in what SumUp shows of a refund in doubt for a day. Raises CannotRefund before that, or SumUpError."""
    if refund.sent_at is None or timezone.now() - refund.sent_at < BEFORE_GIVING_UP:
        raise CannotRefund(_("SumUp may still show it: wait until it was sent 24 hours ago."))
    read(refund)


@transaction.atomic
def call_failed(refund: Refund, *, by: User, note: str) -> None:
    """Write down that a refund has failed of which SumUp shows nothing. Raises CannotRefund."""
    order, refund = _lock(refund)
    if refund.status != Refund.Status.UNKNOWN:
        raise CannotRefund(_("It is not in doubt any more."))
    refund.note = note
    refund.save(update_fields=["note"])
    order.record("refund_given_up", by=by, refund=str(refund.uuid))
    for case in Case.objects.unresolved().filter(kind=Case.Kind.REFUND_UNKNOWN).about(refund):
        case.resolve(by=by, note=note)
    events.mark_failed(order, refund, _("SumUp has shown no sign of it for a day."))


def retry(refund: Refund, *, by: User, note: str) -> Refund:
    """A person who has seen what SumUp says sends a failed refund once more, as a new one; the new one.

    Raises CannotRefund, or SumUpError if SumUp does not show the transaction now; and if it shows the refund after
    all, nothing is sent.
    """
    read(refund)
    return send_again(refund, by=by, note=note)


@transaction.atomic
def send_again(refund: Refund, *, by: User, note: str) -> Refund:
    """Let a refund that failed, as SumUp has just said, be sent as a new one; the new one. Raises CannotRefund."""
    _order, refund = _lock(refund)
    if refund.status != Refund.Status.FAILED or refund.payment is None:
        raise CannotRefund(_("It has not failed."))
    if refund.sent_at is None:
        raise CannotRefund(_("It was never sent. Ask for a new refund instead."))
    if hasattr(refund, "retried_as"):
        raise CannotRefund(_("It was tried again already."))
    fresh = request(refund.payment, Wish(refund.amount, refund.reason, by, refund.line, refund.batch))
    fresh.retry_of, fresh.note = refund, note
    fresh.save(update_fields=["retry_of", "note"])
    approve(fresh, by=by)
    for case in Case.objects.unresolved().filter(kind=Case.Kind.REFUND_FAILED).about(refund):
        case.resolve(by=by, note=note)
    return fresh
