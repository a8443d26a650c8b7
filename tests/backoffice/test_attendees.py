"""The back office: what is asked, and who comes to an entry, as a page and as a file."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from bookings.models import Booking, Entry, PriceKind, Question, Series
from cart import services as carts
from cart.models import Cart
from orders import attendees, services
from orders.attendees import Guest
from orders.models import Order
from tests.factories import CalendarFactory, EntryFactory, QuestionFactory
from tests.orders.acts import place_cart, statements
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

Hire = Callable[..., Client]
FillCart = Callable[..., tuple[Cart, str]]


@pytest.fixture
def dinner(db: None) -> Entry:
    """A free one, so that the books need no money."""
    return EntryFactory(title="Dinner", price=0, calendar__ask_names=True)


@pytest.fixture
def diet(dinner: Entry) -> Question:
    return QuestionFactory(calendar=dinner.calendar, text="Diet?")


def book(fill_cart: FillCart, entry: Entry, *guests: Guest, kind: PriceKind | None = None) -> Order:
    cart, token = fill_cart()
    carts.add(cart, entry, len(guests), kind)
    order = place_cart(cart, token)
    codes = Booking.objects.filter(order_line__order=order).order_by("pk").values_list("code", flat=True)
    attendees.change(order, dict(zip(codes, guests, strict=True)), by=None)
    return order


def list_path(entry: Entry) -> str:
    return f"/admin/bookings/attendee/of/{entry.pk}/"


def rows_of(client: Client, entry: Entry) -> list[list[str]]:
    answer = client.get(list_path(entry), {"as": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"].startswith('attachment; filename="attendees-')
    return list(csv.reader(answer.content.decode().splitlines()))


# --- Who comes


def test_staff_see_who_comes_and_what_they_said(
    staff_client: Client, fill_cart: FillCart, dinner: Entry, diet: Question
) -> None:
    child = PriceKind.objects.create(entry=dinner, name="Child", price=0)
    once = QuestionFactory(calendar=dinner.calendar, text="Once asked?", kind="yes_no")
    one = book(fill_cart, dinner, Guest("Zoe", {diet.pk: "no nuts", once.pk: "yes"}), Guest("ada"))
    two = book(fill_cart, dinner, Guest("Grace"), kind=child)
    Question.objects.filter(pk=once.pk).update(archived_at="2026-01-01T00:00:00Z")

    rows = rows_of(staff_client, dinner)
    page = staff_client.get(list_path(dinner)).content.decode()

    assert rows == [
        ["Name", "Price", "Status", "Order", "Diet?", "Once asked?"],
        ["ada", "Standard", "Confirmed", one.number, "", ""],
        ["Grace", "Child", "Confirmed", two.number, "", ""],
        ["Zoe", "Standard", "Confirmed", one.number, "no nuts", "Yes"],
    ]
    for cell in {cell for row in rows for cell in row}:
        assert cell in page


def test_who_ordered_a_place_stands_for_who_comes_where_no_names_are_asked(
    staff_client: Client, hire: Callable[..., Client], fill_cart: FillCart
) -> None:
    walk = EntryFactory(title="Sunrise walk", price=0)
    place_cart(*fill_cart((walk, 2)))
    blind = hire("bookings.view_attendee", "bookings.view_entry")

    named, page = rows_of(staff_client, walk), staff_client.get(list_path(walk)).content.decode()

    assert [row[0] for row in named[1:]] == ["Grace Example", "Grace Example"]
    assert page.count(">Grace Example</th>") == 2
    assert [row[0] for row in rows_of(blind, walk)[1:]] == ["", ""]


def test_when_it_is_is_told_on_the_clock_of_its_own_calendar(staff_client: Client) -> None:
    starts = datetime(2031, 1, 10, 18, 0, tzinfo=UTC)
    tasting = EntryFactory(
        calendar__time_zone="Europe/Amsterdam", starts_at=starts, ends_at=starts + timedelta(hours=2)
    )

    page = staff_client.get(list_path(tasting)).content.decode()

    assert "Fri 10 Jan 2031, 19:00 to 21:00 CET" in page


def test_who_was_moved_away_is_not_listed_and_who_cancelled_is_marked(
    staff_client: Client, fill_cart: FillCart, dinner: Entry
) -> None:
    book(fill_cart, dinner, Guest("Ada"), Guest("Grace"), Guest("Alan"))
    Booking.objects.filter(attendee__name="Ada").update(status="no_show")
    order = Order.objects.get()
    services.cancel_some(order.lines.get(), 1, by=None)

    assert [row[:3] for row in rows_of(staff_client, dinner)[1:]] == [
        ["Ada", "Standard", "Did not come"], ["Alan", "Standard", "Cancelled"], ["Grace", "Standard", "Confirmed"],
    ]  # fmt: skip


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "  ="])
def test_no_spreadsheet_takes_what_was_typed_for_a_formula(
    staff_client: Client, fill_cart: FillCart, dinner: Entry, diet: Question, start: str
) -> None:
    Question.objects.filter(pk=diet.pk).update(text=f"{start}cmd()")
    book(fill_cart, dinner, Guest(f"{start}cmd()", {diet.pk: f"{start}1+1"}))

    cells = [cell for row in rows_of(staff_client, dinner) for cell in row]

    assert [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t"))] == []
    assert len([cell for cell in cells if cell.startswith("'")]) == 3


def test_it_is_for_those_who_may_see_it(hire: Hire, dinner: Entry) -> None:
    clerk = hire("bookings.view_entry")

    assert clerk.get(list_path(dinner)).status_code == 403
    assert clerk.get(list_path(dinner), {"as": "csv"}).status_code == 403
    assert Client().get(list_path(dinner)).status_code == 302


def test_whoever_may_see_them_changes_nothing(hire: Hire, fill_cart: FillCart, dinner: Entry) -> None:
    organiser = hire("bookings.view_attendee")
    book(fill_cart, dinner, Guest("Ada"))
    attendee = Booking.objects.get().attendee

    assert organiser.get(list_path(dinner)).status_code == 200
    assert organiser.get("/admin/bookings/attendee/").status_code == 200
    assert organiser.get(f"/admin/bookings/attendee/{attendee.pk}/change/").status_code == 200
    for path in ("add/", f"{attendee.pk}/change/", f"{attendee.pk}/delete/"):
        assert organiser.post(f"/admin/bookings/attendee/{path}", {"name": "Eve"}).status_code == 403
    attendee.refresh_from_db()
    assert attendee.name == "Ada"
    assert LogEntry.objects.count() == 0


def test_nothing_is_listed_of_an_entry_that_does_not_exist(staff_client: Client) -> None:
    assert staff_client.get("/admin/bookings/attendee/of/987654/").status_code == 404


def test_the_entrys_page_leads_there(staff_client: Client, dinner: Entry) -> None:
    page = staff_client.get(f"/admin/bookings/entry/{dinner.pk}/change/").content.decode()

    assert f'href="{list_path(dinner)}"' in page


def test_the_list_costs_the_same_for_any_number(
    staff_client: Client, fill_cart: FillCart, dinner: Entry, diet: Question
) -> None:
    counts = []
    for guests in (1, 6):
        book(fill_cart, dinner, *(Guest("Ada", {diet.pk: "nuts"}) for _ in range(guests)))
        with statements() as sent:
            staff_client.get(list_path(dinner))
        counts.append(len(sent))

    assert counts[0] == counts[1]


# --- What is asked


def typed(calendar: Any, **more: str) -> dict[str, str]:
    return {"calendar": calendar.pk, "text": "Cup?", "kind": "choice", "choices": "Blue\nGreen", "position": "0"} | more


def test_staff_add_a_question(staff_client: Client) -> None:
    answer = staff_client.post(
        "/admin/bookings/question/add/", typed(CalendarFactory(), choices="Blue \n\nGreen, light\nBlue")
    )

    assert answer.status_code == 302
    assert Question.objects.get().choices == ["Blue", "Green, light"]


def test_a_question_is_changed_and_put_away_but_never_deleted(staff_client: Client) -> None:
    question = QuestionFactory(kind="choice", choices=["Blue", "Green"])
    path = f"/admin/bookings/question/{question.pk}/"

    assert "Blue\nGreen" in staff_client.get(f"{path}change/").content.decode()
    put_away = {"archived_at_0": "2026-01-01", "archived_at_1": "10:00"}
    assert save_form(staff_client, f"{path}change/", text="Cup?", **put_away).status_code == 302
    assert staff_client.post(f"{path}delete/").status_code == 403
    question.refresh_from_db()
    assert (question.text, question.archived_at is None) == ("Cup?", False)


@pytest.mark.parametrize("choices", ["", "Blue", "Blue\nBlue", f"Blue\n{'a' * 101}"])
def test_a_question_with_choices_has_some(staff_client: Client, choices: str) -> None:
    answer = staff_client.post("/admin/bookings/question/add/", typed(CalendarFactory(), choices=choices))

    assert answer.status_code == 200
    assert Question.objects.count() == 0


def test_a_question_about_a_series_is_in_its_calendar(staff_client: Client) -> None:
    series = Series.objects.create(
        calendar=CalendarFactory(), title="Pizza", price=9, starts="18:00", ends="20:00",
        first_day="2026-12-01", last_day="2026-12-31",
    )  # fmt: skip

    answer = staff_client.post("/admin/bookings/question/add/", typed(CalendarFactory(), series=str(series.pk)))

    assert "This series is in another calendar." in answer.content.decode()
    assert Question.objects.count() == 0
