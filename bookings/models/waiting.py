"""Who waits for a place at something that is sold out."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from bookings.models.calendars import Entry, PriceKind
from bookings.models.pools import Hold


def new_waiting_key() -> str:
    """A fresh secret for the link of somebody who waits: 143 bits."""
    return get_random_string(24)


class WaiterQuerySet(models.QuerySet["Waiter"]):
    def in_turn(self) -> Self:
        """Those who still wait, the first in line first."""
        return self.filter(status=Waiter.Status.WAITING).order_by("place", "pk")


class Waiter(models.Model):
    """Somebody on the waiting list of an entry; an offer is a hold with an end. One line for all who share a pool."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        OFFERED = "offered", _("Offered")
        TAKEN = "taken", _("Taken")
        PASSED = "passed", _("Offer not taken")
        LEFT = "left", _("Left the list")
        CLOSED = "closed", _("Booking closed")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # Whoever holds the link with this key may take the offer or leave the list. It is mailed, so it is kept readable.
    key = models.CharField(max_length=24, default=new_waiting_key, editable=False)
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="waiters")
    price_kind = models.ForeignKey(PriceKind, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Personal data: emptied when the person is erased.
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    quantity = models.PositiveSmallIntegerField()
    # Where in the line: staff may change it. Of equals whoever came first is first.
    place = models.BigIntegerField(default=0, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING, editable=False)
    hold = models.OneToOneField(
        Hold, null=True, blank=True, on_delete=models.PROTECT, related_name="waiter", editable=False
    )
    offer_until = models.DateTimeField(null=True, blank=True, editable=False)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WaiterQuerySet.as_manager()

    class Meta:
        verbose_name = _("waiting-list place")
        constraints = [
            models.UniqueConstraint(
                "entry",
                Upper("email"),
                condition=Q(status__in=["waiting", "offered"]) & ~Q(email=""),
                name="waiter_once_per_entry_and_address",
            ),
            models.CheckConstraint(name="waiter_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="waiter_offer_has_a_hold_and_an_end",
                condition=~Q(status="offered") | Q(hold__isnull=False, offer_until__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["entry", "place", "id"], condition=Q(status="waiting"), name="waiter_in_turn"),
            models.Index(fields=["offer_until"], condition=Q(status="offered"), name="waiter_offers_by_end"),
        ]

    def __str__(self) -> str:
        return str(self.uuid)[:8]
