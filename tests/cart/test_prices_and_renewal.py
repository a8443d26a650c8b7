"""A price that rose is accepted once; what is held can be held a little longer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from time_machine import travel

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, Product
from cart.services import Unavailable
from orders.placing import CannotPlace, place
from tests.cart.baskets import held_by, item_of, only_item

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def cost(product: Product, price: str) -> None:
    """The market changes its price."""
    Product.objects.filter(pk=product.pk).update(price=Decimal(price))


def test_a_basket_costs_what_the_database_says_now(fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 2))

    cost(honey, "7.00")

    assert services.basket_of(token, None).total == Decimal("14.00")


def test_a_price_that_rose_must_be_accepted_once(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    cost(honey, "7.00")
    rose = services.basket_of(token, None).prices_rose

    services.accept_prices(cart)

    assert rose
    assert not services.basket_of(token, None).prices_rose


def test_a_price_that_rises_again_must_be_accepted_again(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    cost(honey, "7.00")
    services.accept_prices(cart)

    cost(honey, "7.50")

    assert services.basket_of(token, None).prices_rose


def test_a_price_that_fell_needs_no_yes(fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 2))

    cost(honey, "5.00")

    assert not services.basket_of(token, None).prices_rose


def test_adding_more_of_a_thing_is_no_yes_to_its_new_price(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    cost(honey, "7.00")

    services.add(cart, Product.objects.get(pk=honey.pk), 1)

    assert services.basket_of(token, None).prices_rose


def test_one_line_alone_may_be_accepted(fill_cart: Fill, honey: Product, loaf: Product) -> None:
    cart, token = fill_cart((honey, 1), (loaf, 1))
    cost(honey, "7.00")
    cost(loaf, "7.00")

    services.accept_prices(cart, item_id=item_of(cart, loaf).pk)

    assert [item.price_rose for item in services.basket_of(token, None).items] == [True, False]


def test_a_yes_to_prices_that_changed_again_meanwhile_is_none(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    cost(honey, "7.00")
    agreed = services.basket_of(token, None).fingerprint
    cost(honey, "9.00")

    with pytest.raises(Unavailable, match="look at the prices again"):
        services.accept_prices(cart, agreed)

    assert services.basket_of(token, None).prices_rose


def test_placing_refuses_until_the_line_is_accepted_or_removed(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart, token = fill_cart((honey, 1), (loaf, 1), (workshop, 1))
    cost(honey, "7.00")
    cost(loaf, "7.00")
    refused = []

    for step in (
        lambda: services.accept_prices(cart, item_id=item_of(cart, honey).pk),
        lambda: services.set_quantity(cart, item_of(cart, loaf).pk, 0),
    ):
        basket = services.basket_of(token, None)
        with pytest.raises(CannotPlace, match="Some prices have gone up"):
            place(cart.uuid, token=token, user=None, agreed=basket.fingerprint, name="Ada", email="ada@example.org")
        refused.append(basket.prices_rose)
        step()

    assert refused == [True, True]
    assert not services.basket_of(token, None).prices_rose


def test_renewing_holds_a_cart_for_another_15_minutes_and_an_hour_at_most(fill_cart: Fill, loaf: Product) -> None:
    with travel(NOON, tick=False) as clock:
        cart, token = fill_cart((loaf, 2))
        ends = []
        for _ in range(5):
            clock.shift(timedelta(minutes=14))
            services.renew(cart)
            ends.append(services.basket_of(token, None).holds_until)

    assert ends == [NOON + timedelta(minutes=minutes) for minutes in (29, 43, 57, 60, 60)]


def test_renewing_does_not_bring_back_what_was_given_back(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 2))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))

    assert services.renew(cart) == 0

    assert held_by(cart) == {"Rye loaf": 0}
    assert only_item(cart).hold_expired


def test_renewing_another_cart_renews_only_that(fill_cart: Fill, loaf: Product) -> None:
    with travel(NOON, tick=False) as clock:
        _mine, token = fill_cart((loaf, 1))
        other, _token = fill_cart((loaf, 1))
        clock.shift(timedelta(minutes=10))

        services.renew(other)

    assert services.basket_of(token, None).holds_until == NOON + timedelta(minutes=15)
