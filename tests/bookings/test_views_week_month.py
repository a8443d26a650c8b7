"""What is on, as a list, a week or a month: real addresses, days by the right clock, and nothing that breaks a page."""

from datetime import UTC, date, datetime, timedelta
from html import unescape
from re import DOTALL, findall, search
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from time_machine import travel

from bookings import browsing, capacity
from bookings.models import Calendar, Entry, EntryKind, Waiter
from tests.factories import CalendarFactory, EntryFactory, SeriesFactory, StallFactory

pytestmark = pytest.mark.django_db

WEDNESDAY = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def bakehouse(db: None) -> Calendar:
    return CalendarFactory.create(name="Bakehouse", slug="bakehouse")


def entries_in(page: str) -> list[int]:
    return [int(pk) for pk in findall(r'data-entry="(\d+)"', page)]


def days_in(page: str) -> dict[str, list[int]]:
    """The entries of a week or a month by the day they are shown under; days with nothing on are left out."""
    parts = page.split('data-day="')[1:]
    return {part[:10]: found for part in parts if (found := entries_in(part))}


def link(page: str, name: str) -> str:
    """Where a link leads, by its id; empty if there is none."""
    found = search(rf'<a id="{name}"[^>]*? href="([^"]*)"', page)
    return unescape(found[1]) if found else ""


def get(address: str, **query: str) -> str:
    answer = Client().get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def at(moment: str, **more: Any) -> Entry:
    """An entry that begins at a moment of UTC."""
    return EntryFactory.create(starts_at=datetime.fromisoformat(moment).replace(tzinfo=UTC), **more)


# --- Which entries, under which day -----------------------------------------------------------------------------------


def test_a_week_has_all_of_its_days_and_what_is_on_then(bakehouse: Calendar) -> None:
    with travel(WEDNESDAY):
        monday, sunday = (at(when, calendar=bakehouse) for when in ("2026-11-23T00:00", "2026-11-29T23:30"))
        at("2026-11-22T23:59", calendar=bakehouse)
        at("2026-11-30T00:00", calendar=bakehouse)
        at("2026-11-25T18:00")

        page = get("/calendars/bakehouse/", view="week")

    assert days_in(page) == {"2026-11-23": [monday.pk], "2026-11-29": [sunday.pk]}
    assert page.count("data-day=") == 7
    assert "Week from 23 November to 29 November 2026" in page


def test_a_month_has_all_of_its_days_and_what_is_on_then(bakehouse: Calendar) -> None:
    with travel(WEDNESDAY):
        first, last = (at(when, calendar=bakehouse) for when in ("2026-12-01T00:00", "2026-12-31T23:59"))
        at("2026-11-30T23:59", calendar=bakehouse)
        at("2027-01-01T00:00", calendar=bakehouse)

        page = get("/calendars/bakehouse/", view="month", **{"from": "2026-12-17"})

    assert days_in(page) == {"2026-12-01": [first.pk], "2026-12-31": [last.pk]}
    assert page.count("data-day=") == 31
    assert page.count('aria-hidden="true"></li>') == 1  # Monday the 30th of November


def test_an_empty_week_says_so_though_something_begins_when_it_ends(bakehouse: Calendar) -> None:
    with travel(WEDNESDAY):
        at("2026-11-30T00:00", calendar=bakehouse)

        pages = [get("/calendars/bakehouse/", view="week", **more) for more in ({}, {"from": "2026-11-30"})]

    assert ["Nothing is on in this time." in page for page in pages] == [True, False]


