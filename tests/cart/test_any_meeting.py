"""Whatever two baskets hold, and whatever is done meanwhile: nothing is lost or leaked, and undoing restores both."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from time_machine import Traveller, travel

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, CartMerge, Product, hash_token
from cart.services import CannotUndo, Unavailable
from cartsite.models import User
from tests.bookings.books import assert_pools_balance
from tests.cart.baskets import lines_of, saved_in
from tests.factories import EntryFactory, ProductFactory, UserFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Shopper:
    """Somebody with a browser and an account, things to buy, and a clock: each method is something that may happen."""

    def __init__(self, clock: Traveller) -> None:
        self.clock = clock
        morning = EntryFactory.create(title="Morning", places=6)
        self.things: list[Product | Entry] = [
            ProductFactory.create(title="Honey"),
            ProductFactory.create(title="Loaf", stock=5),
            morning,
            EntryFactory.create(title="Evening", calendar=morning.calendar, pool=morning.pool),
        ]
        self.user: User = UserFactory.create()
        self.token = ""
        self.signed_in = False
        self.others: set[int] = set()  # holds of somebody else

    @property
    def cart(self) -> Cart:
        """The cart that this browser fills."""
        cart, token = services.open_cart(self.token, self.user if self.signed_in else None)
        self.token = token or self.token
        return cart

    def some(self, dice: int) -> int:
        items = list(self.cart.items.order_by("pk").values_list("pk", flat=True))
        return items[dice % len(items)] if items else 0

    def add(self, dice: int, n: int) -> None:
        thing = self.things[dice % len(self.things)]
        services.add(self.cart, type(thing).objects.select_related("pool").get(pk=thing.pk), n + 1)  # type: ignore[attr-defined]

    def set(self, dice: int, n: int) -> None:
        services.set_quantity(self.cart, self.some(dice), n + 1)

    def save(self, dice: int, n: int) -> None:
        services.save_for_later(self.cart, self.some(dice))

    def bring_back(self, dice: int, n: int) -> None:
        services.bring_back(self.cart, self.some(dice))

    def renew(self, dice: int, n: int) -> None:
        services.renew(self.cart)

    def wait(self, dice: int, n: int) -> None:
        self.clock.shift(timedelta(minutes=5 * n))

    def expire(self, dice: int, n: int) -> None:
        capacity.give_expired_back(most=n + 1)

    def rival(self, dice: int, n: int) -> None:
        """Somebody else is faster."""
        until = capacity.cart_hold_ends() if dice % 2 else None
        self.others.add(capacity.claim(self.things[1 + dice % 3].pool_id or 0, n + 1, until).pk)

    def other_device(self, dice: int, n: int) -> None:
        """The account's basket changes where this browser does not look."""
        cart, _token = services.open_cart("", self.user)
        services.add(cart, self.things[dice % len(self.things)], n + 1)

    def other_device_saves(self, dice: int, n: int) -> None:
        cart, _token = services.open_cart("", self.user)
        items = list(cart.items.order_by("pk"))
        if items:
            services.save_for_later(cart, items[dice % len(items)].pk)

    def sign_in(self, dice: int, n: int) -> None:
        if self.token and not self.signed_in:
            before = all_lines()
            _cart, self.token = services.adopt(self.token, self.user, keep_presented=bool(dice % 2))
            assert_no_thing_lost(before)
        self.signed_in = True

    def sign_out(self, dice: int, n: int) -> None:
        self.signed_in, self.token = False, ""

    def put_together(self, dice: int, n: int) -> None:
        if self.signed_in and self.token:
            choose: Callable[[str, User], tuple[Cart, str]] = services.leave if dice % 2 else services.adopt
            before = all_lines()
            _cart, self.token = choose(self.token, self.user)
            assert_no_thing_lost(before)

    def undo(self, dice: int, n: int) -> None:
        merge = CartMerge.objects.filter(cart__user=self.user, ended_at=None).order_by("pk").last()
        if merge is not None and self.signed_in:
            before = all_lines()
            fresh = services.undo_merge(self.token, self.user, merge.uuid)
            self.token = fresh
            assert_no_thing_lost(before)
            assert_was_restored(merge, Cart.objects.get(token_hash=hash_token(fresh)))


