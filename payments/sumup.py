"""The only door to SumUp: exact money, a time-out on every call, and two kinds of error.

What SumUp says is read tolerantly (every field of its answers is optional, five error dialects) and handed on strictly.
Source: SumUp's API reference, https://developer.sumup.com/api, and the project's contract with it.
"""

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import requests
from django.conf import settings
from django.utils.dateparse import parse_datetime

logger = logging.getLogger(__name__)

# Strict, since browsers and parsers disagree on odd addresses: no user, no port, no backslash.
SUMUPS_OWN = re.compile(r"https://([a-z0-9-]+\.)*sumup\.com/[^\s\\]*", re.ASCII)

_session = requests.Session()
_session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
_session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))


class SumUpError(Exception):
    """SumUp did not do as asked; the text names the call and the reason, and holds no secret."""


class SumUpInDoubt(SumUpError):
    """Nobody knows whether it happened: no answer, an unreadable one, 409, 429 or 5xx. Look again later."""


class SumUpRefused(SumUpError):
    """A definite no (4xx): trying the same again changes nothing."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status  # HTTP


class SumUpNotFound(SumUpRefused):
    """SumUp knows no such thing, or it is another merchant's."""


@dataclass(frozen=True)
class Transaction:
    """One attempt of the payer on a checkout's page."""

    id: str
    code: str
    status: str
    amount: Decimal  # major units, as SumUp says
    currency: str
    at: datetime


@dataclass(frozen=True)
class Checkout:
    """What SumUp says of one checkout at this moment."""

    id: str
    reference: str
    status: str
    currency: str
    merchant_code: str
    url: str  # of the hosted page; empty if there is none that we would send a shopper to
    transactions: tuple[Transaction, ...]

    @property
    def successful(self) -> list[Transaction]:
        """The transactions that moved money. (Never the first of the list: declined tries stay in it.)"""
        return [tried for tried in self.transactions if tried.status == "SUCCESSFUL" and tried.amount > 0]

    @property
    def is_being_paid(self) -> bool:
        """Whether a payment is under way, such as a 3-D Secure challenge."""
        return any(tried.status == "PENDING" for tried in self.transactions)


def create_checkout(
    *, reference: str, amount: Decimal, description: str, valid_until: datetime, return_url: str, redirect_url: str
) -> Checkout:
    """Make a hosted checkout; `amount` in the shop's currency, `valid_until` aware.

    Raises SumUpRefused on a definite no, SumUpInDoubt where it may exist all the same (contract, sections 2 and 4).
    """
    body = {
        "checkout_reference": reference,
        "amount": float(amount),  # two decimals: a float prints them exactly
        "currency": settings.CURRENCY,
        "merchant_code": settings.SUMUP_MERCHANT_CODE,
        "description": description,
        "return_url": return_url,
        "redirect_url": redirect_url,
        "valid_until": valid_until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "hosted_checkout": {"enabled": True},
    }
    return _read_checkout(_call("POST", "/v0.1/checkouts", json=body))


def find_checkouts(reference: str) -> list[Checkout]:
    """All checkouts with this reference: none, one, or (which should not be) several."""
    found = _call("GET", "/v0.1/checkouts", params={"checkout_reference": reference})
    if not isinstance(found, list):
        raise SumUpInDoubt("GET /v0.1/checkouts: not a list")
    return [_read_checkout(one) for one in found]


def get_checkout(checkout_id: str) -> Checkout:
    """What became of a checkout; SumUpNotFound if SumUp does not know it."""
    return _read_checkout(_call("GET", f"/v0.1/checkouts/{checkout_id}"))


def delete_checkout(checkout_id: str) -> None:
    """Deactivate a checkout, so that it can no longer be paid. SumUpInDoubt on 409: it may be paid already."""
    _call("DELETE", f"/v0.1/checkouts/{checkout_id}")


