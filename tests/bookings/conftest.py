"""Whatever a test about rooms and holds does, the books balance when it ends."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from bookings import capacity
from bookings.models import Hold, Pool
from tests.bookings.books import assert_pools_balance
from tests.factories import PoolFactory


@pytest.fixture(autouse=True)
def _the_books_balance(db: None) -> Iterator[None]:
    yield
    assert_pools_balance()


@pytest.fixture
def pool(db: None) -> Pool:
    """Ten places, nothing taken."""
    return PoolFactory.create(name="Ten places", wanted=10)


@pytest.fixture
def expired_hold(pool: Pool) -> Hold:
    """Four of the ten places, held by a cart whose time is over."""
    return capacity.claim(pool.pk, 4, until=timezone.now() - timedelta(seconds=1))
