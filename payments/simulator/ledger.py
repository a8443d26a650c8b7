"""Money that moved: payments, what became of them, and the order in which it all happened."""

import time
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import islice

from payments.simulator.events import TAKEN_BACK, Event, Statement
from payments.simulator.transactions import Transaction, TransactionStatus

# The place of a row in the history: when it happened, then how many were known before it. It never changes, so that
# who reads page by page misses nothing and sees nothing twice.
Place = tuple[datetime, int]


class Ledger:
    """Payments that came to an end, and their events. It knows no rules and takes no locks."""

    def __init__(self) -> None:
        # No number is given twice, not even by a simulator that has forgotten those before it.
        self._last_number = int(time.time() * 1000)
        self.forget()

    def forget(self) -> None:
        """Start an empty book."""
        self._payments: dict[str, Transaction] = {}
        self._ids: dict[str, str] = {}
        self._events: dict[int, Event] = {}
        self._events_of: dict[str, list[Event]] = {}
        self._places: dict[str, Place] = {}
        self._touched: dict[str, datetime] = {}
        self._timeline: list[tuple[Place, str]] = []
        self._payouts: list[tuple[date, int]] = []
        self._unpaid: dict[str, None] = {}
        self._undeducted: dict[int, None] = {}

    def new_number(self) -> int:
        """The id of the next event."""
        return self._last_number + 1

    # Writing.

    def add_payment(self, transaction: Transaction) -> None:
        """A payment that came to an end, well or badly; a known one changes nothing."""
        if transaction.id not in self._payments:
            insort(self._timeline, self._note_payment(transaction))

    def add_payments(self, transactions: Iterable[Transaction]) -> None:
        """Many at once."""
        self._timeline.extend(self._note_payment(transaction) for transaction in transactions)
        self._timeline.sort()

    def _note_payment(self, transaction: Transaction) -> tuple[Place, str]:
        self._payments[transaction.id] = transaction
        self._ids[transaction.code] = transaction.id
        if transaction.status is TransactionStatus.SUCCESSFUL:
            self._unpaid[transaction.id] = None
        self._touched[transaction.id] = transaction.changed_at
        return self._place(transaction.id, transaction.started_at)

    def add_event(self, event: Event) -> None:
        """Something that happened to a payment."""
        self._last_number = max(self._last_number, event.id)
        self._events[event.id] = event
        self._events_of.setdefault(event.transaction_id, []).append(event)
        self._touched[str(event.id)] = event.shown_at
        self._touched[event.transaction_id] = max(event.shown_at, self._touched[event.transaction_id])
        if event.type in TAKEN_BACK:
            self._undeducted[event.id] = None
            insort(self._timeline, self._place(str(event.id), event.at))
        elif event.day:
            insort(self._payouts, (event.day, event.id))
            self._unpaid.pop(event.transaction_id, None)
            self._undeducted.pop(event.deducts or 0, None)

    def _place(self, ref: str, at: datetime) -> tuple[Place, str]:
        self._places[ref] = (at, len(self._places))
        return self._places[ref], ref

    # Reading.

    def payment(self, name: str) -> Transaction | None:
        """The payment with this id or code."""
        return self._payments.get(name) or self._payments.get(self._ids.get(name, ""))

    def event(self, number: int) -> Event:
        """The event with this id."""
        return self._events[number]

    def statement(self, transaction: Transaction, now: datetime | None = None) -> Statement:
        """The transaction with its events: those that are shown by now, or without a time all there are."""
        events = self._events_of.get(transaction.id, ())
        return Statement(transaction, tuple(event for event in events if now is None or event.shown_at <= now))

    def newest(self, start: int, count: int) -> list[Transaction]:
        """The latest payments, newest first."""
        return [self._payments[ref] for ref in islice(self._payments_backwards(), start, start + count)]

    def _payments_backwards(self) -> Iterator[str]:
        return (ref for _, ref in reversed(self._timeline) if ref in self._payments)

    def owed(self, now: datetime) -> tuple[list[Transaction], list[Event]]:
        """What is still to be paid out, and what is still to be deducted of what is known by now."""
        deductions = [self._events[number] for number in self._undeducted]
        unpaid = [self._payments[ref] for ref in self._unpaid]
        return unpaid, [event for event in deductions if event.shown_at <= now]

    def payouts(self, first: date, last: date) -> list[Event]:
        """The payouts and deductions of these days, in their order."""
        start = bisect_left(self._payouts, (first, 0))
        days = islice(self._payouts, start, None)
        found = []
        for day, number in days:
            if day > last:
                break
            found.append(self._events[number])
        return found

    # The history, row by row: a row goes by the id of its payment, or by that of its event as a text.

    def row(self, ref: str) -> tuple[Transaction, Event | None]:
        """The payment of a row, and the event if it is the row of one."""
        if payment := self._payments.get(ref):
            return payment, None
        event = self._events[int(ref)]
        return self._payments[event.transaction_id], event

    def place_of(self, ref: str) -> Place | None:
        """Where a row stands."""
        return self._places.get(ref)

    def refs_between(self, first: Place, last: Place, *, backwards: bool) -> Iterator[str]:
        """The rows from one place up to, but not including, another: found at once, and given one by one."""
        start, stop = bisect_left(self._timeline, (first, "")), bisect_left(self._timeline, (last, ""))
        numbers = range(stop - 1, start - 1, -1) if backwards else range(start, stop)
        return (self._timeline[number][1] for number in numbers)

    def may_have_changed(self, ref: str, since: datetime) -> bool:
        """Whether a row was modified then or later, or is going to be: a quick look before a thorough one."""
        return self._touched[ref] >= since

    def refs_of(self, transaction: Transaction) -> list[str]:
        """The rows of one payment, in their order."""
        events = self._events_of.get(transaction.id, ())
        rows = [transaction.id, *(str(event.id) for event in events if event.type in TAKEN_BACK)]
        return sorted((ref for ref in rows if ref in self._places), key=self._places.__getitem__)
