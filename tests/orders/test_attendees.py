"""Who comes, asked at the checkout: place by place, and nothing typed is lost."""

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from bookings.models import Attendee, Booking, Calendar, Entry, PriceKind, Question, Series
from cart import services as carts
from cart.models import Cart, Product
from cartsite.models import User
from orders import services
from orders.attendees import MOST_ASKED
from orders.models import Order
from payments.simulator import Simulator
from tests.factories import EntryFactory, QuestionFactory
from tests.orders.acts import HTMX, agreed_for, all_rows, place_cart, statements, typed, visitor
from tests.orders.guests import names_for, place_field, who_comes

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]


@pytest.fixture
def named(workshop: Entry) -> Entry:
    """The workshop, whose calendar asks for names."""
    Calendar.objects.filter(pk=workshop.calendar_id).update(ask_names=True)
    return Entry.objects.get(pk=workshop.pk)


def ask(entry: Entry, text: str, **more: Any) -> Question:
    return QuestionFactory(calendar=entry.calendar, text=text, **more)


def text_of(answer: Any) -> str:
    return answer.content.decode()


def post(cart: Cart, token: str, **changes: str) -> Any:
    return visitor(token).post("/checkout/", typed(cart) | changes)


def fields_in(page: str) -> list[str]:
    return re.findall(r'name="(place-[^"]+)"', page)


def errors_beside(page: str, name: str) -> str:
    """What is said to be wrong with a field, tied to it for screen readers."""
    widget = re.search(rf'<(?:input|select)[^>]*name="{re.escape(name)}"[^>]*>', page).group()
    assert 'aria-invalid="true"' in widget
    described = re.search(r'aria-describedby="([^"]*)"', widget).group(1)
    texts = [re.search(rf'id="{re.escape(each)}".*?</(?:ul|p)>', page, re.DOTALL) for each in described.split()]
    return "".join(text.group() for text in texts)


# --- What is asked


def test_each_place_of_each_line_has_fields_of_its_own(fill_cart: FillCart, named: Entry, honey: Product) -> None:
    child = PriceKind.objects.create(entry=named, name="Child", price=5)
    cart, token = fill_cart((named, 2), (honey, 1))
    carts.add(cart, named, 1, child)
    adult, small = cart.items.filter(entry=named).order_by("pk")

    page = text_of(visitor(token).get("/checkout/"))

    assert fields_in(page) == [place_field(adult, 1), place_field(adult, 2), place_field(small, 1)]
    legends = [" ".join(legend.split()) for legend in re.findall(r"<legend[^>]*>(.*?)</legend>", page, re.DOTALL)]
    assert [legend.split(",")[0] for legend in legends] == [
        "Place 1 of 2: Bread workshop", "Place 2 of 2: Bread workshop", "Place 1 of 1: Bread workshop (Child)",
    ]  # fmt: skip
    assert all("," in legend for legend in legends)
    assert 'autocomplete="section-place-' in page


def test_where_nothing_is_asked_nothing_is_shown(fill_cart: FillCart, workshop: Entry) -> None:
    QuestionFactory()  # another calendar's
    ask(workshop, "Once?", archived_at="2026-01-01T00:00:00Z")
    _cart, token = fill_cart((workshop, 2))

    page = text_of(visitor(token).get("/checkout/"))

    assert "Who comes" not in page
    assert fields_in(page) == []


def test_a_question_of_a_series_is_asked_at_its_entries_only(fill_cart: FillCart, workshop: Entry) -> None:
    series = Series.objects.create(
        calendar=workshop.calendar, title="Pizza", price=9, starts="18:00", ends="20:00",
        first_day="2026-12-01", last_day="2026-12-31",
    )  # fmt: skip
    pizza = EntryFactory(calendar=workshop.calendar, title="Pizza", series=series, series_day="2026-12-04")
    for_all, for_pizza = ask(workshop, "Diet?", position=1), ask(workshop, "Dough?", series=series, position=2)
    cart, token = fill_cart((workshop, 1), (pizza, 1))
    bread, dough = cart.items.order_by("pk")

    page = text_of(visitor(token).get("/checkout/"))

    assert fields_in(page) == [
        place_field(bread, 1, for_all), place_field(dough, 1, for_all), place_field(dough, 1, for_pizza),
    ]  # fmt: skip


