"""Real threads on real connections: never a place too many, and nobody waits for each other."""

import random
import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from bookings import capacity
from bookings.models import Hold, Pool
from tests.bookings.blocked import wait_until_somebody_is_blocked
from tests.bookings.books import assert_pools_balance
from tests.concurrency import Outcome, results_of, run_at_once
from tests.factories import PoolFactory

pytestmark = pytest.mark.django_db(transaction=True)


def sold_out_in(outcomes: list[Outcome]) -> int:
    """How many found no room; whatever else went wrong is raised."""
    refused = [outcome for outcome in outcomes if isinstance(outcome.error, capacity.SoldOut)]
    results_of([outcome for outcome in outcomes if outcome not in refused])
    return len(refused)


def test_forty_people_after_ten_places_get_exactly_ten(pool: Pool) -> None:
    outcomes = run_at_once(*[partial(capacity.claim, pool.pk, 1, None)] * 40)

    assert sold_out_in(outcomes) == 30
    pool.refresh_from_db()
    assert pool.taken == 10


def test_forty_people_after_ten_places_that_expired_carts_hold_get_exactly_ten(pool: Pool) -> None:
    for _ in range(10):
        capacity.claim(pool.pk, 1, timezone.now())

    outcomes = run_at_once(*[partial(capacity.claim, pool.pk, 1, None)] * 40)

    assert sold_out_in(outcomes) == 30
    assert Hold.objects.live().filter(until=None).count() == 10


def test_whoever_waited_for_a_pool_gets_what_was_given_back_meanwhile(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 10, None)
    given_back = threading.Event()

    def give_back_slowly() -> int:
        with transaction.atomic():
            capacity.give_back([hold.pk])
            given_back.set()
            wait_until_somebody_is_blocked()
        return 0

    def claim() -> int:
        given_back.wait(10)
        return capacity.claim(pool.pk, 3, None).quantity

    assert results_of(run_at_once(give_back_slowly, claim)) == [0, 3]


def test_a_hold_that_two_split_at_once_is_split_once(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 3, None)
    split = threading.Event()

    def split_slowly() -> int:
        with transaction.atomic():
            ones = capacity.split([hold.pk])[hold.pk]
            split.set()
            wait_until_somebody_is_blocked()
        return len(ones)

    def split_again() -> int:
        split.wait(10)
        return len(capacity.split([hold.pk])[hold.pk])

    assert results_of(run_at_once(split_slowly, split_again)) == [3, 0]


def test_sixteen_people_after_the_same_pools_in_any_order_never_block_each_other() -> None:
    pools = [PoolFactory.create(wanted=20) for _ in range(6)]

    def shop(seed: int) -> int:
        dice = random.Random(seed)
        for _ in range(8):
            wish = dice.sample(pools, k=4)
            holds = capacity.claim_all([(pool.pk, dice.randint(1, 2)) for pool in wish], None)
            capacity.give_back([hold.pk for hold in dice.sample(holds, k=3)])
        return seed

    outcomes = run_at_once(*(partial(shop, seed) for seed in range(16)))

    sold_out_in(outcomes)
    assert_pools_balance()


def test_giving_back_claiming_renewing_and_the_timer_never_block_each_other() -> None:
    pools = [PoolFactory.create(wanted=6) for _ in range(4)]

    def shop(seed: int) -> int:
        dice = random.Random(seed)
        for _ in range(8):
            wish = [(pool.pk, 1) for pool in dice.sample(pools, k=3)]
            holds = capacity.claim_all(wish, timezone.now() + timedelta(milliseconds=dice.randint(0, 30)))
            capacity.renew([hold.pk for hold in holds[:1]])
            capacity.resize(holds[1], dice.randint(0, 2))
            capacity.give_back([hold.pk for hold in holds])
        return seed

    def sweep() -> int:
        return sum(capacity.give_expired_back(most=3) for _ in range(30))

    outcomes = run_at_once(*(partial(shop, seed) for seed in range(13)), sweep, sweep, sweep)

    sold_out_in(outcomes)
    assert_pools_balance()


def test_turning_holds_into_bookings_never_blocks_those_who_claim() -> None:
    first, second = PoolFactory.create(wanted=None), PoolFactory.create(wanted=None)
    # Keys in the opposite order of their pools': as when an order's lines are not sorted by pool.
    pairs = [[h.pk for h in capacity.claim_all([(second.pk, 2), (first.pk, 2)], None)] for _ in range(40)]

    def issue(mine: list[list[int]]) -> int:
        return sum(len(capacity.split(pair)) for pair in mine)

    def buy() -> int:
        return sum(len(capacity.claim_all([(first.pk, 1), (second.pk, 1)], None)) for _ in range(25))

    outcomes = run_at_once(*(partial(issue, pairs[n::4]) for n in range(4)), *[buy] * 4)

    sold_out_in(outcomes)
    assert_pools_balance()


def test_a_hold_that_splits_lets_others_claim_meanwhile(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 2, None)
    claimed = threading.Event()

    def split_and_wait() -> bool:
        with transaction.atomic():
            capacity.split([hold.pk])
            return claimed.wait(10)

    def claim() -> bool:
        capacity.claim(pool.pk, 1, None)
        claimed.set()
        return True

    assert results_of(run_at_once(split_and_wait, claim)) == [True, True]


def test_one_hold_given_back_by_everybody_is_given_back_once(pool: Pool) -> None:
    capacity.claim(pool.pk, 5, None)
    hold = capacity.claim(pool.pk, 5, None)

    outcomes = run_at_once(*[partial(capacity.give_back, [hold.pk])] * 12)

    assert sorted(results_of(outcomes)) == [0] * 11 + [1]
    pool.refresh_from_db()
    assert pool.taken == 5


def test_an_expired_hold_goes_to_its_renewer_or_to_whoever_needs_it_but_not_to_both(pool: Pool) -> None:
    for _ in range(10):
        Hold.objects.update(quantity=0)
        Pool.objects.filter(pk=pool.pk).update(taken=0)
        hold = capacity.claim(pool.pk, 10, until=timezone.now())

        renewed, claimed = run_at_once(partial(capacity.renew, [hold.pk]), partial(capacity.claim, pool.pk, 1, None))

        hold.refresh_from_db()
        assert renewed.error is None
        assert hold.quantity == (10 if sold_out_in([claimed]) else 0)
        assert_pools_balance()


def test_less_capacity_and_claims_at_once_never_break_the_bounds(pool: Pool) -> None:
    def shrink(to: int) -> None:
        capacity.set_capacity(Pool.objects.get(pk=pool.pk), to)

    jobs = [partial(capacity.claim, pool.pk, 1, None)] * 12
    outcomes = run_at_once(*jobs, *(partial(shrink, to) for to in (9, 3, 7, 5)))

    sold_out_in(outcomes)
    pool.refresh_from_db()
    assert pool.capacity == max(pool.wanted or 0, pool.taken)
    assert_pools_balance()


def test_handing_over_at_once_never_hands_over_more_than_was_held(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 5, None)

    outcomes = run_at_once(*[partial(capacity.hand_over, hold, 1)] * 8)

    assert sum(isinstance(outcome.error, ValueError) for outcome in outcomes) == 3
    pool.refresh_from_db()
    assert (pool.wanted, pool.capacity, pool.taken) == (5, 5, 0)
