"""From the body of a create call to a new checkout, or to the list of what is wrong with it."""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from payments.simulator.checkouts import Checkout
from payments.simulator.money import is_amount, read_money
from payments.simulator.transactions import new_id

CURRENCIES = (
    *("BGN", "BRL", "CHF", "CLP", "COP", "CZK", "DKK", "EUR"),
    *("GBP", "HRK", "HUF", "NOK", "PLN", "RON", "SEK", "USD"),
)
PURPOSES = ("CHECKOUT", "SETUP_RECURRING_PAYMENT")
REQUIRED = ("checkout_reference", "amount", "currency", "merchant_code")
LONGEST_REFERENCE = 64
LONGEST_TEXT = 2_048
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class InvalidFields(Exception):
    """The body cannot become a checkout. `faults` holds one entry per field, in SumUp's words."""

    def __init__(self, faults: list[dict[str, str]]) -> None:
        super().__init__(", ".join(f"{fault['param']}: {fault['error_code']}" for fault in faults))
        self.faults = faults


def build_checkout(document: dict[str, Any], now: datetime) -> Checkout:
    """A new checkout from the body of a create call; InvalidFields when the body does not describe one."""
    if faults := _find_faults(document, now):
        raise InvalidFields(faults)
    return Checkout(
        id=new_id(),
        page=f"c-{secrets.token_hex(16)}",
        reference=document["checkout_reference"],
        amount=read_money(document["amount"]),
        currency=document["currency"],
        merchant_code=document["merchant_code"],
        date=now,
        hosted=document.get("hosted_checkout", {}).get("enabled", False),
        description=document.get("description"),
        return_url=document.get("return_url"),
        redirect_url=document.get("redirect_url"),
        customer_id=document.get("customer_id"),
        purpose=document.get("purpose", "CHECKOUT"),
        valid_until=_moment(document.get("valid_until")),
    )


def _find_faults(document: dict[str, Any], now: datetime) -> list[dict[str, str]]:
    missing = [name for name in REQUIRED if document.get(name) is None]
    given = [name for name in CHECKS if name in document and name not in missing]
    invalid = [name for name in given if not CHECKS[name](document[name])]
    if "valid_until" not in invalid and (until := _moment(document.get("valid_until"))) and until <= now:
        invalid.append("valid_until")
    return [_fault(name, "MISSING") for name in missing] + [_fault(name, "INVALID") for name in invalid]


def _fault(name: str, code: str) -> dict[str, str]:
    return {"message": "Validation error", "error_code": code, "param": name}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_REFERENCE


def _is_address(value: Any) -> bool:
    if not _is_text(value) or not value.isascii() or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_moment(value: Any) -> bool:
    if value is None:
        return True
    try:
        return isinstance(value, str) and bool(RFC_3339.fullmatch(value)) and bool(_moment(value))
    except (ValueError, OverflowError):
        return False


def _is_hosted_checkout(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("enabled"), bool)


CHECKS: dict[str, Callable[[Any], bool]] = {
    "checkout_reference": _is_reference,
    "amount": is_amount,
    "currency": lambda value: value in CURRENCIES,
    "merchant_code": _is_text,
    "description": _is_text,
    "return_url": _is_address,
    "redirect_url": _is_address,
    "customer_id": _is_text,
    "purpose": lambda value: value in PURPOSES,
    "valid_until": _is_moment,
    "hosted_checkout": _is_hosted_checkout,
}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.upper()).astimezone(UTC) if text else None
