"""Calendars and their coming entries: what can be booked, when, where, and how many places are free."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from re import findall, search, sub

import pytest
from django.test import Client
from django.utils import timezone
from time_machine import travel

from bookings import capacity
from bookings.models import Calendar, Entry, Pool, PriceKind, Question, Series
from bookings.views import calendars
from cart.models import CartItem
from tests.factories import CalendarFactory, EntryFactory, SeriesFactory

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


# --- The page of an entry ---------------------------------------------------------------------------------------------


def words_of(page: bytes) -> str:
    """What a reader sees of a page, in one line."""
    return " ".join(unescape(sub(r"<[^>]*>", " ", page.decode())).split())


def dates_of(series: Series, count: int, **changes: object) -> list[Entry]:
    """So many entries of a series, a day apart."""
    return [
        EntryFactory.create(
            calendar=series.calendar,
            series=series,
            series_day=series.first_day + timedelta(days=n),
            starts_at=timezone.now() + timedelta(days=n + 1),
            **changes,
        )
        for n in range(count)
    ]


def test_the_place_has_a_link_to_a_map_that_tells_nobody_where_one_came_from(client: Client, workshop: Entry) -> None:
    Calendar.objects.filter(pk=workshop.calendar_id).update(place="Mill Lane & Quay, Rose Ash")

    page = client.get(workshop.get_absolute_url()).content.decode()

    address = "https://www.openstreetmap.org/search?query=Mill%20Lane%20%26%20Quay%2C%20Rose%20Ash"
    assert f'href="{address}" rel="noopener noreferrer"' in page


def test_the_shoppers_own_clock_has_a_place_that_says_nothing_without_a_script(client: Client, workshop: Entry) -> None:
    page = client.get(workshop.get_absolute_url()).content.decode()

    said = search(r'<p [^>]*data-zone="Europe/London" hidden>.*?</p>', page)
    assert said
    assert findall(r'<time datetime="([^"]*)"></time>', said[0]) == [
        f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (workshop.starts_at, workshop.ends_at)
    ]


def test_every_price_can_be_chosen_and_all_take_from_the_same_places(client: Client, workshop: Entry) -> None:
    Entry.objects.filter(pk=workshop.pk).update(price_name="Adult")
    child = PriceKind.objects.create(entry=workshop, name="Child", note="Under 16 years", price="12.50", position=1)
    PriceKind.objects.create(entry=workshop, name="Student", price="20.00", archived_at=timezone.now())

    page = client.get(workshop.get_absolute_url()).content
    client.post("/cart/items/", {"entry": workshop.pk, "price_kind": "", "quantity": 1})
    added = client.post(
        "/cart/items/", {"entry": workshop.pk, "price_kind": child.uuid, "quantity": 2}, headers={"HX-Request": "true"}
    )

    assert findall(r'<option value="([^"]*)"', page.decode()) == ["", str(child.uuid)]
    assert "Adult £35.00 Child Under 16 years £12.50" in words_of(page)
    assert f'<option value="{child.uuid}" selected>' in added.content.decode()
    assert {(item.unit_price, item.quantity) for item in CartItem.objects.all()} == {
        (Decimal("35.00"), 1),
        (Decimal("12.50"), 2),
    }
    assert Pool.objects.get(pk=workshop.pool_id).taken == 3


def test_the_list_tells_all_prices_and_those_of_a_series_where_an_entry_has_none(client: Client) -> None:
    series = SeriesFactory.create()
    PriceKind.objects.create(series=series, name="Child", price="12.50")
    plain, own = dates_of(series, 2)
    PriceKind.objects.create(entry=own, name="Member", price="30.00")

    rows = client.get(series.calendar.get_absolute_url()).content.split(b"data-entry=")[1:]

    assert "Standard £35.00 · Child £12.50 tax included" in words_of(rows[0])
    assert "Standard £35.00 · Member £30.00 tax included" in words_of(rows[1])
    assert [kind.name for kind in plain.price_kinds] == ["Child"]


def test_how_a_place_is_given_back_or_moved_is_said_before_it_is_booked(client: Client, bakehouse: Calendar) -> None:
    with travel(datetime(2026, 6, 1, 12, 0, tzinfo=UTC)):
        entry = EntryFactory.create(calendar=bakehouse, starts_at=datetime(2026, 6, 5, 17, 0, tzinfo=UTC))
        Calendar.objects.update(cancel_hours=24, kept_percent=10, move_hours=12)
        pages = [client.get(entry.get_absolute_url()).content]
        Calendar.objects.update(cancel_hours=None, move_hours=None)
        pages.append(client.get(entry.get_absolute_url()).content)
        Calendar.objects.update(cancel_hours=200, move_hours=200)
        pages.append(client.get(entry.get_absolute_url()).content)

    assert "You can cancel until Thursday 4 June 2026, 18:00 and get back all but 10%." in words_of(pages[0])
    assert "Until Friday 5 June 2026, 06:00 you can move to another date." in words_of(pages[0])
    assert "Cannot be cancelled. Places cannot be moved to another date." in words_of(pages[1])
    assert "Can no longer be cancelled. Places can no longer be moved to another date." in words_of(pages[2])


def test_what_will_be_asked_is_said_before_it_is_booked(client: Client) -> None:
    series = SeriesFactory.create(calendar=CalendarFactory.create(ask_names=True))
    other, (entry,) = SeriesFactory.create(calendar=series.calendar), dates_of(series, 1)
    for text, more in {
        "What do you not eat?": {},
        "Which apron?": {"series": series, "is_required": True},
        "Which wheel?": {"series": other},
        "Which hat?": {"archived_at": timezone.now()},
    }.items():
        Question.objects.create(calendar=series.calendar, text=text, **more)
    Question.objects.create(calendar=CalendarFactory.create(), text="Which dog?")

    page = words_of(client.get(entry.get_absolute_url()).content)

    assert "we ask about everybody who comes: their name What do you not eat? (if you like) Which apron?" in page
    assert "Which apron? (if" not in page
    assert not [text for text in ("Which wheel?", "Which hat?", "Which dog?") if text in page]


def test_how_many_one_may_have_is_said_where_it_is_limited(client: Client, workshop: Entry) -> None:
    before = words_of(client.get(workshop.get_absolute_url()).content)
    Entry.objects.filter(pk=workshop.pk).update(max_per_order=4, max_per_person=1)

    page = client.get(workshop.get_absolute_url()).content

    assert "At most" not in before
    assert "At most 4 places in one order. At most 1 place for each person, over all orders." in words_of(page)
    assert b'max="4"' in page


def test_the_next_five_dates_of_the_same_series_are_shown_and_the_way_to_all(client: Client) -> None:
    series = SeriesFactory.create()
    dates = dates_of(series, 8, places=3)
    Entry.objects.filter(pk=dates[1].pk).update(cancelled_at=timezone.now())
    dates_of(SeriesFactory.create(calendar=series.calendar), 1)

    page = client.get(dates[0].get_absolute_url()).content

    assert findall(r'data-other="(\d+)"', page.decode()) == [str(entry.pk) for entry in dates[2:7]]
    assert page.count(b"3 places left.") == 6
    assert f'href="{series.calendar.get_absolute_url()}?series={series.uuid}"' in page.decode()


def test_an_entry_of_no_series_has_no_other_dates(client: Client, workshop: Entry) -> None:
    assert b"Other dates" not in client.get(workshop.get_absolute_url()).content


def test_a_called_off_entry_says_so_at_the_top_and_offers_nothing(client: Client, workshop: Entry) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=timezone.now())

    page = client.get(workshop.get_absolute_url())

    assert words_of(page.content).index("This was called off.") < words_of(page.content).index("A place costs")
    assert b"You can cancel" not in page.content
    assert "bookings/_join.html" not in [template.name for template in page.templates]
