"""Who comes, told or changed on the order's page: until it begins, by whoever may see the order, and nobody else."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Attendee, Booking, Entry, Question
from cart.models import Cart
from cartsite.models import User
from orders import attendees, moving, services
from orders.attendees import Guest
from orders.models import Order, OrderEvent
from tests.factories import EntryFactory, QuestionFactory
from tests.orders.acts import HTMX, all_rows, holder_of, place_cart, statements
from tests.orders.guests import who_comes

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
PlaceOrder = Callable[..., Order]


@pytest.fixture
def dinner(db: None) -> Entry:
    return EntryFactory(title="Dinner", calendar__ask_names=True)


@pytest.fixture
def diet(dinner: Entry) -> Question:
    return QuestionFactory(calendar=dinner.calendar, text="Diet?")


@pytest.fixture
def booked(place_order: PlaceOrder, dinner: Entry, diet: Question) -> Order:
    """Two places at dinner, of which nobody has said who comes."""
    order = place_order((dinner, 2))
    services.confirm(order, cause="paid")
    return order


def path_of(order: Order) -> str:
    return f"/orders/{order.number}/attendees/"


def codes(order: Order) -> list[str]:
    return list(Booking.objects.filter(order_line__order=order).order_by("pk").values_list("code", flat=True))


def told(order: Order, diet: Question, *guests: tuple[str, str]) -> dict[str, str]:
    """What a browser sends: a name and an answer for each place."""
    fields: dict[str, str] = {}
    for code, (name, answer) in zip(codes(order), guests, strict=False):
        fields |= {f"place-{code}-name": name, f"place-{code}-{diet.uuid}": answer}
    return fields


def text_of(answer: Any) -> str:
    return answer.content.decode()


# --- Telling


def test_who_comes_is_told_later(booked: Order, diet: Question) -> None:
    client = holder_of(booked)
    assert text_of(client.get(booked.get_absolute_url())).count("Not told yet") == 2

    answer = client.post(path_of(booked), told(booked, diet, ("Ada", "no nuts"), ("Grace", "")))

    assert (answer.status_code, answer["Location"]) == (302, booked.get_absolute_url())
    assert who_comes(booked) == [("Ada", {"Diet?": "no nuts"}), ("Grace", {})]
    assert [row.booking.code for row in Attendee.objects.order_by("number")] == codes(booked)
    page = text_of(client.get(booked.get_absolute_url()))
    assert "Ada" in page
    assert "no nuts" not in page
    assert "Not told yet" not in page


def test_with_htmx_the_form_comes_back_as_it_is_kept(booked: Order, diet: Question) -> None:
    client = holder_of(booked)

    answer = client.post(path_of(booked), told(booked, diet, ("Ada", "no nuts"), ("Grace", "")), headers=HTMX)

    page = text_of(answer)
    assert answer.status_code == 200
    assert "<html" not in page
    assert "It is kept." in page
    assert 'value="no nuts"' in page


def test_what_is_known_is_in_the_form_and_can_be_changed(booked: Order, diet: Question) -> None:
    client = holder_of(booked)
    client.post(path_of(booked), told(booked, diet, ("Ada", "no nuts"), ("Grace", "")))
    assert 'value="no nuts"' in text_of(client.get(path_of(booked)))

    client.post(path_of(booked), told(booked, diet, ("Ada", ""), ("Alan", "all")))

    assert who_comes(booked) == [("Ada", {}), ("Alan", {"Diet?": "all"})]


def test_the_history_says_that_it_changed_but_not_to_what(booked: Order, diet: Question) -> None:
    client = holder_of(booked)
    said = told(booked, diet, ("Ada", "no nuts"), ("Grace", ""))

    client.post(path_of(booked), said)
    client.post(path_of(booked), said)  # the same again

    (event,) = OrderEvent.objects.filter(kind="attendees_changed")
    assert event.data == {"quantity": 2}
    assert not {"Ada", "Grace", "no nuts"} & set(str(list(OrderEvent.objects.values())).replace("'", " ").split())
    assert "It was changed who comes." in text_of(client.get(booked.get_absolute_url()))


def test_the_event_names_who_signed_in(booked: Order, diet: Question, shopper: User) -> None:
    Order.objects.filter(pk=booked.pk).update(user=shopper)
    client = Client()
    client.force_login(shopper)

    client.post(path_of(booked), told(booked, diet, ("Ada", ""), ("Grace", "")))

    assert OrderEvent.objects.get(kind="attendees_changed").by == shopper


def test_answers_to_what_is_not_asked_any_more_stay(booked: Order, diet: Question) -> None:
    client = holder_of(booked)
    client.post(path_of(booked), told(booked, diet, ("Ada", "no nuts"), ("Grace", "")))
    Question.objects.update(archived_at=timezone.now())

    client.post(path_of(booked), told(booked, diet, ("Alan", "all"), ("Grace", "")))

    assert who_comes(booked) == [("Alan", {"Diet?": "no nuts"}), ("Grace", {})]


# --- Refusing


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_is_missing_is_said_and_nothing_is_kept(booked: Order, diet: Question, headers: dict[str, str]) -> None:
    client = holder_of(booked)
    before = all_rows()

    answer = client.post(path_of(booked), told(booked, diet, ("Ada", "no nuts"), (" ", "")), headers=headers)

    page = text_of(answer)
    assert answer.status_code == 422
    assert all_rows() == before
    assert "Please tell us who comes." in page
    assert 'value="Ada"' in page
    assert ("<html" in page) is not bool(headers)


def test_looking_moves_nothing(booked: Order) -> None:
    client = holder_of(booked)
    before = all_rows()

    assert client.get(path_of(booked)).status_code == 200
    assert client.head(path_of(booked)).status_code == 200
    assert client.get(path_of(booked).lower())["Location"] == path_of(booked)
    assert all_rows() == before


def test_once_it_has_begun_nothing_changes(booked: Order, diet: Question, dinner: Entry) -> None:
    client, said = holder_of(booked), told(booked, diet, ("Ada", ""), ("Grace", ""))
    Entry.objects.filter(pk=dinner.pk).update(starts_at=timezone.now())
    before = all_rows()["bookings.Attendee"]

    for answer in (client.get(path_of(booked)), client.post(path_of(booked), said)):
        assert (answer.status_code, answer["Location"]) == (302, booked.get_absolute_url())
    assert all_rows()["bookings.Attendee"] == before == []
    assert 'id="change-guests"' not in text_of(client.get(booked.get_absolute_url()))


@pytest.mark.parametrize("status", ["cancelled", "moved", "attended", "no_show"])
def test_a_place_that_is_not_just_booked_is_not_changed(booked: Order, diet: Question, status: str) -> None:
    first, second = codes(booked)
    Booking.objects.filter(code=first).update(status=status)
    client = holder_of(booked)

    page = text_of(client.get(path_of(booked)))
    client.post(path_of(booked), told(booked, diet, ("Mallory", ""), ("Grace", "")))

    assert first not in page
    assert second in page
    assert [(row.name, row.booking.code) for row in Attendee.objects.all()] == [("Grace", second)]


def test_a_place_that_is_cancelled_while_somebody_types_stays_as_it_is(booked: Order, diet: Question) -> None:
    first, second = codes(booked)
    guests = {first: Guest("Ada", {diet.pk: ""}), second: Guest("Grace", {diet.pk: ""})}
    services.cancel_some(booked.lines.get(), 1, by=None)

    assert attendees.change(booked, guests, by=None) == 1
    assert [row.name for row in Attendee.objects.all()] == ["Ada"]


@pytest.mark.parametrize("status", ["awaiting_payment", "expired", "cancelled"])
def test_an_order_without_places_asks_nothing(place_order: PlaceOrder, dinner: Entry, status: str) -> None:
    order = place_order((dinner, 1))
    Order.objects.filter(pk=order.pk).update(status=status)
    client = holder_of(order)

    assert client.get(path_of(order))["Location"] == order.get_absolute_url()
    assert 'id="guests"' not in text_of(client.get(order.get_absolute_url()))


def test_where_nothing_is_asked_the_order_says_nothing_of_it(place_order: PlaceOrder, workshop: Entry) -> None:
    order = place_order((workshop, 1))
    services.confirm(order, cause="paid")
    client = holder_of(order)

    assert 'id="guests"' not in text_of(client.get(order.get_absolute_url()))
    assert client.get(path_of(order)).status_code == 302


def test_the_places_of_another_order_are_out_of_reach(booked: Order, diet: Question, place_order: PlaceOrder) -> None:
    other = place_order((Entry.objects.get(title="Dinner"), 1))
    services.confirm(other, cause="paid")
    client = holder_of(booked)
    stolen = told(other, diet, ("Mallory", "x"))

    client.post(path_of(booked), told(booked, diet, ("Ada", ""), ("Grace", "")) | stolen)

    assert who_comes(other) == []
    assert attendees.change(booked, {codes(other)[0]: Guest("Mallory")}, by=None) == 0
    assert who_comes(other) == []


def test_strangers_find_nothing(booked: Order, diet: Question) -> None:
    before = all_rows()

    assert Client().get(path_of(booked)).status_code == 404
    assert Client().post(path_of(booked), told(booked, diet, ("Mallory", ""), ("x", ""))).status_code == 404
    assert all_rows() == before


def test_a_form_from_elsewhere_changes_nothing(booked: Order, diet: Question) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(booked.secret_link)

    answer = client.post(path_of(booked), told(booked, diet, ("Mallory", ""), ("x", "")))

    assert answer.status_code == 403
    assert Attendee.objects.count() == 0


# --- After a move


def test_whoever_was_to_come_is_asked_what_the_new_entry_asks(booked: Order, diet: Question, dinner: Entry) -> None:
    client = holder_of(booked)
    client.post(path_of(booked), told(booked, diet, ("Ada", "no nuts"), ("Grace", "")))
    lunch = EntryFactory(calendar=dinner.calendar, title="Lunch")

    (new,) = moving.move_in_place([Booking.objects.get(code=codes(booked)[1])], lunch, by=None, cause="asked")

    page = text_of(client.get(path_of(booked)))
    assert "Place 1 of 1: Lunch" in " ".join(page.split())
    assert "Place 1 of 1: Dinner" in " ".join(page.split())
    assert 'value="Grace"' in page
    assert Attendee.objects.get(name="Grace").booking == new


def test_a_place_that_was_told_of_first_after_a_move_gets_a_number_of_its_own(
    booked: Order, diet: Question, dinner: Entry
) -> None:
    lunch = EntryFactory(calendar=dinner.calendar, title="Lunch")
    attendees.change(booked, {codes(booked)[1]: Guest("Grace")}, by=None)
    (new,) = moving.move_in_place([Booking.objects.get(code=codes(booked)[0])], lunch, by=None, cause="asked")

    attendees.change(booked, {new.code: Guest("Ada")}, by=None)

    assert set(Attendee.objects.values_list("name", "number", "booking__code")) == {
        ("Grace", 1, codes(booked)[1]),
        ("Ada", 2, new.code),
    }


# --- What it costs


def test_the_page_costs_the_same_for_any_number_of_places(fill_cart: FillCart) -> None:
    counts = []
    for lines in (1, 8):
        entries = [EntryFactory(calendar__ask_names=True) for _ in range(lines)]
        for entry in entries:
            QuestionFactory(calendar=entry.calendar)
        order = place_cart(*fill_cart(*((entry, 2) for entry in entries)))
        services.confirm(order, cause="paid")
        attendees.change(order, {code: Guest("Ada") for code in codes(order)}, by=None)
        client = holder_of(order)
        with statements() as sent:
            client.get(path_of(order))
        guests = {code: Guest("Eve") for code in codes(order)}
        with statements() as kept:
            attendees.change(order, guests, by=None)
        counts.append((len(sent), len(kept)))

    assert counts[0] == counts[1]
