"""The door's pages as they come from the server: with a script and without, for those who work there."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from bookings.models import Answer, Attendee, Booking, Entry, PriceKind, Question, Scan
from cartsite.models import User
from orders.models import LineFact, Order
from tests.factories import EntryFactory
from tests.orders.acts import HTMX, all_rows
from tests.orders.door import begin, hire, places_of, scan, sell

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def val(db: None) -> User:
    return hire()


@pytest.fixture
def door(val: User) -> Client:
    """The volunteer's browser."""
    client = Client()
    client.force_login(val)
    return client


@pytest.fixture
def sold(place_order: PlaceOrder, workshop: Entry) -> Order:
    order = sell(place_order, (workshop, 2))
    begin(workshop)
    return order


def path(entry: Entry, step: str = "") -> str:
    return f"/door/{entry.pk}/{step}"


def text_of(answer: Any) -> str:
    return answer.content.decode()


def post(client: Client, entry: Entry, **fields: object) -> Any:
    """A scan as the page's script sends it."""
    return client.post(path(entry, "scan/"), {"scan": uuid4(), **fields}, headers=HTMX)


# --- Who, and what for


def test_whoever_is_not_signed_in_is_asked_to(client: Client, workshop: Entry) -> None:
    assert client.get(path(workshop))["Location"] == f"/sign-in/?next=/door/{workshop.pk}/"
    assert client.post(path(workshop, "scan/"))["Location"] == "/sign-in/?next=/door/"


def test_the_doors_of_these_days_are_listed(door: Client, workshop: Entry, sold: Order) -> None:
    now = timezone.now()
    over = EntryFactory(starts_at=now - timedelta(days=3))
    far = EntryFactory(starts_at=now + timedelta(days=9))
    off = EntryFactory(starts_at=now + timedelta(days=1), cancelled_at=now)
    tomorrow = EntryFactory(starts_at=now + timedelta(days=1))
    Booking.objects.filter(pk=places_of(sold)[0].pk).update(status="cancelled")

    page = text_of(door.get("/door/"))

    assert [f'href="{path(entry)}"' in page for entry in (workshop, tomorrow, over, far, off)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert "0 of 1 in" in page


def test_the_camera_is_allowed_here_and_nothing_else_is_wider(door: Client, workshop: Entry) -> None:
    answer = door.get(path(workshop))

    assert answer["Permissions-Policy"] == "camera=(self)"
    assert "no-store" in answer["Cache-Control"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "Permissions-Policy" not in door.get("/")


# --- A scan


def test_without_a_script_the_page_comes_back_with_the_answer(door: Client, workshop: Entry, sold: Order) -> None:
    code, uuid = places_of(sold)[0].code, str(uuid4())

    first = door.post(path(workshop, "scan/"), {"code": code, "scan": uuid})
    reloaded = door.post(path(workshop, "scan/"), {"code": code, "scan": uuid})

    for answer in (first, reloaded):
        assert 'data-outcome="welcome"' in text_of(answer)
        assert "<h1" in text_of(answer)
        assert uuid not in text_of(answer).split('id="answers"')[0]  # the next scan has a UUID of its own
    assert Scan.objects.count() == 1


def test_a_script_gets_the_answer_alone_with_the_scans_uuid(door: Client, workshop: Entry, sold: Order) -> None:
    uuid = uuid4()

    said = text_of(post(door, workshop, code=places_of(sold)[0].code, scan=uuid))

    assert f'data-scan="{uuid}"' in said
    assert "<h1" not in said


def test_a_welcome_tells_name_price_and_what_matters(door: Client, workshop: Entry, sold: Order) -> None:
    (first, _second), line = places_of(sold), sold.lines.get()
    line.price_kind = PriceKind.objects.create(entry=workshop, name="Child", price="10.00")
    line.save()
    question = Question.objects.create(calendar=workshop.calendar, text="Allergies")
    attendee = Attendee.objects.create(order_line=line, number=1, booking=first, name="Zoë <b>Attendee")
    Answer.objects.create(attendee=attendee, question=question, text="Nuts")
    wheels = Question.objects.create(calendar=workshop.calendar, text="A wheelchair?", kind=Question.Kind.YES_NO)
    Answer.objects.create(attendee=attendee, question=wheels, text="yes")

    said = text_of(post(door, workshop, code=first.code))

    for told in (
        "Welcome",
        "Zoë &lt;b&gt;Attendee",
        "Child",
        "Allergies",
        "Nuts",
        "A wheelchair? <strong>Yes<",
        "undo",
    ):
        assert told in said


def test_a_second_scan_tells_when_and_by_whom(door: Client, workshop: Entry, sold: Order) -> None:
    code = places_of(sold)[0].code
    scan(workshop, code, hire("kim"))

    said = text_of(post(door, workshop, code=code))

    assert 'data-outcome="already_in"' in said
    assert "by Kim" in said
    at = Scan.objects.earliest("pk").at.astimezone(workshop.calendar.zone)
    assert f"let in at {at:%H:%M}," in said


def test_a_ticket_for_something_else_tells_what_for(door: Client, workshop: Entry, sold: Order) -> None:
    other = EntryFactory(title="Cheese tasting")

    said = text_of(post(door, other, code=places_of(sold)[0].code))

    assert "Not for here" in said
    assert "Bread workshop" in said


def test_letters_that_no_code_has_are_named(door: Client, workshop: Entry) -> None:
    assert "No code has any of these: 10." in text_of(post(door, workshop, code="BCDFG-HJK10"))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"code": ""}, 422),
        ({"code": "BCDFGHJKMN", "scan": "no uuid"}, 422),
        ({"code": "x" * 300}, 422),
        ({"code": "a\x00b"}, 422),
        ({"booking": "no uuid"}, 422),
        ({"booking": str(uuid4())}, 404),
    ],
)
def test_what_cannot_be_read_moves_nothing(door: Client, workshop: Entry, fields: dict[str, str], status: int) -> None:
    door.get(path(workshop))
    before = all_rows()

    for headers in ({}, HTMX):
        answer = door.post(path(workshop, "scan/"), {"scan": str(uuid4()), **fields}, headers=headers)
        assert answer.status_code == status

    assert all_rows() == before


