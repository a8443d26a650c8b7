"""What calendar files and feeds (RFC 5545) have in common: times that every program reads alike."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from icalendar import Calendar, Timezone, TimezoneDaylight, TimezoneStandard

from bookings.models import Entry
from bookings.wall_time import AHEAD, ClockChange, clock_changes

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
    for name in sorted(file.get_missing_tzids()):
        file.subcomponents.insert(0, describe_zone(ZoneInfo(name), min(times) - AROUND, max(times) + AROUND))


def describe_zone(zone: ZoneInfo, first: datetime, last: datetime) -> Timezone:
    """The VTIMEZONE of a zone, right for every moment between `first` and `last`.

    icalendar's own description writes the time that the clock shows after it was put forward. RFC 5545 (3.6.5) asks
    for the time without the change: a program subtracts `TZOFFSETFROM` from it to know the moment.
    """
    described = Timezone()
    described.add("TZID", zone.key)
    begins = first.astimezone(zone)
    offset = begins.utcoffset() or timedelta()
    onsets = {_key(begins, offset): [begins.replace(tzinfo=None)]}
    for change in _changes_between(zone, first, last):
        key = _key(change.at.astimezone(zone), change.before)
        onsets.setdefault(key, []).append(change.shown_before)
    for key, times in onsets.items():
        described.add_component(_observance(*key, times))
    return described


Key = tuple[timedelta, timedelta, str, bool]


def _key(local: datetime, offset_before: timedelta) -> Key:
    """What is the same for all changes of one kind: the offsets before and after, the name, whether it is standard."""
    return offset_before, local.utcoffset() or timedelta(), local.tzname() or "", not local.dst()


def _changes_between(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[ClockChange]:
    while first <= last:
        change = next(iter(clock_changes(zone, first, most=1)), None)
        if change is not None and change.at <= last:
            yield change
        first = change.at if change else first + AHEAD


def _observance(
    offset_before: timedelta, offset: timedelta, name: str, is_standard: bool, times: list[datetime]
) -> TimezoneStandard | TimezoneDaylight:
    """One kind of change, with all the times at which it comes."""
    observance = TimezoneStandard() if is_standard else TimezoneDaylight()
    observance.add("DTSTART", times[0])
    observance.add("TZOFFSETFROM", offset_before)
    observance.add("TZOFFSETTO", offset)
    observance.add("TZNAME", name)
    if times[1:]:
        observance.add("RDATE", times[1:])
    return observance
