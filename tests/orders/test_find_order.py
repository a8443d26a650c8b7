"""The link to an order got lost: the number is enough, the answer is always the same, the mail goes to one place."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cart.models import Product
from cartsite.models import Message
from orders import access, mail
from orders.models import NUMBER_ALPHABET, Order, OrderContact, new_number
from tests.orders.acts import all_rows, holder_of

pytestmark = pytest.mark.django_db

ANSWER = "If there is such an order, its link is on its way to the e-mail address that was given with it."


def ask(number: str) -> Any:
    return Client().post("/orders/find/", {"number": number}, follow=True)


def test_the_link_goes_to_the_orders_own_address_only(order: Order, mailoutbox: Any) -> None:
    ask(order.number)
    mail.send_owed()

    (sent,) = mailoutbox
    assert sent.to == ["ada@example.org"]
    assert order.secret_link in sent.body


@pytest.mark.parametrize("is_there", [True, False])
def test_the_answer_is_the_same_whether_there_is_such_an_order_or_not(order: Order, *, is_there: bool) -> None:
    response = ask(order.number if is_there else "CCCC-CCCC-CC")

    said = response.content.decode()
    assert response.redirect_chain == [("/orders/find/?done", 302)]
    assert ANSWER in said
    assert "ada@example.org" not in said
    assert order.number not in said


def test_an_unknown_number_owes_nothing(order: Order) -> None:
    before = all_rows()

    ask("CCCC-CCCC-CC")

    assert all_rows() == before


def test_an_address_that_is_sent_along_is_not_looked_at(order: Order, mailoutbox: Any) -> None:
    Client().post("/orders/find/", {"number": order.number, "email": "mallory@mail.example"})
    mail.send_owed()

    assert [sent.to for sent in mailoutbox] == [["ada@example.org"]]


def test_within_an_hour_one_mail_is_sent(order: Order, time_machine: Any) -> None:
    time_machine.move_to(timezone.now().replace(minute=10), tick=False)
    for _time in range(3):
        ask(order.number)
    assert Message.objects.filter(kind="link").count() == 1

    time_machine.shift(timedelta(hours=1))
    ask(order.number)

    assert Message.objects.filter(kind="link").count() == 2


def test_whoever_was_erased_gets_nothing(order: Order) -> None:
    OrderContact.objects.all().delete()

    assert ANSWER in ask(order.number).content.decode()
    assert not Message.objects.filter(kind="link").exists()


def test_too_many_questions_are_turned_away(order: Order, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"link": (2, 600)}

    answers = [ask(number).status_code for number in ("CCCC-CCCC-CC", "FFFF-FFFF-FF", order.number)]

    assert answers == [200, 200, 429]
    assert not Message.objects.filter(kind="link").exists()


@pytest.mark.parametrize(
    "typed", ["", "7KQM", "AAAA-AAAA-AA", "x" * 41, "7KQM-X4WP-2R-7", "\x00", "🐝🐝🐝🐝🐝🐝🐝🐝🐝🐝"]
)
def test_what_is_no_number_is_said_beside_the_field(typed: str) -> None:
    response = ask(typed)

    said = response.content.decode()
    assert response.status_code == 422
    assert 'id="id_number_error"' in said
    assert 'aria-invalid="true"' in said


@pytest.mark.parametrize("written", ["{}", " {} ", "{lower}", "{bare}"])
def test_a_number_may_be_written_as_it_was_heard(order: Order, written: str) -> None:
    number = order.number
    ask(written.format(number, lower=number.lower(), bare=number.replace("-", "")))

    assert Message.objects.filter(kind="link").count() == 1


def test_the_orders_page_asks_for_it_with_one_button(order: Order) -> None:
    client = holder_of(order)

    said = client.get(order.get_absolute_url()).content.decode()

    form = said.split('id="send-link"')[0].split("<form")[-1]
    assert 'action="/orders/find/"' in form
    assert f'name="number" value="{order.number}"' in form


def test_every_number_can_be_read_back() -> None:
    for _number in range(50):
        number = new_number()
        assert access.read_number(number.lower().replace("-", " ")) == number


def test_numbers_are_short_and_have_nothing_that_is_mistaken_for_another() -> None:
    number = new_number()

    assert len(number.replace("-", "")) == access.NUMBER_LENGTH
    assert len(NUMBER_ALPHABET) ** access.NUMBER_LENGTH > 2**44
    assert not set("AEIOU01ILSZ5BN") & set(NUMBER_ALPHABET)


def test_a_product_is_no_order(honey: Product) -> None:
    assert access.read_number("HONEY") == ""
