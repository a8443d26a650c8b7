"""More of the cast: a shelf of things that are counted."""

import pytest

from cart.models import Product
from tests.factories import ProductFactory


@pytest.fixture
def stocked(db: None) -> list[Product]:
    """Five things, eight of each."""
    return [ProductFactory(stock=8) for _ in range(5)]
