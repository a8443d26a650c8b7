"""What a checkout is, and the steps of its life. Nothing here is ever changed in place: each step gives a new one."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from payments.simulator.transactions import Transaction, TransactionStatus, new_code, new_id, transaction_from

# Amounts with which the sandbox makes every payment fail, whatever the card.
ALWAYS_DECLINED = frozenset(map(Decimal, ("11.00", "42.01", "42.76", "42.91")))


class CheckoutStatus(StrEnum):
    """What a checkout can be. FAILED means that the latest attempt failed: it can still be paid."""

    PENDING = "PENDING"
    FAILED = "FAILED"
    PAID = "PAID"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class Notice:
    """A webhook owed to the merchant. It has no due time once it was taken in, or given up."""

    id: str
    event_type: str
    subject: str
    due_at: datetime | None
    failures: int = 0


@dataclass(frozen=True)
class Checkout:
    """A request for money, the attempts to pay it, and the webhooks it owes."""

    id: str
    page: str
    reference: str
    amount: Decimal
    currency: str
    merchant_code: str
    date: datetime
    hosted: bool
    description: str | None = None
    return_url: str | None = None
    redirect_url: str | None = None
    customer_id: str | None = None
    purpose: str = "CHECKOUT"
    valid_until: datetime | None = None
    status: CheckoutStatus = CheckoutStatus.PENDING
    transactions: tuple[Transaction, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def in_flight(self) -> Transaction | None:
        """The attempt whose outcome is still open, if there is one. There is never more than one."""
        return next((t for t in self.transactions if t.status is TransactionStatus.PENDING), None)

    @property
    def successful(self) -> Transaction | None:
        """The attempt that paid it, if one did, whether or not the money was given back since."""
        return next((t for t in self.transactions if t.moved_money), None)

    def attempted(self, transaction: Transaction) -> "Checkout":
        """The checkout with one more attempt under way."""
        return replace(self, status=CheckoutStatus.PENDING, transactions=(*self.transactions, transaction))

    def with_transaction(self, changed: Transaction) -> "Checkout":
        """The checkout with this version of one of its attempts."""
        return replace(self, transactions=tuple(changed if t.id == changed.id else t for t in self.transactions))

    def settled(self) -> "Checkout":
        """The checkout after the outcome of its open attempt.

        A success makes it PAID, even when it expired meanwhile: money that arrived has arrived.
        """
        if not (attempt := self.in_flight):
            return self
        done = replace(attempt, status=attempt.settles_as, changed_at=attempt.settles_at)
        return replace(self.with_transaction(done), status=self._status_after(done))

    def _status_after(self, done: Transaction) -> CheckoutStatus:
        if done.status is TransactionStatus.SUCCESSFUL:
            return CheckoutStatus.PAID
        return CheckoutStatus.EXPIRED if self.status is CheckoutStatus.EXPIRED else CheckoutStatus.FAILED

    def expired(self) -> "Checkout":
        """The checkout after its time ran out."""
        return replace(self, status=CheckoutStatus.EXPIRED)

    def deactivated(self, at: datetime, *, in_flight_wins: bool) -> "Checkout":
        """The checkout after a DELETE. An open attempt is cancelled, or goes on as if nothing had happened."""
        ended = replace(self.expired(), valid_until=min(self.valid_until or at, at))
        if in_flight_wins or not (attempt := self.in_flight):
            return ended
        return ended.with_transaction(replace(attempt, status=TransactionStatus.CANCELLED, changed_at=at))

    def owing(self, notices: tuple[Notice, ...]) -> "Checkout":
        """The checkout with these webhooks owed on top of what it owes already."""
        return replace(self, notices=self.notices + notices)

    def with_notice(self, changed: Notice) -> "Checkout":
        """The checkout with this version of one of its webhooks."""
        return replace(self, notices=tuple(changed if n.id == changed.id else n for n in self.notices))

    def notice(self, notice_id: str) -> Notice | None:
        """One of its webhooks by id."""
        return next((n for n in self.notices if n.id == notice_id), None)


def start_transaction(
    checkout: Checkout,
    now: datetime,
    *,
    settles_at: datetime,
    settles_as: TransactionStatus,
    challenged: bool,
    fee: Decimal,
) -> Transaction:
    """A new attempt to pay the checkout in full."""
    return Transaction(
        id=new_id(),
        code=new_code(),
        amount=checkout.amount,
        currency=checkout.currency,
        started_at=now,
        changed_at=now,
        settles_at=settles_at,
        settles_as=settles_as,
        challenged=challenged,
        fee=fee,
        summary=checkout.description or "",
    )


def to_document(checkout: Checkout) -> dict[str, Any]:
    """The checkout as the journal keeps it (dates and money become text on writing)."""
    return asdict(checkout)


def from_document(document: dict[str, Any]) -> Checkout:
    """The checkout as the journal kept it."""
    return Checkout(
        **document
        | {
            "amount": Decimal(document["amount"]),
            "date": datetime.fromisoformat(document["date"]),
            "valid_until": _moment(document["valid_until"]),
            "status": CheckoutStatus(document["status"]),
            "transactions": tuple(map(transaction_from, document["transactions"])),
            "notices": tuple(Notice(**n | {"due_at": _moment(n["due_at"])}) for n in document["notices"]),
        }
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
