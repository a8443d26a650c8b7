"""Erasing somebody: what is in the way of it is said before anything is typed, with the page where it is mended."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from cart.models import Product
from cartsite.models import Case, User
from orders.models import Order
from tests.backoffice.desk import act, ask, page_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def ada(sold: Order, place_order: PlaceOrder, honey: Product) -> User:
    """Somebody who waits for a jar and a workshop, and has an order that is not paid."""
    person = UserFactory.create(username="ada", email="ada@example.org")
    Order.objects.filter(pk__in=[sold.pk, place_order((honey, 1)).pk]).update(user=person)
    return person


def html_of(answer: HttpResponse) -> str:
    return answer.content.decode()


def test_all_that_is_in_the_way_is_listed_before_anything_is_typed(staff_client: Client, ada: User) -> None:
    bought, waiting = Order.objects.filter(user=ada).order_by("pk")
    Case.open(Case.Kind.OVERPAID, bought, "More was paid than it costs.")

    page = html_of(ask(staff_client, ada, "erase"))

    for order, why in [
        (waiting, f"Order {waiting.number} awaits payment."),
        (bought, f"Somebody at the co-operative is looking into order {bought.number}."),
        (bought, f"A place booked with order {bought.number} lies ahead."),
        (bought, f"Goods of order {bought.number} are not handed over yet."),
    ]:
        assert f'<a class="text-link" href="{page_of(order)}">{why}</a>' in page
    assert 'name="note"' not in page


@pytest.mark.parametrize("number", [0, 1])
def test_the_same_is_said_of_who_ordered(staff_client: Client, ada: User, number: int) -> None:
    order = Order.objects.order_by("pk")[number]

    page = html_of(ask(staff_client, order, "erase_contact"))

    assert f"Order {order.number} awaits payment." in page or f"Goods of order {order.number} are not" in page
    assert 'name="note"' not in page


def test_staff_who_may_not_see_orders_read_it_without_links(hire: Callable[..., Client], ada: User) -> None:
    bought = Order.objects.filter(user=ada).earliest("pk")
    client = hire("cartsite.view_user", "cartsite.change_user", "cartsite.erase_person")

    page = html_of(ask(client, ada, "erase"))

    assert f"Goods of order {bought.number} are not handed over yet." in page
    assert page_of(bought) not in page


def test_where_nothing_is_in_the_way_it_asks_and_erases(staff_client: Client) -> None:
    person = UserFactory.create(username="bob", email="bob@example.org")

    assert 'name="note"' in html_of(ask(staff_client, person, "erase"))
    act(staff_client, person, "erase", note="He asks for it.")

    person.refresh_from_db()
    assert person.erased_at is not None


def test_somebody_of_the_back_office_is_said_to_be(staff_client: Client) -> None:
    page = html_of(ask(staff_client, UserFactory(username="kim", is_staff=True), "erase"))

    assert "Their staff rights must be taken away first." in page
    assert 'name="note"' not in page


def test_a_hundred_orders_cost_no_more_than_a_few(
    staff_client: Client, ada: User, place_order: PlaceOrder, honey: Product, django_assert_max_num_queries: Any
) -> None:
    for _ in range(25):
        Order.objects.filter(pk=place_order((honey, 1)).pk).update(user=ada)

    with django_assert_max_num_queries(30):
        page = html_of(ask(staff_client, ada, "erase"))

    assert page.count("awaits payment.") == 20
