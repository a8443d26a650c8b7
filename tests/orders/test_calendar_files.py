"""The file for the shopper's own calendar: right in every zone, and always about the same events."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import Message as Part
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from django.test import Client

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite.models import User
from orders import calendar_files, mail, services
from orders.models import Order
from orders.moving import move_in_place
from orders.rescheduling import reschedule
from tests.factories import CalendarFactory, EntryFactory
from tests.orders.acts import holder_of
from tests.orders.letterbox import Outbox

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def confirmed(order: Order, settings: Any) -> Order:
    """One jar of honey and two places, paid for."""
    settings.PUBLIC_URL = "https://shop.example:8443"
    services.confirm(order, cause="paid")
    return order


def read(text: str) -> icalendar.Calendar:
    """The file as another program reads it."""
    assert text.replace("\r\n", "").count("\n") == 0  # RFC 5545: lines end so
    return icalendar.Calendar.from_ical(text)


def the_event(text: str) -> icalendar.Event:
    (event,) = read(text).events
    return event


def files_of(mailoutbox: Outbox) -> dict[str, Part]:
    """The calendar files of the last mail, by their method."""
    parts = [part for part in mailoutbox[-1].message().walk() if part.get_content_type() == "text/calendar"]
    return {str(part.get_param("method")): part for part in parts}


def text_in(part: Part) -> str:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def enter(place_order: PlaceOrder, zone: str, starts_at: datetime, ends_at: datetime) -> str:
    """The file of a place at an entry somewhere."""
    calendar = CalendarFactory(time_zone=zone)
    entry = EntryFactory(calendar=calendar, starts_at=starts_at, ends_at=ends_at)
    order = place_order((entry, 1))
    services.confirm(order, cause="paid")
    return calendar_files.write_places(order)


def test_each_place_bought_is_in_the_file(confirmed: Order, workshop: Entry) -> None:
    calendar = read(calendar_files.write_places(confirmed))

    line = confirmed.lines.get(kind="entry")
    (event,) = calendar.events
    assert (calendar["METHOD"], calendar["VERSION"]) == ("PUBLISH", "2.0")
    assert (event["UID"], event.sequence, event["STATUS"]) == (f"{line.uuid}@shop.example", 0, "CONFIRMED")
    assert event["SUMMARY"] == "Bread workshop"
    assert event.start == workshop.starts_at.replace(microsecond=0)
    assert event.end == workshop.ends_at.replace(microsecond=0)
    assert str(event.start.tzinfo) == "Europe/London"
    codes = Booking.objects.order_by("pk").values_list("code", flat=True)
    assert str(event["DESCRIPTION"]).split("\n") == [
        f"Order {confirmed.number}",
        *(f"Your code: {code}" for code in codes),
        confirmed.secret_link,
    ]
    assert "LOCATION" not in event


def test_the_place_is_named(confirmed: Order, workshop: Entry) -> None:
    workshop.calendar.place = "The Old Bakehouse, Mill Lane; back door"
    workshop.calendar.save()

    assert the_event(calendar_files.write_places(confirmed))["LOCATION"] == "The Old Bakehouse, Mill Lane; back door"


@pytest.mark.parametrize(
    ("zone", "starts_at", "ends_at", "said"),
    [
        # Across the change to winter time and to summer time, and where none ever comes.
        ("Europe/London", (2027, 10, 30, 22), (2027, 10, 31, 4), ["20271030T230000", "20271031T040000"]),
        ("Europe/London", (2027, 3, 27, 23), (2027, 3, 28, 3), ["20270327T230000", "20270328T040000"]),
        ("Asia/Kolkata", (2027, 7, 1, 17), (2027, 7, 1, 20), ["20270701T223000", "20270702T013000"]),
        ("America/New_York", (2027, 7, 1, 17), (2027, 7, 1, 20), ["20270701T130000", "20270701T160000"]),
    ],
)
def test_times_are_the_calendars_own_across_every_clock_change(
    place_order: PlaceOrder, zone: str, starts_at: tuple[int, ...], ends_at: tuple[int, ...], said: list[str]
) -> None:
    begins, ends = (datetime(*moment, tzinfo=UTC) for moment in (starts_at, ends_at))  # type: ignore[misc, arg-type]

    text = enter(place_order, zone, begins, ends)

    assert f"DTSTART;TZID={zone}:{said[0]}" in text
    assert f"DTEND;TZID={zone}:{said[1]}" in text
    assert (the_event(text).start, the_event(text).end) == (begins, ends)
    (described,) = read(text).timezones
    assert described["TZID"] == zone
    ours = described.to_tz(lookup_tzid=False)
    for moment in (begins, ends):
        assert moment.astimezone(ours).utcoffset() == moment.astimezone(ZoneInfo(zone)).utcoffset()


def test_the_hour_that_comes_twice_is_not_mistaken(place_order: PlaceOrder) -> None:
    begins = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)  # 01:30 in London; an hour later it is 01:30 again

    text = enter(place_order, "Europe/London", begins, begins + timedelta(hours=1))

    assert "DTSTART;TZID=Europe/London:20271031T013000" in text
    assert "DTEND:20271031T013000Z" in text
    assert the_event(text).end - the_event(text).start.astimezone(UTC) == timedelta(hours=1)


def test_every_entry_is_an_event_of_its_own(place_order: PlaceOrder, workshop: Entry) -> None:
    other = EntryFactory(calendar=CalendarFactory(time_zone="Asia/Kolkata"))
    order = place_order((workshop, 2), (other, 1))
    services.confirm(order, cause="paid")

    calendar = read(calendar_files.write_places(order))

    assert len({event["UID"] for event in calendar.events}) == 2
    assert {zone["TZID"] for zone in calendar.timezones} == {"Europe/London", "Asia/Kolkata"}


def test_what_staff_typed_adds_no_lines(confirmed: Order) -> None:
    confirmed.lines.filter(kind="entry").update(title="Bread\r\nATTENDEE:mailto:all@example.org")

    event = the_event(calendar_files.write_places(confirmed))

    assert "ATTENDEE" not in event
    assert "ATTENDEE" in str(event["SUMMARY"])


def test_goods_make_no_file(place_order: PlaceOrder, honey: Product) -> None:
    order = place_order((honey, 1))
    services.confirm(order, cause="paid")

    assert (calendar_files.write_places(order), calendar_files.write_gone(order)) == ("", "")


def test_an_order_that_is_not_paid_makes_no_file(order: Order) -> None:
    assert (calendar_files.write_places(order), calendar_files.write_gone(order)) == ("", "")


# --- What changes


def test_places_that_are_all_gone_are_taken_out(confirmed: Order, staff: User) -> None:
    before = the_event(calendar_files.write_places(confirmed))
    services.cancel_confirmed(confirmed, by=staff, cause="staff")

    assert calendar_files.write_places(confirmed) == ""
    gone = calendar_files.write_gone(confirmed)
    assert read(gone)["METHOD"] == "CANCEL"
    event = the_event(gone)
    assert (event["UID"], event["STATUS"]) == (before["UID"], "CANCELLED")
    assert event.sequence > before.sequence
    assert "Your code" not in str(event["DESCRIPTION"])


def test_a_line_with_places_left_is_updated(confirmed: Order, staff: User) -> None:
    before = the_event(calendar_files.write_places(confirmed))
    services.cancel_some(confirmed.lines.get(kind="entry"), 1, by=staff)

    assert calendar_files.write_gone(confirmed) == ""
    event = the_event(calendar_files.write_places(confirmed))
    assert (event["UID"], event["STATUS"]) == (before["UID"], "CONFIRMED")
    assert event.sequence > before.sequence
    assert str(event["DESCRIPTION"]).count("Your code") == 1


def test_every_change_counts_higher(confirmed: Order, staff: User) -> None:
    seen = [the_event(calendar_files.write_places(confirmed)).sequence]
    for _time in range(2):
        services.cancel_confirmed(confirmed, by=staff, cause="staff")
        seen.append(the_event(calendar_files.write_gone(confirmed)).sequence)
        services.revive(confirmed, cause="staff", by=staff)
        seen.append(the_event(calendar_files.write_places(confirmed)).sequence)

    assert seen == [0, 1, 2, 3, 4]


def test_the_confirmation_brings_the_file(confirmed: Order, mailoutbox: Outbox) -> None:
    mail.send_owed()

    ((method, part),) = files_of(mailoutbox).items()
    assert (method, part.get_filename()) == ("PUBLISH", f"{confirmed.number}.ics")
    assert part.get_content_disposition() == "attachment"
    assert the_event(text_in(part)).sequence == 0


def test_a_cancellation_brings_what_is_gone_and_what_is_left(
    place_order: PlaceOrder, workshop: Entry, staff: User, mailoutbox: Outbox
) -> None:
    order = place_order((workshop, 2), (EntryFactory(title="Cheese workshop"), 1))
    services.confirm(order, cause="paid")
    mail.send_owed()
    bread, cheese = order.lines.all()
    services.cancel_some(bread, 1, by=staff)
    services.cancel_some(cheese, 1, by=staff)
    services.owe_mail(order, "cancelled", occurrence="part-1")

    mail.send_owed()

    files = files_of(mailoutbox)
    assert the_event(text_in(files["CANCEL"]))["SUMMARY"] == "Cheese workshop"
    assert the_event(text_in(files["PUBLISH"]))["SUMMARY"] == "Bread workshop"
    assert files["CANCEL"].get_filename() == f"{order.number}-cancel.ics"


# --- To download


def file_path(order: Order) -> str:
    return f"/orders/{order.number}/calendar.ics"


def test_the_file_can_be_downloaded_by_whoever_may_see_the_order(confirmed: Order) -> None:
    answer = holder_of(confirmed).get(file_path(confirmed))

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{confirmed.number}.ics"'
    assert "no-store" in answer.headers["Cache-Control"]
    assert the_event(answer.content.decode())["SUMMARY"] == "Bread workshop"


def test_whoever_downloads_it_again_loses_what_was_left(
    confirmed: Order, workshop: Entry, later: Entry, staff: User
) -> None:
    client = holder_of(confirmed)

    def download() -> list[tuple[str, str]]:
        events = read(client.get(file_path(confirmed)).content.decode()).events
        return sorted((str(event["SUMMARY"]), str(event["STATUS"])) for event in events)

    before = the_event(client.get(file_path(confirmed)).content.decode())
    move(confirmed, 2, later)
    assert download() == [("Bread workshop", "CANCELLED"), ("Late bread", "CONFIRMED")]
    events = read(client.get(file_path(confirmed)).content.decode()).events
    assert [event.sequence > before.sequence for event in events if event["UID"] == before["UID"]] == [True]
    services.cancel_confirmed(confirmed, by=staff, cause="staff")
    assert download() == [("Bread workshop", "CANCELLED"), ("Late bread", "CANCELLED")]


def test_nobody_else_can_download_it(confirmed: Order, client: Client, shopper: User) -> None:
    client.force_login(shopper)

    assert client.get(file_path(confirmed)).status_code == 404
    assert client.get("/orders/CCCC-CCCC-CC/calendar.ics").status_code == 404


def test_there_is_no_file_without_places(order: Order) -> None:
    assert holder_of(order).get(file_path(order)).status_code == 404


def test_it_is_only_read(confirmed: Order) -> None:
    assert holder_of(confirmed).post(file_path(confirmed)).status_code == 405


# --- Places that are somewhere else now


@pytest.fixture
def later(workshop: Entry) -> Entry:
    """The same workshop two weeks later, in another house."""
    elsewhere = CalendarFactory(place="The New Bakehouse")
    return EntryFactory(title="Late bread", calendar=elsewhere, starts_at=workshop.starts_at + timedelta(days=14))


def move(order: Order, count: int, to: Entry) -> None:
    """Move so many of the order's places that stand."""
    standing = Booking.objects.filter(order_line__order=order, status=Booking.Status.CONFIRMED).order_by("pk")
    move_in_place(list(standing[:count]), to, by=None, cause="a test")