def test_past_and_called_off_entries_stay_in_the_grid_and_say_so(bakehouse: Calendar) -> None:
    with travel(WEDNESDAY):
        over = at("2026-11-23T10:00", calendar=bakehouse)
        called_off = at("2026-11-27T10:00", calendar=bakehouse, cancelled_at=timezone.now())
        at("2026-11-27T10:00", calendar=bakehouse, archived_at=timezone.now())

        page = get("/calendars/bakehouse/", view="week")

    assert days_in(page) == {"2026-11-23": [over.pk], "2026-11-27": [called_off.pk]}
    assert "It is over." in page
    assert "Called off" in page


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Kathmandu", date(2026, 10, 25), 24),
    ],
)
def test_a_day_is_as_long_as_it_is_on_its_calendars_own_clock(
    bakehouse: Calendar, zone: str, day: date, hours: float
) -> None:
    Calendar.objects.filter(pk=bakehouse.pk).update(time_zone=zone)
    bakehouse.refresh_from_db()
    midnight = datetime(day.year, day.month, day.day, tzinfo=bakehouse.zone).astimezone(UTC)
    with travel(midnight - timedelta(days=30)):
        made = [
            EntryFactory.create(calendar=bakehouse, starts_at=midnight + timedelta(hours=shift))
            for shift in (-0.25, 0, hours - 0.25, hours)
        ]

        shown = [days_in(get("/calendars/bakehouse/", view=view, **{"from": f"{day}"})) for view in ("week", "month")]

    assert [days[f"{day}"] for days in shown] == [[made[1].pk, made[2].pk]] * 2


def test_all_calendars_are_grouped_by_the_shops_clock_and_each_entry_is_shown_by_its_own() -> None:
    auckland = CalendarFactory.create(time_zone="Pacific/Auckland")
    with travel(WEDNESDAY):
        entry = at("2026-11-27T20:00", calendar=auckland)  # 09:00 on Saturday there

        pages = [get("/whats-on/", view=view) for view in ("agenda", "week", "month")]

    assert [days_in(page) for page in pages[1:]] == [{"2026-11-27": [entry.pk]}] * 2
    for page in pages:
        assert "Saturday 28 November 2026, 09:00" in strip_tags(page)
        assert '<abbr title="Pacific/Auckland">NZDT</abbr>' in page
    assert 'aria-label="Friday 27 November 2026"' in pages[0]


def test_today_is_marked_by_the_calendars_own_clock(bakehouse: Calendar) -> None:
    Calendar.objects.filter(pk=bakehouse.pk).update(time_zone="Pacific/Auckland")
    with travel(WEDNESDAY):
        pages = [get(address, view="week") for address in ("/calendars/bakehouse/", "/whats-on/")]

    assert 'data-day="2026-11-26" aria-current="date"' in pages[0]
    assert 'data-day="2026-11-25" aria-current="date"' in pages[1]
    assert [page.count('aria-current="date"') for page in pages] == [1, 1]


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "said"),
    [
        ("2026-10-25T00:30", "2026-10-25T03:00", "01:30 BST-03:00"),
        ("2026-10-25T01:30", "2026-10-25T03:00", "01:30 GMT-03:00"),
        ("2026-10-24T22:00", "2026-10-25T01:30", "23:00 - Sunday 25 October 2026, 01:30 GMT"),
        ("2026-10-25T00:15", "2026-10-25T01:45", "01:15 BST-01:45 GMT"),
        ("2026-10-25T02:00", "2026-10-25T03:00", "02:00-03:00"),
        ("2026-03-29T00:30", "2026-03-29T01:30", "00:30-02:30"),
    ],
)
def test_where_the_clock_shows_an_hour_twice_pages_say_which(
    bakehouse: Calendar, starts_at: str, ends_at: str, said: str
) -> None:
    entry = at(starts_at, calendar=bakehouse, ends_at=datetime.fromisoformat(ends_at).replace(tzinfo=UTC))

    page = get(entry.get_absolute_url())

    when = page.split("<dd")[1].split("<p")[0]
    words = " ".join("".join(part.split(">")[-1] for part in when.split("<")).split())
    assert words.split(", ", 1)[1].replace("\N{EN DASH}", "-") == said


