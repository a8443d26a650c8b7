"""Calendars and their coming entries: what can be booked, when, where, and how many places are free."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from html import unescape
from re import findall

import pytest
from django.test import Client
from django.utils import timezone
from time_machine import travel

from bookings import capacity
from bookings.models import Calendar, Entry
from bookings.views import calendars
from tests.factories import CalendarFactory, EntryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def bakehouse(db: None) -> Calendar:
    return CalendarFactory.create(name="Bakehouse", slug="bakehouse")


def entries_in(page: bytes) -> list[int]:
    return [int(pk) for pk in findall(r'data-entry="(\d+)"', page.decode())]


def next_address(page: bytes) -> str:
    """The query of the link to more; empty on the last page."""
    links = findall(r'href="(\?[^"]*after=[^"]*)"', page.decode())
    return unescape(links[0]) if links else ""


def free_places_in(page: bytes) -> list[int]:
    return [int(free) for free in findall(r'data-free="(\d+)"', page.decode())]


def test_all_calendars_are_listed_but_those_archived(client: Client, bakehouse: Calendar) -> None:
    CalendarFactory.create(name="Closed", archived_at=timezone.now())

    page = client.get("/calendars/").content.decode()

    assert "Bakehouse" in page
    assert "Closed" not in page


def test_every_calendar_is_on_one_page_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "PER_PAGE", 2)
    made = [CalendarFactory.create(name="The same name").slug for _ in range(5)]

    seen, address = [], "/calendars/"
    while address:
        page = client.get(address).content
        seen += findall(r'href="/calendars/([^"/?]+)/"', page.decode())
        address = "/calendars/" + next_address(page) if next_address(page) else ""

    assert seen == made


def test_a_calendar_shows_what_is_coming_and_nothing_else(client: Client, bakehouse: Calendar) -> None:
    now = timezone.now()
    later = EntryFactory.create(calendar=bakehouse, starts_at=now + timedelta(days=3))
    sooner = EntryFactory.create(calendar=bakehouse, starts_at=now + timedelta(days=2))
    EntryFactory.create(calendar=bakehouse, starts_at=now - timedelta(hours=1))
    EntryFactory.create(calendar=bakehouse, archived_at=now)
    EntryFactory.create(calendar=bakehouse, cancelled_at=now)
    EntryFactory.create()

    assert entries_in(client.get("/calendars/bakehouse/").content) == [sooner.pk, later.pk]


def test_every_coming_entry_is_on_one_page_once(
    client: Client, bakehouse: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendars, "PER_PAGE", 3)
    moment = timezone.now() + timedelta(days=1)
    starts = [moment, moment, moment, moment, moment + timedelta(microseconds=1), moment + timedelta(days=1), moment]
    for starts_at in starts:
        EntryFactory.create(calendar=bakehouse, starts_at=starts_at)

    seen: list[int] = []
    address = "/calendars/bakehouse/"
    while address:
        page = client.get(address).content
        seen += entries_in(page)
        address = "/calendars/bakehouse/" + next_address(page) if next_address(page) else ""

    assert seen == list(Entry.objects.order_by("starts_at", "pk").values_list("pk", flat=True))


@pytest.mark.filterwarnings("ignore:.*received a naive datetime")
@pytest.mark.parametrize(
    "values",
    [
        ["2026-13-45", 1],
        ["2026-06-01", 1],
        ["0001-01-01T00:00:00+14:00", 1],
        ["9999-12-31T23:59:59.999999-14:00", 1],
        ["9999-12-31T23:59:59.999999", 1],
        [5, 1],
        [True, True],
        ["\x00", 1],
        ["2026-06-01T12:00:00Z", "x"],
        ["2026-06-01T12:00:00Z", 10**40],
    ],
)
def test_a_cursor_that_was_made_up_is_answered(client: Client, bakehouse: Calendar, values: list[object]) -> None:
    EntryFactory.create(calendar=bakehouse)
    cursor = urlsafe_b64encode(json.dumps(values).encode()).decode()

    assert client.get("/calendars/bakehouse/", {"after": cursor}).status_code == 200


def test_the_free_places_are_on_the_form_that_adds_them(client: Client, bakehouse: Calendar) -> None:
    entry = EntryFactory.create(calendar=bakehouse, places=5)
    capacity.claim(entry.pool_id, 2, until=None)

    assert free_places_in(client.get("/calendars/bakehouse/").content) == [3]
    assert free_places_in(client.get(entry.get_absolute_url()).content) == [3]


def test_a_sold_out_entry_says_so_and_offers_no_button(client: Client, bakehouse: Calendar) -> None:
    entry = EntryFactory.create(calendar=bakehouse, places=2)
    capacity.claim(entry.pool_id, 2, until=None)

    page = client.get(entry.get_absolute_url()).content

    assert free_places_in(page) == [0]
    assert b"Sold out" in page


def test_an_entry_is_shown_in_its_calendars_own_zone(client: Client, bakehouse: Calendar) -> None:
    bakehouse.time_zone = "Pacific/Auckland"
    bakehouse.save()
    with travel(datetime(2026, 6, 1, 12, 0, tzinfo=UTC)):
        starts_at = datetime(2026, 6, 5, 22, 30, tzinfo=UTC)
        entry = EntryFactory.create(calendar=bakehouse, starts_at=starts_at)

        page = client.get(entry.get_absolute_url()).content.decode()

    assert "Saturday 6 June 2026" in page
    assert "10:30" in page


@pytest.mark.parametrize("state", ["archived entry", "archived calendar"])
def test_what_was_archived_is_not_found(client: Client, workshop: Entry, state: str) -> None:
    row = workshop if state == "archived entry" else workshop.calendar
    row.archived_at = timezone.now()
    row.save()

    assert client.get(workshop.get_absolute_url()).status_code == 404


@pytest.mark.parametrize("state", ["past", "cancelled", "not open yet", "closed"])
def test_an_entry_that_cannot_be_booked_has_no_form(client: Client, state: str) -> None:
    now = timezone.now()
    entry = EntryFactory.create(
        **{
            "past": {"starts_at": now - timedelta(days=1)},
            "cancelled": {"cancelled_at": now},
            "not open yet": {"booking_opens_at": now + timedelta(days=1)},
            "closed": {"booking_closes_at": now - timedelta(seconds=1)},
        }[state]
    )

    page = client.get(entry.get_absolute_url())

    assert page.status_code == 200
    assert b'name="entry"' not in page.content


@pytest.mark.parametrize(
    "address",
    ["/calendars/nothing/", "/entries/0/", "/entries/99999999999999999999999999/", "/entries/x/", "/calendars/%00/"],
)
def test_what_is_not_there_is_not_found(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def test_a_fragment_is_the_list_alone(client: Client, bakehouse: Calendar) -> None:
    EntryFactory.create(calendar=bakehouse)

    page = client.get("/calendars/bakehouse/", headers={"HX-Request": "true"}).content

    assert len(entries_in(page)) == 1
    assert b"<html" not in page
