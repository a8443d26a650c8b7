"""Scarcity and time: what can run out, who holds a part of it, and the dated things people book."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _


class Pool(models.Model):
    """So much of something, and how much of it is taken. Only `bookings.capacity` writes capacity and taken."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    # `wanted` is what staff or a sibling asked for; `capacity` follows it, but never falls below what is taken.
    wanted = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty means unlimited."))
    capacity = models.PositiveIntegerField(null=True, blank=True, editable=False)
    taken = models.PositiveIntegerField(default=0, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="pool_taken_within_capacity", condition=Q(capacity=None) | Q(taken__lte=F("capacity"))
            ),
            models.CheckConstraint(name="pool_taken_not_negative", condition=Q(taken__gte=0)),
            models.CheckConstraint(
                name="pool_capacity_not_below_wanted",
                # (A comparison with NULL would pass: so both are asked for by name.)
                condition=Q(capacity=None, wanted=None)
                | Q(capacity__isnull=False, wanted__isnull=False, capacity__gte=F("wanted")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def free(self) -> int | None:
        """How many more can be taken; None if without limit. Expired holds still count as taken."""
        return None if self.capacity is None else max((self.wanted or 0) - self.taken, 0)


class HoldQuerySet(models.QuerySet["Hold"]):
    def live(self) -> Self:
        """Holds that still take up room."""
        return self.filter(quantity__gt=0)

    def expired(self) -> Self:
        """Holds that still take up room although their time is over."""
        return self.live().filter(until__lte=timezone.now())


class Hold(models.Model):
    """A quantity claimed from a pool, until a moment or (an order's) without end; given back means quantity 0."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="holds")
    quantity = models.PositiveIntegerField()
    until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(default=timezone.now)

    objects = HoldQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(name="hold_quantity_not_negative", condition=Q(quantity__gte=0))]
        indexes = [
            models.Index(fields=["pool", "until"], condition=Q(quantity__gt=0), name="hold_live_by_pool"),
            models.Index(fields=["until"], condition=Q(quantity__gt=0, until__isnull=False), name="hold_live_by_until"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.pool_id}"


def check_time_zone(name: str) -> None:
    """Raise ValidationError unless the name is an IANA time zone."""
    if name not in available_timezones():
        raise ValidationError(_("%(name)s is not an IANA time zone, such as Europe/London."), params={"name": name})


class Calendar(models.Model):
    """A venue or a series: a page of dated things that one stall puts on."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    stall = models.ForeignKey("cart.Stall", on_delete=models.PROTECT, related_name="calendars")
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    place = models.CharField(max_length=300, blank=True)
    time_zone = models.CharField(max_length=60, default="Europe/London", validators=[check_time_zone])
    picture = models.CharField(max_length=200, blank=True)
    # Until when, and at what price, shoppers may give a place back by themselves.
    cancel_hours = models.PositiveIntegerField(
        _("may be cancelled until"),
        null=True,
        blank=True,
        default=48,
        help_text=_("So many hours before it begins. Empty means that shoppers cannot cancel by themselves."),
    )
    kept_percent = models.DecimalField(
        _("kept when cancelled"),
        max_digits=5,
        decimal_places=2,
        default=Decimal("0.00"),
        help_text=_("Per cent of what was paid for the place."),
    )
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="calendar_kept_percent_is_a_percentage", condition=Q(kept_percent__gte=0, kept_percent__lte=100)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("bookings:calendar", args=[self.slug])

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class EntryQuerySet(models.QuerySet["Entry"]):
    def listed(self) -> Self:
        """Entries shoppers may see: not archived, with all that a page says of them loaded."""
        return self.filter(archived_at=None, calendar__archived_at=None).select_related(
            "calendar", "calendar__stall", "pool"
        )

    def coming(self) -> Self:
        """Listed entries that have not begun, soonest first."""
        return self.listed().filter(starts_at__gt=timezone.now(), cancelled_at=None).order_by("starts_at", "pk")


class Entry(models.Model):
    """One dated, bookable thing with a booking window and a price for each place."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="entries")
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="entries")
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal("20.00"))
    booking_opens_at = models.DateTimeField(null=True, blank=True)
    booking_closes_at = models.DateTimeField(null=True, blank=True, help_text=_("Empty means when it begins."))
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.CheckConstraint(name="entry_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(name="entry_price_not_negative", condition=Q(price__gte=0)),
            models.CheckConstraint(
                name="entry_tax_rate_is_a_percentage", condition=Q(tax_rate__gte=0, tax_rate__lt=100)
            ),
        ]
        indexes = [
            models.Index(fields=["starts_at", "id"], name="entry_by_start"),
            models.Index(fields=["calendar", "starts_at", "id"], name="entry_by_calendar_and_start"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("bookings:entry", args=[self.pk])

    @property
    def closes_at(self) -> datetime:
        """The moment (UTC) from which no more places are sold."""
        return min(self.booking_closes_at or self.starts_at, self.starts_at)

    @property
    def is_on_sale(self) -> bool:
        """Whether places are on sale at this moment, if any are free."""
        now = timezone.now()
        opened = self.booking_opens_at is None or self.booking_opens_at <= now
        stands = self.cancelled_at is None and self.archived_at is None and self.calendar.archived_at is None
        return stands and opened and now < self.closes_at

    @property
    def local_start(self) -> datetime:
        """When it begins, in the calendar's own zone."""
        return self.starts_at.astimezone(self.calendar.zone)

    @property
    def local_end(self) -> datetime:
        """When it ends, in the calendar's own zone."""
        return self.ends_at.astimezone(self.calendar.zone)


# Letters and digits that are not mistaken for one another when read aloud or off a crumpled page.
CODE_ALPHABET = "BCDFGHJKMNPQRTVWXY2346789"


def new_booking_code() -> str:
    """A fresh code for a ticket: 10 characters, about 46 bits."""
    return get_random_string(10, CODE_ALPHABET)


class Booking(models.Model):
    """One sold place, with a code that can be checked in."""

    class Status(models.TextChoices):
        CONFIRMED = "confirmed", _("Confirmed")
        ATTENDED = "attended", _("Attended")
        NO_SHOW = "no_show", _("Did not come")
        CANCELLED = "cancelled", _("Cancelled")
        MOVED = "moved", _("Moved")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=10, unique=True, default=new_booking_code, editable=False)
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="bookings")
    order_line = models.ForeignKey("orders.OrderLine", on_delete=models.PROTECT, related_name="bookings")
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="booking")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CONFIRMED)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["entry", "status"], name="booking_by_entry_and_status")]

    def __str__(self) -> str:
        return self.code
