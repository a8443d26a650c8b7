"""What becomes of a hold: kept, given back, split, joined, handed over."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from bookings import capacity
from bookings.models import Hold, Pool
from bookings.tasks import give_expired_back
from tests.factories import PoolFactory

pytestmark = pytest.mark.django_db


def soon() -> timedelta:
    return timedelta(minutes=15)


def numbers(pool: Pool) -> tuple[int | None, int | None, int]:
    """What is wanted of a pool, its capacity, and what is taken."""
    pool.refresh_from_db()
    return pool.wanted, pool.capacity, pool.taken


# --- Giving back ------------------------------------------------------------------------------------------------------


def test_giving_back_frees_the_room(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 4, None)

    assert capacity.give_back([hold.pk]) == 1

    hold.refresh_from_db()
    assert hold.quantity == 0
    assert numbers(pool) == (10, 10, 0)


def test_giving_back_twice_frees_the_room_once(pool: Pool) -> None:
    capacity.claim(pool.pk, 3, None)
    hold = capacity.claim(pool.pk, 4, None)
    capacity.give_back([hold.pk])

    assert capacity.give_back([hold.pk]) == 0

    assert numbers(pool) == (10, 10, 3)


def test_several_holds_of_several_pools_are_given_back_together(pool: Pool) -> None:
    other = PoolFactory.create(wanted=5)
    holds = capacity.claim_all([(pool.pk, 2), (other.pk, 3), (pool.pk, 1)], None)

    assert capacity.give_back([hold.pk for hold in holds]) == 3

    assert (numbers(pool)[2], numbers(other)[2]) == (0, 0)


def test_giving_nothing_back_is_no_trouble(pool: Pool) -> None:
    assert capacity.give_back([]) == 0


def test_capacity_falls_towards_what_is_wanted_as_places_come_back(pool: Pool) -> None:
    first, second = capacity.claim_all([(pool.pk, 6), (pool.pk, 4)], None)
    capacity.set_capacity(pool, 5)

    capacity.give_back([second.pk])
    after_four = numbers(pool)
    capacity.give_back([first.pk])

    assert after_four == (5, 6, 6)
    assert numbers(pool) == (5, 5, 0)


def test_what_was_sold_beyond_the_wanted_capacity_is_not_sold_again(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 10, None)
    capacity.set_capacity(pool, 8)
    capacity.resize(hold, 9)

    with pytest.raises(capacity.SoldOut):
        capacity.claim(pool.pk, 1, None)

    assert numbers(pool) == (8, 9, 9)


def test_the_timer_gives_expired_holds_back_and_no_others(pool: Pool, expired_hold: Hold) -> None:
    live = capacity.claim(pool.pk, 2, timezone.now() + soon())
    kept = capacity.claim(pool.pk, 1, None)

    give_expired_back()

    quantities = Hold.objects.in_bulk([expired_hold.pk, live.pk, kept.pk])
    assert [quantities[hold.pk].quantity for hold in (expired_hold, live, kept)] == [0, 2, 1]
    assert numbers(pool) == (10, 10, 3)


def test_the_timer_goes_in_batches(pool: Pool) -> None:
    for _ in range(5):
        capacity.claim(pool.pk, 1, timezone.now())

    assert capacity.give_expired_back(most=2) == 2
    assert numbers(pool)[2] == 3

    give_expired_back()
    assert numbers(pool)[2] == 0


# --- Keeping, and the way back to a cart ------------------------------------------------------------------------------


def test_a_kept_hold_has_no_end(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 4, timezone.now())

    capacity.keep([hold.pk])

    assert capacity.give_expired_back() == 0
    hold.refresh_from_db()
    assert (hold.until, hold.quantity) == (None, 4)


def test_what_an_order_held_goes_back_to_a_cart_as_if_claimed_now(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 4, None)
    Hold.objects.filter(pk=hold.pk).update(claimed_at=timezone.now() - timedelta(hours=5))

    before = timezone.now()
    capacity.hand_back_to_cart([hold.pk])

    hold.refresh_from_db()
    assert hold.until is not None
    assert before + soon() <= hold.until <= timezone.now() + soon()
    assert numbers(pool)[2] == 4


# --- Joining ----------------------------------------------------------------------------------------------------------


def test_joining_moves_everything_into_one_hold_and_frees_nothing(pool: Pool) -> None:
    into, other = capacity.claim_all([(pool.pk, 3), (pool.pk, 2)], timezone.now() + soon())

    with transaction.atomic():
        held = capacity.lock([into.pk, other.pk])
        capacity.join(held[into.pk], held[other.pk])

    holds = Hold.objects.in_bulk([into.pk, other.pk])
    assert (holds[into.pk].quantity, holds[other.pk].quantity) == (5, 0)
    assert numbers(pool)[2] == 5


def test_joining_does_not_win_time(pool: Pool) -> None:
    into, other = capacity.claim_all([(pool.pk, 3), (pool.pk, 2)], timezone.now() + soon())
    long_ago = timezone.now() - timedelta(minutes=50)
    Hold.objects.filter(pk=other.pk).update(claimed_at=long_ago)

    with transaction.atomic():
        held = capacity.lock([into.pk, other.pk])
        capacity.join(held[into.pk], held[other.pk])

    into.refresh_from_db()
    assert into.claimed_at == long_ago


def test_what_was_given_back_long_ago_does_not_age_the_other(pool: Pool) -> None:
    into, other = capacity.claim_all([(pool.pk, 3), (pool.pk, 2)], timezone.now() + soon())
    Hold.objects.filter(pk=other.pk).update(claimed_at=timezone.now() - timedelta(minutes=50))
    capacity.give_back([other.pk])

    with transaction.atomic():
        held = capacity.lock([into.pk, other.pk])
        capacity.join(held[into.pk], held[other.pk])

    joined = Hold.objects.get(pk=into.pk)
    assert (joined.quantity, joined.claimed_at) == (3, into.claimed_at)


# --- Splitting into bookings ------------------------------------------------------------------------------------------


def test_a_split_hold_becomes_as_many_of_one_without_end(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 3, timezone.now() + soon())

    ones = capacity.split([hold.pk])

    assert [(one.quantity, one.until, one.pool_id) for one in ones[hold.pk]] == [(1, None, pool.pk)] * 3
    assert Hold.objects.get(pk=hold.pk).quantity == 0
    assert numbers(pool)[2] == 3


def test_each_of_several_holds_gets_its_own_parts(pool: Pool) -> None:
    other = PoolFactory.create(wanted=5)
    first, second = capacity.claim_all([(other.pk, 2), (pool.pk, 1)], None)

    ones = capacity.split([second.pk, first.pk])

    assert {pk: [part.pool_id for part in parts] for pk, parts in ones.items()} == {
        first.pk: [other.pk, other.pk],
        second.pk: [pool.pk],
    }


def test_splitting_twice_makes_no_second_places(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 3, None)
    capacity.split([hold.pk])

    assert capacity.split([hold.pk]) == {hold.pk: []}

    assert numbers(pool)[2] == 3


# --- Handing over -----------------------------------------------------------------------------------------------------


def test_goods_handed_over_are_neither_taken_nor_there(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 4, None)

    capacity.hand_over(hold, 3)

    hold.refresh_from_db()
    assert hold.quantity == 1
    assert numbers(pool) == (7, 7, 1)


def test_no_more_can_be_handed_over_than_is_held(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 4, None)

    with pytest.raises(ValueError, match="only 4 held"):
        capacity.hand_over(hold, 5)

    assert numbers(pool) == (10, 10, 4)


def test_handing_over_what_is_not_limited_only_lowers_what_is_taken() -> None:
    endless = PoolFactory.create(wanted=None)
    hold = capacity.claim(endless.pk, 4, None)

    capacity.hand_over(hold, 4)

    assert numbers(endless) == (None, None, 0)


def test_handing_over_of_an_oversold_pool_lowers_both(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 8, None)
    capacity.set_capacity(pool, 5)

    capacity.hand_over(hold, 2)

    assert numbers(pool) == (3, 6, 6)


def test_handing_over_more_than_was_said_to_be_there_stops_at_none(pool: Pool) -> None:
    hold = capacity.claim(pool.pk, 8, None)
    capacity.set_capacity(pool, 1)

    capacity.hand_over(hold, 3)

    assert numbers(pool) == (0, 5, 5)
