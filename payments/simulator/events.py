"""What becomes of a payment later: given back, charged back, paid out. And a payment together with all of that."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from payments.simulator.money import NOTHING
from payments.simulator.transactions import Transaction, TransactionStatus


class EventType(StrEnum):
    """What can happen to a payment."""

    REFUND = "REFUND"
    CHARGE_BACK = "CHARGE_BACK"
    PAYOUT = "PAYOUT"
    PAYOUT_DEDUCTION = "PAYOUT_DEDUCTION"


# What was taken from the payment, in contrast to what was merely passed on to the merchant's bank.
TAKEN_BACK = frozenset({EventType.REFUND, EventType.CHARGE_BACK})
STATUS_OF = {
    EventType.REFUND: "REFUNDED",
    EventType.CHARGE_BACK: "SUCCESSFUL",
    EventType.PAYOUT: "PAID_OUT",
    EventType.PAYOUT_DEDUCTION: "PAID_OUT",
}


@dataclass(frozen=True)
class Event:
    """One thing that happened to a payment, and from when on the API tells of it.

    `marks` says that the payment's status becomes REFUNDED through it. Of a payout there is the day, the fee that was
    kept, and for a deduction the id of the event for which it is made.
    """

    id: int
    transaction_id: str
    type: EventType
    amount: Decimal
    at: datetime
    shown_at: datetime
    marks: bool = False
    fee: Decimal = NOTHING
    day: date | None = None
    deducts: int | None = None

    @property
    def status(self) -> str:
        """How far it has come, in SumUp's words."""
        return STATUS_OF[self.type]


def event_from(document: dict[str, Any]) -> Event:
    """The event as the journal kept it."""
    moments = {name: datetime.fromisoformat(document[name]) for name in ("at", "shown_at")}
    amounts = {name: Decimal(document[name]) for name in ("amount", "fee")}
    day = date.fromisoformat(document["day"]) if document["day"] else None
    return Event(**document | moments | amounts | {"type": EventType(document["type"]), "day": day})


@dataclass(frozen=True)
class Statement:
    """A transaction with what is known to have become of it."""

    transaction: Transaction
    events: tuple[Event, ...] = ()

    @property
    def status(self) -> TransactionStatus:
        """What the API says it is."""
        marked = any(event.marks for event in self.events)
        return TransactionStatus.REFUNDED if marked else self.transaction.status

    @property
    def simple_status(self) -> str:
        """What it is from the merchant's point of view."""
        if self.total(EventType.CHARGE_BACK):
            return "CHARGEBACK"
        if self.status is TransactionStatus.SUCCESSFUL and self.payout:
            return "PAID_OUT"
        return self.status

    @property
    def left(self) -> Decimal:
        """What can still be given back."""
        if not self.transaction.moved_money:
            return NOTHING
        taken = sum((event.amount for event in self.events if event.type in TAKEN_BACK), NOTHING)
        return max(self.transaction.amount - taken, NOTHING)

    @property
    def payout(self) -> Event | None:
        """Its way to the merchant's bank, if it went there."""
        return next((event for event in self.events if event.type is EventType.PAYOUT), None)

    @property
    def changed_at(self) -> datetime:
        """When there was last something new to be seen of it."""
        return max((event.shown_at for event in self.events), default=self.transaction.changed_at)

    def total(self, kind: EventType) -> Decimal:
        """The sum of its events of one type."""
        return sum((event.amount for event in self.events if event.type is kind), NOTHING)