class Diary:
    """A shopper's calendar program: it takes files in as RFC 5546 says, the higher sequence winning."""

    def __init__(self) -> None:
        self.seen: dict[str, icalendar.Event] = {}

    def take(self, order: Order) -> set[tuple[str, datetime]]:
        """Read both files of an order; what the shopper has in it then: titles, and when they begin."""
        for text in (calendar_files.write_gone(order), calendar_files.write_places(order)):
            for event in read(text).events if text else []:
                known = self.seen.get(str(event["UID"]))
                if known is None or event.sequence > known.sequence:
                    self.seen[str(event["UID"])] = event
        return {
            (str(event["SUMMARY"]), event.start.astimezone(UTC))
            for event in self.seen.values()
            if event["STATUS"] == "CONFIRMED"
        }


def at(title: str, entry: Entry) -> tuple[str, datetime]:
    return title, entry.starts_at.replace(microsecond=0)


def test_a_place_that_was_moved_is_where_it_is_now(confirmed: Order, workshop: Entry, later: Entry) -> None:
    line = confirmed.lines.get(kind="entry")
    move(confirmed, 1, later)

    bread, late = sorted(read(calendar_files.write_places(confirmed)).events, key=lambda event: event.start)

    assert bread["UID"] == f"{line.uuid}@shop.example"
    assert late["UID"] == f"{line.uuid}-{later.uuid}@shop.example"
    assert (late["SUMMARY"], late["LOCATION"]) == ("Late bread", "The New Bakehouse")
    assert late.start == later.starts_at.replace(microsecond=0)
    assert [str(event["DESCRIPTION"]).count("Your code") for event in (bread, late)] == [1, 1]
    assert Booking.objects.get(entry=later).code in str(late["DESCRIPTION"])
    assert calendar_files.write_gone(confirmed) == ""


