"""Changing one's mind before paying: the order ends safely and its lines come back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from bookings.models import Entry, Pool
from cart import services as carts
from cart.models import Cart, Product
from cartsite.models import User
from orders import services
from orders.models import Order
from payments.models import Movement, Payment
from payments.simulator import Simulator
from tests.factories import ProductFactory
from tests.orders.acts import all_rows, holder_of, typed, visitor

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]


def change(client: Client, order: Order) -> Any:
    return client.post(f"{order.get_absolute_url()}change-basket/")


def quantities(client: Client) -> dict[Any, int]:
    """What the browser's cart holds."""
    return {item.thing: item.quantity for item in carts.basket_of(client.cookies["cart"].value, None).items}


def test_an_order_never_sent_to_sumup_comes_back_at_once(
    order: Order, honey: Product, workshop: Entry, sumup: Simulator
) -> None:
    client = holder_of(order)

    response = change(client, order)

    order.refresh_from_db()
    assert (response.status_code, response["Location"]) == (302, "/cart/")
    assert order.status == "cancelled"
    assert quantities(client) == {honey: 1, workshop: 2}
    assert Pool.objects.get().taken == 2
    assert sumup.requests == []


def test_a_basket_comes_back_after_sumup_called_its_page_dead_twice(
    payment: Payment, honey: Product, workshop: Entry, sumup: Simulator
) -> None:
    order, client = payment.order, holder_of(payment.order)

    response = change(client, order)

    order.refresh_from_db()
    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())
    assert (order.status, order.is_closing) == ("awaiting_payment", True)
    assert quantities(client) == {}
    assert "Your basket is on its way back" in client.get(order.get_absolute_url()).content.decode()
    with time_machine.travel(timezone.now() + timedelta(seconds=30)):
        client.get(order.get_absolute_url())
        order.refresh_from_db()
        assert order.status == "awaiting_payment"

    with time_machine.travel(timezone.now() + timedelta(seconds=62)):
        said = client.get(order.get_absolute_url()).content.decode()

    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, payment.status) == ("cancelled", "closed")
    assert 'data-order-status="cancelled"' in said
    assert quantities(client) == {honey: 1, workshop: 2}
    assert Pool.objects.get().taken == 2
    assert not order.lines.exclude(hold=None).exists()


