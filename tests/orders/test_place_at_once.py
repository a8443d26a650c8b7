"""Placing by several hands at the very same moment."""

from collections.abc import Callable
from functools import partial

import pytest

from bookings.models import Entry, Hold, Pool
from cart.models import Cart, Product
from orders.models import Order, OrderContact, OrderEvent, OrderLine
from orders.placing import CannotPlace
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import agreed_for, assert_pools_balance, place_cart

pytestmark = pytest.mark.django_db(transaction=True)

FillCart = Callable[..., tuple[Cart, str]]


def test_a_cart_placed_by_eight_at_once_is_one_order(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    cart, token = fill_cart((honey, 1), (workshop, 2))
    agreed = agreed_for(cart)

    outcomes = run_at_once(*[lambda: place_cart(cart, token, agreed=agreed)] * 8)

    order = Order.objects.get()
    assert results_of(outcomes) == [order] * 8
    assert OrderLine.objects.count() == 2
    assert (OrderContact.objects.count(), OrderEvent.objects.count()) == (1, 1)
    assert Pool.objects.get().taken == 2


def test_the_last_places_go_to_one_of_those_who_want_them_at_once(fill_cart: FillCart, workshop: Entry) -> None:
    rivals = []
    for _rival in range(8):
        rivals.append(fill_cart((workshop, 6)))
        Hold.objects.update(until="2020-01-01T00:00:00Z")

    outcomes = run_at_once(*(partial(place_cart, *rival) for rival in rivals))

    assert sum(isinstance(outcome.error, CannotPlace) for outcome in outcomes) == 7
    assert Order.objects.count() == 1
    assert Pool.objects.get().taken == 6
    assert_pools_balance()


def test_carts_of_the_same_things_in_another_order_never_wait_for_each_other(
    fill_cart: FillCart, stocked: list[Product]
) -> None:
    rivals = [fill_cart(*((thing, 1) for thing in stocked[:: 1 if even else -1])) for even in (0, 1) * 4]
    Hold.objects.update(quantity=0)
    Pool.objects.update(taken=0)

    outcomes = run_at_once(*(partial(place_cart, *rival) for rival in rivals))

    assert len(set(results_of(outcomes))) == 8
    assert_pools_balance()


def test_who_gives_stale_holds_back_and_who_needs_the_same_pools_never_wait_for_each_other(
    fill_cart: FillCart, stocked: list[Product]
) -> None:
    """One pool is freed in part and claimed again, after another one that is claimed."""
    Pool.objects.update(wanted=None, capacity=None)
    rivals = [fill_cart(*((thing, 2) for thing in stocked)) for _rival in range(8)]
    last = stocked[-1].pool_id
    Hold.objects.exclude(pool=last).update(quantity=0)
    Hold.objects.filter(pool=last).update(quantity=1)
    Hold.objects.filter(cart_item__cart__in=[cart for cart, _token in rivals[::2]]).update(quantity=0)
    for pool in Pool.objects.all():
        Pool.objects.filter(pk=pool.pk).update(taken=sum(pool.holds.values_list("quantity", flat=True)))

    outcomes = run_at_once(*(partial(place_cart, *rival) for rival in rivals))

    assert len(set(results_of(outcomes))) == 8
    assert_pools_balance()
