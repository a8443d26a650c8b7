"""Answers fit the published description of SumUp's API, or where that is not at hand, our short list from it."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import MERCHANT, Shop

OPENAPI = Path(__file__).parents[4] / "shared" / "sumup" / "openapi.json"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}

# Field: its type, then its values if they are listed. Used without the description.
SHORT_LIST: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "CheckoutSuccess": {
        "id": ("string", ()),
        "checkout_reference": ("string", ()),
        "amount": ("number", ()),
        "currency": ("string", ("EUR", "GBP")),
        "merchant_code": ("string", ()),
        "description": ("string", ()),
        "status": ("string", ("PENDING", "FAILED", "PAID", "EXPIRED")),
        "date": ("string", ()),
        "hosted_checkout_url": ("string", ()),
        "transactions": ("array", ()),
        "transaction_id": ("string", ()),
        "transaction_code": ("string", ()),
        "redirect_url": ("string", ()),
    },
    "TransactionFull": {
        "id": ("string", ()),
        "transaction_code": ("string", ()),
        "amount": ("number", ()),
        "currency": ("string", ("EUR", "GBP")),
        "timestamp": ("string", ()),
        "status": ("string", ("SUCCESSFUL", "CANCELLED", "FAILED", "PENDING", "REFUNDED")),
        "payment_type": ("string", ("ECOM", "APM")),
        "entry_mode": ("string", ("CUSTOMER_ENTRY", "APPLE_PAY", "GOOGLE_PAY")),
        "merchant_code": ("string", ()),
        "product_summary": ("string", ()),
        "simple_status": ("string", ("SUCCESSFUL", "FAILED", "PENDING", "CANCELLED")),
        "transaction_events": ("array", ()),
        "links": ("array", ()),
    },
    "Merchant": {
        "merchant_code": ("string", ()),
        "country": ("string", ()),
        "default_currency": ("string", ()),
        "default_locale": ("string", ()),
        "sandbox": ("boolean", ()),
    },
}


def fields_of(name: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The fields of a schema with their types and listed values."""
    if not OPENAPI.exists():
        return SHORT_LIST[name]
    schemas = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    return flatten(schemas, schemas[name])


def flatten(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    fields: dict[str, tuple[str, tuple[str, ...]]] = {}
    for part in schema.get("allOf", ()):
        fields |= flatten(schemas, resolve(schemas, part))
    for name, field in schema.get("properties", {}).items():
        resolved = resolve(schemas, field)
        fields[name] = (resolved.get("type", "object"), tuple(resolved.get("enum", ())))
    return fields


def resolve(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def assert_fits(document: dict[str, Any], name: str) -> None:
    fields = fields_of(name)
    for field in SHORT_LIST[name]:
        assert field in document, field
    for field in fields.keys() & document.keys():
        kind, values = fields[field]
        if document[field] is None:
            assert field == "valid_until"
            continue
        assert isinstance(document[field], TYPES[kind]), field
        assert not values or document[field] in values, field


@pytest.fixture
def paid(shop: Shop) -> dict[str, Any]:
    checkout = shop.create()
    shop.act(checkout, "decline")
    return dict(shop.act(checkout, "pay").json())


def test_a_paid_checkout_fits_its_schema(paid: dict[str, Any]) -> None:
    assert_fits(paid, "CheckoutSuccess")


def test_a_transaction_fits_its_schema(shop: Shop, paid: dict[str, Any]) -> None:
    path = f"/v2.1/merchants/{MERCHANT}/transactions"

    transaction = shop.get(path, params={"id": paid["transaction_id"]}).json()

    assert_fits(transaction, "TransactionFull")
    failed, successful = paid["transactions"]
    assert failed.items() <= shop.get(path, params={"id": failed["id"]}).json().items()
    assert successful.items() <= transaction.items()


def test_the_merchant_fits_its_schema(shop: Shop) -> None:
    assert_fits(shop.get(f"/v1/merchants/{MERCHANT}").json(), "Merchant")
