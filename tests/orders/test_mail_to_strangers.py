"""Nobody can have the shop write a message of theirs to somebody else: not by the forms, nor by rows of before."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bookings.models import Attendee, Booking, Calendar, Entry, Question
from cart.models import Cart, Product
from cartsite.models import Case, Message, User
from orders import letters, moving, services, waiting_letters
from orders.models import DeliveryAddress, Order, OrderContact
from orders.rescheduling import reschedule
from payments import ledger
from payments.models import Payment, Refund
from payments.simulator import Simulator
from payments.sumup import Transaction
from tests.bookings.lines import fresh, join, sold_out
from tests.factories import EntryFactory
from tests.orders.acts import all_rows, typed, visitor
from tests.orders.guests import names_for, place_field
from tests.orders.late import expire
from tests.orders.letterbox import BEGINS, PLACED, PlaceOrder, bring, make_cheaper, open_market, set_in_stone

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
LETTER = "Ada,\r\n\r\nYour card was refused. Please pay again at http://evil.example/pay today.\r\n\r\nRose Ash"
OURS = "https://shop.example/"
# What our mail puts before what a shopper typed.
FRAMES = ("Dear ", "We bring your goods to: ", "You told us: ")
# What mail programs turn into links.
LINK = re.compile(r"[a-z]+://\S+|www\.\S+|\S+@\S+\.\w{2,}|[\w-]+\.[a-z]{2,}\S*", re.IGNORECASE)
HARM = [
    LETTER,
    "evil.example/pay",
    "Ada\u2028See evil.com",
    "a\x0bb",
    "\x1b[2J",
    "Ada http://evil.example",
    "x@evil.com",
]
TEXTS = st.sampled_from(HARM) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("./:@w \n"), max_size=60
)
many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- What is typed


@pytest.mark.parametrize("text", [LETTER, "http://evil.example/prize", "evil.example/pay", "Ada\nPay again"])
@pytest.mark.parametrize("field", ["name", "street", "town", "instructions"])
def test_the_checkout_refuses_it_beside_its_field(fill_cart: FillCart, honey: Product, field: str, text: str) -> None:
    cart, token = fill_cart((honey, 1))
    before = all_rows()

    answer = visitor(token).post("/checkout/", typed(cart, handover="delivery", **{field: text}))

    assert answer.status_code == 422
    errors = {**answer.context["form"].errors, **answer.context["choices"].errors}
    assert "in one line" in errors[field][0] or "leave out web and e-mail addresses" in errors[field][0]
    assert all_rows() == before


def test_who_comes_is_asked_for_in_one_line_as_well(fill_cart: FillCart, workshop: Entry, sumup: Simulator) -> None:
    Calendar.objects.update(ask_names=True)
    question = Question.objects.create(calendar=workshop.calendar, text="What do you bring?", kind="text")
    cart, token = fill_cart((Entry.objects.get(), 1))
    about = place_field(cart.items.get(), 1, question)

    answers = [
        visitor(token).post("/checkout/", typed(cart, **names_for(cart, name), **{about: said}))
        for name, said in [(LETTER, "Flour"), ("Ada", "evil.com/pay"), ("evil.com", "Flour"), ("Dr.Smith", "Flour")]
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 302]
    assert Attendee.objects.get().name == "Dr. Smith"


@pytest.mark.parametrize("text", [LETTER, "evil.example/pay"])
def test_a_persons_own_name_is_one_line_without_links(shopper: User, text: str) -> None:
    client = Client()
    client.force_login(shopper)

    answer = client.post("/account/name/", {"name": text})

    assert list(answer.context["form"].errors) == ["name"]
    shopper.refresh_from_db()
    assert shopper.name == "Ada Shopper"


# --- What is written


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(PLACED, tick=False) as clock:
        yield clock


@pytest.fixture
def full(clock: Any, settings: Any, place_order: PlaceOrder) -> Order:
    """Everything that an order may have, not paid yet."""
    settings.PUBLIC_URL = OURS.rstrip("/")
    honey, workshop = open_market()
    order = set_in_stone(place_order((honey, 1), (workshop, 2)))
    make_cheaper(order)
    bring(order)
    return order


def pay(order: Order) -> Payment:
    payment = Payment.objects.create(
        order=order, amount=order.total, currency="GBP", merchant_code="M", status="captured", valid_until=PLACED
    )
    ledger.record_capture(payment, Transaction("t", "T", "SUCCESSFUL", order.total, "GBP", timezone.now()))
    return payment


def stay(_order: Order, _staff: User, _clock: Any) -> None:
    """It waits for its payment."""


def confirm(order: Order, _staff: User, _clock: Any) -> None:
    services.confirm(order, cause="paid")


def lapse(order: Order, _staff: User, _clock: Any) -> None:
    expire(order)


def cancel(order: Order, staff: User, clock: Any) -> None:
    confirm(order, staff, clock)
    services.cancel_confirmed(order, by=staff, cause="staff")


def put_off(order: Order, staff: User, clock: Any) -> None:
    confirm(order, staff, clock)
    workshop = Entry.objects.get()
    day = timedelta(days=1)
    reschedule(workshop, workshop.starts_at + day, workshop.ends_at + day, by=staff, reason="Rain.")


def move(order: Order, staff: User, clock: Any) -> None:
    confirm(order, staff, clock)
    workshop = Entry.objects.get()
    there = EntryFactory(calendar=workshop.calendar, starts_at=workshop.starts_at, ends_at=workshop.ends_at)
    moving.move_in_place(list(Booking.objects.all()), there, by=None, cause="shopper")


def refund(order: Order, staff: User, clock: Any) -> None:
    payment = pay(order)
    confirm(order, staff, clock)
    Refund.objects.create(
        order=order, payment=payment, status="done", amount=1, currency="GBP", reason="Why.", done_at=PLACED
    )


def pay_late(order: Order, _staff: User, _clock: Any) -> None:
    expire(order)
    Case.open(Case.Kind.LATE_PAYMENT, pay(order), "It came late.")


def draw_near(order: Order, staff: User, clock: Any) -> None:
    confirm(order, staff, clock)
    clock.move_to(BEGINS - timedelta(hours=20))


# What must have happened to an order for each kind of mail.
WHEN = {
    "confirmation": confirm,
    "payment_problem": stay,
    "expired": lapse,
    "cancelled": cancel,
    "rescheduled": put_off,
    "moved": move,
    "refund": refund,
    "late_payment": pay_late,
    "reminder": draw_near,
    "link": stay,
}


def test_every_kind_of_mail_is_looked_at() -> None:
    assert WHEN.keys() == letters.KINDS.keys()


class Reader(HTMLParser):
    """What is to be read in a mail's HTML, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.said += [" ".join(data.split())]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in {"href", "src", "action", "background"}]


