"""What calendar files and feeds (RFC 5545) have in common: times that every program reads alike."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from icalendar import Calendar

from bookings.models import Entry

# How far around its entries a file describes a zone's clock changes.
AROUND = timedelta(days=370)


def new_file(method: str) -> Calendar:
    """A file without events yet."""
    file = Calendar()
    for name, value in [("PRODID", "-//Rose Ash//Cart//EN"), ("VERSION", "2.0"), ("METHOD", method)]:
        file.add(name, value)
    return file


def answer(text: str, name: str) -> HttpResponse:
    """A file to be downloaded under a name, without its ending."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.ics"'}
    return HttpResponse(text, content_type="text/calendar; charset=utf-8", headers=headers)


def uid_of(uuid: UUID) -> str:
    """What calendar programs know an event by."""
    return f"{uuid}@{urlsplit(settings.PUBLIC_URL).hostname}"


def moment(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment on the zone's clock; in UTC where that clock shows it for the second time, as files mean the first."""
    local = at.astimezone(zone)
    return at.astimezone(UTC) if local.fold else local


def add_zones(file: Calendar, entries: Iterable[Entry]) -> None:
    """Describe the clocks of the zones that a file's events are in, as far as its entries need it."""
    times = [time for entry in entries for time in (entry.starts_at, entry.ends_at)]
    if times:
        file.add_missing_timezones((min(times) - AROUND).date(), (max(times) + AROUND).date())