def test_what_is_missing_is_said_beside_the_field(door: Client, workshop: Entry) -> None:
    page = text_of(door.post(path(workshop, "scan/"), {"scan": str(uuid4()), "code": " "}))

    assert 'aria-invalid="true"' in page
    assert 'aria-describedby="id_code_error"' in page
    assert "Type the code of a ticket, or scan it." in page


def test_a_place_of_another_entry_is_not_let_in_by_name(door: Client, workshop: Entry, sold: Order) -> None:
    answer = post(door, EntryFactory(), booking=places_of(sold)[0].uuid)

    assert answer.status_code == 404
    assert not Scan.objects.exists()


# --- Taking back, and the rest


def test_an_entry_is_undone_from_the_page(door: Client, workshop: Entry, sold: Order, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)

    answer = door.post(path(workshop, "undo/"), {"scan": told.uuid})

    assert (answer.status_code, answer["Location"]) == (302, path(workshop))
    assert [str(message) for message in get_messages(answer.wsgi_request)] == ["Taken back."]
    assert places_of(sold)[0].status == "confirmed"


def test_a_script_sees_the_list_and_the_answer_change(door: Client, workshop: Entry, sold: Order, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)

    said = text_of(door.post(path(workshop, "undo/"), {"scan": told.uuid}, headers=HTMX))

    assert 'data-counts="0/2"' in said
    assert f'id="answer-{told.uuid}"' in said
    assert "answer-good" not in said
    assert "Taken back" in said


def test_what_cannot_be_undone_says_why(door: Client, workshop: Entry, sold: Order, val: User) -> None:
    told = scan(workshop, places_of(sold)[0].code, val)
    begin(workshop, hours_ago=50)

    said = text_of(door.post(path(workshop, "undo/"), {"scan": told.uuid}, headers=HTMX))

    assert "That day is over." in said
    assert places_of(sold)[0].status == "attended"


@pytest.mark.parametrize("fields", [{}, {"scan": "x"}, {"booking": "x"}, {"scan": str(uuid4())}])
def test_nothing_is_undone_that_is_not_there(door: Client, workshop: Entry, fields: dict[str, str]) -> None:
    assert door.post(path(workshop, "undo/"), fields).status_code == 404


def test_the_rest_did_not_come_and_one_of_them_did(door: Client, workshop: Entry, sold: Order) -> None:
    begin(workshop, hours_ago=1)

    door.post(path(workshop, "rest/"), {"came": "no"})

    page = text_of(door.get(path(workshop)))
    assert "2 did not come" in page
    door.post(path(workshop, "undo/"), {"booking": places_of(sold)[0].uuid})
    assert [place.status for place in places_of(sold)] == ["confirmed", "no_show"]


