"""Safe release: letting an unpaid order's capacity go only when none of its payments can be paid any more.

Setting `closing_*` commits the wish; every step after it may be done by any process, any number of times.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cart.models import Cart
from cartsite.models import Case, User
from cartsite.refusals import Refusal
from orders import services as orders
from orders.models import Order, OrderQuerySet
from payments import giving_back, schedule, sending, settling, sumup
from payments.models import Payment
from payments.sumup import Checkout

logger = logging.getLogger(__name__)

# Money that is not yet understood keeps an order from being let go.
BLOCKING = (Case.Kind.AMOUNT_MISMATCH, Case.Kind.DUPLICATE_CAPTURE, Case.Kind.MISSING_AT_SUMUP)
LONGEST_WAIT = timedelta(minutes=10)
LEASE = timedelta(minutes=5)


class CannotRelease(Refusal):
    """The order is not waiting for payment, or money of it is here or in doubt."""

    def __init__(self, number: str) -> None:
        why = _(
            "%(number)s cannot be cancelled: it is over, partly handed out, ends already, or its money is in doubt."
        )
        super().__init__(why % {"number": number})


def release(
    order: Order, *, to: str, by: str, user: User | None = None, cart: Cart | None = None, reason: str = ""
) -> bool:
    """Begin to let an order go and try to finish at once; True if it is done, False if a sweep will go on.

    Raises CannotRelease with nothing moved.
    """
    begin(order, to=to, by=by, user=user, cart=cart, reason=reason)
    return step(order)


@transaction.atomic
def begin(
    order: Order, *, to: str, by: str, user: User | None = None, cart: Cart | None = None, reason: str = ""
) -> None:
    """Write down that the order is to end as `to` (expired or cancelled), by whom, why, and into which cart.

    From this commit on no new attempt to pay starts. A closing that has begun already goes on as it was, but staff's
    cancel takes over from the timer and from a shopper who changes the basket. Raises CannotRelease.
    """
    order = orders.lock(order.pk)
    if not order.is_awaiting_payment or not _may_go(order, to=to, by=by):
        raise CannotRelease(order.number)
    if order.is_closing and not _takes_over(order, by):
        return
    now = timezone.now()
    Order.objects.filter(pk=order.pk).update(
        closing_since=now,
        closing_to=to,
        closing_by=by,
        closing_user=user,
        closing_cart=cart,
        closing_reason=reason,
        next_step_at=now,
    )
    order.record("closing", cause=by, by=user, to=to, **({"reason": reason} if reason else {}))


def _takes_over(order: Order, by: str) -> bool:
    """Whether this closer goes before the one that began. Raises CannotRelease where staff's cancel cannot.

    Those whose entry was cancelled were told where the rest of their order is.
    """
    if by == Order.Closer.STAFF and order.closing_by == Order.Closer.ENTRY:
        raise CannotRelease(order.number)
    return by == Order.Closer.STAFF and order.closing_by != Order.Closer.STAFF


@transaction.atomic
def withdraw(order: Order) -> bool:
    """The shopper would rather keep the order; True if its payment page still works, so that it can be."""
    order = orders.lock(order.pk)
    page_works = order.payments.filter(status__in=Payment.AT_SUMUP, expired_since=None).exists()
    if not (order.is_closing and order.closing_by == Order.Closer.SHOPPER and page_works):
        return False
    _stop_closing(order)
    order.record("closing_withdrawn", cause=Order.Closer.SHOPPER)
    return True


def _stop_closing(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(
        closing_since=None,
        closing_to="",
        closing_by="",
        closing_user=None,
        closing_reason="",
        closing_cart=None,
        next_step_at=order.deadline,
    )


def guard_holds(order: Order) -> bool:
    """Whether no money of the order is here or on its way back, and none of it is in doubt."""
    settled = order.movements.all().net() == 0 and not order.refunds.alive().exists()
    return settled and not _has_case(order, BLOCKING)


def _has_case(order: Order, kinds: Sequence[str]) -> bool:
    return Case.objects.unresolved().filter(kind__in=kinds).about(order, *order.payments.all()).exists()


def _may_go(order: Order, *, to: str, by: str) -> bool:
    """The guard; but staff may also cancel a part-paid order, since with that all its money is sent back."""
    if to == Order.Status.CANCELLED and by in (Order.Closer.STAFF, Order.Closer.ENTRY):
        return not _has_case(order, [Case.Kind.MISSING_AT_SUMUP])
    return guard_holds(order)


def step(order: Order) -> bool:
    """Close what can be closed now, and let the order go if that was all; True if it was let go."""
    if not Order.objects.filter(pk=order.pk, closing_since__isnull=False).exists():
        return False  # the shopper has withdrawn it, or another process was faster
    for payment in order.payments.live():
        close_attempt(payment)
    return _finish(order)


def close_attempt(payment: Payment) -> bool:
    """Bring a live attempt as near to its end as SumUp allows now: settled if paid, deleted if not, else waited for.

    False if SumUp gave no answer.
    """
    if payment.status in Payment.UNSENT:
        _close_unsent(payment)
        return True
    try:
        checkout = settling.settle(payment)
        if checkout is not None and _may_be_deleted(checkout):
            _delete(checkout)
            settling.settle(payment)  # it may have been paid at the last moment
    except sumup.SumUpError:
        complain_about_silence(payment)
        return False
    return True


def _close_unsent(payment: Payment) -> None:
    """Its page was never shown to anybody. What SumUp may have made of it is deleted as far as can be."""
    try:
        hits = sumup.find_checkouts(payment.reference)
    except sumup.SumUpError:
        hits = []
    for checkout in hits:
        _delete(checkout)
    sending.give_up(payment, "its page was never shown", hits[0].id if hits else None)


def _may_be_deleted(checkout: Checkout) -> bool:
    return checkout.status in ("PENDING", "FAILED") and not checkout.is_being_paid


def _delete(checkout: Checkout) -> None:
    with suppress(sumup.SumUpError):  # 409: it may be paid, as the reading that follows tells; others are tried again
        sumup.delete_checkout(checkout.id)


def complain_about_silence(payment: Payment) -> None:
    heard = payment.answered_at or payment.created_at
    if timezone.now() - heard > settling.SILENCE:
        settling.open_stuck(payment, _("SumUp has given no answer about this attempt for an hour."))


@transaction.atomic
def _finish(order: Order) -> bool:
    """Let the order go if all its payments are closed and the guard holds; else say when to go on."""
    named = Order.objects.values_list("closing_cart", flat=True).get(pk=order.pk)
    cart = _lock_cart(named)
    order = orders.lock(order.pk)
    if not order.is_awaiting_payment or not order.is_closing or order.closing_cart_id != named:
        return False
    live = order.payments.live().order_by("pk").select_for_update(no_key=True).first()
    if live is not None:
        _come_back(order, live)
        return False
    if not _may_go(order, to=order.closing_to, by=order.closing_by):
        _stop_closing(order)
        order.record("closing_stopped", cause=order.closing_by)
        return False
    return giving_back.end_unpaid(order, cart)


def _lock_cart(named: int | None) -> Cart | None:
    """The cart that gets the order's lines, followed to where it was merged; None if it was ordered or never named."""
    cart = None if named is None else Cart.objects.filter(pk=named).first()
    while cart is not None:
        cart = Cart.objects.select_for_update(no_key=True).get(pk=cart.pk)
        if cart.merged_into is None:
            return cart if cart.ordered_at is None else None
        cart = cart.merged_into
    return None


