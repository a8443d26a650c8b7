"""The same once more: into the basket, as far as it can be had, at the prices of today."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Entry
from cart.models import CartItem, Product
from cartsite.models import User
from orders import services
from orders.models import Order
from tests.factories import ProductFactory
from tests.orders.acts import all_rows, assert_pools_balance, holder_of

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def sold(order: Order) -> Order:
    services.confirm(order, cause="paid")
    return order


def again(client: Client, order: Order) -> Any:
    return client.post(f"{order.get_absolute_url()}again/", follow=True)


def in_basket() -> dict[str, int]:
    return {item.thing.title: item.quantity for item in CartItem.objects.loaded().filter(cart__ordered_at=None)}


def test_it_puts_goods_and_places_into_the_basket(sold: Order, honey: Product, workshop: Entry) -> None:
    Product.objects.update(price=Decimal("7.00"))

    answer = again(holder_of(sold), sold)

    assert answer.redirect_chain == [("/cart/", 302)]
    assert "What you ordered is in your basket once more." in answer.content.decode()
    assert in_basket() == {honey.title: 1, workshop.title: 2}
    assert "£7.00" in answer.content.decode()
    assert_pools_balance()


def test_twice_is_once(sold: Order, honey: Product, workshop: Entry) -> None:
    client = holder_of(sold)

    again(client, sold)
    again(client, sold)

    assert in_basket() == {honey.title: 1, workshop.title: 2}


def test_what_is_no_longer_there_is_named(place_order: PlaceOrder, honey: Product, shopper: User) -> None:
    gone, few = ProductFactory(title="Plum jam"), ProductFactory(title="Quince jelly", stock=5)
    order = place_order((honey, 1), (gone, 1), (few, 3), user=shopper)
    Product.objects.filter(pk=gone.pk).update(archived_at=timezone.now())
    client = Client()
    client.force_login(shopper)

    said = again(client, order).content.decode()

    assert "Plum jam is no longer on sale." in said
    assert "Quince jelly" in said
    assert "once more" not in said
    assert in_basket() == {honey.title: 1, "Quince jelly": 2}


def test_strangers_can_do_nothing_with_it(sold: Order) -> None:
    before = all_rows()

    assert Client().post(f"{sold.get_absolute_url()}again/").status_code == 404
    assert Client().post("/orders/CCCC-CCCC-CC/again/").status_code == 404
    assert all_rows() == before


def test_looking_at_it_does_nothing(sold: Order) -> None:
    assert holder_of(sold).get(f"{sold.get_absolute_url()}again/").status_code == 405


def test_a_bot_is_slowed_down(sold: Order, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"hold": (1, 600)}
    client = holder_of(sold)

    assert [again(client, sold).status_code for _time in range(2)] == [200, 429]
