"""Two tabs, two browsers, two siblings at the same moment: nothing is lost, nobody gets stuck."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, Product, hash_token
from cart.services import Unavailable, UnknownCart
from cartsite.models import User
from orders.models import Order
from orders.placing import NOTHING_CHOSEN, CannotPlace, place
from orders.quoting import make_quote
from tests.bookings.blocked import wait_until_somebody_is_blocked
from tests.cart.baskets import held_by, lines_of, only_item, taken
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, ProductFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

Fill = Callable[..., tuple[Cart, str]]


@transaction.atomic
def add(token: str, user: User | None, thing: Product | Entry, quantity: int = 1) -> str | None:
    """What the view does for somebody who adds a thing."""
    cart, fresh = services.open_cart(token, user)
    services.add(cart, thing, quantity)
    return fresh


@transaction.atomic
def change(token: str, item: int, quantity: int) -> None:
    """What the view does for somebody who changes a line."""
    cart, _fresh = services.open_cart(token, None)
    services.set_quantity(cart, item, quantity)


# --- One cart ---------------------------------------------------------------------------------------------------------


def test_adding_the_same_thing_in_many_tabs_loses_nothing(fill_cart: Fill, workshop: Entry, honey: Product) -> None:
    cart, token = fill_cart()

    results_of(run_at_once(*[partial(add, token, None, honey)] * 8, *[partial(add, token, None, workshop)] * 8))

    assert lines_of(cart) == {"Heather honey": 8, "Bread workshop": 8}
    assert held_by(cart) == {"Bread workshop": 8}


def test_adding_over_http_in_many_tabs_loses_nothing(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart()

    def click() -> int:
        client = Client(headers={"HX-Request": "true"})
        client.cookies["cart"] = token
        return client.post("/cart/items/", {"product": "HONEY", "quantity": "2"}).status_code

    assert results_of(run_at_once(*[click] * 8)) == [200] * 8

    assert lines_of(cart) == {"Heather honey": 16}


def test_the_last_places_go_to_one_tab_each(fill_cart: Fill, loaf: Product) -> None:
    cart, token = fill_cart()

    outcomes = run_at_once(*[partial(add, token, None, loaf)] * 12)

    assert sum(isinstance(outcome.error, Unavailable) for outcome in outcomes) == 7
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 5}


def test_many_shoppers_after_the_same_places_never_get_more_than_there_are(workshop: Entry, honey: Product) -> None:
    def shop() -> None:
        with transaction.atomic():
            cart, _token = services.open_cart("", None)
            services.add(cart, honey, 1)
            services.add(cart, workshop, 1)

    outcomes = run_at_once(*[shop] * 40)

    assert sum(outcome.error is None for outcome in outcomes) == 10
    assert {type(outcome.error) for outcome in outcomes} == {type(None), Unavailable}
    assert taken(workshop) == 10
    assert CartItem.objects.filter(entry=workshop).count() == 10


def test_changing_and_removing_a_line_at_once_ends_in_one_of_them(fill_cart: Fill, loaf: Product) -> None:
    for _ in range(5):
        cart, token = fill_cart((loaf, 2))
        item = only_item(cart).pk

        outcomes = run_at_once(partial(change, token, item, 0), partial(change, token, item, 3))

        assert outcomes[0].error is None
        assert outcomes[1].error is None or isinstance(outcomes[1].error, CartItem.DoesNotExist)
        assert lines_of(cart) == {}
        assert taken(loaf) == 0


def test_changing_a_line_while_its_expired_hold_is_swept_loses_nothing(fill_cart: Fill, loaf: Product) -> None:
    for _ in range(5):
        cart, token = fill_cart((loaf, 2))
        Hold.objects.update(until=Hold.objects.live().get().claimed_at)

        results_of(run_at_once(partial(change, token, only_item(cart).pk, 4), capacity.give_expired_back))

        assert lines_of(cart) == held_by(cart) == {"Rye loaf": 4}
        change(token, only_item(cart).pk, 0)


# --- Ordering and changing at once ------------------------------------------------------------------------------------


def order_of(token: str, user: User | None = None) -> Callable[[], tuple[Order, bool]]:
    """Place what the basket shows at this moment, later."""
    basket = services.basket_of(token, user)
    return partial(
        place,
        basket.items[0].cart.uuid,
        token=token,
        user=user,
        agreed=make_quote(basket, NOTHING_CHOSEN).fingerprint,
        name="Ada Shopper",
        email="ada@example.org",
    )


def test_an_order_placed_while_a_line_changes_is_what_was_agreed_or_is_refused(fill_cart: Fill, loaf: Product) -> None:
    for quantity in (1, 2):
        cart, token = fill_cart((loaf, 1))

        placed, changed = run_at_once(order_of(token), partial(change, token, only_item(cart).pk, quantity + 1))

        if placed.error is None:
            order, _new = placed.result
            assert [line.quantity for line in order.lines.all()] == [1]
            assert isinstance(changed.error, CartItem.DoesNotExist)
        else:
            assert isinstance(placed.error, CannotPlace)
            assert changed.error is None
            assert lines_of(cart) == held_by(cart) == {"Rye loaf": quantity + 1}
            change(token, only_item(cart).pk, 0)


def test_what_is_added_while_the_order_is_placed_is_in_it_or_in_a_new_cart(
    fill_cart: Fill, loaf: Product, honey: Product
) -> None:
    cart, token = fill_cart((loaf, 1))

    placed, added = run_at_once(order_of(token), partial(add, token, None, honey))

    assert added.error is None
    if placed.error is None:
        assert services.basket_of(added.result, None).count == 1
        assert [line.title for line in Order.objects.get().lines.all()] == ["Rye loaf"]
    else:
        assert isinstance(placed.error, CannotPlace)
        assert lines_of(cart) == {"Rye loaf": 1, "Heather honey": 1}


def test_a_double_click_places_one_order(fill_cart: Fill, loaf: Product) -> None:
    _cart, token = fill_cart((loaf, 2))

    placed = results_of(run_at_once(*[order_of(token)] * 6))

    assert len({order.pk for order, _new in placed}) == 1
    assert sum(new for _order, new in placed) == 1
    assert taken(loaf) == 2


def test_ordering_and_signing_in_elsewhere_at_once_never_block_each_other(
    fill_cart: Fill, shopper: User, honey: Product
) -> None:
    for _ in range(6):
        _mine, token = fill_cart((honey, 1), user=shopper)
        _found, anonymous = fill_cart((honey, 2))

        placed, adopted = run_at_once(order_of(token, shopper), partial(services.adopt, anonymous, shopper))

        assert adopted.error is None
        assert placed.error is None or isinstance(placed.error, CannotPlace)
        Cart.objects.filter(ordered_at=None).delete()


def test_an_order_of_a_user_and_whoever_adopts_for_them_wait_for_each_other_in_turn(
    fill_cart: Fill, shopper: User, honey: Product
) -> None:
    """The deadlock in slow motion: both take the user first, so neither has a cart that the other one needs."""
    _cart, token = fill_cart((honey, 1), user=shopper)
    _found, anonymous = fill_cart((honey, 2))
    locked = threading.Event()
    order = order_of(token, shopper)

    def place_slowly() -> Any:
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=shopper.pk)
            locked.set()
            wait_until_somebody_is_blocked()
            return order()

    def adopt() -> Any:
        locked.wait(10)
        return services.adopt(anonymous, shopper)

    placed, adopted = run_at_once(place_slowly, adopt)

    assert (placed.error, adopted.error) == (None, None)


# --- Adopting at once -------------------------------------------------------------------------------------------------


def test_of_two_users_who_adopt_one_cart_one_gets_it(fill_cart: Fill, loaf: Product) -> None:
    for _ in range(4):
        users = [UserFactory.create() for _ in range(4)]
        cart, token = fill_cart((loaf, 1))

        outcomes = run_at_once(*(partial(services.adopt, token, user) for user in users))

        winners = [user for user, outcome in zip(users, outcomes, strict=True) if outcome.error is None]
        cart.refresh_from_db()
        assert winners == [cart.user]
        assert {type(outcome.error) for outcome in outcomes} == {type(None), UnknownCart}
        assert Cart.objects.filter(user__in=users).count() == 1


def test_one_user_who_adopts_twice_at_once_gets_one_cart(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    cart, token = fill_cart((loaf, 2))

    outcomes = results_of(run_at_once(*[partial(services.adopt, token, shopper)] * 6))

    cart.refresh_from_db()
    assert {adopted.pk for adopted, _token in outcomes} == {cart.pk}
    assert sum(cart.token_hash == hash_token(fresh) for _adopted, fresh in outcomes) == 1
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}


def test_one_user_who_adopts_two_carts_at_once_has_both_in_one(
    fill_cart: Fill, shopper: User, loaf: Product, honey: Product
) -> None:
    tokens = [fill_cart((loaf, 2))[1], fill_cart((honey, 1), (loaf, 1))[1]]

    results_of(run_at_once(*(partial(services.adopt, token, shopper) for token in tokens)))

    assert lines_of(Cart.objects.open().get()) == {"Rye loaf": 2, "Heather honey": 1}
    assert taken(loaf) == 2


def test_a_user_who_adds_in_many_tabs_at_once_gets_one_cart(shopper: User, honey: Product) -> None:
    tokens = results_of(run_at_once(*[partial(add, "", shopper, honey)] * 8))

    assert lines_of(Cart.objects.get(user=shopper)) == {"Heather honey": 8}
    assert sum(token is not None for token in tokens) == 1


def test_a_user_who_adds_while_a_cart_is_adopted_for_them_gets_one_cart_with_everything(
    fill_cart: Fill, honey: Product, loaf: Product
) -> None:
    for _ in range(6):
        user = UserFactory.create()
        _found, token = fill_cart((loaf, 1))

        results_of(run_at_once(partial(services.adopt, token, user), partial(add, "", user, honey)))

        assert lines_of(Cart.objects.open().get(user=user)) == {"Rye loaf": 1, "Heather honey": 1}
        capacity.give_back(Hold.objects.values_list("pk", flat=True))


def test_adding_to_a_cart_while_it_is_adopted_loses_nothing(fill_cart: Fill, honey: Product, loaf: Product) -> None:
    for _ in range(6):
        user = UserFactory.create()
        cart, token = fill_cart((loaf, 1))

        adopted, added = run_at_once(partial(services.adopt, token, user), partial(add, token, None, honey))

        assert (adopted.error, added.error) == (None, None)
        fresh = added.result  # a token of its own if the other was burnt first
        assert lines_of(cart) == {"Rye loaf": 1} | ({} if fresh else {"Heather honey": 1})
        assert services.basket_of(fresh or adopted.result[1], None).count == (1 if fresh else 2)
        capacity.give_back(Hold.objects.values_list("pk", flat=True))


def test_carts_with_the_same_things_in_any_order_are_merged_at_once_without_blocking(fill_cart: Fill) -> None:
    things: list[Product | Entry] = [
        ProductFactory.create(stock=100),
        EntryFactory.create(places=100),
        ProductFactory.create(stock=100),
    ]

    def with_carts(number: int) -> Callable[[], Any]:
        user = UserFactory.create()
        order = things[number % 3 :] + things[: number % 3]
        fill_cart(*((thing, 2) for thing in order), user=user)
        _found, token = fill_cart(*((thing, 1) for thing in reversed(order)))
        return partial(services.adopt, token, user)

    for _ in range(4):
        results_of(run_at_once(*[with_carts(number) for number in range(8)]))

    assert {item.quantity for item in CartItem.objects.all()} == {2}
    assert [taken(thing) for thing in things] == [64, 64, 64]


def test_carts_are_merged_while_expired_holds_are_swept_without_blocking(fill_cart: Fill) -> None:
    things = [ProductFactory.create(stock=100) for _ in range(4)]

    def with_carts(number: int) -> Callable[[], Any]:
        user = UserFactory.create()
        fill_cart(*((thing, 2) for thing in things), user=user)
        _found, token = fill_cart(*((thing, 3) for thing in reversed(things)))
        return partial(services.adopt, token, user)

    for _ in range(4):
        adoptions = [with_carts(number) for number in range(6)]
        Hold.objects.update(until=Hold.objects.earliest("claimed_at").claimed_at)

        results_of(run_at_once(*adoptions, *[partial(capacity.give_expired_back, most=7)] * 6))

    assert {item.quantity for item in CartItem.objects.all()} == {3}


def test_merging_waits_for_holds_before_it_takes_any_pool(fill_cart: Fill, shopper: User) -> None:
    """In slow motion: the sweep has a hold and needs a pool; a merge must not have that pool and need the hold."""
    first, second = ProductFactory.create(stock=100), ProductFactory.create(stock=100)
    mine, _token = fill_cart((first, 1), (second, 1), user=shopper)
    _found, token = fill_cart((first, 2), (second, 2))
    stranger, _token = fill_cart((first, 1))
    swept = [only_item(stranger).hold_id or 0, mine.items.get(product=second).hold_id or 0]
    locked = threading.Event()

    def sweep() -> int:
        with transaction.atomic():
            capacity.lock(swept)
            locked.set()
            wait_until_somebody_is_blocked()
            return capacity.give_back(swept)

    def adopt() -> Any:
        locked.wait(10)
        return services.adopt(token, shopper)

    results_of(run_at_once(sweep, adopt))

    assert set(held_by(mine).values()) == {2}
