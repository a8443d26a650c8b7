"""The only door to SumUp: exact money, a deadline for every call, and two kinds of error.

What SumUp says is read tolerantly (every field of its answers is optional, five error dialects) and handed on strictly.
Source: SumUp's API reference, https://developer.sumup.com/api, and the project's contract with it.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from threading import local
from typing import Any
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.utils.dateparse import parse_datetime

from orders.money import PENNY
from payments import page_calls
from payments.deadlines import DeadlineAdapter, ends_within

logger = logging.getLogger(__name__)

# Strict, since browsers and parsers disagree on odd addresses: no user, no port, no backslash.
SUMUPS_OWN = re.compile(r"https://([a-z0-9-]+\.)*sumup\.com/[^\s\\]*", re.ASCII)

# What SumUp calls a transaction that moved money; refunded, some say SUCCESSFUL still (contract, section 5).
MOVED_MONEY = ("SUCCESSFUL", "REFUNDED", "CHARGE_BACK")

# SumUp writes amounts as floats: 0.30000000000000004 is 30 pence, but 0.305 is no amount.
FLOAT_NOISE = Decimal("0.000001")

_session = requests.Session()
_session.mount("https://", DeadlineAdapter(pool_maxsize=32))
_session.mount("http://", DeadlineAdapter(pool_maxsize=32))

# What whoever holds a lease does before each call of this thread, given its method and the seconds it may take.
BeforeCall = Callable[[str, float], None]
_thread = local()


class SumUpError(Exception):
    """SumUp did not do as asked; the text names the call and the reason, and holds no secret."""


class SumUpInDoubt(SumUpError):
    """Nobody knows whether it happened: no answer, an unreadable one, 409, 429 or 5xx. Look again later."""


class SumUpNotAsked(SumUpInDoubt):
    """Nothing was sent: a page waits, and SumUp was silent of late or has too many pages waiting for it already."""


class SumUpConflict(SumUpInDoubt):
    """HTTP 409: the thing is in another state than we thought. Look again."""


class SumUpCutOff(SumUpInDoubt):
    """There is more than one answer holds, and no way to ask for the rest."""


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
        """The transactions that moved money, even back again. (Never the first of the list: declined tries stay.)"""
        return [tried for tried in self.transactions if tried.status in MOVED_MONEY and tried.amount > 0]

    @property
    def is_being_paid(self) -> bool:
        """Whether a payment is under way, such as a 3-D Secure challenge."""
        return any(tried.status == "PENDING" for tried in self.transactions)


@dataclass(frozen=True)
class Event:
    """Something that happened to a transaction after it was paid: a refund, a chargeback, a payout."""

    id: str
    transaction_id: str
    kind: str  # REFUND, CHARGE_BACK, PAYOUT, PAYOUT_DEDUCTION
    status: str
    amount: Decimal
    at: datetime

    @property
    def has_happened(self) -> bool:
        """Whether it is more than a plan or a try that failed."""
        return self.status not in ("PENDING", "SCHEDULED", "FAILED")


@dataclass(frozen=True)
class FullTransaction:
    """A transaction with everything that happened to it since."""

    transaction: Transaction
    events: tuple[Event, ...]

    def of_kind(self, kind: str) -> list[Event]:
        """Its events of one kind that did happen, oldest first."""
        happened = [event for event in self.events if event.kind == kind and event.has_happened and event.amount > 0]
        return sorted(happened, key=lambda event: (event.at, event.id))


@dataclass(frozen=True)
class HistoryRow:
    """One row of SumUp's history: a payment, a refund or a chargeback."""

    id: str
    kind: str  # PAYMENT, REFUND, CHARGE_BACK
    transaction_id: str
    transaction_code: str
    status: str
    amount: Decimal
    refunded: Decimal  # of a payment, so far
    currency: str
    at: datetime
    summary: str  # what we wrote as the checkout's description, or what a reader's till did
    payment_type: str = ""  # ECOM online, POS at a card reader, ...
    entry_mode: str = ""  # how the card was read, where the history tells
    reference: str = ""  # the id that whoever made it gave it, where the history tells
    client_id: str = ""  # the same of a reader's app

    @property
    def moved_money(self) -> bool:
        """Whether money came or went: not so for tries that failed or were cancelled."""
        return self.status not in ("FAILED", "CANCELLED", "PENDING") and self.amount > 0


@dataclass(frozen=True)
class HistoryPage:
    rows: tuple[HistoryRow, ...]
    next: str  # the query string of the next page; empty on the last


@dataclass(frozen=True)
class PayoutRecord:
    """One payment's part of a payout, or a deduction from one (then the amount is negative)."""

    id: str
    kind: str  # PAYOUT, REFUND_DEDUCTION, CHARGE_BACK_DEDUCTION, ...
    amount: Decimal
    fee: Decimal
    currency: str
    status: str
    transaction_code: str
    at: datetime  # noon UTC of the payout's date


