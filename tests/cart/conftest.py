"""More of the cast: visitors with and without htmx, and things that are scarce or gone."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from cart.models import Product
from tests.bookings.books import assert_pools_balance
from tests.factories import ProductFactory


@pytest.fixture(autouse=True)
def _the_books_balance(db: None) -> Iterator[None]:
    yield
    assert_pools_balance()


@pytest.fixture
def htmx() -> Client:
    """A visitor whose browser runs htmx."""
    return Client(headers={"HX-Request": "true"})


@pytest.fixture
def loaf(db: None) -> Product:
    """A loaf of bread, of which there are five."""
    return ProductFactory.create(title="Rye loaf", sku="LOAF", stock=5)


@pytest.fixture
def sibling(settings: Any) -> Client:
    """The market service: it has a token of its own and speaks JSON."""
    settings.INTERNAL_API_TOKENS = {"market": "a-token-of-16-characters"}
    return Client(headers={"Authorization": "Bearer a-token-of-16-characters"})
