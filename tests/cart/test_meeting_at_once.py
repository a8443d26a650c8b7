"""Meeting, parting, saving, adding and ordering at the same moment: nothing is lost, nobody gets stuck."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, CartMerge, Product, hash_token
from cart.services import CannotUndo, Unavailable
from cartsite.models import User
from orders.models import Order
from orders.placing import CannotPlace
from tests.cart.baskets import held_by, item_of, lines_of, saved_in, taken
from tests.cart.test_two_tabs import add, order_of
from tests.concurrency import results_of, run_at_once
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def met(fill_cart: Fill, honey: Product, loaf: Product) -> Callable[[], tuple[User, Cart, str, CartMerge]]:
    """A user whose own cart (3 honey, 1 loaf) met another one (2 loaves); the cart's token, and what was written."""

    def meet() -> tuple[User, Cart, str, CartMerge]:
        user = UserFactory.create()
        fill_cart((honey, 3), (loaf, 1), user=user)
        _found, token = fill_cart((loaf, 2))
        cart, fresh = services.adopt(token, user)
        merge = cart.last_merge
        assert merge is not None
        return user, cart, fresh, merge

    return meet


Met = Callable[[], tuple[User, Cart, str, CartMerge]]


def forget_holds() -> None:
    capacity.give_back(Hold.objects.values_list("pk", flat=True))


def cart_with(token: str) -> Cart:
    return Cart.objects.get(token_hash=hash_token(token))


@transaction.atomic
def save(token: str, user: User | None, item: int) -> None:
    """What the view does for somebody who saves a line."""
    cart = services.find_cart(token, user)
    assert cart is not None
    services.save_for_later(cart, item)


@transaction.atomic
def bring_back(token: str, user: User | None, item: int) -> None:
    """What the view does for somebody who brings a line back."""
    cart = services.find_cart(token, user)
    assert cart is not None
    services.bring_back(cart, item)