def all_lines() -> dict[str, int]:
    """The largest quantity of everything in any open cart, active or saved."""
    lines: dict[str, int] = {}
    for item in CartItem.objects.loaded().filter(cart__ordered_at=None):
        lines[item.thing.title] = max(lines.get(item.thing.title, 0), item.quantity)
    return lines


def assert_no_thing_lost(before: dict[str, int]) -> None:
    """Everything is in some cart still."""
    assert before.keys() <= all_lines().keys()


def assert_was_restored(merge: CartMerge, presented: Cart) -> None:
    """Both carts have what was written down; the presented one may have more things since."""
    own, found = recorded(merge.own_lines), recorded(merge.presented_lines)
    assert (lines_of(merge.cart), saved_in(merge.cart)) == own
    assert found[0].items() <= lines_of(presented).items()
    assert found[1].items() <= saved_in(presented).items()


def recorded(lines: list[dict[str, Any]]) -> tuple[dict[str, int], dict[str, int]]:
    """What a record says was active and saved: how many of each title."""
    titles = dict(Product.objects.values_list("pk", "title")), dict(Entry.objects.values_list("pk", "title"))
    named = [
        (titles[0][line["product"]] if line["product"] else titles[1][line["entry"]], line["quantity"], line["saved"])
        for line in lines
    ]
    return {t: q for t, q, saved in named if not saved}, {t: q for t, q, saved in named if saved}


def assert_all_is_well(others: set[int]) -> None:
    """The books balance; every live hold but the others' is a line's, no larger than that, and ends within its hour."""
    assert_pools_balance()
    for hold in Hold.objects.live().exclude(pk__in=others).select_related("cart_item"):
        assert hold.until is not None
        assert hold.until <= hold.claimed_at + HOUR, hold
        assert hold.quantity <= hold.cart_item.quantity, hold
    for item in CartItem.objects.filter(saved_at__isnull=False):
        assert item.hold_id is None


HAPPENINGS: dict[str, Callable[[Shopper, int, int], Any]] = {
    name: happening
    for name, happening in vars(Shopper).items()
    if not name.startswith("_") and name not in ("some", "cart")
}
OFTEN = ["sign_in", "undo", "put_together", "add", "add", "other_device"]
STEPS = st.lists(
    st.tuples(st.sampled_from([*sorted(HAPPENINGS), *OFTEN]), st.integers(0, 20), st.integers(0, 5)), max_size=25
)
MINE, FOUND, IN, OUT = ("other_device", 1, 1), ("add", 1, 2), ("sign_in", 0, 0), ("undo", 0, 0)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[MINE, FOUND, IN, OUT, ("put_together", 1, 0)])
@example(steps=[MINE, FOUND, ("wait", 0, 4), ("expire", 0, 5), ("rival", 0, 2), IN, OUT])
@example(steps=[MINE, FOUND, ("other_device", 3, 1), ("add", 2, 2), ("sign_in", 1, 0), OUT])
@example(steps=[MINE, FOUND, IN, ("save", 0, 0), ("add", 0, 2), ("rival", 0, 2), OUT])
def test_nothing_is_lost_or_leaked_by_any_history_of_two_baskets(db: None, steps: list[tuple[str, int, int]]) -> None:
    with travel(NOON, tick=False) as clock, transaction.atomic():
        shopper = Shopper(clock)

        for name, dice, n in steps:
            before, token = all_lines(), shopper.token
            try:
                with transaction.atomic():
                    HAPPENINGS[name](shopper, dice, n)
            except (Unavailable, CannotUndo, capacity.SoldOut, CartItem.DoesNotExist):
                # What cannot be done is said, and nothing has moved: nor did anybody get a cookie.
                assert all_lines() == before
                shopper.token = token
            assert_all_is_well(shopper.others)
        transaction.set_rollback(True)
