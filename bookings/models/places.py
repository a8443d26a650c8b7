"""Sold places, and who was let in."""

import uuid
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from bookings.models.calendars import Entry
from bookings.models.pools import Hold

# Letters and digits that are not mistaken for one another when read aloud or off a crumpled page.
CODE_ALPHABET = "BCDFGHJKMNPQRTVWXY2346789"


def new_booking_code() -> str:
    """A fresh code for a ticket: 10 characters, about 46 bits."""
    return get_random_string(10, CODE_ALPHABET)


class BookingQuerySet(models.QuerySet["Booking"]):
    def occupying(self) -> Self:
        """The places that somebody has or had: neither cancelled nor exchanged for another date."""
        return self.filter(status__in=Booking.OCCUPYING)


class Booking(models.Model):
    """One sold place, with a code that can be checked in."""

    class Status(models.TextChoices):
        CONFIRMED = "confirmed", _("Confirmed")
        ATTENDED = "attended", _("Attended")
        NO_SHOW = "no_show", _("Did not come")
        CANCELLED = "cancelled", _("Cancelled")
        MOVED = "moved", _("Moved")

    OCCUPYING = (Status.CONFIRMED, Status.ATTENDED, Status.NO_SHOW)
    LOST = (Status.CANCELLED, Status.MOVED)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=10, unique=True, default=new_booking_code, editable=False)
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="bookings")
    order_line = models.ForeignKey("orders.OrderLine", on_delete=models.PROTECT, related_name="bookings")
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="booking")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CONFIRMED)
    # The place that this one came instead of, in the same order, and what of its price went back with that.
    moved_from = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="moved_to", editable=False
    )
    given_back = models.DecimalField(max_digits=10, decimal_places=2, default=Decimal("0.00"), editable=False)
    # The line of another order that is to take its place once that is paid, at a dearer entry.
    moving_to = models.ForeignKey(
        "orders.OrderLine", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces", editable=False
    )
    # Of a place that was moved: until when (UTC) its shopper may cancel it; its line speaks of the first entry.
    cancel_until = models.DateTimeField(null=True, blank=True, editable=False)
    # The co-operative changed when it is: until then (UTC) all that was paid for it comes back if its shopper likes.
    free_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BookingQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["entry", "status"], name="booking_by_entry_and_status")]

    def __str__(self) -> str:
        return self.code

    @property
    def is_lost(self) -> bool:
        """Whether the place was cancelled, or exchanged for another date."""
        return self.status in self.LOST


class Scan(models.Model):
    """One try to let somebody in at the door, and what was answered: repeated, it gets the same answer."""

    class Outcome(models.TextChoices):
        WELCOME = "welcome", _("Welcome")
        EARLY = "early", _("Too early")
        ALREADY_IN = "already_in", _("In already")
        OTHER_ENTRY = "other_entry", _("For something else")
        GONE = "gone", _("Cancelled or moved")
        UNKNOWN = "unknown", _("Unknown")

    uuid = models.UUIDField(unique=True, editable=False, help_text=_("Made by the phone, once for each scan."))
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="scans")
    booking = models.ForeignKey(Booking, null=True, blank=True, on_delete=models.PROTECT, related_name="scans")
    typed = models.CharField(max_length=40, help_text=_("What was scanned or typed."))
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["entry", "-at"], name="scan_by_entry_newest_first")]
        permissions = [("check_in", "Can check people in at the door")]

    def __str__(self) -> str:
        return self.get_outcome_display()
