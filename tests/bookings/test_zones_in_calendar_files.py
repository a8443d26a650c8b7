"""What calendar files say of a zone's clock is what the clock shows: every zone that changes, over years."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar, Event

from bookings import ical
from bookings.models import Entry
from bookings.wall_time import clock_changes
from tests.factories import CalendarFactory, EntryFactory

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 12, 31, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
# Forward and back in both halves of the year, by half an hour, at midnight, with a fast in between, never, and for the
# last time (in 2024).
ZONES = [
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/Santiago",
    "America/Nuuk",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Gaza",
    "Asia/Kolkata",
    "Asia/Almaty",
    "Pacific/Chatham",
    "UTC",
]


def read_as_the_rfc_says(description: Any) -> list[tuple[datetime, timedelta]]:
    """From when (UTC) the clock shows which offset: each onset is told on the clock as it was before it."""
    onsets: list[tuple[datetime, timedelta]] = []
    for part in description.subcomponents:
        again = part.get("RDATE", [])
        rows = again if isinstance(again, list) else [again]
        times = [part["DTSTART"].dt, *(each.dt for row in rows for each in row.dts)]
        onsets += [((time - part["TZOFFSETFROM"].td).replace(tzinfo=UTC), part["TZOFFSETTO"].td) for time in times]
    return sorted(onsets)


def moments_to_ask(zone: ZoneInfo) -> Iterator[datetime]:
    """The first of each month, and each change of the clock with the seconds and the hour around it."""
    yield from (datetime(year, month, 1, 12, tzinfo=UTC) for year in range(2024, 2035) for month in range(1, 13))
    at = FIRST
    while at < LAST and (changes := clock_changes(zone, at, most=1)):
        at = changes[0].at
        yield from (at + shift for shift in (-HOUR, -SECOND, timedelta(0), SECOND, HOUR) if at + HOUR < LAST)


@pytest.mark.parametrize("name", ZONES)
def test_a_zones_clock_is_described_rightly_at_every_moment(name: str) -> None:
    zone = ZoneInfo(name)
    file = Calendar()
    file.add_component(ical.describe_zone(zone, FIRST, LAST))

    (written,) = Calendar.from_ical(file.to_ical()).timezones  # type: ignore[union-attr]

    onsets = read_as_the_rfc_says(written)
    assert [at for at, _offset in onsets] == sorted({at for at, _offset in onsets})
    for moment in moments_to_ask(zone):
        said = [offset for at, offset in onsets if at <= moment][-1]
        assert said == moment.astimezone(zone).utcoffset(), moment


def test_london_goes_over_to_summer_time_at_one_by_its_winter_clock() -> None:
    text = ical.describe_zone(ZoneInfo("Europe/London"), FIRST, LAST).to_ical().decode()

    summer = text.split("BEGIN:DAYLIGHT")[1].split("END:DAYLIGHT")[0]
    assert "DTSTART:20240331T010000" in summer
    assert "TZOFFSETFROM:+0000" in summer
    assert "TZOFFSETTO:+0100" in summer


@pytest.mark.django_db
def test_a_file_describes_the_zones_of_its_entries_around_them() -> None:
    days = [date(2026, 7, 1), date(2029, 7, 1)]
    entries = [entry_in("Europe/London", day) for day in days]
    file = ical.new_file("PUBLISH")
    for entry in entries:
        event = Event()
        event.add("DTSTART", ical.moment(entry.starts_at, entry.calendar.zone))
        file.add_component(event)

    ical.add_zones(file, entries)

    (described,) = file.timezones
    onsets = [at for at, _offset in read_as_the_rfc_says(described)]
    assert onsets[0] <= entries[0].starts_at - timedelta(days=365)
    assert onsets[-1] > entries[-1].starts_at
    assert all(later - earlier < timedelta(days=400) for earlier, later in pairwise(onsets))


def entry_in(zone: str, day: date) -> Entry:
    starts = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return EntryFactory.create(
        calendar=CalendarFactory(time_zone=zone), starts_at=starts, ends_at=starts + timedelta(hours=2)
    )