def test_what_was_paid_at_the_last_moment_is_confirmed(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    client = holder_of(payment.order)

    response = change(client, payment.order)

    assert response["Location"] == payment.order.get_absolute_url()
    assert Order.objects.get().status == "confirmed"
    assert Movement.objects.count() == 1
    assert quantities(client) == {}


def test_the_basket_joins_a_cart_that_was_begun_since(
    order: Order, fill_cart: FillCart, honey: Product, workshop: Entry
) -> None:
    tea = ProductFactory()
    _cart, token = fill_cart((tea, 3), (honey, 2))
    client = holder_of(order)
    client.cookies["cart"] = token

    response = change(client, order)

    assert "cart" not in response.cookies
    assert quantities(client) == {tea: 3, honey: 2, workshop: 2}


def test_a_shopper_who_signed_in_gets_it_into_their_own_cart(
    place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    order = place_order((honey, 2), user=shopper)
    client = Client()
    client.force_login(shopper)

    change(client, order)

    (item,) = carts.basket_of("", shopper).items
    assert (item.thing, item.quantity) == (honey, 2)


def test_the_basket_can_be_ordered_again(order: Order, sumup: Simulator) -> None:
    client = holder_of(order)
    change(client, order)

    cart = Cart.objects.open().get()
    response = visitor(client.cookies["cart"].value).post("/checkout/", typed(cart))

    again = Order.objects.exclude(pk=order.pk).get()
    assert response["Location"] == again.payments.get().checkout_url
    assert (again.total, Pool.objects.get().taken) == (order.total, 2)


def test_changing_twice_keeps_the_basket(order: Order, honey: Product, workshop: Entry) -> None:
    client = holder_of(order)

    change(client, order)
    again = change(client, order)

    assert again.status_code == 302
    assert quantities(client) == {honey: 1, workshop: 2}


@pytest.mark.parametrize("status", ["confirmed", "expired", "completed"])
def test_what_does_not_wait_cannot_be_changed(order: Order, status: str) -> None:
    client = holder_of(order)
    Order.objects.update(status=status)
    before = all_rows()

    response = change(client, order)

    assert response["Location"] == order.get_absolute_url()
    assert "cart" not in response.cookies
    assert all_rows() == before
    assert "cannot be changed any more" in client.get(order.get_absolute_url()).content.decode()


def test_money_that_is_here_keeps_the_order(order: Order) -> None:
    Movement.objects.create(
        kind="capture",
        order=order,
        merchant_code="MROSEASH",
        sumup_id="tx",
        amount=1,
        currency="GBP",
        happened_at=timezone.now(),
    )
    before = all_rows()

    response = change(holder_of(order), order)

    assert response["Location"] == order.get_absolute_url()
    assert all_rows() == before


def test_sumup_out_of_reach_keeps_everything_held_meanwhile(payment: Payment, settings: Any) -> None:
    settings.SUMUP_API_URL = "http://127.0.0.1:9"
    client = holder_of(payment.order)

    response = change(client, payment.order)

    order = Order.objects.get()
    assert response["Location"] == order.get_absolute_url()
    assert (order.status, order.is_closing) == ("awaiting_payment", True)
    assert Pool.objects.get().taken == 2
    assert quantities(client) == {}


# --- Keeping it after all


def test_a_closing_order_whose_page_still_works_may_be_kept(payment: Payment, sumup: Simulator) -> None:
    sumup.challenge(payment.checkout_id)  # under way, so its page is not closed yet
    client = holder_of(payment.order)
    change(client, payment.order)
    assert "Keep this order" in client.get(payment.order.get_absolute_url()).content.decode()

    response = client.post(f"{payment.order.get_absolute_url()}keep/")

    order = Order.objects.get()
    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())
    assert (order.is_closing, order.closing_cart, order.next_step_at) == (False, None, order.deadline)
    assert order.events.last().kind == "closing_withdrawn"  # type: ignore[union-attr]


def test_a_closing_order_whose_page_is_dead_cannot_be_kept(payment: Payment, sumup: Simulator) -> None:
    client = holder_of(payment.order)
    change(client, payment.order)
    before = Order.objects.values().get()

    response = client.post(f"{payment.order.get_absolute_url()}keep/", follow=True)

    assert "your basket will be back in a moment" in response.content.decode()
    assert "Keep this order" not in response.content.decode()
    assert Order.objects.values().get()["closing_since"] == before["closing_since"]


@pytest.mark.parametrize("closing_by", ["staff", "timer"])
def test_what_others_close_cannot_be_kept(payment: Payment, sumup: Simulator, closing_by: str) -> None:
    Order.objects.update(closing_since=timezone.now(), closing_to="cancelled", closing_by=closing_by)

    holder_of(payment.order).post(f"{payment.order.get_absolute_url()}keep/")

    assert Order.objects.get().is_closing


def test_keeping_what_is_confirmed_changes_nothing(order: Order) -> None:
    services.confirm(order, cause="paid")
    client = holder_of(order)
    before = all_rows()

    client.post(f"{order.get_absolute_url()}keep/")

    assert all_rows() == before


def test_a_double_click_whose_first_answer_is_lost_loses_no_basket(
    order: Order, honey: Product, workshop: Entry
) -> None:
    first, second = holder_of(order), holder_of(order)
    change(first, order)

    response = change(second, order)

    assert response["Location"] == "/cart/"
    assert quantities(second) == {honey: 1, workshop: 2}
    assert Pool.objects.get().taken == 2


def test_a_double_click_while_the_payment_page_closes_leads_to_one_cart(payment: Payment) -> None:
    first, second = holder_of(payment.order), holder_of(payment.order)
    change(first, payment.order)

    change(second, payment.order)

    assert first.cookies["cart"].value == second.cookies["cart"].value


def test_a_signed_in_shoppers_order_is_not_left_behind_in_the_browser(
    place_order: PlaceOrder, shopper: User, honey: Product
) -> None:
    client = Client()
    client.force_login(shopper)
    order = place_order((honey, 1), user=shopper)
    assert client.get(order.secret_link, follow=True).status_code == 200

    client.logout()

    assert client.get(order.get_absolute_url()).status_code == 404