# --- The way around ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "day", "previous", "following"),
    [
        ("week", "2026-11-25", "2026-11-22", "2026-11-30"),
        ("month", "2026-11-25", "2026-10-31", "2026-12-01"),
        ("month", "2027-01-31", "2026-12-31", "2027-02-01"),
        ("week", "2000-01-01", "", "2000-01-03"),
        ("month", "2000-01-01", "", "2000-02-01"),
        ("week", "2199-12-31", "2199-12-29", ""),
        ("month", "2199-12-31", "2199-11-30", ""),
    ],
)
def test_one_goes_back_and_forth_as_far_as_the_shop_knows_days(
    bakehouse: Calendar, view: str, day: str, previous: str, following: str
) -> None:
    page = get("/calendars/bakehouse/", view=view, kind="walk", **{"from": day})

    wanted = [f"?view={view}&kind=walk&from={to}" if to else "" for to in (previous, following)]
    assert [link(page, "span-previous"), link(page, "span-next")] == wanted
    assert link(page, "span-today") == f"?view={view}&kind=walk"


def test_another_view_keeps_what_was_asked_for(bakehouse: Calendar) -> None:
    page = get("/calendars/bakehouse/", kind="walk", after="x", part="1", **{"from": "2026-11-25", "to": "2026-12-25"})

    assert link(page, "view-month") == "?kind=walk&from=2026-11-25&view=month"


def test_htmx_gets_the_panel_and_the_address_for_the_way_back(bakehouse: Calendar) -> None:
    entry = EntryFactory.create(calendar=bakehouse)

    answer = Client().get(
        "/calendars/bakehouse/",
        {"view": "week", "kind": "", "part": "1", "from": f"{entry.starts_at:%Y-%m-%d}"},
        headers=HTMX,
    )

    page = answer.content.decode()
    assert answer["HX-Push-Url"] == f"/calendars/bakehouse/?view=week&from={entry.starts_at:%Y-%m-%d}"
    assert "<html" not in page
    assert entries_in(page) == [entry.pk]
    assert 'id="announcer"' in page


def test_more_of_a_list_does_not_change_the_address(bakehouse: Calendar) -> None:
    answer = Client().get("/calendars/bakehouse/", {"after": "x"}, headers=HTMX)

    assert "HX-Push-Url" not in answer
    assert "<nav" not in answer.content.decode()


def test_going_back_asks_for_the_whole_page(bakehouse: Calendar) -> None:
    answer = Client().get("/whats-on/", headers={**HTMX, "HX-History-Restore-Request": "true"})

    assert b"<html" in answer.content


