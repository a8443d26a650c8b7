"""Where everything is kept: found by any of its names without searching, and written to the journal."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from payments.simulator.checkouts import Checkout, from_document, to_document
from payments.simulator.events import Event, event_from
from payments.simulator.journal import Journal, UnreadableJournal
from payments.simulator.ledger import Ledger
from payments.simulator.transactions import Transaction, TransactionStatus, transaction_from

STALE_FOR = timedelta(seconds=10)


class Shelf:
    """All checkouts, and the ledger. It knows no rules and takes no locks: that is the simulator's part."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.ledger = Ledger()
        self._forget()

    def _forget(self) -> None:
        self.ledger.forget()
        self._checkouts: dict[str, Checkout] = {}
        self._by_reference: dict[str, list[str]] = {}
        self._by_page: dict[str, str] = {}
        self._by_transaction: dict[str, tuple[str, str]] = {}
        self._before: dict[str, tuple[Checkout, datetime]] = {}

    def load(self) -> timedelta:
        """Take everything out of the journal; gives how far the clock was ahead."""
        ahead = 0.0
        for number, record in enumerate(self._journal.read(), start=1):
            try:
                ahead = float(record.get("clock_ahead", ahead))
                self._take_up(record)
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise UnreadableJournal(f"Line {number} of the store is not a record of this simulator.") from error
        return timedelta(seconds=ahead)

    def _take_up(self, record: dict[str, Any]) -> None:
        if "checkout" in record:
            self._place(from_document(record["checkout"]))
        if "payment" in record:
            self.ledger.add_payment(transaction_from(record["payment"]))
        if "event" in record:
            self.ledger.add_event(event_from(record["event"]))

    def put(self, checkout: Checkout) -> None:
        """Keep this version of the checkout, in the journal first."""
        self._journal.append({"checkout": to_document(checkout)})
        self._place(checkout)

    def put_changed(self, checkout: Checkout, at: datetime) -> None:
        """Keep this version of the checkout and remember what it was before, for readers who lag behind."""
        self._before[checkout.id] = (self._checkouts[checkout.id], at)
        self.put(checkout)

    def put_payments(self, payments: list[Transaction]) -> None:
        """Keep payments that belong to no checkout."""
        self._journal.append(*({"payment": vars(payment)} for payment in payments))
        self.ledger.add_payments(payments)

    def put_events(self, events: list[Event]) -> None:
        """Keep what happened to payments."""
        self._journal.append(*({"event": vars(event)} for event in events))
        for event in events:
            self.ledger.add_event(event)

    def note_clock(self, ahead: timedelta) -> None:
        """Write down how far the clock is ahead, without which dates from the journal lie in the future."""
        self._journal.append({"clock_ahead": ahead.total_seconds()})

    def clear(self) -> None:
        """Forget everything, in the journal too."""
        self._journal.clear()
        self._forget()

    def _place(self, checkout: Checkout) -> None:
        if checkout.id not in self._checkouts:
            self._by_reference.setdefault(checkout.reference, []).append(checkout.id)
            self._by_page[checkout.page] = checkout.id
        for transaction in checkout.transactions:
            self._by_transaction[transaction.id] = (checkout.id, transaction.id)
            self._by_transaction[transaction.code] = (checkout.id, transaction.id)
            if transaction.status is not TransactionStatus.PENDING:
                self.ledger.add_payment(transaction)
        self._checkouts[checkout.id] = checkout

    def __iter__(self) -> Iterator[Checkout]:
        return iter(list(self._checkouts.values()))

    def get(self, checkout_id: str) -> Checkout | None:
        """The checkout with this id."""
        return self._checkouts.get(checkout_id)

    def ids_of(self, reference: str) -> list[str]:
        """The ids of the checkouts with this reference, oldest first."""
        return list(self._by_reference.get(reference, ()))

    def id_of_page(self, page: str) -> str:
        """The id of the checkout that is paid on this page, or nothing."""
        return self._by_page.get(page, "")

    def newest(self, start: int, count: int) -> list[str]:
        """The ids of the latest checkouts, newest first."""
        return list(islice(reversed(self._checkouts), start, start + count))

    def before(self, checkout: Checkout, now: datetime) -> Checkout:
        """The checkout as somebody sees it who lags ten seconds behind."""
        earlier, changed_at = self._before.get(checkout.id, (checkout, now))
        return earlier if now < changed_at + STALE_FOR else checkout

    def knows(self, name: str) -> bool:
        """Whether this is the id or code of a transaction."""
        return name in self._by_transaction or self.ledger.payment(name) is not None

    def checkout_of(self, name: str) -> str:
        """The id of the checkout that the transaction with this id or code is an attempt to pay, or nothing."""
        return self._by_transaction.get(name, ("", ""))[0]

    def transaction(self, name: str) -> Transaction | None:
        """The transaction with this id or code."""
        checkout_id, transaction_id = self._by_transaction.get(name, ("", ""))
        if not (checkout := self._checkouts.get(checkout_id)):
            return self.ledger.payment(name)
        return next(t for t in checkout.transactions if t.id == transaction_id)
