"""Staff read names and addresses of shoppers only with the right to them."""

from collections.abc import Callable

import pytest
from django.test import Client

from bookings.models import Booking
from cartsite.models import User
from orders.models import Order, OrderEvent
from tests.backoffice.desk import list_of, page_of

pytestmark = pytest.mark.django_db(transaction=True)

Hire = Callable[..., Client]
NAME, MAIL, LOGIN = "Zeta Contactname", "zeta@mail.example", "zetalogin"


@pytest.fixture
def known(sold: Order) -> Order:
    """A paid order of somebody with an account, whose words stand nowhere else."""
    person = User.objects.create(username=LOGIN, email="login@mail.example", name="Zeta Accountname")
    Order.objects.filter(pk=sold.pk).update(user=person)
    sold.contact.name, sold.contact.email = NAME, MAIL
    sold.contact.save()
    sold.record("looked_at", cause="shopper", by=person)
    return sold


def told(client: Client, *paths: str) -> list[str]:
    """What of the person stands on these pages."""
    answers = [client.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    shown = "".join(answer.content.decode() for answer in answers)
    return [each for each in (NAME, MAIL, LOGIN) if each in shown]


def test_whoever_may_look_at_orders_alone_does_not_read_who_ordered(hire: Hire, known: Order) -> None:
    client = hire("orders.view_order", "orders.view_orderevent", "bookings.view_booking")

    pages = [page_of(known), *(list_of(model) for model in (Order, OrderEvent, Booking))]

    assert told(client, *pages) == []
    assert "a shopper" in client.get(list_of(OrderEvent)).content.decode()


def test_the_rights_to_people_show_them(hire: Hire, known: Order) -> None:
    rights = ["orders.view_ordercontact", "bookings.view_attendee", "cartsite.view_user", "orders.view_orderevent"]
    client = hire("orders.view_order", "bookings.view_booking", *rights)

    assert told(client, list_of(Order), page_of(known)) == [NAME, MAIL, LOGIN]
    assert told(client, list_of(Booking)) == [NAME]


@pytest.mark.parametrize("said", [NAME, MAIL, "Contactname"])
def test_a_search_finds_people_only_for_those_who_may_look_at_them(hire: Hire, known: Order, said: str) -> None:
    client = hire("orders.view_order")

    assert known.number not in client.get(list_of(Order), {"q": said}).content.decode()


def test_a_search_by_name_still_finds_the_order(hire: Hire, known: Order) -> None:
    client = hire("orders.view_order", "orders.view_ordercontact")

    assert known.number in client.get(list_of(Order), {"q": NAME}).content.decode()


def test_choosing_by_name_tells_nobody_who_may_not_look(hire: Hire, known: Order) -> None:
    client = hire("orders.view_order", "orders.view_orderline")
    asked = {"app_label": "orders", "model_name": "orderline", "field_name": "order", "term": NAME}

    answer = client.get("/admin/autocomplete/", asked)

    assert known.number not in answer.content.decode()


def test_whoever_may_change_a_record_is_not_offered_all_people(hire: Hire, known: Order) -> None:
    client = hire("orders.change_order")

    page = client.get(page_of(known)).content.decode()

    assert [each for each in (NAME, MAIL, LOGIN, 'name="user"') if each in page] == []
