"""A calendar's feed (RFC 5545): what is coming and what has just been, for the shopper's own calendar program."""

from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from icalendar import Event

from bookings import ical
from bookings.models import Calendar, Entry, EntryQuerySet

# What has been stays for a while, so that programs do not forget it at once.
KEPT = timedelta(days=30)
MOST = 1000
# How often programs may ask again.
FRESH_FOR = timedelta(minutes=15)


def write_feed(calendar: Calendar) -> bytes:
    """All that the calendar shows, those called off among them, as one file."""
    entries = list(_entries_of(calendar))
    file = ical.new_file("PUBLISH")
    file.add("X-WR-CALNAME", calendar.name)
    file.add("REFRESH-INTERVAL", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for entry in entries:
        file.add_component(_event(entry))
    ical.add_zones(file, entries)
    return bytes(file.to_ical())


def subscribe_address(calendar: Calendar) -> str:
    """The feed's address as calendar programs like it."""
    return f"webcal://{urlsplit(settings.PUBLIC_URL).netloc}{reverse('bookings:feed', args=[calendar.slug])}"


def _entries_of(calendar: Calendar) -> EntryQuerySet:
    since = timezone.now() - KEPT
    return Entry.objects.listed().filter(calendar=calendar, starts_at__gte=since).order_by("starts_at", "pk")[:MOST]


def _event(entry: Entry) -> Event:
    """The same UID each time, with a SEQUENCE that grows as the entry changes: so programs update what they have."""
    is_off = entry.cancelled_at is not None
    zone, changed = entry.calendar.zone, max(filter(None, [entry.rescheduled_at, entry.cancelled_at]), default=None)
    properties = {
        "UID": ical.uid_of(entry.uuid),
        "SEQUENCE": entry.sequence + is_off,
        "DTSTAMP": timezone.now(),
        "LAST-MODIFIED": changed,
        "DTSTART": ical.moment(entry.starts_at, zone),
        "DTEND": ical.moment(entry.ends_at, zone),
        "SUMMARY": entry.title,
        "DESCRIPTION": entry.description,
        "LOCATION": entry.calendar.place,
        "URL": settings.PUBLIC_URL + entry.get_absolute_url(),
        "STATUS": "CANCELLED" if is_off else "CONFIRMED",
    }
    event = Event()
    for name, value in properties.items():
        if value not in (None, ""):
            event.add(name, value)
    return event
