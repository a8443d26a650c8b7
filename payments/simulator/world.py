"""The simulated SumUp itself: its checkouts and its rules, without any HTTP around them."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from payments.simulator.agenda import Agenda
from payments.simulator.behaviour import Behaviour
from payments.simulator.checkouts import ALWAYS_DECLINED, Checkout, CheckoutStatus, Notice, start_transaction
from payments.simulator.clock import Clock
from payments.simulator.creating import build_checkout
from payments.simulator.events import Event, Statement
from payments.simulator.history import Page, Query, find_page
from payments.simulator.journal import Journal
from payments.simulator.money import fee_of
from payments.simulator.refusals import (
    AlreadyProcessed,
    BeingProcessed,
    DuplicateReference,
    ForeignMerchant,
    NoChallenge,
    Refused,
    SessionExpired,
    UnknownCheckout,
    UnknownTransaction,
)
from payments.simulator.shelf import Shelf
from payments.simulator.till import Kind, Known, Money, Till
from payments.simulator.transactions import Transaction, TransactionStatus
from payments.simulator.webhooks import (
    STATUS_CHANGED,
    Courier,
    Post,
    make_notice,
    note_answer,
    plan_notices,
    post_over_http,
    write_body,
)

__all__ = ["Merchant", "Refused", "SeenRequest", "Simulator"]

PAGE_OPEN_FOR = timedelta(minutes=30)
HIDDEN_FOR = timedelta(seconds=10)
REMEMBERED_REQUESTS = 1_000
WEBHOOK_THREADS = 8
DEAD = (CheckoutStatus.FAILED, CheckoutStatus.EXPIRED)


@dataclass(frozen=True)
class Merchant:
    """The one merchant account of this world, and the key to it."""

    code: str = "MROSEASH"
    api_key: str = "sup_sk_simulator"
    currency: str = "GBP"
    name: str = "Simulated merchant"
    email: str = "merchant@example.com"


@dataclass(frozen=True)
class SeenRequest:
    """One call of the API. `status` is None when the answer was withheld."""

    at: str
    method: str
    path: str
    query: str
    status: int | None
    checkout_reference: str | None


class Simulator:
    """State and rules. Every method may be called from any thread.

    `store` is the file to remember things in. `post` delivers webhooks, in this many threads; with none, they are
    delivered by whoever calls tick() or advance(), before that call returns.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        store: Path | str | None = None,
        merchant: Merchant | None = None,
        post: Post = post_over_http,
        threads: int = WEBHOOK_THREADS,
    ) -> None:
        self.clock = clock or Clock()
        self.merchant = merchant or Merchant()
        self.behaviour = Behaviour()
        self._requests: deque[SeenRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self._post = post
        self._courier = Courier(threads)
        self._lock = threading.RLock()
        self._shelf = Shelf(Journal(Path(store) if store else None))
        self._till = Till(self._shelf, self.clock, self.behaviour)
        self._agenda = Agenda()
        self._load()

    def _load(self) -> None:
        if ahead := self._shelf.load():
            self.clock.ahead = ahead
        for checkout in self._shelf:
            self._schedule(None, checkout)

    # What the merchant does.

    def create(self, document: dict[str, Any]) -> Checkout:
        """A new checkout, from the body of a create call."""
        checkout = build_checkout(document, self.clock.now())
        with self._lock:
            if checkout.merchant_code != self.merchant.code:
                raise ForeignMerchant("The key does not belong to this merchant.")
            if self._is_burnt(checkout.reference):
                raise DuplicateReference("Another checkout has this reference.")
            self._shelf.put(checkout)
        return checkout

    def _is_burnt(self, reference: str) -> bool:
        users = [self._current(checkout_id) for checkout_id in self._shelf.ids_of(reference)]
        if self.behaviour.choice("references") == "freed_when_dead":
            users = [checkout for checkout in users if checkout.status not in DEAD]
        return bool(users)

    def read(self, checkout_id: str, *, stale: bool = False) -> Checkout:
        """The checkout as it is now; stale, as it was before its last change if that is less than 10 seconds ago."""
        with self._lock:
            checkout = self._current(checkout_id)
            return self._as_told(self._shelf.before(checkout, self.clock.now()) if stale else checkout)

    def find(self, reference: str, *, stale: bool = False) -> list[Checkout]:
        """The checkouts with this reference."""
        with self._lock:
            return [self.read(checkout_id, stale=stale) for checkout_id in self._shelf.ids_of(reference)]

    def delete(self, checkout_id: str, *, in_flight_wins: bool = False) -> Checkout:
        """Deactivate the checkout. A payment under way is cancelled, or (in_flight_wins) may still arrive."""
        with self._lock:
            checkout = self._current(checkout_id)
            if checkout.status is CheckoutStatus.PAID:
                raise AlreadyProcessed("The checkout is paid.")
            if checkout.status is CheckoutStatus.EXPIRED:
                return checkout
            now = self.clock.now()
            return self._change(checkout, checkout.deactivated(now, in_flight_wins=in_flight_wins), now)

    # What happens to money that has arrived.

    def transaction(self, name: str) -> Statement | None:
        """The transaction with this id or code, and what the API tells of it by now."""
        with self._lock:
            transaction = self._settled(name)
            return self._shelf.ledger.statement(transaction, self.clock.now()) if transaction else None

    def is_fresh(self, transaction: Transaction) -> bool:
        """Whether the transaction was settled less than ten seconds ago."""
        return self.clock.now() < transaction.changed_at + HIDDEN_FOR

    def refund(self, name: str, amount: Money | None = None, *, shown_after: float = 0) -> Event:
        """Refund a transaction, by its id or code: a part, or all that is left.

        Asked twice it refunds twice. The API tells of it after some seconds.
        """
        with self._lock:
            return self._till.refund(self._existing(name), amount, timedelta(seconds=shown_after))

    def refund_in_dashboard(self, name: str, amount: Money | None = None) -> Event:
        """A member of staff refunds it by hand, past the shop."""
        return self.refund(name, amount)

    def refundable(self, name: str) -> Decimal:
        """What can still be refunded of a transaction."""
        with self._lock:
            return self._till.refundable(self._existing(name))

    def charge_back(self, name: str, amount: Money | None = None) -> Event:
        """The payer's bank takes the money back: an amount, or all that is left after refunds."""
        with self._lock:
            return self._till.charge_back(self._existing(name), amount)

    def take_stray_payment(self, amount: Money, description: str = "", currency: str | None = None) -> Transaction:
        """A payment without any checkout of ours, taken online by somebody else of the merchant's."""
        (payment,) = self.fill(1, amount=amount, description=description, currency=currency, payment_type="ECOM")
        return payment

    def take_reader_payment(self, amount: Money, description: str = "", *, tip: Money = 0) -> Transaction:
        """Somebody pays at a card reader of the merchant's, with a tip on top."""
        (payment,) = self.fill(1, amount=Decimal(str(amount)) + Decimal(str(tip)), description=description)
        return payment

    def fill(
        self,
        payments: int | Iterable[Known],
        *,
        amount: Money = 10,
        description: str = "",
        currency: str | None = None,
        payment_type: str = "POS",
        seconds_apart: float = 0,
    ) -> list[Transaction]:
        """Very many payments without checkouts, quickly.

        Either so many of one amount, of which the last is made now, or these: (id, code, amount, aware time).
        """
        kind = Kind(currency or self.merchant.currency, description, payment_type)
        with self._lock:
            many = self._till.invent(payments, amount, seconds_apart) if isinstance(payments, int) else payments
            return self._till.take(many, kind)

    def pay_out(self, day: date | None = None) -> list[Event]:
        """Pay out all that was not paid out yet, dated today or on another day; gives payouts and deductions."""
        with self._lock:
            self._catch_up()
            return self._till.pay_out(day)

    def history(self, query: Query) -> Page:
        """A page of the transaction history."""
        with self._lock:
            self._catch_up()
            return find_page(self._shelf.ledger, query, self.clock.now(), self.merchant.email)

    def payouts(self, first: date, last: date) -> list[tuple[Event, Transaction, Event | None]]:
        """The payouts and deductions of these days, each with its payment and the event it is deducted for."""
        with self._lock:
            return [self._explain(event) for event in self._shelf.ledger.payouts(first, last)]

    def newest_transactions(self, start: int, count: int) -> list[Statement]:
        """The latest payments that came to an end, newest first."""
        with self._lock:
            self._catch_up()
            ledger, now = self._shelf.ledger, self.clock.now()
            return [ledger.statement(payment, now) for payment in ledger.newest(start, count)]

    def _explain(self, payout: Event) -> tuple[Event, Transaction, Event | None]:
        ledger = self._shelf.ledger
        payment, _ = ledger.row(payout.transaction_id)
        return payout, payment, ledger.event(payout.deducts) if payout.deducts else None

    def _existing(self, name: str) -> Transaction:
        if not (transaction := self._settled(name)):
            raise UnknownTransaction("There is no such transaction.")
        return transaction

    def _settled(self, name: str) -> Transaction | None:
        """The transaction after whatever time has done to it."""
        if checkout_id := self._shelf.checkout_of(name):
            self._current(checkout_id)
        return self._shelf.transaction(name)

    def _catch_up(self) -> None:
        """Settle what is due. The webhooks about it stay for the next tick."""
        for checkout_id in self._agenda.due(self.clock.now()):
            self._current(checkout_id)

    # What the payer does.

    def pay(self, checkout_id: str) -> Checkout:
        """Pay with a good card. Some amounts are declined whatever the card."""
        return self._attempt(checkout_id, TransactionStatus.SUCCESSFUL, self._settling_time())

    def decline(self, checkout_id: str) -> Checkout:
        """Try to pay with a bad card."""
        return self._attempt(checkout_id, TransactionStatus.FAILED, timedelta(0))

    def challenge(self, checkout_id: str) -> Checkout:
        """Pay with a card whose bank asks back. Unanswered, it ends by itself as the behaviour says."""
        patience = timedelta(seconds=self.behaviour.number("challenge_seconds"))
        paid = self.behaviour.choice("challenge") == "paid"
        outcome = TransactionStatus.SUCCESSFUL if paid else TransactionStatus.FAILED
        return self._attempt(checkout_id, outcome, patience, challenged=True)

    def answer_challenge(self, checkout_id: str, *, approve: bool) -> Checkout:
        """Tell the bank yes or no."""
        with self._lock:
            checkout = self._current(checkout_id)
            attempt = checkout.in_flight
            if not attempt or not attempt.challenged:
                raise NoChallenge("No challenge is open.")
            outcome = TransactionStatus.SUCCESSFUL if approve else TransactionStatus.FAILED
            outcome, wait = self._foresee(checkout, outcome, self._settling_time())
            now = self.clock.now()
            answered = replace(attempt, challenged=False, settles_at=now + wait, settles_as=outcome)
            return self._change(checkout, _settle_if_due(checkout.with_transaction(answered), now), now)

    def _settling_time(self) -> timedelta:
        return timedelta(seconds=self.behaviour.number("settles_after"))

    def _foresee(
        self, checkout: Checkout, outcome: TransactionStatus, wait: timedelta
    ) -> tuple[TransactionStatus, timedelta]:
        """What will become of an attempt, and when. Only money needs time to settle: a refusal is immediate."""
        if outcome is TransactionStatus.FAILED or checkout.amount in ALWAYS_DECLINED:
            return TransactionStatus.FAILED, timedelta(0)
        return outcome, wait

    def _attempt(
        self, checkout_id: str, outcome: TransactionStatus, wait: timedelta, *, challenged: bool = False
    ) -> Checkout:
        with self._lock:
            checkout = self._payable(checkout_id)
            final, settling = self._foresee(checkout, outcome, wait)
            now = self.clock.now()
            # A bank that asks back takes its time to say no, too.
            settles_at = now + (wait if challenged else settling)
            fee = fee_of(checkout.amount, self.behaviour.number("fee_percent"))
            attempt = start_transaction(
                checkout, now, settles_at=settles_at, settles_as=final, challenged=challenged, fee=fee
            )
            return self._change(checkout, _settle_if_due(checkout.attempted(attempt), now), now)

    def _payable(self, checkout_id: str) -> Checkout:
        checkout = self._current(checkout_id)
        if checkout.status is CheckoutStatus.PAID:
            raise AlreadyProcessed("The checkout is already paid.")
        if checkout.in_flight:
            raise BeingProcessed("A payment is under way.")
        if checkout.status is CheckoutStatus.EXPIRED or self.is_page_closed(checkout):
            raise SessionExpired("The checkout can no longer be paid.")
        return checkout

    # What the page shows.

    def read_page(self, page: str) -> Checkout:
        """The checkout that is paid on this page."""
        with self._lock:
            checkout = self._current(self._shelf.id_of_page(page))
        if not checkout.hosted:
            raise UnknownCheckout("This checkout has no page.")
        return checkout

    def is_page_closed(self, checkout: Checkout) -> bool:
        """Whether the half hour is over in which the page can be used."""
        return checkout.hosted and self.clock.now() >= checkout.date + PAGE_OPEN_FOR

    # What tests and staff do.

    def behave(self, **changes: Any) -> None:
        """Change the behaviour: behave(create="500", times={"create": 1})."""
        self.behaviour.change(changes)

    def checkouts(self) -> list[Checkout]:
        """All checkouts, oldest first."""
        with self._lock:
            return [self.read(checkout.id) for checkout in self._shelf]

    def newest(self, start: int, count: int) -> list[Checkout]:
        """The latest checkouts, newest first."""
        with self._lock:
            return [self.read(checkout_id) for checkout_id in self._shelf.newest(start, count)]

    @property
    def requests(self) -> list[SeenRequest]:
        """The latest calls of the API, oldest first."""
        with self._lock:
            return list(self._requests)

    def remember(self, request: SeenRequest) -> None:
        """Note a call of the API."""
        with self._lock:
            self._requests.append(request)

    def notify(self, checkout_id: str, *, event_type: str = STATUS_CHANGED, subject: str | None = None) -> Checkout:
        """Send one more webhook to the checkout's address: needless, of an unknown type, or about another id.

        Without an address nobody is told.
        """
        with self._lock:
            checkout = self._current(checkout_id)
            if not checkout.return_url:
                return checkout
            notice = make_notice(event_type, subject or checkout.id, self.clock.now())
            return self._keep(checkout, checkout.owing((notice,)))

    def advance(self, seconds: float) -> None:
        """Move the clock ahead, and do all that falls due meanwhile."""
        with self._lock:
            self.clock.advance(seconds)
            self._shelf.note_clock(self.clock.ahead)
        self.tick()

    def tick(self) -> None:
        """Settle the payments and send the webhooks that are due."""
        for errand in self._take_due():
            self._courier.deliver(errand)

    def wait_for_webhooks(self, timeout: float = 10) -> bool:
        """Wait until no delivery is running; False when they do not come to an end in time."""
        return self._courier.wait_until_idle(timeout)

    def reset(self) -> None:
        """Forget everything: checkouts, behaviour, seen requests, and how far the clock was moved."""
        with self._lock:
            self._shelf.clear()
            self._agenda.clear()
            self.behaviour.reset()
            self._requests.clear()
            self.clock.reset()

    # How a checkout changes.

    def _current(self, checkout_id: str) -> Checkout:
        """The checkout, after whatever time has done to it. All reading goes through here."""
        checkout = self._shelf.get(checkout_id)
        if not checkout:
            raise UnknownCheckout("There is no such checkout.")
        now = self.clock.now()
        settled = _settle_if_due(checkout, now)
        if settled is not checkout and checkout.in_flight:
            checkout = self._change(checkout, settled, checkout.in_flight.settles_at)
        if self._is_over(checkout, now):
            checkout = self._change(checkout, checkout.expired(), now)
        return checkout

    def _as_told(self, checkout: Checkout) -> Checkout:
        """The checkout with the statuses that the API tells of its transactions, after refunds."""
        ledger, now = self._shelf.ledger, self.clock.now()
        told = (replace(t, status=ledger.statement(t, now).status) for t in checkout.transactions)
        return replace(checkout, transactions=tuple(told))

    def _is_over(self, checkout: Checkout, now: datetime) -> bool:
        # A payment under way wins over the deadline: what started in time may end after it.
        if checkout.in_flight or checkout.status in {CheckoutStatus.PAID, CheckoutStatus.EXPIRED}:
            return False
        if checkout.valid_until and now >= checkout.valid_until:
            return True
        return self.behaviour.choice("session_over") == "becomes_expired" and self.is_page_closed(checkout)

    def _change(self, before: Checkout, after: Checkout, at: datetime) -> Checkout:
        """Keep a changed checkout with the webhooks it now owes: one record, so neither is lost without the other."""
        if after.status is not before.status and after.status in {CheckoutStatus.PAID, CheckoutStatus.FAILED}:
            late = timedelta(seconds=self.behaviour.number("late_seconds"))
            after = after.owing(plan_notices(after, self.behaviour.take("webhooks"), at, late))
        self._shelf.put_changed(after, at)
        self._schedule(before, after)
        return after

    def _keep(self, before: Checkout, after: Checkout) -> Checkout:
        """Keep a checkout of which only the webhooks changed."""
        self._shelf.put(after)
        self._schedule(before, after)
        return after

    # What falls due.

    def _schedule(self, before: Checkout | None, after: Checkout) -> None:
        """Note what is new: what was noted before may just be under way, and must not be done twice."""
        attempt = after.in_flight
        if attempt and not (before and attempt in before.transactions):
            self._agenda.note(attempt.settles_at, after.id)
        for notice in after.notices:
            if notice.due_at and not (before and notice in before.notices):
                self._agenda.note(notice.due_at, after.id, notice.id)

    def _take_due(self) -> list[Callable[[], None]]:
        errands: list[Callable[[], None]] = []
        with self._lock:
            for when, checkout_id, notice_id in self._agenda.take_due(self.clock.now()):
                checkout = self._current(checkout_id)
                notice = checkout.notice(notice_id)
                if notice and notice.due_at == when:
                    errands.append(partial(self._deliver, checkout, notice))
        return errands

    def _deliver(self, checkout: Checkout, notice: Notice) -> None:
        """Send one webhook and note what came of it. Runs outside the lock: the receiver may call us back."""
        if not self._shelf.get(checkout.id):
            # A reset came in between.
            return
        status = self._post(checkout.return_url or "", write_body(notice))
        with self._lock:
            if kept := self._shelf.get(checkout.id):
                self._keep(kept, kept.with_notice(note_answer(notice, status, self.clock.now())))


def _settle_if_due(checkout: Checkout, now: datetime) -> Checkout:
    attempt = checkout.in_flight
    return checkout.settled() if attempt and attempt.settles_at <= now else checkout
