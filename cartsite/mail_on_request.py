"""Mail that anybody can have sent to any address: sign-in codes, the link to an order, a place in a waiting list.

So that nobody is flooded with it, an address gets so much of it a day, whoever asks, and nothing once its owner
said so. Whoever asked is told neither (ADR 0022). Only hashes of addresses are kept.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone

from cartsite.models import MailCount, Suppression

KEPT = timedelta(days=2)
SIGNER = Signer(salt="cartsite.mail_on_request")


def hash_of(email: str) -> str:
    """What is kept of an address. It has no secret in it, so that what an owner said outlasts every key of the shop."""
    return hashlib.sha256(f"mail on request: {email.strip().lower()}".encode()).hexdigest()[:32]


@contextmanager
def counted(email: str) -> Iterator[bool]:
    """Whether one more such mail may go to this address now; it counts, unless sending it raises something."""
    may_go = not is_suppressed(hash_of(email)) and _count(hash_of(email))
    try:
        yield may_go
    except Exception:
        if may_go:
            _of_today(hash_of(email)).filter(sent__gt=0).update(sent=F("sent") - 1)
        raise


def _count(address_hash: str) -> bool:
    """Count one mail of today. Returns False if there were as many as there may be; of two at once one is the last."""
    MailCount.objects.get_or_create(address_hash=address_hash, day=_today())
    left = _of_today(address_hash).filter(sent__lt=settings.MAIL_ON_REQUEST_A_DAY)
    return bool(left.update(sent=F("sent") + 1))


def _of_today(address_hash: str) -> QuerySet[MailCount]:
    return MailCount.objects.filter(address_hash=address_hash, day=_today())


def _today() -> date:
    return timezone.now().date()  # UTC


def forget_counts() -> int:
    """Delete the counts of days that are over; how many."""
    return MailCount.objects.filter(day__lt=_today() - KEPT).delete()[0]


# --- Never again ------------------------------------------------------------------------------------------------------


def stop_link(email: str) -> str:
    """The address (with host) of the page where whoever reads this mail can say that they want no more of it."""
    return f"{settings.PUBLIC_URL}{reverse('stop_mail')}?key={SIGNER.sign(hash_of(email))}"


def read_key(key: str) -> str | None:
    """The hash of the address that a link was made for; None if we did not make it."""
    try:
        return SIGNER.unsign(key)
    except BadSignature:
        return None


def is_suppressed(address_hash: str) -> bool:
    """Whether the owner of this address wants no such mail."""
    return Suppression.objects.filter(address_hash=address_hash).exists()


def suppress(address_hash: str) -> None:
    """Send no such mail to this address any more. Saying it twice is saying it once."""
    Suppression.objects.get_or_create(address_hash=address_hash)


def lift(address_hash: str) -> None:
    """Send such mail to this address again."""
    Suppression.objects.filter(address_hash=address_hash).delete()
