"""A calendar's feed, as the programs of shoppers read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from icalendar import Calendar as File
from icalendar import Event
from time_machine import travel

from bookings.models import Calendar, Entry
from tests.cart.queries import asked
from tests.factories import CalendarFactory, EntryFactory

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def bakehouse(db: None) -> Calendar:
    return CalendarFactory.create(name="Bakehouse", slug="bakehouse", place="Mill Lane; by the mill, Rose Ash")


def read_feed() -> File:
    answer = Client().get("/calendars/bakehouse/feed.ics")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    return File.from_ical(answer.content)  # type: ignore[return-value]


def events_in(feed: File) -> list[Event]:
    return list(feed.walk("VEVENT"))  # type: ignore[arg-type]


def only_event() -> Event:
    (event,) = events_in(read_feed())
    return event


def test_an_entry_is_told_with_all_that_a_calendar_program_shows(bakehouse: Calendar, settings: Any) -> None:
    settings.PUBLIC_URL = "https://shop.example"
    entry = EntryFactory.create(calendar=bakehouse, title="Bread, butter; and jam", description="Mix\nand bake.")

    feed = read_feed()

    (event,) = events_in(feed)
    assert (str(feed["VERSION"]), str(feed["METHOD"]), str(feed["X-WR-CALNAME"])) == ("2.0", "PUBLISH", "Bakehouse")
    assert str(event["UID"]) == f"{entry.uuid}@shop.example"
    assert str(event["SUMMARY"]) == "Bread, butter; and jam"
    assert str(event["DESCRIPTION"]) == "Mix\nand bake."
    assert str(event["LOCATION"]) == "Mill Lane; by the mill, Rose Ash"
    assert str(event["URL"]) == f"https://shop.example/entries/{entry.pk}/"
    assert (event["SEQUENCE"], str(event["STATUS"])) == (0, "CONFIRMED")
    assert "LAST-MODIFIED" not in event
    assert event["DTSTART"].params["TZID"] == "Europe/London"
    assert event["DTSTART"].dt == entry.starts_at.replace(microsecond=0)
    assert event["DTEND"].dt == entry.ends_at.replace(microsecond=0)


def test_what_is_coming_and_what_was_in_the_last_month_is_there_and_nothing_else(bakehouse: Calendar) -> None:
    now = timezone.now()
    recent = EntryFactory.create(calendar=bakehouse, starts_at=now - timedelta(days=29))
    coming = EntryFactory.create(calendar=bakehouse, starts_at=now + timedelta(days=300))
    EntryFactory.create(calendar=bakehouse, starts_at=now - timedelta(days=31))
    EntryFactory.create(calendar=bakehouse, archived_at=now)
    EntryFactory.create()

    told = [str(event["SUMMARY"]) for event in events_in(read_feed())]

    assert told == [recent.title, coming.title]


def test_what_was_moved_or_called_off_replaces_what_programs_have(bakehouse: Calendar) -> None:
    entry = EntryFactory.create(calendar=bakehouse)
    moved_at, called_off_at = datetime(2026, 6, 1, 12, tzinfo=UTC), datetime(2026, 6, 2, 12, tzinfo=UTC)
    told = [only_event()]

    Entry.objects.filter(pk=entry.pk).update(sequence=1, rescheduled_at=moved_at)
    told.append(only_event())
    Entry.objects.filter(pk=entry.pk).update(cancelled_at=called_off_at)
    told.append(only_event())

    assert len({str(event["UID"]) for event in told}) == 1
    assert [event["SEQUENCE"] for event in told] == [0, 1, 2]
    assert [str(event["STATUS"]) for event in told] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert [event["LAST-MODIFIED"].dt for event in told[1:]] == [moved_at, called_off_at]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/London", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("Europe/London", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ],
)
def test_around_a_clock_change_every_program_sees_the_right_moment(
    bakehouse: Calendar, zone: str, change: datetime
) -> None:
    Calendar.objects.filter(pk=bakehouse.pk).update(time_zone=zone)
    quarters = [change + timedelta(minutes=15 * n) for n in range(-12, 12)]
    with travel(change - timedelta(days=60)):
        for starts_at in quarters:
            EntryFactory.create(calendar=bakehouse, starts_at=starts_at, ends_at=starts_at + 12 * HOUR)

        feed = read_feed()

    assert [event["DTSTART"].dt.astimezone(UTC) for event in events_in(feed)] == quarters
    assert [event["DTEND"].dt.astimezone(UTC) for event in events_in(feed)] == [at + 12 * HOUR for at in quarters]
    assert [str(part["TZID"]) for part in feed.walk("VTIMEZONE")] == [zone]


def test_the_zone_that_a_feed_describes_says_the_same_as_the_clock_there(bakehouse: Calendar) -> None:
    changes = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
    with travel(changes[0] - timedelta(days=3)):
        for change in changes:
            EntryFactory.create(calendar=bakehouse, starts_at=change + timedelta(days=1))

        (described,) = read_feed().walk("VTIMEZONE")

    zone = described.to_tz()  # type: ignore[attr-defined]
    for change in changes:
        for moment in (change - HOUR, change + 2 * HOUR):
            assert moment.astimezone(zone).utcoffset() == moment.astimezone(bakehouse.zone).utcoffset()


def test_a_feed_is_kept_for_a_while_and_asks_the_same_of_the_database_for_many_entries(bakehouse: Calendar) -> None:
    counts = []
    for more in (1, 12):
        EntryFactory.create_batch(more, calendar=bakehouse)
        with asked() as statements:
            answer = Client().get("/calendars/bakehouse/feed.ics")
        counts.append(len(statements))

    assert counts == [2, 2]
    assert answer["Cache-Control"] == "public, max-age=900"
    assert not answer.cookies


def test_a_calendar_without_entries_has_an_empty_feed(bakehouse: Calendar) -> None:
    assert events_in(read_feed()) == []


def test_the_feed_of_an_archived_calendar_is_gone(bakehouse: Calendar) -> None:
    Calendar.objects.filter(pk=bakehouse.pk).update(archived_at=timezone.now())

    assert Client().get("/calendars/bakehouse/feed.ics").status_code == 404


def test_the_calendars_page_leads_to_its_feed(bakehouse: Calendar, settings: Any) -> None:
    settings.PUBLIC_URL = "https://shop.example"

    page = Client().get("/calendars/bakehouse/").content.decode()

    assert 'href="webcal://shop.example/calendars/bakehouse/feed.ics"' in page
    assert 'href="/calendars/bakehouse/feed.ics"' in page