def test_where_nothing_is_left_is_taken_out(confirmed: Order, workshop: Entry, later: Entry) -> None:
    move(confirmed, 2, later)

    gone = the_event(calendar_files.write_gone(confirmed))
    there = the_event(calendar_files.write_places(confirmed))

    assert gone.start == workshop.starts_at.replace(microsecond=0)
    assert (gone["STATUS"], there["SUMMARY"]) == ("CANCELLED", "Late bread")


def test_a_shoppers_calendar_follows_every_change(confirmed: Order, workshop: Entry, later: Entry, staff: User) -> None:
    """Moved, moved on, put off, moved back and called off: what the shopper sees is what is so."""
    diary = Diary()
    last = EntryFactory(title="Last bread", starts_at=later.starts_at + timedelta(days=7))
    bread, late, final = at("Bread workshop", workshop), at("Late bread", later), at("Last bread", last)
    assert diary.take(confirmed) == {bread}

    move(confirmed, 1, later)
    assert diary.take(confirmed) == {bread, late}
    move(confirmed, 1, last)  # the other one
    assert diary.take(confirmed) == {late, final}

    reschedule(later, later.starts_at + timedelta(hours=2), later.ends_at + timedelta(hours=2), by=staff, reason="Heat")
    later.refresh_from_db()
    late = at("Late bread", later)
    assert diary.take(confirmed) == {late, final}

    move(confirmed, 1, workshop)  # the one that was put off
    assert diary.take(confirmed) == {bread, final}
    services.cancel_confirmed(confirmed, by=staff, cause="staff")
    assert diary.take(confirmed) == set()