@dataclass(frozen=True)
class Merchant:
    """Whose money it is."""

    code: str
    currency: str
    is_sandbox: bool


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


def get_transaction(transaction_id: str) -> FullTransaction:
    """A transaction with its refunds and chargebacks. SumUpNotFound just after the payment is normal: ask again."""
    path = f"/v2.1/merchants/{settings.SUMUP_MERCHANT_CODE}/transactions"
    answer = _call("GET", path, params={"id": transaction_id})
    if not isinstance(answer, dict) or "amount" not in answer:
        raise SumUpInDoubt("A transaction without an amount")
    if str(answer.get("id")) != transaction_id:
        raise SumUpInDoubt("SumUp answered about another transaction than ours")
    return FullTransaction(_read_transaction(answer), tuple(_read_events(answer, transaction_id)))


def refund(transaction_id: str, amount: Decimal) -> str:
    """Ask for a part of a transaction (in the shop's currency) to go back to the card; what SumUp answered, in short.

    Send it once: repeating it refunds twice. No answer proves anything, not even a good one: read the transaction's
    events afterwards (contract, section 7.1). Raises SumUpRefused on a definite no, 409 included, for we never send
    one twice; SumUpInDoubt where it may have happened.
    """
    path = f"/v1.0/merchants/{settings.SUMUP_MERCHANT_CODE}/payments/{transaction_id}/refunds"
    try:
        answer = _call("POST", path, json={"amount": float(amount)})
    except SumUpConflict as conflict:
        raise SumUpRefused(str(conflict), 409) from conflict
    status = str(answer.get("status", "")) if isinstance(answer, dict) else ""
    if status.lower() == "failed":
        raise SumUpRefused(f"The refund failed: response code {answer.get('response_code', '')}"[:200], 200)
    return status or "accepted"


def get_history(query: str) -> HistoryPage:
    """One page of the merchant's history; `query` as made by `history_since` or given as a page's `next`."""
    path = f"/v2.1/merchants/{settings.SUMUP_MERCHANT_CODE}/transactions/history"
    answer = _call("GET", f"{path}?{query}")
    if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
        raise SumUpInDoubt("A page of history without items")
    rows = tuple(_read_history_row(row) for row in answer["items"] if isinstance(row, dict))
    links = [link for link in answer.get("links") or [] if isinstance(link, dict) and link.get("rel") == "next"]
    return HistoryPage(rows, str(links[0].get("href") or "").lstrip("?") if links else "")


def history_since(moment: datetime, limit: int = 100) -> str:
    """The query string of the first page of all that changed at or after a moment, oldest first."""
    since = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return urlencode({"limit": limit, "order": "ascending", "changes_since": since})


MOST_PAYOUTS = 9999  # in one answer, which has no second page


def get_payouts(first: date, last: date) -> list[PayoutRecord]:
    """What was paid out from one day to another, both included (SumUp's dates). Raises SumUpCutOff on an answer that
    may have been cut off."""
    path = f"/v1.0/merchants/{settings.SUMUP_MERCHANT_CODE}/payouts"
    span = {"start_date": first.isoformat(), "end_date": last.isoformat(), "limit": str(MOST_PAYOUTS)}
    answer = _call("GET", path, params=span)
    if not isinstance(answer, list):
        raise SumUpInDoubt("The payouts are not a list")
    if len(answer) >= MOST_PAYOUTS:
        raise SumUpCutOff("More payouts in one day than SumUp tells in one answer")
    return [_read_payout(row) for row in answer if isinstance(row, dict)]


def get_merchant(code: str) -> Merchant:
    """The merchant account that the key is for; SumUpNotFound if it is not for that one."""
    answer = _call("GET", f"/v1/merchants/{code}")
    if not isinstance(answer, dict):
        raise SumUpInDoubt("A merchant that is not an object")
    return Merchant(
        code=str(answer.get("merchant_code", "")),
        currency=str(answer.get("default_currency", "")),
        is_sandbox=answer.get("sandbox") is True,
    )


@contextmanager
def before_each_call(action: BeforeCall) -> Iterator[None]:
    """Until this ends, this thread does something before each of its calls; what that raises stops the call."""
    former = getattr(_thread, "before_call", None)
    _thread.before_call = action
    try:
        yield
    finally:
        _thread.before_call = former


