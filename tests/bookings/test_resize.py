"""A hold grows, shrinks and lasts a little longer: an hour at most."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from time_machine import Traveller, travel

from bookings import capacity
from bookings.models import Hold, Pool

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock(db: None) -> Iterator[Traveller]:
    """A clock that stands at noon until it is moved."""
    with travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def hold(clock: Traveller, pool: Pool) -> Hold:
    """Four of ten places, claimed by a cart at noon."""
    return capacity.claim(pool.pk, 4, capacity.cart_hold_ends())


def state(hold: Hold) -> tuple[int, int, datetime | None]:
    """What is taken of its pool, and the hold's quantity and end."""
    fresh = Hold.objects.select_related("pool").get(pk=hold.pk)
    return fresh.pool.taken, fresh.quantity, fresh.until


# --- Resizing ---------------------------------------------------------------------------------------------------------


def test_growing_claims_only_what_is_missing(hold: Hold) -> None:
    capacity.resize(hold, 10)

    assert state(hold)[:2] == (10, 10)


def test_shrinking_gives_the_rest_back(hold: Hold) -> None:
    capacity.resize(hold, 1)

    assert state(hold)[:2] == (1, 1)


def test_growing_beyond_the_room_is_sold_out_and_the_hold_stays(hold: Hold) -> None:
    with pytest.raises(capacity.SoldOut):
        capacity.resize(hold, 11)

    assert state(hold) == (4, 4, NOON + 15 * MINUTE)


def test_resizing_goes_by_what_is_held_now_and_not_by_what_was_read(hold: Hold) -> None:
    stale = Hold.objects.get(pk=hold.pk)
    capacity.give_back([hold.pk])

    capacity.resize(stale, 6)

    assert state(hold)[:2] == (6, 6)


def test_resizing_renews(hold: Hold, clock: Traveller) -> None:
    clock.shift(10 * MINUTE)

    capacity.resize(hold, 4)

    assert state(hold)[2] == NOON + 25 * MINUTE


def test_resizing_cannot_stretch_a_hold_beyond_an_hour(hold: Hold, clock: Traveller) -> None:
    for _ in range(5):
        clock.shift(11 * MINUTE)
        hold = capacity.resize(hold, 4)

    assert state(hold)[2] == NOON + 60 * MINUTE


def test_resizing_never_shortens_a_hold_that_was_renewed(hold: Hold, clock: Traveller) -> None:
    capacity.renew([hold.pk])
    clock.shift(10 * MINUTE)

    capacity.resize(hold, 5)

    assert state(hold)[2] == NOON + 60 * MINUTE


def test_a_hold_that_is_over_starts_a_new_hour(hold: Hold, clock: Traveller) -> None:
    clock.shift(61 * MINUTE)

    capacity.resize(hold, 4)

    hold.refresh_from_db()
    assert (hold.claimed_at, hold.until) == (NOON + 61 * MINUTE, NOON + 76 * MINUTE)


def test_growing_takes_from_expired_holds_of_others(pool: Pool, hold: Hold, clock: Traveller) -> None:
    stranger = capacity.claim(pool.pk, 6, until=NOON + MINUTE)
    clock.shift(2 * MINUTE)

    capacity.resize(hold, 5)

    stranger.refresh_from_db()
    assert stranger.quantity == 0
    assert state(hold)[:2] == (5, 5)


def test_growing_an_expired_hold_does_not_take_from_itself(pool: Pool, hold: Hold, clock: Traveller) -> None:
    capacity.claim(pool.pk, 6, until=None)
    clock.shift(20 * MINUTE)

    with pytest.raises(capacity.SoldOut):
        capacity.resize(hold, 5)

    assert state(hold)[:2] == (10, 4)


def test_growing_an_expired_hold_counts_it_once(pool: Pool, hold: Hold, clock: Traveller) -> None:
    capacity.claim(pool.pk, 5, until=None)
    stranger = capacity.claim(pool.pk, 1, until=NOON + MINUTE)
    clock.shift(20 * MINUTE)

    capacity.resize(hold, 5)

    stranger.refresh_from_db()
    assert stranger.quantity == 0
    assert state(hold) == (10, 5, NOON + 35 * MINUTE)


def test_a_hold_given_back_meanwhile_starts_a_new_hour(hold: Hold, clock: Traveller) -> None:
    clock.shift(90 * MINUTE)
    capacity.give_expired_back()

    capacity.resize(hold, 2)

    assert state(hold) == (2, 2, NOON + 105 * MINUTE)


# --- Renewing ---------------------------------------------------------------------------------------------------------


def test_renewing_lasts_the_full_hour_since_it_was_claimed(hold: Hold, clock: Traveller) -> None:
    clock.shift(10 * MINUTE)

    assert capacity.renew([hold.pk]) == 1

    assert state(hold)[2] == NOON + 60 * MINUTE


def test_renewing_again_adds_nothing(hold: Hold, clock: Traveller) -> None:
    capacity.renew([hold.pk])
    clock.shift(50 * MINUTE)

    capacity.renew([hold.pk])

    assert state(hold)[2] == NOON + 60 * MINUTE


def test_renewing_never_shortens(pool: Pool, clock: Traveller) -> None:
    offered = capacity.claim(pool.pk, 2, until=NOON + timedelta(hours=24))

    assert capacity.renew([offered.pk]) == 1

    assert state(offered)[2] == NOON + timedelta(hours=24)


def test_what_is_over_is_not_renewed(hold: Hold, clock: Traveller) -> None:
    clock.shift(15 * MINUTE)

    assert capacity.renew([hold.pk]) == 0

    assert state(hold)[2] == NOON + 15 * MINUTE


def test_what_was_given_back_is_not_renewed(hold: Hold) -> None:
    capacity.give_back([hold.pk])

    assert capacity.renew([hold.pk]) == 0

    assert state(hold)[:2] == (0, 0)


def test_renewing_gives_a_hold_without_end_no_end(pool: Pool, clock: Traveller) -> None:
    kept = capacity.claim(pool.pk, 2, until=None)

    assert capacity.renew([kept.pk]) == 0

    assert state(kept)[2] is None


def test_a_new_hold_never_lasts_longer_than_15_minutes(clock: Traveller) -> None:
    assert capacity.cart_hold_ends() == timezone.now() + 15 * MINUTE