def test_what_was_called_off_is_taken_out_at_once(confirmed: Order, workshop: Entry) -> None:
    diary = Diary()
    diary.take(confirmed)
    Entry.objects.update(cancelled_at=workshop.starts_at - timedelta(days=2))

    assert diary.take(confirmed) == set()


def test_an_entry_that_is_put_off_replaces_itself(confirmed: Order, workshop: Entry, staff: User) -> None:
    before = the_event(calendar_files.write_places(confirmed))
    reschedule(
        workshop, workshop.starts_at + timedelta(days=1), workshop.ends_at + timedelta(days=1), by=staff, reason="Heat"
    )

    after = the_event(calendar_files.write_places(confirmed))

    assert after["UID"] == before["UID"]
    assert after.sequence == before.sequence + 1
    assert after.start - before.start == timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "starts_at", "said"),
    [
        # 18:00 on the wall before and after: half an hour is gained in Lord Howe, none ever in Kathmandu.
        ("Europe/London", ((2027, 10, 29, 17), (2027, 11, 5, 18)), "T180000"),
        ("America/New_York", ((2027, 11, 5, 22), (2027, 11, 12, 23)), "T180000"),
        ("Australia/Lord_Howe", ((2027, 9, 30, 7, 30), (2027, 10, 7, 7)), "T180000"),
        ("Asia/Kathmandu", ((2027, 10, 29, 12, 15), (2027, 11, 5, 12, 15)), "T180000"),
    ],
)
def test_the_hour_on_the_wall_stays_across_a_move_over_a_clock_change(
    place_order: PlaceOrder, zone: str, starts_at: tuple[tuple[int, ...], tuple[int, ...]], said: str
) -> None:
    calendar = CalendarFactory(time_zone=zone)
    first, second = (
        EntryFactory(calendar=calendar, starts_at=datetime(*moment, tzinfo=UTC))  # type: ignore[misc, arg-type]
        for moment in starts_at
    )
    order = place_order((first, 2))
    services.confirm(order, cause="paid")
    move(order, 1, second)

    text = calendar_files.write_places(order)

    assert [line for line in text.split("\r\n") if line.startswith("DTSTART;")] == [
        f"DTSTART;TZID={zone}:{entry.local_start:%Y%m%d}{said}" for entry in (first, second)
    ]
    assert {event.start.astimezone(UTC) for event in read(text).events} == {first.starts_at, second.starts_at}


