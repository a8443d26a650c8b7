"""What shoppers do with their baskets: on several devices, before and after they sign in, for now and for later."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.test import Client
from hypothesis import strategies as st

from bookings import waiting
from bookings.models import Entry, Pool
from cart import services as carts
from cart.ending import ABANDONED_AFTER, purge_abandoned
from cart.merging import key_of
from cart.models import BurntToken, Cart, CartItem, CartMerge, hash_token
from cart.services import UnknownCart
from cartsite.models import User
from orders import services as orders
from orders.models import Order, OrderLine
from tests.machine.acts import DICE, Acts, Idle, act, one_of, some
from tests.machine.world import SIBLING

WHO = st.integers(0, 3)
LINES = st.lists(st.tuples(st.integers(0, 13), st.integers(1, 2)), min_size=1, max_size=3)
GUEST = "guest@example.org"
Key = tuple[int | None, int | None, int | None]


@dataclass
class Device:
    """A browser: who is signed in there, if anybody is, and the cookie of its cart."""

    user: User | None = None
    token: str = ""


class Baskets(Acts):
    """Two people with a device each, a visitor, and a second device of somebody who has not signed in there yet."""

    devices: list[Device]
    burnt: list[tuple[str, User]]  # tokens that were adopted, and by whom

    def switch_on(self) -> None:
        """The devices as they are in the morning."""
        ada, bob = self.world.people
        self.devices = [Device(), Device(ada), Device(bob), Device()]
        self.burnt = []

    def _cart_of(self, who: int) -> Cart:
        """The cart that this device fills, locked."""
        device = self.devices[who]
        cart, token = carts.open_cart(device.token, device.user)
        device.token = token or device.token
        return cart

    def _fill(self, who: int, lines: list[tuple[int, int]]) -> None:
        for number, quantity in lines:
            thing, kind = some(self.world.things, number)
            pools = [thing.pool_id] if isinstance(thing, Entry) else []
            is_queued, before = bool(waiting.is_queued(pools)), _taken(pools)
            with transaction.atomic():
                carts.add(self._cart_of(who), thing, quantity, kind)
            assert not is_queued or _taken(pools) <= before, f"{thing}: somebody waited for that"

    def _empty(self, who: int) -> None:
        """Whatever they had is somebody else's."""
        with transaction.atomic():
            cart = self._cart_of(who)
            for item in cart.items.filter(saved_at=None):
                carts.set_quantity(cart, item.pk, 0)
        self.start_counting()

    # Lines.

    @act(who=WHO, lines=LINES, agree=st.booleans())
    def fill_cart(self, who: int, lines: list[tuple[int, int]], agree: bool) -> None:
        self._fill(who, lines)
        if agree:
            with transaction.atomic():
                carts.accept_prices(self._cart_of(who))

    @act("cart:full", who=WHO, dice=DICE, quantity=st.integers(0, 3))
    def change_quantity(self, who: int, dice: int, quantity: int) -> None:
        with transaction.atomic():
            cart = self._cart_of(who)
            carts.set_quantity(cart, one_of(cart.items.filter(saved_at=None), dice).pk, quantity)

    @act("cart:full", who=WHO, dice=DICE)
    def save_for_later(self, who: int, dice: int) -> None:
        with transaction.atomic():
            cart = self._cart_of(who)
            carts.save_for_later(cart, one_of(cart.items.filter(saved_at=None), dice).pk)

    @act("cart:saved", who=WHO, dice=DICE)
    def bring_back(self, who: int, dice: int) -> None:
        with transaction.atomic():
            cart = self._cart_of(who)
            carts.bring_back(cart, one_of(cart.items.filter(saved_at__isnull=False), dice).pk)

    @act("cart:full", who=WHO)
    def keep_a_little_longer(self, who: int) -> None:
        with transaction.atomic():
            carts.renew(self._cart_of(who))

    @act("order", who=WHO, dice=DICE)
    def order_again(self, who: int, dice: int) -> None:
        lines = one_of(Order.objects.all(), dice).lines.filter(kind__in=OrderLine.GOODS)
        with transaction.atomic():
            cart = self._cart_of(who)
            things = [(line.product or line.entry, line.quantity, line.price_kind) for line in lines]
            gone = carts.add_again(cart, things)
            there = {item.key for item in cart.items.filter(saved_at=None)}
        missing = [line for line in lines if (line.product_id, line.entry_id, line.price_kind_id) not in there]
        assert len(missing) <= len(gone), f"{missing} did not come, and nobody said so"

    # Signing in, here and at a sibling's.

    @act("cart:full", dice=DICE, person=st.integers(0, 1), to_checkout=st.booleans())
    def sign_in(self, dice: int, person: int, to_checkout: bool) -> None:
        device = some([device for device in self.devices if device.user is None], dice)
        device.user = self.world.people[person]
        self._join(device, lambda token, user: carts.adopt(token, user, keep_presented=to_checkout))

    @act(who=WHO, mine=LINES, found=LINES, to_checkout=st.booleans())
    def sign_in_with_a_basket_here_and_there(
        self, who: int, mine: list[tuple[int, int]], found: list[tuple[int, int]], to_checkout: bool
    ) -> None:
        self._meet(who, mine, found, to_checkout)

    def _meet(self, who: int, mine: list[tuple[int, int]], found: list[tuple[int, int]], to_checkout: bool) -> Device:
        """What they had put in at home, then what they put in here, and now they sign in."""
        other = some([n for n, device in enumerate(self.devices) if n != who and device.user is not None], 0)
        self._fill(other, mine)
        device = self.devices[who] = Device()
        self._fill(who, found)
        device.user = self.devices[other].user
        self._join(device, lambda token, user: carts.adopt(token, user, keep_presented=to_checkout))
        return device

    @act(who=WHO, mine=LINES, found=LINES, to_checkout=st.booleans(), since=LINES)
    def sign_in_and_undo(
        self,
        who: int,
        mine: list[tuple[int, int]],
        found: list[tuple[int, int]],
        to_checkout: bool,
        since: list[tuple[int, int]],
    ) -> None:
        """They did not want that, and say so when they have put in something else."""
        device = self._meet(who, mine, found, to_checkout)
        self.quietly(self._fill, who, since)
        record = CartMerge.objects.filter(cart__user=device.user).order_by("pk").last()
        if record is not None:
            self.quietly(self._undo, device, record)

    @act("cart:full", dice=DICE, person=st.integers(0, 1), to_checkout=st.booleans())
    def sign_in_at_a_siblings(self, dice: int, person: int, to_checkout: bool) -> None:
        """Twice, since the sibling did not hear the first answer."""
        device = some([device for device in self.devices if device.user is None and device.token], dice)
        device.user = self.world.people[person]
        self._join(device, lambda token, user: self._ask_to_adopt(token, user, to_checkout))
        again = self._ask_to_adopt(self.burnt[-1][0], device.user, to_checkout)
        assert again[0] == Cart.objects.open().get(user=device.user)
        device.token = again[1]

    def _ask_to_adopt(self, token: str, user: User, to_checkout: bool) -> tuple[Cart, str]:
        sibling = Client(headers={"Authorization": f"Bearer {SIBLING}"})
        body = {"cart": token, "user": str(user.uuid), "checkout": to_checkout}
        answer = sibling.post("/internal/cart/adopt", json.dumps(body), content_type="application/json")
        if answer.status_code == 404:
            raise UnknownCart
        assert answer.status_code == 200, answer.content
        return Cart.objects.open().get(user=user), answer.json()["cart"]

    def _join(self, device: Device, choose: Callable[[str, User], tuple[Cart, str]]) -> None:
        """Sign in with the cart of this device; without one there is nothing to join. A cookie of nothing goes."""
        if not device.token or device.user is None:
            return
        presented, device.token = device.token, ""
        before = _keys_of(presented, device.user)
        cart, device.token = choose(presented, device.user)
        self.burnt.append((presented, device.user))
        assert before <= {item.key for item in cart.items.all()}, "A thing was lost when two carts met"

    @act(who=WHO)
    def sign_out(self, who: int) -> None:
        self.devices[who] = Device()

    @act("cart:adopted", dice=DICE, person=st.integers(0, 1))
    def present_a_burnt_token(self, dice: int, person: int) -> None:
        """13: by the same person it gets the same cart, by anybody else nothing."""
        token, user = some(self.burnt, dice)
        cart, fresh = carts.adopt(token, user)
        assert carts.adopt(token, user)[0] == cart
        assert cart.user == user
        with pytest.raises(UnknownCart):
            carts.adopt(fresh, next(other for other in self.world.people if other != user))

    @act("cart:full", dice=DICE, own=st.booleans())
    def choose_between_two(self, dice: int, own: bool) -> None:
        """A person who looks at a visitor's cart: put together with their own, or saved in it."""
        device = some([device for device in self.devices if device.user and device.token], dice)
        self._join(device, carts.leave if own else carts.adopt)

    @act("cart:merged", dice=DICE)
    def undo_merge(self, dice: int) -> None:
        record = one_of(CartMerge.objects.filter(ended_at=None), dice)
        device = some([device for device in self.devices if device.user == record.cart.user], dice)
        self._undo(device, record)

    def _undo(self, device: Device, record: CartMerge) -> None:
        """Click on it, twice: both carts have what they had."""
        fresh = carts.undo_merge(device.token, device.user, record.uuid)
        assert carts.undo_merge(device.token, device.user, record.uuid) == fresh, "a second click"
        device.token = fresh
        own, found = _written(record.own_lines), _written(record.presented_lines)
        assert _lines_of(record.cart) == own
        assert found <= _lines_of(Cart.objects.get(token_hash=hash_token(fresh)))
        self.coverage.rules["undone"] += 1

    @act("cart:merged", dice=DICE)
    def put_the_message_away(self, dice: int) -> None:
        record = one_of(CartMerge.objects.filter(ended_at=None), dice)
        device = some([device for device in self.devices if device.user == record.cart.user], dice)
        carts.put_away(device.token, device.user, record.uuid)

    @act("order", person=st.integers(0, 1))
    def confirm_an_address(self, person: int) -> None:
        """What was ordered as a guest with this address is theirs from now on."""
        if not orders.take_over_guest_orders(self.world.people[person], [GUEST]):
            raise Idle

    @act("cart:full")
    def leave_all_carts_for_a_month(self) -> None:
        """Visitors' carts are swept away, even with live holds; people find theirs again. (Nothing else gets older.)"""
        mine = set(
            CartItem.objects.filter(cart__user__isnull=False, cart__ordered_at=None).values_list("pk", flat=True)
        )
        month = ABANDONED_AFTER + timedelta(minutes=1)
        Cart.objects.update(created_at=F("created_at") - month)
        CartItem.objects.update(changed_at=F("changed_at") - month)
        BurntToken.objects.update(burnt_at=F("burnt_at") - month)
        CartMerge.objects.update(made_at=F("made_at") - month)
        purge_abandoned()
        assert not Cart.objects.filter(user=None, ordered_at=None).exists()
        assert mine <= set(CartItem.objects.values_list("pk", flat=True))


def _keys_of(token: str, user: User) -> set[Key]:
    """What this visitor has in any cart."""
    basket = carts.basket_of(token, user)
    return {line.key for line in [*basket.lines, *basket.elsewhere]}


def _taken(pools: list[int]) -> int:
    """How much is taken of these pools (by primary keys) together."""
    return sum(Pool.objects.filter(pk__in=pools).values_list("taken", flat=True))


def _lines_of(cart: Cart) -> set[tuple[Key, bool, int]]:
    return {(item.key, item.saved_at is not None, item.quantity) for item in cart.items.all()}


def _written(lines: list[dict[str, Any]]) -> set[tuple[Key, bool, int]]:
    """The same, of one side of a record."""
    return {(key_of(line), line["saved"], line["quantity"]) for line in lines}
