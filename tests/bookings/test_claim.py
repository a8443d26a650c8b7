"""Claiming room: never more than there is, all of it or nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from time_machine import travel

from bookings import capacity
from bookings.models import Hold, Pool
from tests.factories import PoolFactory

pytestmark = pytest.mark.django_db


def in_15_minutes() -> datetime:
    return timezone.now() + timedelta(minutes=15)


def taken(pool: Pool) -> int:
    return Pool.objects.get(pk=pool.pk).taken


def test_a_claim_takes_room_and_leaves_a_hold(pool: Pool) -> None:
    until = in_15_minutes()

    hold = capacity.claim(pool.pk, 3, until)

    assert taken(pool) == 3
    assert Hold.objects.values_list("pool", "quantity", "until").get(pk=hold.pk) == (pool.pk, 3, until)


def test_the_last_place_can_be_claimed(pool: Pool) -> None:
    capacity.claim(pool.pk, 10, in_15_minutes())

    assert taken(pool) == 10


def test_one_more_than_there_is_is_sold_out_and_takes_nothing(pool: Pool) -> None:
    with pytest.raises(capacity.SoldOut) as sold_out:
        capacity.claim(pool.pk, 11, in_15_minutes())

    assert sold_out.value.pools == {pool.pk}
    assert taken(pool) == 0
    assert not Hold.objects.exists()


def test_a_pool_without_limit_never_sells_out() -> None:
    endless = PoolFactory.create(wanted=None)

    capacity.claim(endless.pk, 100_000, in_15_minutes())

    assert taken(endless) == 100_000
    assert Pool.objects.get(pk=endless.pk).free is None


def test_sold_out_takes_nothing_of_the_pools_that_had_room_either(pool: Pool) -> None:
    full, roomy = PoolFactory.create(wanted=0), PoolFactory.create(wanted=5)

    with pytest.raises(capacity.SoldOut) as sold_out:
        capacity.claim_all([(pool.pk, 2), (full.pk, 1), (roomy.pk, 5)], in_15_minutes())

    assert sold_out.value.pools == {full.pk}
    assert [taken(p) for p in (pool, full, roomy)] == [0, 0, 0]
    assert not Hold.objects.exists()


def test_sold_out_names_every_pool_that_lacks_room(pool: Pool) -> None:
    first, second = PoolFactory.create(wanted=1), PoolFactory.create(wanted=1)

    with pytest.raises(capacity.SoldOut) as sold_out:
        capacity.claim_all([(second.pk, 2), (pool.pk, 1), (first.pk, 2)], in_15_minutes())

    assert sold_out.value.pools == {first.pk, second.pk}


def test_several_requests_of_one_pool_are_counted_together(pool: Pool) -> None:
    with pytest.raises(capacity.SoldOut):
        capacity.claim_all([(pool.pk, 6), (pool.pk, 5)], in_15_minutes())

    assert taken(pool) == 0


def test_each_request_gets_its_own_hold_in_the_order_asked(pool: Pool) -> None:
    other = PoolFactory.create(wanted=5)

    holds = capacity.claim_all([(other.pk, 2), (pool.pk, 3), (other.pk, 1)], in_15_minutes())

    assert [(hold.pool_id, hold.quantity) for hold in holds] == [(other.pk, 2), (pool.pk, 3), (other.pk, 1)]
    assert (taken(pool), taken(other)) == (3, 3)


def test_asking_for_nothing_gets_nothing() -> None:
    assert capacity.claim_all([], None) == []


def test_an_expired_hold_counts_until_somebody_needs_the_room(pool: Pool, expired_hold: Hold) -> None:
    capacity.claim(pool.pk, 6, in_15_minutes())

    expired_hold.refresh_from_db()
    assert (taken(pool), expired_hold.quantity) == (10, 4)


def test_an_expired_hold_is_taken_from_when_room_is_needed(pool: Pool, expired_hold: Hold) -> None:
    capacity.claim(pool.pk, 7, in_15_minutes())

    expired_hold.refresh_from_db()
    assert (taken(pool), expired_hold.quantity) == (7, 0)


def test_a_live_hold_is_never_taken_from(pool: Pool) -> None:
    live = capacity.claim(pool.pk, 4, in_15_minutes())

    with pytest.raises(capacity.SoldOut):
        capacity.claim(pool.pk, 7, in_15_minutes())

    live.refresh_from_db()
    assert (taken(pool), live.quantity) == (4, 4)


def test_a_hold_without_end_is_never_taken_from(pool: Pool) -> None:
    kept = capacity.claim(pool.pk, 4, until=None)

    with travel(timezone.now() + timedelta(days=400)), pytest.raises(capacity.SoldOut):
        capacity.claim(pool.pk, 7, in_15_minutes())

    kept.refresh_from_db()
    assert kept.quantity == 4


def test_a_claim_that_fails_all_the_same_gives_no_expired_hold_back(pool: Pool, expired_hold: Hold) -> None:
    with pytest.raises(capacity.SoldOut):
        capacity.claim(pool.pk, 11, in_15_minutes())

    expired_hold.refresh_from_db()
    assert (taken(pool), expired_hold.quantity) == (4, 4)


def test_expired_holds_of_other_pools_are_left_alone(pool: Pool, expired_hold: Hold) -> None:
    full = PoolFactory.create(wanted=2)
    capacity.claim(full.pk, 2, until=timezone.now())

    capacity.claim(full.pk, 2, in_15_minutes())

    expired_hold.refresh_from_db()
    assert expired_hold.quantity == 4


def test_a_hold_is_over_at_the_moment_it_names(pool: Pool) -> None:
    with travel(datetime(2026, 6, 1, 12, 0, tzinfo=UTC), tick=False) as clock:
        capacity.claim(pool.pk, 10, until=timezone.now() + timedelta(minutes=15))
        clock.shift(timedelta(minutes=15) - timedelta(seconds=1))
        with pytest.raises(capacity.SoldOut):
            capacity.claim(pool.pk, 1, None)
        clock.shift(timedelta(seconds=1))

        capacity.claim(pool.pk, 1, None)

    assert taken(pool) == 1


def test_a_claim_of_less_than_nothing_is_refused_by_the_database(pool: Pool) -> None:
    capacity.claim(pool.pk, 5, None)

    with pytest.raises(IntegrityError), transaction.atomic():
        capacity.claim(pool.pk, -1, None)

    assert taken(pool) == 5


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"taken": 11}, "pool_taken_within_capacity"),
        ({"taken": -1}, "taken"),
        ({"capacity": 9}, "pool_capacity_not_below_wanted"),
        ({"capacity": None}, "pool_capacity_not_below_wanted"),
        ({"wanted": 11}, "pool_capacity_not_below_wanted"),
    ],
)
def test_the_database_refuses_a_pool_that_makes_no_sense(
    pool: Pool, change: dict[str, int | None], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Pool.objects.filter(pk=pool.pk).update(**change)


def test_the_database_refuses_a_capacity_below_what_is_taken(pool: Pool) -> None:
    capacity.claim(pool.pk, 5, None)

    with pytest.raises(IntegrityError, match="pool_taken_within_capacity"), transaction.atomic():
        Pool.objects.filter(pk=pool.pk).update(wanted=4, capacity=4)


def test_the_database_refuses_a_hold_of_less_than_nothing(pool: Pool) -> None:
    with pytest.raises(IntegrityError, match="quantity"), transaction.atomic():
        Hold.objects.create(pool=pool, quantity=-1)


@pytest.mark.parametrize(("wanted", "taken_already", "free"), [(10, 0, 10), (10, 7, 3), (10, 10, 0), (None, 7, None)])
def test_what_is_free_is_what_can_be_taken(wanted: int | None, taken_already: int, free: int | None) -> None:
    pool = PoolFactory.create(wanted=wanted)
    if taken_already:
        capacity.claim(pool.pk, taken_already, None)

    assert Pool.objects.get(pk=pool.pk).free == free