def _call(method: str, path: str, **kwargs: Any) -> Any:
    """One call: the parsed JSON of a 2xx answer, with Decimal numbers.

    It is over within SUMUP_TIMEOUT seconds in all, or sooner where a page waits.
    """
    try:
        with page_calls.turn(settings.SUMUP_TIMEOUT[1]) as seconds, ends_within(seconds):
            if action := getattr(_thread, "before_call", None):
                action(method, seconds)
            response = _send(method, path, **kwargs)
    except page_calls.NoTurn as refusal:
        raise SumUpNotAsked(f"{method} {path}: not asked") from refusal
    except requests.RequestException as error:
        raise SumUpInDoubt(f"{method} {path}: {type(error).__name__}") from error
    return _judge(method, path, response)


def _send(method: str, path: str, **kwargs: Any) -> requests.Response:
    headers = {
        "Authorization": f"Bearer {settings.SUMUP_API_KEY}",
        "Accept": "application/problem+json, application/json",
    }
    url = settings.SUMUP_API_URL + path
    patience = settings.SUMUP_TIMEOUT[0]  # to connect; the deadline ends the rest
    return _session.request(method, url, headers=headers, timeout=(patience, None), allow_redirects=False, **kwargs)


def _judge(method: str, path: str, response: requests.Response) -> Any:
    """What SumUp said, if it said yes."""
    if response.status_code < 300:
        return _parse(method, path, response)
    text = f"{method} {path}: HTTP {response.status_code} {_reason(response)}"
    logger.warning("SumUp: %s", text)
    if response.status_code == 409:
        raise SumUpConflict(text)
    if not 400 <= response.status_code < 500 or response.status_code == 429:
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


def _read_events(answer: dict[str, Any], transaction_id: str) -> Iterable[Event]:
    """The events of both lists that SumUp gives, each once."""
    rows = [*_rows(answer.get("transaction_events")), *_rows(answer.get("events"))]
    by_id = {str(row["id"]): row for row in reversed(rows) if row.get("id") is not None}
    for event_id, row in by_id.items():
        yield Event(
            id=event_id,
            transaction_id=transaction_id,
            kind=str(row.get("event_type") or row.get("type") or ""),
            status=str(row.get("status", "")),
            amount=abs(_read_number(row.get("amount", 0))),
            at=_read_moment(str(row.get("timestamp") or row.get("date"))),
        )


def _read_history_row(row: dict[str, Any]) -> HistoryRow:
    transaction_id = str(row.get("transaction_id") or row.get("id") or "")
    if not transaction_id:
        raise SumUpInDoubt("A row of history without an id")
    return HistoryRow(
        id=str(row.get("id") or transaction_id),
        kind=str(row.get("type", "")),
        transaction_id=transaction_id,
        transaction_code=str(row.get("transaction_code") or ""),
        status=str(row.get("status", "")),
        amount=abs(_read_number(row.get("amount", 0))),
        refunded=_read_number(row.get("refunded_amount") or 0),
        currency=str(row.get("currency", "")),
        at=_read_moment(str(row.get("timestamp"))),
        summary=str(row.get("product_summary") or ""),
        payment_type=str(row.get("payment_type") or ""),
        entry_mode=str(row.get("entry_mode") or ""),
        reference=str(row.get("foreign_transaction_id") or row.get("checkout_reference") or ""),
        client_id=str(row.get("client_transaction_id") or ""),
    )


def _read_payout(row: dict[str, Any]) -> PayoutRecord:
    kind, amount = str(row.get("type", "")), _read_number(row.get("amount", 0))
    return PayoutRecord(
        id=str(row.get("id", "")),
        kind=kind,
        amount=amount if kind == "PAYOUT" else -abs(amount),  # the type alone tells which way it went
        fee=abs(_read_number(row.get("fee") or 0)),
        currency=str(row.get("currency", "")),
        status=str(row.get("status", "")),
        transaction_code=str(row.get("transaction_code") or ""),
        at=_read_moment(f"{row.get('date')}T12:00:00Z"),
    )


def _rows(answer: Any) -> list[dict[str, Any]]:
    return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []


def _read_number(said: Any) -> Decimal:
    """An amount of either sign, in pennies' precision; SumUpInDoubt if it is finer, or none at all."""
    try:
        number = Decimal(str(said))
        exact = number.quantize(PENNY)
    except InvalidOperation as error:  # infinite, or far too long
        raise SumUpInDoubt("An amount is not a number") from error
    if number.is_nan() or abs(number - exact) > FLOAT_NOISE:
        raise SumUpInDoubt("An amount is not an amount")
    return exact


def _read_amount(said: Any) -> Decimal:
    amount = _read_number(said)
    if amount < 0:
        raise SumUpInDoubt("A transaction's amount is not an amount")
    return amount


def _read_moment(said: str) -> datetime:
    """When it happened, in UTC unless it says otherwise; if that cannot be read, now."""
    try:
        moment = parse_datetime(said) or datetime.now(UTC)
    except ValueError:
        moment = datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
