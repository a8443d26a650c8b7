"""Who comes is personal data: it is exported, erased with the order's contact, and written down nowhere else."""

import json
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from bookings.models import Answer, Attendee, Booking, Entry, Question
from cartsite.models import User
from orders import attendees, personal_data, services
from orders.attendees import Guest
from orders.models import Order, OrderEvent
from orders.privacy import CannotErase, erase_contact, erase_person
from tests.factories import EntryFactory, QuestionFactory
from tests.orders.acts import all_rows, statements
from tests.orders.people import everything_stored, get_over

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
SAID = ("Zuleika", "Wilhelmina", "no walnuts")


@pytest.fixture
def diet(db: None) -> Question:
    return QuestionFactory(calendar__ask_names=True, text="Diet?")


@pytest.fixture
def book(place_order: PlaceOrder, diet: Question) -> Callable[..., Order]:
    """Two places, to which two people come: `book(user=None)`."""

    def book(user: User | None = None) -> Order:
        order = place_order((EntryFactory(calendar=diet.calendar, title="Dinner"), 2), user=user)
        services.confirm(order, cause="paid")
        one, two = Booking.objects.filter(order_line__order=order).order_by("pk").values_list("code", flat=True)
        attendees.change(order, {one: Guest(SAID[0], {diet.pk: SAID[2]}), two: Guest(SAID[1], {diet.pk: ""})}, by=user)
        return order

    return book


def stored() -> list[str]:
    return [word for word in SAID if word in everything_stored()]


def test_erasing_a_person_erases_who_came_with_them(book: Callable[..., Order], shopper: User) -> None:
    get_over(book(user=shopper))
    assert stored() == list(SAID)

    erase_person(shopper, by=shopper)

    assert stored() == []
    assert (Attendee.objects.count(), Answer.objects.count(), Booking.objects.count()) == (0, 0, 2)


def test_erasing_a_guests_order_erases_who_came(book: Callable[..., Order], staff: User) -> None:
    order, other = get_over(book()), get_over(book())

    assert erase_contact(order, by=staff)

    assert set(Attendee.objects.values_list("order_line__order", flat=True)) == {other.pk}
    assert Answer.objects.count() == 1


def test_who_came_is_erased_even_where_the_contact_is_gone_already(book: Callable[..., Order], staff: User) -> None:
    order = get_over(book())
    order.contact.delete()

    assert erase_contact(order, by=staff)
    assert not erase_contact(order, by=staff)

    assert stored() == []
    assert OrderEvent.objects.filter(kind="contact_erased").count() == 1


def test_while_a_place_lies_ahead_nothing_is_erased(book: Callable[..., Order], shopper: User) -> None:
    book(user=shopper)
    before = all_rows()

    with pytest.raises(CannotErase):
        erase_person(shopper, by=shopper)

    assert all_rows() == before


def test_the_export_tells_who_comes(book: Callable[..., Order], shopper: User) -> None:
    order = book(user=shopper)
    codes = [booking.code for booking in Booking.objects.order_by("pk")]
    book()  # somebody else's

    (told,) = json.loads("".join(personal_data.export(shopper)))["orders"]

    assert told["number"] == order.number
    assert told["attendees"] == [
        {"number": 1, "name": SAID[0], "comes_to": "Dinner", "booking_code": codes[0],
         "answers": [{"question": "Diet?", "answer": SAID[2]}]},
        {"number": 2, "name": SAID[1], "comes_to": "Dinner", "booking_code": codes[1], "answers": []},
    ]  # fmt: skip


def test_the_export_costs_the_same_for_any_number_of_them(book: Callable[..., Order], shopper: User) -> None:
    counts = []
    for _turn in range(3):
        book(user=shopper)
        with statements() as sent:
            "".join(personal_data.export(shopper))
        counts.append(len(sent))

    assert counts[0] == counts[1] == counts[2]


def test_the_page_of_ones_data_counts_them(book: Callable[..., Order], shopper: User) -> None:
    book(user=shopper)
    client = Client()
    client.force_login(shopper)

    assert "who comes to 2 places" in client.get("/account/data/").content.decode()


def test_what_was_said_stands_in_its_own_rows_only(
    book: Callable[..., Order], shopper: User, caplog: pytest.LogCaptureFixture
) -> None:
    book(user=shopper)

    rows = {
        table: [row for row in rows if any(word in str(row) for word in SAID)] for table, rows in all_rows().items()
    }

    assert {table for table, found in rows.items() if found} == {"bookings.Attendee", "bookings.Answer"}
    assert not [word for word in SAID if word in caplog.text]
    assert LogEntry.objects.count() == 0
    assert Entry.objects.filter(starts_at__gt=timezone.now()).count() == 1