def test_a_list_goes_on_with_what_was_asked_for(bakehouse: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bookings.views.calendars.PER_PAGE", 2)
    walks = [EntryFactory.create(calendar=bakehouse, kind=EntryKind.WALK) for _ in range(5)]
    EntryFactory.create(calendar=bakehouse, kind=EntryKind.TABLE)

    seen, query = [], "?kind=walk"
    while query:
        page = get(f"/whats-on/{query}")
        seen += entries_in(page)
        more = search(r'href="(\?[^"]*after=[^"]*)"', page)
        query = unescape(more[1]) if more else ""

    assert seen == [walk.pk for walk in walks]


# --- Narrowing down ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["agenda", "week", "month"])
def test_entries_of_one_stall_or_one_kind_can_be_asked_for(view: str) -> None:
    stall = StallFactory.create(slug="mill")
    with travel(WEDNESDAY):
        calendar = CalendarFactory.create(stall=stall)
        walk, table = (at("2026-11-27T10:00", calendar=calendar, kind=kind) for kind in ("walk", "table"))
        other = at("2026-11-27T10:00", kind=EntryKind.WALK)

        asked_for = [{"stall": "mill"}, {"kind": "walk"}, {"stall": "mill", "kind": "walk"}, {"kind": "tasting"}]
        found = [entries_in(get("/whats-on/", view=view, **query)) for query in asked_for]

    assert found == [[walk.pk, table.pk], [walk.pk, other.pk], [walk.pk], []]


@pytest.mark.parametrize("view", ["agenda", "month"])
def test_only_what_has_places_for_anybody_can_be_asked_for(view: str) -> None:
    soon, later = WEDNESDAY + timedelta(hours=1), WEDNESDAY + timedelta(days=3)
    with travel(WEDNESDAY, tick=False):
        noticed = CalendarFactory.create(notice_hours=2)
        free, without_limit, lapsed, sold, held, queued = (
            EntryFactory.create(starts_at=later, places=places) for places in (1, None, 1, 1, 1, 1)
        )
        not_yet = EntryFactory.create(starts_at=later, booking_opens_at=soon)
        EntryFactory.create(starts_at=later, booking_closes_at=WEDNESDAY)
        EntryFactory.create(starts_at=later, cancelled_at=WEDNESDAY)
        EntryFactory.create(starts_at=soon, calendar=noticed)
        in_time = EntryFactory.create(starts_at=soon, calendar=noticed, booking_closes_at=soon)
        capacity.claim(lapsed.pool_id, 1, until=WEDNESDAY - timedelta(seconds=1))
        capacity.claim(held.pool_id, 1, until=WEDNESDAY + timedelta(seconds=1))
        capacity.claim(sold.pool_id, 1, until=None)
        Waiter.objects.create(entry=queued, email="grace@mail.example", quantity=1)

        found = entries_in(get("/whats-on/", view=view, free="on"))

    assert sorted(found) == sorted(entry.pk for entry in (free, without_limit, lapsed, not_yet, in_time))


def test_a_range_of_days_can_be_asked_for_by_the_calendars_own_clock(bakehouse: Calendar) -> None:
    Calendar.objects.filter(pk=bakehouse.pk).update(time_zone="Pacific/Auckland")
    with travel(WEDNESDAY):
        before, first, last, after = (
            at(when, calendar=bakehouse)  # midnight there is 11:00 in UTC
            for when in ("2026-11-30T10:59", "2026-11-30T11:00", "2026-12-02T10:59", "2026-12-02T11:00")
        )
        ranges = [("2026-12-01", "2026-12-02"), ("", "2026-11-30"), ("2026-12-03", ""), ("2001-01-01", "2001-01-02")]
        found = [entries_in(get("/calendars/bakehouse/", **{"from": one, "to": two})) for one, two in ranges]

    assert found == [[first.pk, last.pk], [before.pk], [after.pk], []]


def test_all_dates_of_a_series_can_be_asked_for(bakehouse: Calendar) -> None:
    series = SeriesFactory.create(calendar=bakehouse)
    dates = [EntryFactory.create(calendar=bakehouse, series=series, series_day=series.first_day)]
    EntryFactory.create(calendar=bakehouse)

    assert entries_in(get("/calendars/bakehouse/", series=str(series.uuid))) == [date.pk for date in dates]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"view": "year"}, "There is no such view. Here is the list."),
        ({"from": "0001-01-01"}, "This is not a day that we know."),
        ({"from": "9999-12-31"}, "This is not a day that we know."),
        ({"from": "9999-12-31", "view": "week"}, "This is not a day that we know."),
        ({"from": "0001-01-01", "view": "month"}, "This is not a day that we know."),
        ({"from": "1999-12-31", "view": "month"}, "This is not a day that we know."),
        ({"from": "2026-02-30"}, "This is not a day that we know."),
        ({"from": "25/11/2026"}, "This is not a day that we know."),
        ({"from": "\x00"}, "This is not a day that we know."),
        ({"to": "soon"}, "This is not a day that we know."),
        ({"from": "2026-12-02", "to": "2026-12-01"}, "This is before the first day."),
        ({"stall": "nobody"}, "There is no such choice."),
        ({"stall": "\x00"}, "There is no such choice."),
        ({"kind": "banquet"}, "There is no such choice."),
        ({"series": "1"}, "There are no such dates."),
    ],
)
def test_what_cannot_be_read_is_told_and_left_out(query: dict[str, str], said: str) -> None:
    with travel(WEDNESDAY):
        entry = at("2026-11-27T10:00")

        page = get("/whats-on/", **query)

    assert said in page
    assert ('aria-invalid="true"' in page) or {"view", "series"} & set(query)
    assert entries_in(page) == ([] if query.get("from") == "2026-12-02" else [entry.pk])


