"""Whose cart it is: by its token, or because it is theirs; never another user's."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from cart import services
from cart.models import Cart, Product, hash_token, new_token
from cartsite.models import User
from tests.cart.baskets import lines_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def stranger(db: None) -> User:
    return UserFactory.create(username="mallory")


def titles(token: str, user: User | None) -> list[str]:
    return [item.thing.title for item in services.basket_of(token, user).items]


def test_whoever_has_the_token_may_use_the_cart(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))

    assert titles(token, None) == ["Heather honey"]
    assert services.open_cart(token, None) == (cart, None)


def test_a_user_finds_their_own_cart_without_a_token(fill_cart: Fill, honey: Product, shopper: User) -> None:
    cart, _token = fill_cart((honey, 1), user=shopper)

    assert titles("", shopper) == ["Heather honey"]
    assert services.open_cart("", shopper) == (cart, None)


def test_a_user_may_use_the_anonymous_cart_of_their_browser(fill_cart: Fill, honey: Product, shopper: User) -> None:
    cart, token = fill_cart((honey, 1))

    assert titles(token, shopper) == ["Heather honey"]
    assert services.open_cart(token, shopper) == (cart, None)


def test_a_user_never_gets_another_users_cart(fill_cart: Fill, honey: Product, shopper: User, stranger: User) -> None:
    cart, token = fill_cart((honey, 1), user=shopper)

    opened, fresh = services.open_cart(token, stranger)

    assert titles(token, stranger) == []
    assert opened != cart
    assert opened.user == stranger
    assert fresh


@pytest.mark.parametrize("token", ["", "unknown", "\x00", "ключ", "a" * 100])
def test_a_token_that_nobody_knows_finds_nothing_and_opens_a_new_cart(token: str) -> None:
    cart, fresh = services.open_cart(token, None)

    assert titles(token, None) == []
    assert cart.token_hash == hash_token(fresh or "")
    assert fresh != token


@pytest.mark.parametrize("ended", ["ordered", "merged"])
def test_a_cart_that_is_over_is_not_found_again(fill_cart: Fill, honey: Product, ended: str) -> None:
    cart, token = fill_cart((honey, 1))
    other, _token = fill_cart()
    change = {"ordered_at": timezone.now()} if ended == "ordered" else {"merged_into": other}
    Cart.objects.filter(pk=cart.pk).update(**change)

    opened, fresh = services.open_cart(token, None)

    assert titles(token, None) == []
    assert opened != cart
    assert fresh


def test_a_user_has_one_open_cart(shopper: User) -> None:
    first, _token = services.open_cart("", shopper)

    assert services.open_cart("", shopper) == (first, None)
    with pytest.raises(IntegrityError, match="cart_one_open_per_user"), transaction.atomic():
        Cart.objects.create(token_hash=hash_token(new_token()), user=shopper)


def test_tokens_are_kept_hashed_only(fill_cart: Fill, honey: Product, shopper: User) -> None:
    _cart, token = fill_cart((honey, 1))
    cart, fresh = services.adopt(token, shopper)

    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM cart_cart c UNION ALL SELECT b::text FROM cart_burnttoken b")
        stored = " ".join(text for (text,) in cursor.fetchall())

    assert hash_token(fresh) in stored
    assert fresh not in stored
    assert token not in stored
    assert lines_of(cart) == {"Heather honey": 1}


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(len(token) >= 32 for token in tokens)
