"""How a sibling tells its counts: `PUT /internal/stock/<sku>`."""

from typing import Any

import pytest
from django.test import Client

from bookings.models import Pool
from cart.models import Product
from tests.orders.acts import all_rows

pytestmark = pytest.mark.django_db

TOKEN = "market-token-0123456789"


@pytest.fixture
def market(settings: Any) -> Client:
    """The market service."""
    settings.INTERNAL_API_TOKENS = {"market": TOKEN}
    return Client(headers={"Authorization": f"Bearer {TOKEN}"}, raise_request_exception=False)


def put(client: Client, sku: str, document: object) -> Any:
    return client.put(f"/internal/stock/{sku}", document, content_type="application/json")


def test_a_count_is_taken_over(market: Client, honey: Product) -> None:
    response = put(market, "HONEY", {"on_hand": 7})

    assert (response.status_code, response.json()) == (200, {"sku": "HONEY", "wanted": 7, "taken": 0})
    assert Pool.objects.get(product=honey).capacity == 7


def test_telling_the_same_count_again_changes_nothing(market: Client, honey: Product) -> None:
    put(market, "HONEY", {"on_hand": 7})
    before = all_rows()

    put(market, "HONEY", {"on_hand": 7})

    assert all_rows() == before


@pytest.mark.parametrize("sku", ["UNKNOWN", "%00", "a%00b", "x" * 500, "%F0%9F%90%9D"])
def test_an_unknown_sku_is_a_problem_in_words(market: Client, honey: Product, sku: str) -> None:
    before = all_rows()

    response = put(market, sku, {"on_hand": 7})

    assert response.status_code in (404, 422)
    assert response["Content-Type"] == "application/problem+json"
    assert all_rows() == before


@pytest.mark.parametrize(
    "document",
    [{}, {"on_hand": -1}, {"on_hand": "many"}, {"on_hand": 10**12}, {"on_hand": 1, "as_of": -1}, [], "nonsense", 7],
)
def test_a_count_that_is_none_is_a_problem_in_words(market: Client, honey: Product, document: object) -> None:
    before = all_rows()

    response = put(market, "HONEY", document)

    assert response.status_code in (400, 422)
    assert response["Content-Type"] == "application/problem+json"
    assert all_rows() == before


def test_the_largest_count_is_still_a_count(market: Client, honey: Product) -> None:
    assert put(market, "HONEY", {"on_hand": 10**9, "as_of": 2**63 - 1}).status_code == 200


def test_strangers_count_nothing(market: Client, honey: Product, shopper: Any) -> None:
    stranger = Client()
    stranger.force_login(shopper)
    before = all_rows()

    response = put(stranger, "HONEY", {"on_hand": 7})

    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert all_rows() == before
