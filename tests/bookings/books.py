"""The one truth about pools: what is taken is what is held, and never more than there is."""

from bookings.models import Pool
from tests.invariants import assert_pool_balances


def assert_pools_balance() -> None:
    """Check every pool there is."""
    for pool in Pool.objects.all():
        assert_pool_balances(pool)