# --- Of one ticket


def download_ticket(booking: Booking) -> icalendar.Calendar:
    """What a friend's calendar reads who has nothing but the ticket's address."""
    answer = Client().get(f"/tickets/{booking.uuid}/calendar.ics")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    return read(answer.content.decode())


def test_a_ticket_has_a_file_of_its_own_which_says_nothing_of_the_order(confirmed: Order, workshop: Entry) -> None:
    booking = Booking.objects.earliest("pk")
    page = Client().get(f"/tickets/{booking.uuid}/").content.decode()

    file = download_ticket(booking)

    (event,) = file.events
    assert f"/tickets/{booking.uuid}/calendar.ics" in page
    assert (file["METHOD"], event["STATUS"], event["UID"]) == ("PUBLISH", "CONFIRMED", f"{booking.uuid}@shop.example")
    assert (event["SUMMARY"], event.start) == at("Bread workshop", workshop)
    assert booking.code in str(event["DESCRIPTION"])
    assert confirmed.number not in file.to_ical().decode()


def test_a_ticket_that_is_put_off_replaces_itself_and_one_that_is_gone_is_taken_out(
    confirmed: Order, workshop: Entry, later: Entry, staff: User
) -> None:
    stays, moves = Booking.objects.order_by("pk")
    next_day = [moment + timedelta(days=1) for moment in (workshop.starts_at, workshop.ends_at)]
    events = [download_ticket(moves).events[0]]

    reschedule(workshop, *next_day, by=staff, reason="Heat")
    events.append(download_ticket(moves).events[0])
    move_in_place([moves], later, by=None, cause="shopper")
    gone = download_ticket(moves)
    events += gone.events

    assert [event.sequence for event in events] == [0, 1, 2]
    assert len({event["UID"] for event in events}) == 1
    assert [str(event["STATUS"]) for event in events] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert gone["METHOD"] == "CANCEL"
    assert moves.code not in str(events[-1]["DESCRIPTION"])
    assert download_ticket(stays).events[0]["STATUS"] == "CONFIRMED"


def test_the_ticket_of_what_was_called_off_is_taken_out(confirmed: Order) -> None:
    booking = Booking.objects.earliest("pk")
    Entry.objects.update(cancelled_at=booking.created_at)

    assert download_ticket(booking)["METHOD"] == "CANCEL"