def _come_back(order: Order, live: Payment) -> None:
    """Try again when the live attempt may be over: soon at first, then with patience."""
    now = timezone.now()
    age = now - (order.closing_since or now)
    wait = min(max(age / 4, 5 * schedule.SECOND), LONGEST_WAIT)
    if live.expired_since is not None and live.expired_since + schedule.STABLE > now:
        wait = live.expired_since + schedule.STABLE - now
    Order.objects.filter(pk=order.pk).update(next_step_at=now + wait)


# --- On a timer -------------------------------------------------------------------------------------------------------


def sweep() -> None:
    """Go on with every closing that is due, and begin to close the unpaid orders whose time is over.

    Each on its own: one that fails delays no other.
    """
    while (order := _take_next()) is not None:
        try:
            _close_in_time(order)
        except Exception:
            logger.exception("Order %s could not be let go; the sweep goes on.", order.number)


def go_on(order: Order) -> None:
    """Take the next step of an unpaid order's end if it is due: for the page where its shopper waits."""
    due = _take(Order.objects.due().filter(pk=order.pk))
    if due is not None:
        _close_in_time(due)


def _take_next() -> Order | None:
    """Lease the unpaid order that is longest overdue."""
    return _take(Order.objects.due())


@transaction.atomic
def _take(due: OrderQuerySet) -> Order | None:
    """Lease the first of these orders, and put its next step off in case this process dies."""
    order = due.select_for_update(skip_locked=True, no_key=True).first()
    if order is not None:
        now = timezone.now()
        order.leased_until, order.next_step_at = now + LEASE, now + LONGEST_WAIT
        order.save(update_fields=["leased_until", "next_step_at"])
    return order


def _close_in_time(order: Order) -> None:
    try:
        if order.is_closing:
            step(order)
        elif order.deadline <= timezone.now():
            release(order, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)
    except CannotRelease:
        pass  # its money is looked at by a person; the next step is put off already
    finally:
        Order.objects.filter(pk=order.pk).update(leased_until=None)
