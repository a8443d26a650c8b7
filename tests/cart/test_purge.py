"""Carts nobody came back to are purged with what they hold; what was ordered stays for good."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from cart import services
from cart.models import Cart, CartItem, CartMerge, Product
from cart.tasks import purge_abandoned
from cartsite.models import User
from orders.models import Order
from tests.cart.baskets import item_of, lines_of, saved_in, taken

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


def untouched_for(days: int, cart: Cart) -> Cart:
    """Let the cart and its lines be as old as that."""
    then = timezone.now() - timedelta(days=days)
    Cart.objects.filter(pk=cart.pk).update(created_at=then)
    CartItem.objects.filter(cart=cart).update(changed_at=then)
    return cart


def test_a_cart_nobody_touched_for_30_days_goes_and_frees_what_it_held(fill_cart: Fill, loaf: Product) -> None:
    untouched_for(31, fill_cart((loaf, 3))[0])

    assert services.purge_abandoned() == 1

    assert not Cart.objects.exists()
    assert taken(loaf) == 0


def test_a_younger_cart_stays(fill_cart: Fill, loaf: Product) -> None:
    cart = untouched_for(29, fill_cart((loaf, 3))[0])

    assert services.purge_abandoned() == 0

    assert lines_of(cart) == {"Rye loaf": 3}


def test_an_old_cart_that_was_changed_lately_stays(fill_cart: Fill, loaf: Product, honey: Product) -> None:
    cart = untouched_for(60, fill_cart((loaf, 3))[0])
    services.add(cart, honey, 1)

    assert services.purge_abandoned() == 0

    assert lines_of(cart) == {"Rye loaf": 3, "Heather honey": 1}


def test_an_ordered_cart_is_never_purged(order: Order) -> None:
    untouched_for(400, order.cart)

    assert services.purge_abandoned() == 0

    assert Order.objects.get(pk=order.pk).cart == order.cart


def test_a_cart_that_was_merged_goes_without_the_one_it_went_into(
    fill_cart: Fill, honey: Product, shopper: User
) -> None:
    mine, _token = fill_cart((honey, 1), user=shopper)
    found, token = fill_cart((honey, 2))
    services.adopt(token, shopper)
    untouched_for(31, found)

    assert services.purge_abandoned() == 1

    assert Cart.objects.get() == mine
    assert lines_of(mine) == {"Heather honey": 2}


def test_a_users_own_cart_is_kept_for_them_with_what_they_saved(
    fill_cart: Fill, honey: Product, loaf: Product, shopper: User
) -> None:
    cart = untouched_for(400, fill_cart((honey, 1), (loaf, 2), user=shopper)[0])
    services.save_for_later(cart, item_of(cart, loaf).pk)
    untouched_for(400, cart)

    assert services.purge_abandoned() == 0

    assert (lines_of(cart), saved_in(cart)) == ({"Heather honey": 1}, {"Rye loaf": 2})


def test_a_users_cart_with_nothing_in_it_goes(fill_cart: Fill, shopper: User) -> None:
    untouched_for(31, fill_cart(user=shopper)[0])

    assert services.purge_abandoned() == 1

    assert not Cart.objects.exists()


def test_an_anonymous_cart_goes_with_what_it_saved(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 2))
    services.save_for_later(cart, item_of(cart, loaf).pk)
    untouched_for(31, cart)

    assert services.purge_abandoned() == 1

    assert not CartItem.objects.exists()


def test_how_two_carts_met_is_forgotten_once_nothing_tells_of_it(
    fill_cart: Fill, honey: Product, shopper: User
) -> None:
    fill_cart((honey, 1), user=shopper)
    for _ in range(2):
        services.adopt(fill_cart((honey, 2))[1], shopper)
    last = CartMerge.objects.latest("pk")
    CartMerge.objects.update(made_at=timezone.now() - timedelta(days=31))

    services.purge_abandoned()

    assert CartMerge.objects.get() == last


def test_the_timer_goes_on_until_all_are_gone(fill_cart: Fill, loaf: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    purge = services.purge_abandoned
    monkeypatch.setattr(services, "purge_abandoned", lambda: purge(most=2))
    for _ in range(5):
        untouched_for(31, fill_cart((loaf, 1))[0])

    purge_abandoned()

    assert not Cart.objects.exists()
    assert taken(loaf) == 0
