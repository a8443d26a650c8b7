"""A cart becomes its user's: the token is burnt, and nobody takes over anybody else's cart."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from cart import services
from cart.models import BurntToken, Cart, Product
from cart.services import UnknownCart
from cartsite.models import User
from tests.cart.baskets import held_by, lines_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def stranger(db: None) -> User:
    return UserFactory.create(username="mallory")


def test_the_first_cart_of_a_user_becomes_theirs_as_it_is(fill_cart: Fill, loaf: Product, shopper: User) -> None:
    cart, token = fill_cart((loaf, 2))

    adopted, fresh = services.adopt(token, shopper)

    assert (adopted, adopted.user) == (cart, shopper)
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}
    assert services.basket_of(fresh, None).count == 2


def test_the_token_presented_is_burnt(fill_cart: Fill, honey: Product, shopper: User) -> None:
    _cart, token = fill_cart((honey, 1))

    _adopted, fresh = services.adopt(token, shopper)

    assert fresh != token
    assert services.basket_of(token, None).count == 0


def test_the_token_that_the_users_own_cart_had_is_burnt_as_well(fill_cart: Fill, honey: Product, shopper: User) -> None:
    _mine, own_token = fill_cart((honey, 1), user=shopper)
    _found, token = fill_cart((honey, 2))

    services.adopt(token, shopper)

    assert services.basket_of(own_token, None).count == 0


def test_a_repeat_by_the_same_user_gets_the_same_cart_with_a_fresh_token(
    fill_cart: Fill, honey: Product, shopper: User
) -> None:
    _cart, token = fill_cart((honey, 1))
    first, first_token = services.adopt(token, shopper)

    again, again_token = services.adopt(token, shopper)

    assert again == first
    assert again_token != first_token
    assert services.basket_of(again_token, None).count == 1
    assert services.basket_of(first_token, None).count == 0


def test_every_token_ever_given_may_be_presented_again_by_the_same_user(
    fill_cart: Fill, honey: Product, shopper: User
) -> None:
    cart, token = fill_cart((honey, 1))
    tokens = [token]
    for _ in range(3):
        _cart, fresh = services.adopt(tokens[-1], shopper)
        tokens.append(fresh)

    assert all(services.adopt(token, shopper)[0] == cart for token in tokens)


def test_a_repeat_after_the_cart_was_ordered_gets_a_new_empty_one(
    fill_cart: Fill, honey: Product, shopper: User
) -> None:
    cart, token = fill_cart((honey, 1))
    services.adopt(token, shopper)
    Cart.objects.filter(pk=cart.pk).update(ordered_at=timezone.now())

    new, fresh = services.adopt(token, shopper)

    assert new != cart
    assert (new.user, lines_of(new)) == (shopper, {})
    assert services.open_cart(fresh, None) == (new, None)


def test_a_burnt_token_is_unknown_to_anybody_else(
    fill_cart: Fill, honey: Product, shopper: User, stranger: User
) -> None:
    cart, token = fill_cart((honey, 1))
    services.adopt(token, shopper)

    with pytest.raises(UnknownCart):
        services.adopt(token, stranger)

    cart.refresh_from_db()
    assert cart.user == shopper
    assert not Cart.objects.filter(user=stranger).exists()
    assert not BurntToken.objects.filter(user=stranger).exists()


def test_another_users_cart_is_never_taken_over(fill_cart: Fill, loaf: Product, shopper: User, stranger: User) -> None:
    theirs, token = fill_cart((loaf, 2), user=shopper)
    mine, _token = fill_cart((loaf, 1), user=stranger)

    with pytest.raises(UnknownCart):
        services.adopt(token, stranger)

    theirs.refresh_from_db()
    assert theirs.user == shopper
    assert (lines_of(theirs), lines_of(mine)) == ({"Rye loaf": 2}, {"Rye loaf": 1})
    assert services.basket_of(token, None).count == 2


def test_a_token_nobody_knows_is_unknown_and_makes_no_cart(shopper: User) -> None:
    with pytest.raises(UnknownCart):
        services.adopt("nobody-knows-this", shopper)

    assert not Cart.objects.exists()


def test_an_ordered_carts_token_is_unknown(fill_cart: Fill, honey: Product, shopper: User) -> None:
    cart, token = fill_cart((honey, 1))
    Cart.objects.filter(pk=cart.pk).update(ordered_at=timezone.now())

    with pytest.raises(UnknownCart):
        services.adopt(token, shopper)

    cart.refresh_from_db()
    assert cart.user is None
