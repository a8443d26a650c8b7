"""Staff find what somebody names: an order's number in any spelling, an e-mail address, a code, a few words."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite.models import Case, Message
from orders import guest_list
from orders.access import read_number
from orders.models import NUMBER_ALPHABET, LineAllocation, Order, OrderContact, OrderEvent, OrderLine
from payments.models import Movement, Payment, Refund
from tests.backoffice.desk import list_of, wish_for

pytestmark = pytest.mark.django_db(transaction=True)

Hire = Callable[..., Client]
SPELLINGS = [
    "7KQM-X4WP-2R",
    "7kqmx4wp2r",
    "#7KQM-X4WP-2R",
    " 7kqm x4wp 2r ",
    "7KQM\N{EN DASH}X4WP\N{EN DASH}2R",
    "7KQM.X4WP.2R",
    "7K0M-X4WP-ZR",
    "7kon xawp 2r",
    "\N{FULLWIDTH DIGIT SEVEN}KQM-X4WP-2R",
]
OF_AN_ORDER = [Order, Payment, Movement, Refund, Booking, OrderLine, OrderContact, LineAllocation, OrderEvent]


def found(client: Client, model: type[Model], said: str) -> list[Any]:
    return list(client.get(list_of(model), {"q": said}).context["cl"].result_list)


@pytest.fixture
def named(sold: Order) -> Order:
    """A paid order with the number of SPELLINGS, of Ada Shopper."""
    Order.objects.filter(pk=sold.pk).update(number=SPELLINGS[0])
    sold.refresh_from_db()
    return sold


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_is_read_in_any_spelling(spelling: str) -> None:
    assert read_number(spelling) == "7KQM-X4WP-2R"


@pytest.mark.parametrize(
    "word", ["", "#", "gingerbeer", "HONEYCOMBS", "7KQM-X4WP", "7KQM-X4WP-2RR", "5KQM-X4WP-2R", "\0"]
)
def test_what_is_no_number_is_not_read_as_one(word: str) -> None:
    assert read_number(word) == ""


@pytest.mark.parametrize("prefix", ["TEST-", "test ", "#Test-"])
def test_the_number_of_a_test_order_keeps_its_mark(prefix: str) -> None:
    assert read_number(f"{prefix}7kqmx4wp2r") == "TEST-7KQM-X4WP-2R"


def test_no_look_alike_is_a_letter_of_numbers() -> None:
    misread = str.maketrans(dict.fromkeys(NUMBER_ALPHABET, "-"))

    assert read_number("7KQMX4WP2R".translate(misread)) == ""
    assert [read_number(f"777777777{letter}")[-1:] for letter in NUMBER_ALPHABET] == list(NUMBER_ALPHABET)


@pytest.mark.parametrize("spelling", SPELLINGS[1:3])
@pytest.mark.parametrize("model", OF_AN_ORDER, ids=lambda model: model.__name__)
def test_every_list_finds_what_is_of_an_order_by_its_number(
    staff_client: Client, named: Order, model: type[Model], spelling: str
) -> None:
    wish_for(named.payments.get())

    assert set(found(staff_client, model, spelling)) == set(model._default_manager.all())


@pytest.mark.parametrize("spelling", SPELLINGS[1:3])
def test_mail_and_cases_are_found_by_the_number_of_their_order(
    staff_client: Client, named: Order, spelling: str
) -> None:
    Message.owe(named, "confirmation")
    Case.open(Case.Kind.OVERPAID, named, "A test.")
    Case.open(Case.Kind.LATE_PAYMENT, named.payments.get(), "A test.")
    mail = Message.objects.filter(subject_uuid=named.uuid)

    assert set(found(staff_client, Message, spelling)) == set(mail)
    assert {case.kind for case in found(staff_client, Case, spelling)} == {"overpaid", "late_payment"}


def test_the_check_in_page_finds_people_by_the_number_of_their_order(named: Order, workshop: Entry) -> None:
    assert [list(guest_list.find_people(workshop, said)) for said in SPELLINGS] == [
        list(guest_list.find_people(workshop, ""))
    ] * len(SPELLINGS)


@pytest.mark.parametrize("said", ["ada@example.org", "ADA@Example.org", "ada@exam", "Shopper", "ada shop", "Honey"])
def test_an_order_is_found_by_address_name_and_what_was_bought(staff_client: Client, named: Order, said: str) -> None:
    title = named.lines.first().title.split()[0] if said == "Honey" else said

    assert found(staff_client, Order, title) == [named]


@pytest.mark.parametrize("said", ["ada@example.org", "ada@exam", "Shopper"])
def test_without_the_right_to_people_no_search_finds_them(hire: Hire, named: Order, said: str) -> None:
    client = hire("orders.view_order", "bookings.view_booking")

    assert [found(client, model, said) for model in (Order, Booking)] == [[], []]
    assert found(client, Order, named.number) == [named]


def test_bookings_are_found_by_the_address_of_who_ordered_them(staff_client: Client, named: Order) -> None:
    assert len(found(staff_client, Booking, "ada@example.org")) == 2


def test_payments_are_found_by_sumups_code(staff_client: Client, named: Order) -> None:
    payment = named.payments.get()
    Payment.objects.filter(pk=payment.pk).update(transaction_code="TYW2ADMMNQ")

    assert found(staff_client, Payment, "tyw2admmnq") == [payment]
    assert [each.payment for each in found(staff_client, Movement, "TYW2ADMMNQ")] == [payment]


def test_a_list_that_is_not_searched_has_no_end(
    staff_client: Client, place_order: Callable[..., Order], honey: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.admin.orders.MOST_FOUND", 1)
    orders = [place_order((honey, 1)), place_order((honey, 1))]

    assert [len(found(staff_client, Order, said)) for said in ("", " ", "Ada")] == [2, 2, 1]
    assert found(staff_client, Order, "Ada") == [orders[1]]