def test_no_more_places_are_asked_about_than_one_form_can_hold(fill_cart: FillCart, honey: Product) -> None:
    big = EntryFactory(places=500, calendar__ask_names=True, calendar__most_held=500)
    _cart, token = fill_cart((big, MOST_ASKED + 50))

    assert len(fields_in(text_of(visitor(token).get("/checkout/")))) == MOST_ASKED


# --- What is kept


def test_who_comes_is_kept_with_the_order(fill_cart: FillCart, named: Entry, sumup: Simulator) -> None:
    diet = ask(named, "Diet?")
    cup = ask(named, "Cup?", kind="choice", choices=["Blue", "Green"], is_required=True)
    first_time = ask(named, "First time?", kind="yes_no", is_required=True)
    cart, token = fill_cart((named, 2))
    item = cart.items.get()
    said = names_for(cart, "Ada", "Grace") | {
        place_field(item, 1, diet): "no nuts", place_field(item, 1, cup): "Blue",
        place_field(item, 1, first_time): "yes", place_field(item, 2, diet): "",
        place_field(item, 2, cup): "Green", place_field(item, 2, first_time): "no",
    }  # fmt: skip

    assert post(cart, token, **said).status_code == 302

    assert who_comes(Order.objects.get()) == [
        ("Ada", {"Diet?": "no nuts", "Cup?": "Blue", "First time?": "yes"}),
        ("Grace", {"Cup?": "Green", "First time?": "no"}),
    ]


def test_places_are_given_to_those_who_come_in_their_order(fill_cart: FillCart, named: Entry, sumup: Simulator) -> None:
    other = EntryFactory(calendar=named.calendar)
    cart, token = fill_cart((named, 2), (other, 1))
    one, two = cart.items.order_by("pk")
    said = {place_field(one, 1): "Ada", place_field(one, 2): "Grace", place_field(two, 1): "Alan"}
    post(cart, token, **said)

    services.confirm(Order.objects.get(), cause="paid")

    seats = Attendee.objects.order_by("booking").values_list("name", "booking__entry")
    assert list(seats) == [("Ada", named.pk), ("Grace", named.pk), ("Alan", other.pk)]
    assert [attendee.booking for attendee in Attendee.objects.order_by("booking")] == list(
        Booking.objects.order_by("pk")
    )


def test_who_comes_to_a_free_thing_has_a_place_at_once(fill_cart: FillCart, sumup: Simulator) -> None:
    free = EntryFactory(price=0, calendar__ask_names=True)
    cart, token = fill_cart((free, 1))

    post(cart, token, **names_for(cart, "Ada"))

    assert Attendee.objects.get().booking == Booking.objects.get()


def test_after_a_revival_they_have_the_new_places(
    fill_cart: FillCart, named: Entry, staff: User, sumup: Simulator
) -> None:
    cart, token = fill_cart((named, 2))
    post(cart, token, **names_for(cart, "Ada", "Grace"))
    order = Order.objects.get()
    services.confirm(order, cause="paid")
    services.cancel_confirmed(order, by=staff, cause="a mistake")

    assert services.revive(order, cause="a mistake", by=staff)

    anew = Booking.objects.filter(status="confirmed").order_by("pk")
    assert [attendee.booking for attendee in Attendee.objects.order_by("number")] == list(anew)


def test_an_order_that_no_shopper_typed_is_placed_without_names(fill_cart: FillCart, named: Entry) -> None:
    cart, token = fill_cart((named, 2))

    order = place_cart(cart, token)
    services.confirm(order, cause="paid")

    assert Attendee.objects.count() == 0
    assert Booking.objects.count() == 2


# --- What is refused


