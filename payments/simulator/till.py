"""What SumUp does with money that has arrived: give it back, have it taken away, pay it out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from payments.simulator.behaviour import Behaviour
from payments.simulator.clock import Clock
from payments.simulator.events import Event, EventType
from payments.simulator.money import NOTHING, fee_of, is_amount, read_money
from payments.simulator.refusals import AmountRefused, BadAmount, NotRefundable, Refused
from payments.simulator.shelf import Shelf
from payments.simulator.transactions import Transaction, TransactionStatus, new_code, new_id

Money = Decimal | int | float
# A payment as its maker knows it: id, code, amount, and when it was made.
Known = tuple[str, str, Money, datetime]


@dataclass(frozen=True)
class Kind:
    """What payments that are made at once have in common."""

    currency: str
    description: str = ""
    payment_type: str = "POS"


class Till:
    """The rules of money. It takes no locks: that is the simulator's part."""

    def __init__(self, shelf: Shelf, clock: Clock, behaviour: Behaviour) -> None:
        self._shelf = shelf
        self._ledger = shelf.ledger
        self._clock = clock
        self._behaviour = behaviour

    # Money that goes back.

    def refundable(self, transaction: Transaction) -> Decimal:
        """What can be given back, whether or not the API tells yet of what was."""
        return self._ledger.statement(transaction).left

    def refund(self, transaction: Transaction, amount: Money | None, shown_after: timedelta) -> Event:
        """Give back an amount, or all that is left. There is no memory of what was asked before."""
        left = self.refundable(transaction)
        giving = left if amount is None else _check(amount)
        if not left:
            raise NotRefundable("Nothing is left to refund.")
        if giving > left:
            raise AmountRefused(f"Only {left} can be refunded.", "amount_too_high")
        if giving < left and self._behaviour.choice("partial_refunds") == "full_only":
            raise AmountRefused(f"Only {left} can be refunded, and no part of it.", "amount_too_low")
        marks = self._behaviour.choice("refunded_status") == "becomes_refunded"
        return self._happen(transaction, EventType.REFUND, giving, shown_after, marks=marks)

    def charge_back(self, transaction: Transaction, amount: Money | None) -> Event:
        """The payer's bank takes back an amount, or all that is left. It does not ask what was refunded already."""
        statement = self._ledger.statement(transaction)
        taking = statement.left if amount is None else _check(amount)
        most = transaction.amount - statement.total(EventType.CHARGE_BACK) if transaction.moved_money else NOTHING
        if not 0 < taking <= most:
            raise NotRefundable(f"Not more than {most} can be charged back, and not nothing.")
        return self._happen(transaction, EventType.CHARGE_BACK, taking, timedelta(0))

    def _happen(
        self, transaction: Transaction, kind: EventType, amount: Decimal, shown_after: timedelta, *, marks: bool = False
    ) -> Event:
        now = self._clock.now()
        number = self._ledger.new_number()
        event = Event(number, transaction.id, kind, amount, at=now, shown_at=now + shown_after, marks=marks)
        self._shelf.put_events([event])
        return event

    # Money from elsewhere.

    def take(self, payments: Iterable[Known], kind: Kind) -> list[Transaction]:
        """Payments without a checkout: all of them, or none when one of them cannot be."""
        percent = self._behaviour.number("fee_percent")
        taken = [_succeed(known, kind, percent) for known in payments]
        names = [name for transaction in taken for name in (transaction.id, transaction.code)]
        if len(set(names)) < len(names) or any(map(self._shelf.knows, names)):
            raise Refused("A transaction with one of these ids or codes is there already.")
        self._shelf.put_payments(taken)
        return taken

    def invent(self, count: int, amount: Money, apart: float) -> Iterable[Known]:
        """Payments of one amount, some seconds apart, the last of them now."""
        now = self._clock.now()
        return ((new_id(), new_code(), amount, now - timedelta(seconds=apart * n)) for n in reversed(range(count)))

    # Money that goes to the merchant's bank.

    def pay_out(self, day: date | None) -> list[Event]:
        """Pay out every payment that was not paid out, and deduct what was taken back and not deducted."""
        now = self._clock.now()
        unpaid, taken_back = self._ledger.owed(now)
        first = self._ledger.new_number()
        on = day or now.date()
        events = [
            Event(n, t.id, EventType.PAYOUT, t.amount - t.fee, at=now, shown_at=now, fee=t.fee, day=on)
            for n, t in enumerate(unpaid, first)
        ]
        events += [
            Event(n, e.transaction_id, EventType.PAYOUT_DEDUCTION, e.amount, now, now, day=on, deducts=e.id)
            for n, e in enumerate(taken_back, first + len(unpaid))
        ]
        self._shelf.put_events(events)
        return events


def _check(amount: Money) -> Decimal:
    if not is_amount(amount):
        raise BadAmount("The amount must be greater than zero, and not finer than a penny.")
    return read_money(amount)


def _succeed(known: Known, kind: Kind, percent: float) -> Transaction:
    name, code, said, at = known
    amount = _check(said)
    return Transaction(
        id=name,
        code=code,
        amount=amount,
        currency=kind.currency,
        started_at=at,
        changed_at=at,
        settles_at=at,
        settles_as=TransactionStatus.SUCCESSFUL,
        status=TransactionStatus.SUCCESSFUL,
        fee=fee_of(amount, percent),
        summary=kind.description,
        payment_type=kind.payment_type,
    )