def test_nobody_is_missing_before_it_begins(door: Client, workshop: Entry, sold: Order) -> None:
    answer = door.post(path(workshop, "rest/"), {"came": "no"})

    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "It has not begun: somebody may still come."
    ]
    assert not LineFact.objects.exists()


def test_everybody_came(door: Client, workshop: Entry, sold: Order) -> None:
    door.post(path(workshop, "rest/"), {"came": "yes"})

    assert {place.status for place in places_of(sold)} == {"attended"}


def far_ahead(entry: Entry) -> None:
    """It is the day after tomorrow."""
    begin(entry, hours_ago=-48)


def hidden_fields_of(page: str, button: str) -> dict[str, str]:
    """What the form with this button sends."""
    form = page[: page.index(button)].rpartition("<form")[2]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def test_before_the_day_the_door_says_so_and_asks(door: Client, workshop: Entry, sold: Order) -> None:
    far_ahead(workshop)
    booking = places_of(sold)[0]

    assert "The door opens on" in text_of(door.get(path(workshop)))
    said = text_of(door.post(path(workshop, "scan/"), {"code": booking.code, "scan": uuid4()}))
    assert "Too early" in said
    assert "Nobody is let in yet." in said
    form = hidden_fields_of(said, "Let them in all the same")
    assert "Welcome" in text_of(door.post(path(workshop, "scan/"), form))
    assert "Welcome" in text_of(door.post(path(workshop, "scan/"), form, headers=HTMX))

    assert [place.status for place in places_of(sold)] == ["attended", "confirmed"]
    assert LineFact.objects.count() == 1


def test_nobody_can_have_come_yet(door: Client, workshop: Entry, sold: Order) -> None:
    far_ahead(workshop)

    answer = door.post(path(workshop, "rest/"), {"came": "yes"})

    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "The door is not open yet: nobody can have come."
    ]
    assert "Everybody came" not in text_of(door.get(path(workshop)))
    assert not LineFact.objects.exists()


# --- The list


def test_the_list_is_searched_by_name(door: Client, workshop: Entry, sold: Order) -> None:
    first, second = places_of(sold)
    Attendee.objects.create(order_line=first.order_line, number=1, booking=first, name="Zoë Attendee")

    page = text_of(door.get(path(workshop), {"q": "zoë"}))
    part = text_of(door.get(path(workshop), {"q": "zoë"}, headers=HTMX))

    for said in (page, part):
        assert str(first.uuid) in said
        assert str(second.uuid) not in said
    assert "<h1" in page
    assert "<h1" not in part


def test_a_poll_without_news_says_so(door: Client, workshop: Entry, sold: Order, val: User) -> None:
    def news() -> str:
        return text_of(door.get(path(workshop), headers=HTMX)).split('data-news="')[1].split('"')[0]

    before = news()
    assert news() == before
    scan(workshop, places_of(sold)[0].code, val)
    assert news() != before


def test_many_people_are_listed_in_few_queries(
    door: Client, place_order: PlaceOrder, workshop: Entry, django_assert_max_num_queries: Any
) -> None:
    for line in sell(place_order, (workshop, 10)).lines.all():
        question = Question.objects.create(calendar=workshop.calendar, text="Allergies")
        for number, booking in enumerate(line.bookings.all(), start=1):
            attendee = Attendee.objects.create(order_line=line, number=number, booking=booking, name=f"N{number}")
            Answer.objects.create(attendee=attendee, question=question, text="None")

    with django_assert_max_num_queries(11):
        door.get(path(workshop))


def test_a_crowd_is_cut_and_says_so(
    door: Client, workshop: Entry, sold: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bookings.views.door.MOST_SHOWN", 1)

    page = text_of(door.get(path(workshop)))

    assert page.count("data-booking=") == 1
    assert "Find the others by name." in page
    assert "0 of 2 in" in page


def test_whom_a_search_found_is_told_and_a_fresh_list_is_not(door: Client, workshop: Entry, sold: Order) -> None:
    def told(**more: str) -> bool:
        answer = door.get(path(workshop), {"q": "ada"}, headers=HTMX | more)
        return ">2 people shown</p>" in text_of(answer)

    assert told(HX_Trigger="search")
    assert not told(HX_Trigger="people")
