"""The transaction history: what was asked for, and the page of rows that answers it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlencode

from payments.simulator.events import Event, EventType, Statement
from payments.simulator.ledger import Ledger, Place

ORDERS = ("ascending", "descending")
STATUSES = ("SUCCESSFUL", "CANCELLED", "FAILED", "REFUNDED", "CHARGE_BACK")
TYPES = ("PAYMENT", "REFUND", "CHARGE_BACK")
# How the rows of a page were entered, as far as they are simulated.
ENTRY_MODES = {"ECOM": "CUSTOMER_ENTRY", "POS": "CONTACTLESS"}
DEFAULT_LIMIT = 10
MOST_DIGITS = 9
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class InvalidQuery(Exception):
    """A parameter is unknown, or has a value that makes no sense. The text is its name."""


@dataclass(frozen=True)
class Query:
    """What was asked for. An empty set of values lets everything through."""

    text: str
    limit: int
    descending: bool
    changes_since: datetime | None
    oldest_time: datetime | None
    newest_time: datetime | None
    oldest_ref: str | None
    newest_ref: str | None
    transaction_code: str | None
    statuses: frozenset[str]
    types: frozenset[str]
    payment_types: frozenset[str]
    entry_modes: frozenset[str]
    users: frozenset[str]


@dataclass(frozen=True)
class Row:
    """One line of the history: a payment, or with an event what became of one."""

    statement: Statement
    event: Event | None = None

    @property
    def ref(self) -> str:
        """The row's own id."""
        return str(self.event.id) if self.event else self.statement.transaction.id

    @property
    def type(self) -> str:
        """What kind of row it is."""
        return self.event.type if self.event else "PAYMENT"

    @property
    def status(self) -> str:
        """The status it is written with. There is none of its own for a charge-back."""
        if not self.event:
            return self.statement.status
        return "REFUNDED" if self.event.type is EventType.REFUND else "SUCCESSFUL"

    @property
    def changed_at(self) -> datetime:
        """When it was last modified."""
        return self.event.shown_at if self.event else self.statement.changed_at


@dataclass(frozen=True)
class Page:
    """Some rows, and how to ask for those after them, if there are any."""

    rows: list[Row]
    next: str | None


def read_query(text: str) -> Query:
    """What a query string asks for. What it does not understand it refuses: we want to hear of our mistakes."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    if unknown := values.keys() - READERS.keys():
        raise InvalidQuery(min(unknown))
    fields = {name.removesuffix("[]"): _read(name, values.get(name, [])) for name in READERS}
    return Query(text=text, descending=fields.pop("order") == "descending", **fields)


def _read(name: str, values: list[str]) -> Any:
    try:
        return READERS[name](values)
    except (ValueError, OverflowError) as error:
        raise InvalidQuery(name) from error


def _read_limit(values: list[str]) -> int:
    if not values:
        return DEFAULT_LIMIT
    if not (values[0].isascii() and values[0].isdigit()) or len(values[0]) > MOST_DIGITS or not int(values[0]):
        raise ValueError
    return int(values[0])


def _read_moment(values: list[str]) -> datetime | None:
    if not values:
        return None
    moment = datetime.fromisoformat(values[0])
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_text(values: list[str]) -> str | None:
    return values[0] if values else None


def _read_order(values: list[str]) -> str:
    return min(_read_some(ORDERS)(values[:1]), default=ORDERS[0])


def _read_some(known: tuple[str, ...]) -> Callable[[list[str]], frozenset[str]]:
    def read(values: list[str]) -> frozenset[str]:
        if not set(values) <= set(known):
            raise ValueError
        return frozenset(values)

    return read


READERS: dict[str, Callable[[list[str]], Any]] = {
    "limit": _read_limit,
    "order": _read_order,
    "changes_since": _read_moment,
    "oldest_time": _read_moment,
    "newest_time": _read_moment,
    "oldest_ref": _read_text,
    "newest_ref": _read_text,
    "transaction_code": _read_text,
    "statuses[]": _read_some(STATUSES),
    "types[]": _read_some(TYPES),
    "payment_types[]": frozenset,
    "entry_modes[]": frozenset,
    "users[]": frozenset,
}


def find_page(ledger: Ledger, query: Query, now: datetime, user: str) -> Page:
    """The page that answers the query. It starts where the query says, and looks at no row before that."""
    rows = list(islice(_matching(ledger, query, now, user), query.limit + 1))
    if len(rows) <= query.limit:
        return Page(rows, None)
    del rows[-1]
    return Page(rows, _ask_after(rows[-1], query))


def _matching(ledger: Ledger, query: Query, now: datetime, user: str) -> Iterator[Row]:
    for ref in _refs(ledger, query):
        if query.changes_since and not ledger.may_have_changed(ref, query.changes_since):
            continue
        payment, event = ledger.row(ref)
        if event and event.shown_at > now:
            continue
        row = Row(ledger.statement(payment, now), event)
        if _fits(row, query, user):
            yield row


def _refs(ledger: Ledger, query: Query) -> Iterator[str]:
    first, last = _bounds(ledger, query)
    if query.transaction_code is None:
        return ledger.refs_between(first, last, backwards=query.descending)
    payment = ledger.payment(query.transaction_code)
    refs = ledger.refs_of(payment) if payment and payment.code == query.transaction_code else []
    inside = [ref for ref in refs if first <= (ledger.place_of(ref) or last) < last]
    return reversed(inside) if query.descending else iter(inside)


def _bounds(ledger: Ledger, query: Query) -> tuple[Place, Place]:
    first, last = (query.oldest_time or EARLIEST, -1), (query.newest_time or LATEST, -1)
    if query.oldest_ref is not None:
        at, number = _place(ledger, query.oldest_ref, "oldest_ref")
        first = (at, number + 1)
    if query.newest_ref is not None:
        last = _place(ledger, query.newest_ref, "newest_ref")
    return first, last


def _place(ledger: Ledger, ref: str, name: str) -> Place:
    place = ledger.place_of(ref)
    if place is None:
        raise InvalidQuery(name)
    return place


def _fits(row: Row, query: Query, user: str) -> bool:
    if query.changes_since and row.changed_at < query.changes_since:
        return False
    kind = row.statement.transaction.payment_type
    offers = (
        (query.types, {row.type}),
        (query.statuses, {"CHARGE_BACK"} if row.type == "CHARGE_BACK" else {row.status}),
        (query.payment_types, {kind}),
        (query.entry_modes, {ENTRY_MODES.get(kind)}),
        (query.users, {user}),
    )
    return all(not wanted or wanted & has for wanted, has in offers)


def _ask_after(row: Row, query: Query) -> str:
    """The same question from behind this row on."""
    cursor = "newest_ref" if query.descending else "oldest_ref"
    kept = [(name, value) for name, value in parse_qsl(query.text, keep_blank_values=True) if name != cursor]
    return urlencode([*kept, (cursor, row.ref)])