def test_what_is_missing_is_said_beside_its_field_and_nothing_is_lost(fill_cart: FillCart, named: Entry) -> None:
    diet = ask(named, "Diet?", is_required=True)
    cart, token = fill_cart((named, 2))
    item = cart.items.get()
    before = all_rows()

    answer = post(cart, token, **names_for(cart, "Ada", "  "), **{place_field(item, 2, diet): "no nuts"})

    page = text_of(answer)
    assert answer.status_code == 422
    assert all_rows() == before
    assert "Please tell us who comes." in errors_beside(page, place_field(item, 2))
    assert "Please answer this." in errors_beside(page, place_field(item, 1, diet))
    assert 'value="Ada"' in page
    assert 'value="no nuts"' in page
    assert "Please look at what is marked below." in page


def test_without_the_fields_nobody_gets_past_them(fill_cart: FillCart, named: Entry) -> None:
    cart, token = fill_cart((named, 1))
    before = all_rows()

    answer = post(cart, token)

    assert answer.status_code == 422
    assert all_rows() == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [("choice", "Red"), ("choice", "blue"), ("yes_no", "perhaps"), ("text", "a" * 1001), ("text", "a\x00b")],
)
def test_an_answer_that_cannot_be_is_refused(fill_cart: FillCart, workshop: Entry, kind: str, said: str) -> None:
    question = ask(workshop, "Cup?", kind=kind, choices=["Blue", "Green"])
    cart, token = fill_cart((workshop, 1))
    field = place_field(cart.items.get(), 1, question)
    before = all_rows()

    answer = post(cart, token, **{field: said})

    assert answer.status_code == 422
    assert errors_beside(text_of(answer), field)
    assert all_rows() == before


def test_a_name_is_no_longer_than_a_name(fill_cart: FillCart, named: Entry) -> None:
    cart, token = fill_cart((named, 1))

    answer = post(cart, token, **names_for(cart, "a" * 201))

    assert answer.status_code == 422
    assert Order.objects.count() == 0


def test_what_was_not_asked_is_ignored(fill_cart: FillCart, named: Entry, sumup: Simulator) -> None:
    elsewhere, archived = QuestionFactory(), ask(named, "Once?", archived_at="2026-01-01T00:00:00Z")
    cart, token = fill_cart((named, 1))
    item = cart.items.get()
    hostile = {
        place_field(item, 1, elsewhere): "x", place_field(item, 1, archived): "x", place_field(item, 2): "Mallory",
        place_field(item, 0): "x", f"place-{item.pk + 1}-1-name": "x", f"place-{item.pk}-1-{uuid.uuid4()}": "x",
        "place---": "x", "place-\ud800-1-name".encode("utf-8", "replace").decode(): "x",
    }  # fmt: skip

    assert post(cart, token, **names_for(cart, "Ada"), **hostile).status_code == 302

    assert who_comes(Order.objects.get()) == [("Ada", {})]


def test_ten_thousand_fields_are_refused(fill_cart: FillCart, named: Entry) -> None:
    cart, token = fill_cart((named, 1))
    item = cart.items.get()
    before = all_rows()

    answer = visitor(token).post(
        "/checkout/",
        urlencode(typed(cart) | {f"place-{item.pk}-{n}-name": "x" for n in range(10_000)}),
        content_type="application/x-www-form-urlencoded",
    )

    assert answer.status_code == 400
    assert all_rows() == before


def test_marks_that_turn_text_around_are_left_out(fill_cart: FillCart, named: Entry, sumup: Simulator) -> None:
    cart, token = fill_cart((named, 1))

    post(cart, token, **names_for(cart, "Ada\u202e"))

    assert Attendee.objects.get().name == "Ada"


# --- What was typed stays, whatever happens meanwhile


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_looking_at_other_choices_loses_nothing_and_judges_nothing(
    fill_cart: FillCart, named: Entry, headers: dict[str, str]
) -> None:
    cart, token = fill_cart((named, 2))
    said = {"update": "voucher", "name": "Eve", **names_for(cart, "Ada", "")}

    page = text_of(visitor(token).post("/checkout/", said, headers=headers))

    assert "Please tell us" not in page
    if headers:  # only the review is swapped: the fields stay in the browser as they are
        assert fields_in(page) == []
        assert 'id="review"' in page
    else:
        assert 'value="Ada"' in page


