"""When to look at a payment next, and who looks: at most one process at a time."""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from payments.models import Payment, PaymentQuerySet

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))

# How long to wait for each look after the last change (contract, section 8): sooner at first, then with patience.
WAITS = [10 * SECOND, 30 * SECOND, *(n * MINUTE for n in (1, 2, 5, 10, 20, 30)), *[HOUR] * 23, *[DAY] * 6]
# A closed attempt is asked about a few times more: SumUp may have taken the money all the same.
WAITS_ONCE_CLOSED = [5 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]
BETWEEN_LOOKS = 3 * SECOND
LEASE = 2 * MINUTE  # longer than all the calls of one look
STABLE = MINUTE  # EXPIRED must be said twice this far apart


def next_look(payment: Payment) -> datetime | None:
    """When (UTC) to look at a payment again, after `payment.looks` looks since its last change; None: no more."""
    now = timezone.now()
    if payment.status == Payment.Status.CAPTURED:
        return None
    if payment.status == Payment.Status.CLOSED:
        left = WAITS_ONCE_CLOSED[payment.looks :]
        return max(payment.changed_at + left[0], now) if left else None
    if payment.expired_since is not None and payment.expired_since + STABLE > now:
        return payment.expired_since + STABLE
    wait = WAITS[payment.looks] if payment.looks < len(WAITS) else DAY
    return now + wait * random.uniform(1, 1.2)  # noqa: S311 - so that not all come at once


def changed(payment: Payment, status: str) -> None:
    """Put a locked payment into a new status and begin its schedule anew (unsaved)."""
    payment.status = status
    payment.changed_at = timezone.now()
    payment.looks = 0
    payment.next_look_at = next_look(payment)


def _to_look_at() -> PaymentQuerySet:
    """Payments that may have news, and that nobody looks at now or looked at within 3 seconds."""
    now = timezone.now()
    rested = Q(last_look_at=None) | Q(last_look_at__lte=now - BETWEEN_LOOKS)
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    return Payment.objects.filter(rested, free).exclude(status=Payment.Status.CAPTURED)


def _lease() -> dict[str, datetime]:
    """What a look writes down as it begins; if its process dies, another comes as soon as the lease has lapsed."""
    now = timezone.now()
    return {"last_look_at": now, "leased_until": now + LEASE, "next_look_at": now + LEASE}


def take(payment_id: int) -> bool:
    """Take the lease on one payment's look, unless somebody looks now or did within 3 seconds, or it is captured."""
    return bool(_to_look_at().filter(pk=payment_id).update(**_lease()))


@transaction.atomic
def take_next() -> Payment | None:
    """Take the lease on the payment whose look is longest overdue; None if nothing is due."""
    payment = _to_look_at().due().select_for_update(skip_locked=True, no_key=True).first()
    if payment is not None:
        Payment.objects.filter(pk=payment.pk).update(**_lease())
    return payment


@transaction.atomic
def put_back(payment_id: int, *, answered: bool) -> None:
    """End a look: count it, say when the next one is, and give the lease back."""
    payment = Payment.objects.select_for_update(no_key=True).get(pk=payment_id)
    if payment.last_look_at is None or payment.changed_at < payment.last_look_at:  # else its schedule began anew
        payment.looks += 1
        if not _was_knocked_at(payment):
            payment.next_look_at = next_look(payment)
    payment.leased_until = None
    if answered:
        payment.answered_at = timezone.now()
    payment.save(update_fields=["looks", "next_look_at", "leased_until", "answered_at"])


def _was_knocked_at(payment: Payment) -> bool:
    """Whether the next look was brought forward during this one, which may have come too early to see what is new."""
    planned, lapse = payment.next_look_at, payment.leased_until
    return planned is not None and lapse is not None and planned < lapse


def look_soon(payment_id: int) -> None:
    """Bring a payment's next look forward to now, even if none was to come any more; a captured one needs none."""
    now = timezone.now()
    later = Q(next_look_at=None) | Q(next_look_at__gt=now)
    Payment.objects.filter(later, pk=payment_id).exclude(status=Payment.Status.CAPTURED).update(next_look_at=now)