def test_two_devices_that_sign_in_at_once_have_everything_in_one_cart(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    for keep_presented in (False, True):
        user = UserFactory.create()
        mine, _token = fill_cart((workshop, 1), user=user)
        tokens = [fill_cart((loaf, 2))[1], fill_cart((honey, 1), (loaf, 1))[1]]

        results_of(
            run_at_once(*(partial(services.adopt, token, user, keep_presented=keep_presented) for token in tokens))
        )

        both = lines_of(mine) | saved_in(mine)
        assert both.keys() == {"Rye loaf", "Heather honey", "Bread workshop"}
        assert CartMerge.objects.filter(cart=mine).count() == 2
        forget_holds()


def test_undoing_twice_at_once_makes_one_other_cart(met: Met) -> None:
    for _ in range(4):
        user, cart, token, merge = met()

        tokens = results_of(run_at_once(*[partial(services.undo_merge, token, user, merge.uuid)] * 4))

        assert len(set(tokens)) == 1
        assert lines_of(cart_with(tokens[0])) == held_by(cart_with(tokens[0])) == {"Rye loaf": 2}
        assert lines_of(cart) == {"Heather honey": 3, "Rye loaf": 1}
        forget_holds()


def test_undoing_while_it_is_ordered_ends_in_one_of_them(met: Met) -> None:
    for _ in range(6):
        user, cart, token, merge = met()

        placed, undone = run_at_once(order_of(token, user), partial(services.undo_merge, token, user, merge.uuid))

        if placed.error is None:
            assert isinstance(undone.error, CannotUndo)
            assert {line.title: line.quantity for line in Order.objects.latest("pk").lines.filter(kind="product")} == {
                "Heather honey": 3,
                "Rye loaf": 2,
            }
        else:
            assert isinstance(placed.error, CannotPlace)
            assert lines_of(cart_with(undone.result)) == {"Rye loaf": 2}
            assert lines_of(cart) == {"Heather honey": 3, "Rye loaf": 1}
        forget_holds()


def test_undoing_while_a_thing_is_added_loses_nothing(met: Met, workshop: Entry) -> None:
    for _ in range(6):
        user, cart, token, merge = met()

        undone, added = run_at_once(
            partial(services.undo_merge, token, user, merge.uuid), partial(add, token, user, workshop)
        )

        assert (undone.error, added.error) == (None, None)
        there = [lines_of(cart).get("Bread workshop"), lines_of(cart_with(undone.result)).get("Bread workshop")]
        assert sorted(there, key=str) == [1, None]
        forget_holds()


def test_undoing_while_another_device_signs_in_loses_nothing(met: Met, fill_cart: Fill, workshop: Entry) -> None:
    for _ in range(6):
        user, cart, token, merge = met()
        _other, elsewhere = fill_cart((workshop, 2))

        undone, adopted = run_at_once(
            partial(services.undo_merge, token, user, merge.uuid), partial(services.adopt, elsewhere, user)
        )

        assert adopted.error is None
        assert lines_of(cart)["Bread workshop"] == 2
        if undone.error is None:
            assert lines_of(cart)["Rye loaf"] == 1
            assert lines_of(cart_with(undone.result)) == {"Rye loaf": 2}
        else:
            assert isinstance(undone.error, CannotUndo)
            assert lines_of(cart)["Rye loaf"] == 2
        forget_holds()


def test_undoing_while_holds_are_swept_and_others_want_the_room_never_blocks(
    met: Met, fill_cart: Fill, loaf: Product
) -> None:
    for _ in range(6):
        user, _cart, token, merge = met()
        Hold.objects.update(until=Hold.objects.earliest("claimed_at").claimed_at)
        rivals = [fill_cart()[1] for _ in range(3)]

        outcomes = run_at_once(
            partial(services.undo_merge, token, user, merge.uuid),
            capacity.give_expired_back,
            *(partial(add, rival, None, loaf, 2) for rival in rivals),
        )

        assert {type(outcome.error) for outcome in outcomes} <= {type(None), Unavailable}
        assert outcomes[0].error is None
        assert taken(loaf) <= 5
        forget_holds()


def test_saving_and_bringing_back_in_many_tabs_ends_in_one_of_them(fill_cart: Fill, loaf: Product) -> None:
    for _ in range(6):
        cart, token = fill_cart((loaf, 3))
        item = item_of(cart, loaf).pk

        results_of(run_at_once(*[partial(save, token, None, item), partial(bring_back, token, None, item)] * 3))

        assert lines_of(cart) | saved_in(cart) == {"Rye loaf": 3}
        assert taken(loaf) == sum(held_by(cart).values()) == sum(lines_of(cart).values())
        forget_holds()


def test_saving_while_another_tab_adds_loses_nothing(fill_cart: Fill, loaf: Product) -> None:
    for _ in range(6):
        cart, token = fill_cart((loaf, 2))

        results_of(run_at_once(partial(save, token, None, item_of(cart, loaf).pk), partial(add, token, None, loaf)))

        assert (lines_of(cart), saved_in(cart)) in (({"Rye loaf": 1}, {}), ({}, {"Rye loaf": 3}))
        assert taken(loaf) == sum(lines_of(cart).values())
        forget_holds()


def test_ordering_what_has_a_saved_line_while_one_signs_in_elsewhere_loses_nothing(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    """The order leaves a new cart behind for what was saved, and whoever adopts at this moment must find that one."""
    for _ in range(8):
        user = UserFactory.create()
        mine, token = fill_cart((honey, 1), (loaf, 2), user=user)
        services.save_for_later(mine, item_of(mine, loaf).pk)
        _found, anonymous = fill_cart((workshop, 1))

        placed, adopted = run_at_once(order_of(token, user), partial(services.adopt, anonymous, user))

        assert adopted.error is None
        assert placed.error is None or isinstance(placed.error, CannotPlace)
        cart = Cart.objects.open().get(user=user)
        assert saved_in(cart) == {"Rye loaf": 2}
        assert lines_of(cart)["Bread workshop"] == 1
        forget_holds()


def test_what_is_added_while_the_order_is_placed_joins_what_was_saved(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    for _ in range(6):
        cart, token = fill_cart((honey, 1), (loaf, 2))
        services.save_for_later(cart, item_of(cart, loaf).pk)

        placed, added = run_at_once(order_of(token), partial(add, token, None, workshop))

        assert added.error is None
        if placed.error is None:
            assert added.result == services.token_after_order(token)
            assert saved_in(cart_with(added.result)) == {"Rye loaf": 2}
            assert lines_of(cart_with(added.result)) == {"Bread workshop": 1}
        else:
            assert isinstance(placed.error, CannotPlace)
            assert lines_of(cart) == {"Heather honey": 1, "Bread workshop": 1}
        forget_holds()


def test_a_double_click_on_the_order_carries_what_was_saved_over_once(
    fill_cart: Fill, honey: Product, loaf: Product
) -> None:
    cart, token = fill_cart((honey, 1), (loaf, 2))
    services.save_for_later(cart, item_of(cart, loaf).pk)

    placed: list[Any] = results_of(run_at_once(*[order_of(token)] * 5))

    assert len({order.pk for order, _new in placed}) == 1
    assert saved_in(cart_with(services.token_after_order(token) or "")) == {"Rye loaf": 2}
    assert CartItem.objects.filter(saved_at__isnull=False).count() == 1


def test_ordering_while_a_line_is_saved_is_what_was_agreed_or_is_refused(
    fill_cart: Fill, honey: Product, loaf: Product
) -> None:
    for _ in range(6):
        cart, token = fill_cart((honey, 1), (loaf, 2))

        placed, saved = run_at_once(order_of(token), partial(save, token, None, item_of(cart, loaf).pk))

        if placed.error is None:
            order, _new = placed.result
            assert [line.title for line in order.lines.filter(kind="product")] == ["Heather honey", "Rye loaf"]
            assert saved.error is not None
        else:
            assert isinstance(placed.error, CannotPlace)
            assert (lines_of(cart), saved_in(cart), taken(loaf)) == ({"Heather honey": 1}, {"Rye loaf": 2}, 0)
        forget_holds()