def _call(method: str, path: str, **kwargs: Any) -> Any:
    """One call: the parsed JSON of a 2xx answer, with Decimal numbers."""
    headers = {
        "Authorization": f"Bearer {settings.SUMUP_API_KEY}",
        "Accept": "application/problem+json, application/json",
    }
    url = settings.SUMUP_API_URL + path
    try:
        response = _session.request(
            method, url, headers=headers, timeout=settings.SUMUP_TIMEOUT, allow_redirects=False, **kwargs
        )
    except requests.RequestException as error:
        raise SumUpInDoubt(f"{method} {path}: {type(error).__name__}") from error
    if response.status_code < 300:
        return _parse(method, path, response)
    text = f"{method} {path}: HTTP {response.status_code} {_reason(response)}"
    logger.warning("SumUp: %s", text)
    if not 400 <= response.status_code < 500 or response.status_code in (409, 429):
        raise SumUpInDoubt(text)
    if response.status_code == 404:
        raise SumUpNotFound(text, 404)
    raise SumUpRefused(text, response.status_code)


def _parse(method: str, path: str, response: requests.Response) -> Any:
    try:
        return json.loads(response.content, parse_float=Decimal) if response.content else None
    except ValueError as error:
        raise SumUpInDoubt(f"{method} {path}: the answer is not JSON") from error


def _reason(response: requests.Response) -> str:
    """SumUp's own words for an error, in whichever of its dialects, cut short (contract, section 4)."""
    try:
        answer = response.json()
    except ValueError:
        return "(no JSON)"
    if isinstance(answer, list):
        answer = answer[0] if answer else {}
    if not isinstance(answer, dict):
        return "(no words)"
    words = [answer.get("error_code")]
    words += [answer.get(name) for name in ("detail", "details", "message", "error_message", "title", "param", "type")]
    return " ".join(str(word) for word in words if word)[:200]


def _read_checkout(answer: Any) -> Checkout:
    if not isinstance(answer, dict) or not answer.get("id") or not answer.get("status"):
        raise SumUpInDoubt("A checkout without id or status")
    return Checkout(
        id=str(answer["id"]),
        reference=str(answer.get("checkout_reference", "")),
        status=str(answer["status"]),
        currency=str(answer.get("currency", "")),
        merchant_code=str(answer.get("merchant_code", "")),
        url=_trusted_url(str(answer.get("hosted_checkout_url") or "")),
        transactions=tuple(_read_transactions(answer.get("transactions"))),
    )


def _trusted_url(url: str) -> str:
    """The address if it is SumUp's own (or the simulator's, when that is what we talk to), else nothing."""
    return url if SUMUPS_OWN.fullmatch(url) or url.startswith(settings.SUMUP_ORIGIN + "/") else ""


def _read_transactions(answer: Any) -> list[Transaction]:
    """The transactions that can be read; one without an id or amount is not yet a fact."""
    rows = answer if isinstance(answer, list) else []
    return [_read_transaction(row) for row in rows if isinstance(row, dict) and row.get("id") and "amount" in row]


def _read_transaction(row: dict[str, Any]) -> Transaction:
    return Transaction(
        id=str(row["id"]),
        code=str(row.get("transaction_code") or ""),
        status=str(row.get("status", "")),
        amount=_read_amount(row["amount"]),
        currency=str(row.get("currency", "")),
        at=_read_moment(str(row.get("timestamp"))),
    )


def _read_amount(said: Any) -> Decimal:
    try:
        amount = Decimal(str(said))
    except InvalidOperation as error:
        raise SumUpInDoubt("A transaction's amount is not a number") from error
    if not amount.is_finite() or amount < 0:
        raise SumUpInDoubt("A transaction's amount is not an amount")
    return amount


def _read_moment(said: str) -> datetime:
    """When it happened, in UTC unless it says otherwise; if that cannot be read, now."""
    try:
        moment = parse_datetime(said) or datetime.now(UTC)
    except ValueError:
        moment = datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
