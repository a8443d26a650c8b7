"""Scarcity and time: what can run out, who holds a part of it, and the dated things people book."""

from bookings.models.attendees import Answer, Attendee, Question
from bookings.models.calendars import (
    Calendar,
    Entry,
    EntryKind,
    EntryQuerySet,
    PriceKind,
    Resource,
    Series,
    check_time_zone,
)
from bookings.models.places import CODE_ALPHABET, Booking, BookingQuerySet, Scan, new_booking_code
from bookings.models.pools import Hold, HoldQuerySet, Pool
from bookings.models.waiting import Waiter, WaiterQuerySet

__all__ = [
    "CODE_ALPHABET",
    "Answer",
    "Attendee",
    "Booking",
    "BookingQuerySet",
    "Calendar",
    "Entry",
    "EntryKind",
    "EntryQuerySet",
    "Hold",
    "HoldQuerySet",
    "Pool",
    "PriceKind",
    "Question",
    "Resource",
    "Scan",
    "Series",
    "Waiter",
    "WaiterQuerySet",
    "check_time_zone",
    "new_booking_code",
]
