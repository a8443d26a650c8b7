"""Erasing somebody while they place an order: either the order stops it, or the order is not placed."""

from collections.abc import Callable
from functools import partial

import pytest

from cart.models import Cart, Product
from cartsite.models import User
from orders.models import Order
from orders.placing import CannotPlace
from orders.privacy import CannotErase, erase_person
from tests.concurrency import run_at_once
from tests.factories import UserFactory
from tests.orders.acts import basket_in, place_cart

pytestmark = pytest.mark.django_db(transaction=True)

FillCart = Callable[..., tuple[Cart, str]]


def race(person: User, cart: Cart, token: str) -> None:
    place = partial(place_cart, cart, token, user=person, agreed=basket_in(cart).fingerprint)

    placed, erased = run_at_once(place, partial(erase_person, person, by=person))

    person.refresh_from_db()
    order = Order.objects.filter(cart=cart).first()
    if order is None:
        assert isinstance(placed.error, CannotPlace)
        assert erased.result is True
        assert person.erased_at is not None
    else:
        assert isinstance(erased.error, CannotErase)
        assert placed.error is None
        assert person.erased_at is None
        assert order.contact.email


@pytest.mark.parametrize("turn", range(8))
def test_an_order_of_their_own_basket_stops_it_or_is_refused(fill_cart: FillCart, honey: Product, turn: int) -> None:
    person = UserFactory()

    race(person, *fill_cart((honey, 1), user=person))


@pytest.mark.parametrize("turn", range(8))
def test_an_order_of_a_basket_they_filled_before_stops_it_or_is_refused(
    fill_cart: FillCart, honey: Product, turn: int
) -> None:
    race(UserFactory(), *fill_cart((honey, 1)))
