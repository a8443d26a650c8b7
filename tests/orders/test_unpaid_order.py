"""An order that was placed and not paid yet is mentioned where its shopper goes on, and nowhere else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cart.models import Cart, Product
from cartsite.models import User
from orders import services
from orders.models import Order
from payments.models import Payment
from payments.simulator import Simulator
from tests.orders.acts import HTMX, holder_of, statements, typed, visitor

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
PAGES = ["/", "/cart/", "/orders/"]


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


@pytest.fixture
def guest(fill_cart: FillCart, honey: Product, sumup: Simulator) -> Client:
    """A guest who has placed an order of £6.50 and come back from SumUp without paying."""
    cart, token = fill_cart((honey, 1))
    client = visitor(token)
    client.post("/checkout/", typed(cart))
    return client


@pytest.mark.parametrize("page", ["/", "/cart/"])
def test_who_comes_back_unpaid_is_told_of_their_order(guest: Client, page: str) -> None:
    order = Order.objects.get()

    said = text_of(guest.get(page))

    time = timezone.localtime(order.deadline).strftime("%H:%M")
    assert f"{order.number}</a>, £6.50, is placed and waits to be paid until {time}." in said
    assert f'action="/orders/{order.number}/pay/"' in said
    assert f'action="/orders/{order.number}/change-basket/"' in said


def test_the_banner_leads_to_sumup_and_back_to_the_basket(guest: Client) -> None:
    order = Order.objects.get()

    pays = guest.post(f"/orders/{order.number}/pay/")
    changes = guest.post(f"/orders/{order.number}/change-basket/")

    assert pays["Location"] == Payment.objects.get().checkout_url
    assert changes.status_code == 302


def test_a_guests_orders_are_those_that_the_browser_knows(guest: Client, order: Order) -> None:
    own = Order.objects.exclude(pk=order.pk).get()

    said = text_of(guest.get("/orders/"))

    assert own.number in said
    assert f'action="/orders/{own.number}/pay/"' in said
    assert order.number not in said
    assert "/sign-in/?next=/orders/" in said


def test_an_empty_checkout_leads_to_the_order_that_was_placed(guest: Client) -> None:
    order = Order.objects.get()

    back = guest.get("/checkout/")
    open_page = guest.post("/checkout/", {"update": "1"}, headers=HTMX)

    assert back["Location"] == order.get_absolute_url()
    assert open_page["HX-Redirect"] == order.get_absolute_url()


def test_an_open_checkout_of_a_basket_that_was_emptied_goes_to_the_basket_as_a_whole_page() -> None:
    answer = Client().post("/checkout/", {"update": "1"}, headers=HTMX)

    assert answer["HX-Redirect"] == "/cart/"


def test_who_signed_in_is_told_of_their_own(place_order: Callable[..., Order], honey: Product, shopper: User) -> None:
    order = place_order((honey, 1), user=shopper)
    client = Client()
    client.force_login(shopper)

    pages = [text_of(client.get(page)) for page in PAGES]

    assert all(f'action="/orders/{order.number}/pay/"' in page for page in pages)


@pytest.mark.parametrize("page", PAGES)
def test_nobody_else_is_told(guest: Client, order: Order, page: str, shopper: User) -> None:
    signed_in = Client()
    signed_in.force_login(shopper)

    for client in (Client(), visitor("made-up"), signed_in):
        assert "waits to be paid" not in text_of(client.get(page))
        assert "/pay/" not in text_of(client.get(page))


@pytest.mark.parametrize("end", ["paid", "over", "closing"])
def test_what_cannot_be_paid_any_more_is_not_mentioned(guest: Client, end: str) -> None:
    order = Order.objects.get()
    if end == "paid":
        services.confirm(order, cause="paid")
    elif end == "over":
        Order.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    else:
        Order.objects.update(closing_since=timezone.now(), closing_to="cancelled", closing_by="shopper")

    assert "waits to be paid" not in text_of(guest.get("/cart/"))
    assert guest.get("/checkout/")["Location"] == "/cart/"


def test_a_forged_cookie_tells_nothing(guest: Client) -> None:
    order = Order.objects.get()
    client = Client()
    for name, cookie in guest.cookies.items():
        if name != "cart":
            client.cookies[name] = cookie.value[:-2] + "xx"

    assert order.number not in text_of(client.get("/cart/"))
    assert client.get("/orders/").status_code == 302


def test_a_visitor_without_an_order_costs_the_market_no_query(honey: Product) -> None:
    with statements() as sent:
        Client().get("/")

    assert not any("orders_order" in each for each in sent)


def test_the_secret_link_of_a_mail_makes_the_browser_know_the_order(order: Order) -> None:
    client = holder_of(order)

    assert order.number in text_of(client.get("/orders/"))
    assert "waits to be paid" in text_of(client.get("/cart/"))