def lines_of(sent: EmailMultiAlternatives) -> tuple[list[str], list[str]]:
    """The lines of the text, and the pieces of the HTML between two tags; and both have only our own links."""
    ((html, _kind),) = sent.alternatives
    page = Reader(str(html))
    text = str(sent.body).splitlines()
    for said in (*text, *page.said):
        assert all(link.startswith(OURS) for link in LINK.findall(said)), said
    assert all(link.startswith(OURS) for link in page.links)
    return text, page.said


def assert_ours(sent: EmailMultiAlternatives, plain: EmailMultiAlternatives) -> None:
    """Each line stands in the mail to somebody with a plain name as well, or begins with words of ours."""
    for lines, known in zip(lines_of(sent), lines_of(plain), strict=True):
        assert len(lines) <= len(known)
        for line in set(lines) - set(known):
            assert line.startswith((*FRAMES, "Hello,")), line


@pytest.mark.parametrize("kind", WHEN)
def test_no_line_and_no_link_of_a_mail_about_an_order_is_a_strangers(
    full: Order, staff: User, clock: Any, kind: str
) -> None:
    WHEN[kind](full, staff, clock)
    message = Message(kind=kind, occurrence=letters.KINDS[kind].example(full))
    plain = letters.compose(Order.objects.get(pk=full.pk), message)

    @many
    @given(name=TEXTS, address=TEXTS)
    @example(name=LETTER, address=LETTER)
    @example(name="evil.example/pay", address="evil.example/pay")
    @example(name="Ada" + " " * 150 + "Pay again", address="1 Quay Street")
    def look(name: str, address: str) -> None:
        OrderContact.objects.update(name=name)
        DeliveryAddress.objects.update(street=address, town=address, postcode=address[:10], instructions=address)

        sent = letters.compose(Order.objects.get(pk=full.pk), message)

        assert_ours(sent, plain)

    look()


@pytest.mark.parametrize("kind", waiting_letters.KINDS)
def test_no_line_and_no_link_of_a_mail_to_those_who_wait_is_a_strangers(
    clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings.PUBLIC_URL = OURS.rstrip("/")
    always = replace(waiting_letters.KINDS[kind], why_not=lambda _waiter, _occurrence: "")
    monkeypatch.setitem(waiting_letters.KINDS, kind, always)
    entry, (hold, *_others) = sold_out(starts_at=BEGINS, ends_at=BEGINS + timedelta(hours=3))
    waiter = fresh(join(entry, "ada"))
    waiter.name, waiter.hold, waiter.offer_until = "Ada Shopper", hold, BEGINS
    message = Message(kind=kind, uuid=uuid4())
    plain = waiting_letters.compose(waiter, message)

    @many
    @given(TEXTS)
    @example(LETTER)
    @example("evil.example/pay")
    def look(name: str) -> None:
        waiter.name = name

        assert_ours(waiting_letters.compose(waiter, message), plain)

    look()


def test_a_name_with_a_link_is_left_out_and_everybody_else_is_called_by_theirs() -> None:
    assert letters.greet("Dr.Smith") == "Dear Dr. Smith,"
    assert letters.greet("Ada\r\nPay again") == "Hello,"
    assert letters.greet("evil.example/pay") == "Hello,"