def test_a_price_that_changed_meanwhile_loses_nothing(fill_cart: FillCart, named: Entry) -> None:
    cart, token = fill_cart((named, 1))
    seen = typed(cart)
    Entry.objects.filter(pk=named.pk).update(price=99)

    answer = visitor(token).post("/checkout/", seen | names_for(cart, "Ada"))

    assert answer.status_code == 422
    assert 'value="Ada"' in text_of(answer)


def test_a_place_that_somebody_else_took_loses_nothing(fill_cart: FillCart, sumup: Simulator) -> None:
    last = EntryFactory(places=1, calendar__ask_names=True)
    cart, token = fill_cart((last, 1))
    item = cart.items.get()
    seen = typed(cart)
    services.capacity.give_back([item.hold_id])
    place_cart(*fill_cart((last, 1)))

    answer = visitor(token).post("/checkout/", seen | names_for(cart, "Ada"))

    assert answer.status_code == 422
    assert 'value="Ada"' in text_of(answer)


def test_a_wrong_address_leaves_names_alone(fill_cart: FillCart, named: Entry) -> None:
    cart, token = fill_cart((named, 2))

    answer = post(cart, token, email="nowhere", **names_for(cart, "Ada", ""))

    page = text_of(answer)
    assert 'value="Ada"' in page
    assert "Please tell us who comes." in errors_beside(page, place_field(cart.items.get(), 2))


# --- What it costs


def test_asking_nobody_costs_nothing(fill_cart: FillCart, workshop: Entry, honey: Product) -> None:
    QuestionFactory()  # another calendar's
    counts = []
    for things in ([(honey, 1)], [(workshop, 1)], [(EntryFactory(), 1) for _ in range(20)]):
        _cart, token = fill_cart(*things)
        client = visitor(token)
        client.get("/checkout/")
        with statements() as sent:
            client.get("/checkout/")
        counts.append(len([sql for sql in sent if sql.startswith('SELECT "bookings_question"')]))

    assert counts == [0, 0, 0]


@pytest.mark.parametrize("lines", [1, 12])
def test_questions_cost_one_statement_on_the_page_however_many(fill_cart: FillCart, lines: int) -> None:
    entries = [EntryFactory(calendar__ask_names=True) for _ in range(lines)]
    _cart, token = fill_cart(*((entry, 2) for entry in entries))
    client = visitor(token)
    with statements() as without:
        client.get("/checkout/")
    for entry in entries:
        ask(entry, "Diet?")

    with statements() as asked:
        client.get("/checkout/")

    assert len(asked) == len(without) + 1


def test_placing_costs_three_statements_more_where_somebody_is_asked(fill_cart: FillCart, sumup: Simulator) -> None:
    counts = {}
    for lines in (1, 12):
        for is_asked in (False, True):
            entries = [EntryFactory(calendar__ask_names=is_asked) for _ in range(lines)]
            questions = [ask(entry, "Diet?") for entry in entries if is_asked]
            cart, token = fill_cart(*((entry, 2) for entry in entries))
            said: dict[str, str] = {}
            for item, question in zip(cart.items.order_by("pk"), questions, strict=False):
                for n in (1, 2):
                    said |= {place_field(item, n): "Ada", place_field(item, n, question): "nuts"}
            client, sent_with = visitor(token), typed(cart) | said
            with statements() as sent:
                assert client.post("/checkout/", sent_with).status_code == 302
            counts[lines, is_asked] = len(sent)

    assert counts[1, True] == counts[12, True] == counts[1, False] + 3
    assert counts[1, False] == counts[12, False]


def test_giving_places_costs_one_statement_for_any_number(fill_cart: FillCart) -> None:
    counts = []
    for lines in (1, 10):
        cart, token = fill_cart(*((EntryFactory(), 3) for _ in range(lines)))
        order = place_cart(cart, token)
        with statements() as sent:
            services.confirm(order, cause="paid")
        counts.append((len(sent), len([sql for sql in sent if "UPDATE bookings_attendee" in sql])))

    assert counts[0] == counts[1]
    assert counts[0][1] == 1


def test_agreeing_is_about_the_basket_and_not_about_who_comes(fill_cart: FillCart, named: Entry) -> None:
    cart, _token = fill_cart((named, 1))
    before = agreed_for(cart)
    ask(named, "Diet?")

    assert agreed_for(cart) == before
