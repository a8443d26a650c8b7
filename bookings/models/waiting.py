"""Who waits for a place at something that is sold out."""

import uuid
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Upper
from django.urls import reverse
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

    def with_turn(self) -> Self:
        """Each with its `turn`: its place among those who wait in its line, from 1."""
        sooner = Q(place__lt=OuterRef("place")) | Q(place=OuterRef("place"), pk__lt=OuterRef("pk"))
        line = Waiter.objects.filter(sooner, status=Waiter.Status.WAITING, entry__pool=OuterRef("entry__pool"))
        before = line.order_by().values("entry__pool").annotate(n=Count("pk")).values("n")
        return self.annotate(turn=Coalesce(Subquery(before), 0) + 1)

    def active(self) -> Self:
        """Those who wait or have an offer, with what an offer depends on loaded."""
        active = self.filter(status__in=[Waiter.Status.WAITING, Waiter.Status.OFFERED])
        return active.select_related("entry__calendar", "entry__pool", "price_kind", "hold")


class Waiter(models.Model):
    """Somebody on the waiting list of an entry; an offer is a hold with an end. One line for all who share a pool.

    Somebody who only asked has no place in the line before they confirm, with the link that is mailed to them, that the
    address is theirs.
    """

    class Status(models.TextChoices):
        ASKED = "asked", _("Not confirmed yet")
        WAITING = "waiting", _("Waiting")
        OFFERED = "offered", _("Offered")
        TAKEN = "taken", _("Taken")
        PASSED = "passed", _("Offer not taken")
        LEFT = "left", _("Left the list")
        CLOSED = "closed", _("Booking closed")
        LAPSED = "lapsed", _("Never confirmed")

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
    # When they asked, until they confirm their address; from then on, when they did that.
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    # When it came to its end, taken or not: the personal data go a while after that.
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

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
            models.Index(fields=["joined_at"], condition=Q(status="asked"), name="waiter_asked_by_age"),
        ]

    def __str__(self) -> str:
        return str(self.uuid)[:8]

    def get_absolute_url(self) -> str:
        return reverse("bookings:waiting", args=[self.uuid])

    @property
    def secret_link(self) -> str:
        """The address (with host) that shows their place in the line to whoever has it."""
        return f"{settings.PUBLIC_URL}{self.get_absolute_url()}?key={self.key}"

    @property
    def has_offer(self) -> bool:
        """Whether places are held for them at this moment."""
        until, hold = self.offer_until, self.hold
        is_held = until is not None and until > timezone.now() and hold is not None and hold.quantity > 0
        return self.status == self.Status.OFFERED and is_held

    @property
    def price_wished(self) -> PriceKind | None:
        """Which of the entry's other prices they asked for; None for its own, also where that one is no more."""
        return self.price_kind if self.price_kind and self.price_kind.archived_at is None else None

    @property
    def unit_price(self) -> Decimal:
        """What one place costs them now, in the shop's currency."""
        return self.price_wished.price if self.price_wished else self.entry.price
