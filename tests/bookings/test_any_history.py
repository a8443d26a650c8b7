"""Whatever happens to pools, in whatever order: what is taken is what is held, and never more than there is."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from time_machine import Traveller, travel

from bookings import capacity
from bookings.models import Hold, Pool
from tests.bookings.books import assert_pools_balance

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
POOLS = 3


class History:
    """Some pools, the holds taken from them, and a clock: each method is something that may happen."""

    def __init__(self, clock: Traveller) -> None:
        self.clock = clock
        self.pools = [capacity.new_pool(f"Pool {n}", wanted) for n, wanted in enumerate((4, 7, None))]
        self.holds: list[Hold] = []

    def some(self, dice: int) -> Hold | None:
        return self.holds[dice % len(self.holds)] if self.holds else None

    def claim(self, dice: int, n: int) -> None:
        wish = [(self.pools[(dice + step) % POOLS].pk, n) for step in range(1 + dice % POOLS)]
        self.holds += capacity.claim_all(wish, None if dice % 4 == 0 else capacity.cart_hold_ends())

    def resize(self, dice: int, n: int) -> None:
        if (hold := self.some(dice)) is not None:
            capacity.resize(hold, n)

    def renew(self, dice: int, n: int) -> None:
        capacity.renew([hold.pk for hold in self.holds[dice % 3 :: n + 1]])

    def keep(self, dice: int, n: int) -> None:
        capacity.keep([hold.pk for hold in self.holds[dice % 3 :: n + 1]])

    def hand_back_to_cart(self, dice: int, n: int) -> None:
        capacity.hand_back_to_cart([hold.pk for hold in self.holds[dice % 3 :: n + 1]])

    def give_back(self, dice: int, n: int) -> None:
        capacity.give_back([hold.pk for hold in self.holds[dice % 3 :: n + 1]])

    def give_expired_back(self, dice: int, n: int) -> None:
        capacity.give_expired_back(most=n + 1)

    def split(self, dice: int, n: int) -> None:
        if (hold := self.some(dice)) is not None:
            self.holds += capacity.split([hold.pk])[hold.pk]

    def join(self, dice: int, n: int) -> None:
        one, other = self.some(dice), self.some(dice + n)
        if one and other and one.pk != other.pk and one.pool_id == other.pool_id:
            held = capacity.lock([one.pk, other.pk])
            capacity.join(held[one.pk], held[other.pk])

    def hand_over(self, dice: int, n: int) -> None:
        if (hold := self.some(dice)) is not None:
            capacity.hand_over(hold, n)

    def set_capacity(self, dice: int, n: int) -> None:
        pool = Pool.objects.get(pk=self.pools[dice % POOLS].pk)
        capacity.set_capacity(pool, None if dice % 5 == 0 else n)

    def wait(self, dice: int, n: int) -> None:
        self.clock.shift(timedelta(minutes=5 * n))


HAPPENINGS: dict[str, Callable[[History, int, int], Any]] = {
    name: happening for name, happening in vars(History).items() if not name.startswith("_") and name != "some"
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.integers(0, 20), st.integers(0, 8)), max_size=25)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[("claim", 1, 4), ("wait", 0, 4), ("resize", 0, 5), ("resize", 1, 8)])
def test_the_books_balance_after_every_step_of_any_history(db: None, steps: list[tuple[str, int, int]]) -> None:
    with travel(NOON, tick=False) as clock, transaction.atomic():
        history = History(clock)

        for name, dice, n in steps:
            # No room, or less held than is to be handed over: both are said, and neither moves anything.
            with suppress(capacity.SoldOut, ValueError):
                HAPPENINGS[name](history, dice, n)

            assert_pools_balance()
            assert not [p for p in Pool.objects.all() if p.capacity != capacity_of(p)], name
        transaction.set_rollback(True)


def capacity_of(pool: Pool) -> int | None:
    """What a pool's capacity must be: what is wanted of it, or what is taken if that is more."""
    return None if pool.wanted is None else max(pool.wanted, pool.taken)


def test_the_clock_of_these_histories_is_the_shops(db: None) -> None:
    with travel(NOON, tick=False):
        assert timezone.now() == NOON
