"""Ordering again: as much of it as there is, and a sentence about what is missing."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, Product
from tests.cart.baskets import held_by, item_of, lines_of, saved_in, taken

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


def test_everything_that_is_there_is_put_in_without_a_word(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart, _token = fill_cart()

    said = services.add_again(cart, [(workshop, 2, None), (honey, 3, None), (loaf, 5, None)])

    assert said == []
    assert lines_of(cart) == {"Heather honey": 3, "Rye loaf": 5, "Bread workshop": 2}
    assert held_by(cart) == {"Rye loaf": 5, "Bread workshop": 2}


def test_what_came_in_a_smaller_number_is_named(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart()
    capacity.claim(loaf.pool_id or 0, 3, until=None)

    said = services.add_again(cart, [(loaf, 4, None)])

    assert said == ["There are only 2 of Rye loaf: those are in your basket."]
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}


def test_what_others_hold_no_longer_is_there(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart()
    capacity.claim(loaf.pool_id or 0, 1, until=None)
    capacity.claim(loaf.pool_id or 0, 3, until=timezone.now() - timedelta(minutes=1))

    said = services.add_again(cart, [(loaf, 5, None)])

    assert said == ["There are only 4 of Rye loaf: those are in your basket."]
    assert held_by(cart) == {"Rye loaf": 4}


def test_what_is_gone_is_named_in_the_order_that_was_asked(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart, _token = fill_cart()
    Product.objects.filter(pk=honey.pk).update(archived_at=timezone.now())
    honey.refresh_from_db()
    workshop.cancelled_at = timezone.now()
    capacity.claim(loaf.pool_id or 0, 5, until=None)

    said = services.add_again(cart, [(workshop, 1, None), (loaf, 1, None), (honey, 1, None)])

    assert said == [
        "Bread workshop is no longer on sale.",
        "Rye loaf is sold out.",
        "Heather honey is no longer on sale.",
    ]
    assert not cart.items.exists()


def test_asking_twice_puts_it_in_once(fill_cart: Fill, honey: Product, loaf: Product) -> None:
    cart, _token = fill_cart((honey, 1), (loaf, 3))

    for _ in range(2):
        assert services.add_again(cart, [(honey, 2, None), (loaf, 2, None)]) == []

    assert lines_of(cart) == {"Heather honey": 2, "Rye loaf": 3}
    assert taken(loaf) == 3


def test_what_lapsed_meanwhile_is_claimed_again(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 3))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))

    assert services.add_again(cart, [(loaf, 2, None)]) == []

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 3}


def test_what_was_saved_comes_back_unless_it_is_sold_out(
    fill_cart: Fill, loaf: Product, honey: Product, workshop: Entry
) -> None:
    cart, _token = fill_cart((loaf, 3), (honey, 1))
    for thing in (loaf, honey):
        services.save_for_later(cart, item_of(cart, thing).pk)
    capacity.claim(loaf.pool_id or 0, 5, until=None)

    said = services.add_again(cart, [(loaf, 1, None), (honey, 2, None)])

    assert said == ["Rye loaf is sold out."]
    assert (lines_of(cart), saved_in(cart)) == ({"Heather honey": 2}, {"Rye loaf": 3})