def test_the_message_is_tied_to_its_field(bakehouse: Calendar) -> None:
    page = get("/calendars/bakehouse/", **{"from": "tomorrow"})

    field = search(r'<input type="date" name="from"[^>]*>', page)
    assert field
    assert 'aria-describedby="id_from_error"' in field[0]
    assert 'id="id_from_error"' in page
    assert "<details" in page.split('name="from"')[0]
    assert search(r"<details[^>]* open>", page)


def test_more_than_fits_a_month_is_said(bakehouse: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "MOST_AT_ONCE", 2)
    with travel(WEDNESDAY):
        for _ in range(3):
            at("2026-11-27T10:00", calendar=bakehouse)

        page = get("/calendars/bakehouse/", view="month")

    assert len(entries_in(page)) == 2
    assert "There is more than fits here." in page


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_what_is_shown_is_in_the_title(bakehouse: Calendar, headers: dict[str, str]) -> None:
    titles = [
        findall(r"<title>(.*?)</title>", Client().get(path, query, headers=headers).content.decode(), DOTALL)
        for path, query in (
            ("/whats-on/", {"view": "week", "from": "2027-03-03"}),
            ("/calendars/bakehouse/", {"view": "month", "from": "2027-03-03"}),
            ("/calendars/bakehouse/", {"view": "agenda"}),
        )
    ]

    assert [" ".join(title.split()) for (title,) in titles] == [
        "What is on: Week from 1 March to 7 March 2027 · Rose Ash",
        f"{bakehouse.name}: March 2027 · Rose Ash",
        f"{bakehouse.name} · Rose Ash",
    ]


def test_the_page_of_an_entry_has_its_date_in_the_title() -> None:
    entry = EntryFactory.create(title="Walk", starts_at=datetime(2027, 3, 6, 10, tzinfo=UTC))

    page = Client().get(entry.get_absolute_url()).content.decode()

    assert "<title>Walk, Saturday 6 March 2027, 10:00 · Rose Ash</title>" in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_empty_month_leads_to_the_next_event(bakehouse: Calendar, headers: dict[str, str]) -> None:
    with travel(datetime(2026, 11, 30, 12, tzinfo=UTC)):
        at("2026-12-05T10:00", calendar=bakehouse, kind=EntryKind.WALK)
        workshop = at("2027-01-09T10:00", calendar=bakehouse, kind=EntryKind.WORKSHOP)
        query = {"view": "month", "kind": "workshop"}

        page = Client(headers=headers).get("/calendars/bakehouse/", query).content.decode()
        next_page = Client().get("/calendars/bakehouse/" + link(page, "next-event")).content.decode()

    assert "Go to the next event, Saturday 9 January 2027" in page
    assert days_in(next_page) == {"2027-01-09": [workshop.pk]}
    assert link(next_page, "next-event") == ""


def test_an_empty_month_with_nothing_after_it_leads_nowhere(bakehouse: Calendar) -> None:
    with travel(datetime(2026, 11, 30, 12, tzinfo=UTC)):
        at("2026-10-05T10:00", calendar=bakehouse)

        page = get("/calendars/bakehouse/", view="month")

    assert "Nothing is on in this time." in page
    assert link(page, "next-event") == ""


def test_a_week_says_in_few_words_that_more_may_come_back(bakehouse: Calendar) -> None:
    with travel(WEDNESDAY, tick=False):
        entry = at("2026-11-26T10:00", calendar=bakehouse, places=5)
        capacity.claim(entry.pool_id, 1, until=timezone.now() + timedelta(minutes=15))

        week = " ".join(strip_tags(get("/calendars/bakehouse/", view="week")).split())

    assert "4 places left. 1 more in baskets." in week
    assert "may come back" not in week
