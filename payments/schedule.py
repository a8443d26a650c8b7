"""When to look at a payment next, and who looks: at most one process at a time."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from payments import sumup
from payments.models import Payment, PaymentQuerySet

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))

# How long to wait for each look after the last change (contract, section 8): sooner at first, then with patience.
WAITS = [10 * SECOND, 30 * SECOND, *(n * MINUTE for n in (1, 2, 5, 10, 20, 30)), *[HOUR] * 23, *[DAY] * 6]
# A closed attempt is asked about a few times more: SumUp may have taken the money all the same.
WAITS_ONCE_CLOSED = [5 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]
BETWEEN_LOOKS = 3 * SECOND
LEASE = 2 * MINUTE  # of a refund: longer than all the calls of one look
MARGIN = 5 * SECOND  # a lease on a payment outlasts the deadline of its holder's call by so much
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


@dataclass
class Lease:
    """The right of one process to look at a payment, or to send it. It lapses soon after its holder's call must end."""

    payment_id: int
    until: datetime  # as the database has it while the lease is ours
    was_used: bool = False  # whether anything was asked of SumUp with it

    def renew(self, method: str, seconds: float) -> None:
        """Prolong it past a call of so many seconds. Raises SumUpNotAsked if another process has taken it meanwhile.

        A POST is written down with it, so that nobody takes an attempt that may have been sent for one that was not.
        """
        until = _lapse(seconds)
        written = {"sent_at": Coalesce(F("sent_at"), timezone.now())} if method == "POST" else {}
        planned = Case(When(next_look_at=self.until, then=Value(until)), default=F("next_look_at"))
        ours = Payment.objects.filter(pk=self.payment_id, leased_until=self.until)
        if ours.update(leased_until=until, next_look_at=planned, **written):
            self.until = until
            self.was_used = True
        elif method == "POST" or Payment.objects.filter(pk=self.payment_id, leased_until__isnull=False).exists():
            raise sumup.SumUpNotAsked("The lease was lost to another process")


def _lapse(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds) + MARGIN


def first_lease() -> dict[str, datetime]:
    """What a look writes down as it begins; if its process dies, another comes as soon as the lease has lapsed."""
    lapse = _lapse(settings.SUMUP_TIMEOUT[1])
    return {"last_look_at": timezone.now(), "leased_until": lapse, "next_look_at": lapse}


def take(payment_id: int) -> bool:
    """Take the lease on one payment's look, unless somebody looks now or did within 3 seconds, or it is captured."""
    return bool(_to_look_at().filter(pk=payment_id).update(**first_lease()))


@transaction.atomic
def take_next() -> Payment | None:
    """Take the lease on the payment whose look is longest overdue; None if nothing is due."""
    payment = _to_look_at().due().select_for_update(skip_locked=True, no_key=True).first()
    if payment is not None:
        lease = first_lease()
        Payment.objects.filter(pk=payment.pk).update(**lease)
        payment.leased_until = lease["leased_until"]
    return payment


@contextmanager
def holding(payment: Payment) -> Iterator[Lease]:
    """While this runs, the lease that the payment was read with is renewed before each call to SumUp."""
    lease = Lease(payment.pk, payment.leased_until or timezone.now())
    with sumup.before_each_call(lease.renew):
        yield lease


@transaction.atomic
def put_back(lease: Lease, *, answered: bool) -> None:
    """End a look: count it, say when the next one is, and give the lease back if it is still ours."""
    payment = Payment.objects.select_for_update(no_key=True).get(pk=lease.payment_id)
    if payment.leased_until not in (None, lease.until):
        return  # it lapsed, and another process looks now
    if payment.last_look_at is None or payment.changed_at < payment.last_look_at:  # else its schedule began anew
        payment.looks += 1
        if not _was_knocked_at(payment):
            payment.next_look_at = next_look(payment)
    payment.leased_until, payment.last_look_at = None, timezone.now()
    if answered:
        payment.answered_at = timezone.now()
    payment.save(update_fields=["looks", "next_look_at", "leased_until", "last_look_at", "answered_at"])


def hand_over(lease: Lease) -> None:
    """End a look that could not be finished now, since SumUp is not to be asked: the next sweep goes on.

    It goes on at once where nothing was asked, else in 3 seconds, so that the page that comes next does not wait again.
    """
    now = timezone.now()
    ours = Payment.objects.filter(pk=lease.payment_id, leased_until=lease.until)
    ours.update(leased_until=None, last_look_at=now if lease.was_used else None, next_look_at=now)


def _was_knocked_at(payment: Payment) -> bool:
    """Whether the next look was brought forward during this one, which may have come too early to see what is new."""
    planned, lapse = payment.next_look_at, payment.leased_until
    return planned is not None and lapse is not None and planned < lapse


def look_soon(payment_id: int) -> None:
    """Bring a payment's next look forward to now, even if none was to come any more; a captured one needs none."""
    now = timezone.now()
    later = Q(next_look_at=None) | Q(next_look_at__gt=now)
    Payment.objects.filter(later, pk=payment_id).exclude(status=Payment.Status.CAPTURED).update(next_look_at=now)
