"""A quiet period: SumUp is honest again, sends no webhooks, and only the timers work; then all must be in order."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from bookings import waiting
from bookings.models import Hold, Waiter
from cartsite.models import Case, Message
from orders.models import Order
from payments import casework
from payments.models import DailyClose, Movement, Payment, Refund, RefundBatch, Stray, Taking
from payments.simulator.events import EventType, Statement
from tests.invariants import assert_books_balance
from tests.machine.timers import SWEEPS
from tests.machine.world import BrokenAtTimes, World

# In all more than nine days: sometimes long, sometimes just what must lie between two looks.
ROUNDS = [
    *[timedelta(minutes=15), timedelta(minutes=2)] * 4,
    *[timedelta(hours=6), timedelta(minutes=2), timedelta(hours=18)],
    *[timedelta(days=1)] * 8,
]
KIND_OF = {Movement.Kind.REFUND: EventType.REFUND, Movement.Kind.CHARGEBACK: EventType.CHARGE_BACK}


def let_all_come_to_rest(world: World) -> None:
    """Nobody does anything any more for nine days, and nothing goes wrong."""
    world.simulator.behaviour.reset()
    world.simulator.behave(webhooks="never")
    world.relay.be_honest()
    BrokenAtTimes.is_broken = False
    for how_long in ROUNDS:
        world.wait(how_long)
        for sweep in SWEEPS.values():
            sweep()


def find_loose_ends(world: World) -> list[str]:
    """What is neither settled nor in front of a person."""
    assert_books_balance()
    checks = (_payments(), _orders(), _refunds(), _mail(), _holds(), _lines(), _batches(), _days(), _their_money(world))
    return [end for check in checks for end in check]


def clear_the_desk(world: World) -> None:
    """Somebody works through all the cases that are left, and accepts what they find: every one comes to an end."""
    for case in Case.objects.unresolved():
        casework.accept(case, by=world.staff, note="Seen, and left as it is")
    assert not Case.objects.unresolved().exists()


def has_case(*subjects: Payment | Order | Refund | Stray) -> bool:
    return Case.objects.unresolved().about(*subjects).exists()


def _payments() -> Iterator[str]:
    for payment in Payment.objects.live().select_related("order"):
        if not has_case(payment, payment.order):
            yield f"payment {payment.pk} is {payment.status}, and nobody was told"


def _orders() -> Iterator[str]:
    for order in Order.objects.awaiting():
        part_paid = 0 < order.movements.all().net() < order.total
        if not part_paid and not has_case(order, *order.payments.all(), *order.refunds.all()):
            yield f"order {order.pk} still waits, and nobody was told"


def _refunds() -> Iterator[str]:
    for refund in Refund.objects.alive():
        before_it = refund.payment.refunds.filter(status__in=Refund.UNDER_WAY) if refund.payment else []
        if (refund.status != Refund.Status.REQUESTED or refund.approved_at) and not has_case(refund, *before_it):
            yield f"refund {refund.pk} is {refund.status}, and nobody was told"
    failed = Refund.objects.filter(status=Refund.Status.FAILED, sent_at__isnull=False, note="", retried_as=None)
    for refund in failed:
        if not Case.objects.about(refund).exists():
            yield f"refund {refund.pk} has failed, and nobody was told"


def _mail() -> Iterator[str]:
    for message in Message.objects.filter(status=Message.Status.OWED):
        yield f"the mail {message.kind} is still owed: {message.last_error}"
    for message in Message.objects.filter(status=Message.Status.FAILED):
        about = Case.objects.filter(kind=Case.Kind.MAIL_FAILED, subject_uuid=message.subject_uuid)
        # Who waits and cannot be told is let go.
        let_go = Waiter.objects.filter(uuid=message.subject_uuid).exclude(pk__in=Waiter.objects.active())
        if not about.exists() and not let_go.exists():
            yield f"the mail {message.kind} has failed, and nobody was told"


def _holds() -> Iterator[str]:
    for hold in Hold.objects.expired():
        yield f"hold {hold.pk} ended at {hold.until}, and takes up {hold.quantity}"


def _lines() -> Iterator[str]:
    for waiter in Waiter.objects.filter(status=Waiter.Status.OFFERED):
        if not waiter.has_offer:
            yield f"the offer to waiter {waiter.pk} ended at {waiter.offer_until}, and nobody was told"
    for waiter in Waiter.objects.in_turn().select_related("entry__calendar", "entry__pool"):
        free = waiter.entry.pool.free
        if waiting.offer_ends(waiter.entry) and (free is None or free > 0):
            yield f"waiter {waiter.pk} waits, and {free} are free"


def _batches() -> Iterator[str]:
    for batch in RefundBatch.objects.filter(prepared_at=None):
        yield f"not all orders of batch {batch.pk} were put right"


def _days() -> Iterator[str]:
    for close in DailyClose.objects.filter(day__lt=timezone.localdate() - timedelta(days=1), reopening=None):
        if close.status != DailyClose.Status.CLOSED:
            found = [str(finding) for finding in close.findings.filter(case=None)]
            yield f"{close.day} is {close.status}: {found}"


def _their_money(world: World) -> Iterator[str]:
    """Every transaction that moved money at SumUp, against ours, to the penny."""
    ours: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for name, kind, amount in _sums():
        ours[name, kind] = abs(amount)
    for statement in world.simulator.newest_transactions(0, 1000):
        if statement.transaction.moved_money:
            yield from _compare(world, statement, ours)


def _sums() -> list[tuple[str, str, Decimal]]:
    sums: list[tuple[str, str, Decimal]] = []
    for books in (Movement.objects, Taking.objects):
        rows = books.filter(kind__in=["capture", "refund", "chargeback"]).order_by()
        sums += rows.values_list("transaction_id", "kind").annotate(Sum("amount"))
    return sums


def _compare(world: World, statement: Statement, ours: dict[tuple[str, str], Decimal]) -> Iterator[str]:
    paid = statement.transaction
    captured = ours[paid.id, "capture"]
    if not captured:
        if not _is_known(world, paid.id):
            yield f"nobody was told of the transaction {paid.id} of {paid.amount} {paid.currency}"
        return
    if captured != paid.amount:
        yield f"transaction {paid.id}: {captured} is written down of {paid.amount}"
    for kind, theirs in KIND_OF.items():
        if ours[paid.id, kind] != statement.total(theirs):
            yield f"transaction {paid.id}: {kind} {ours[paid.id, kind]} is not {statement.total(theirs)}"


def _is_known(world: World, transaction_id: str) -> bool:
    """Whether a person has been told of money that is not written down as an order's."""
    strays = Stray.objects.filter(transaction_id=transaction_id)
    references = [
        checkout.reference
        for checkout in world.simulator.checkouts()
        if any(tried.id == transaction_id for tried in checkout.transactions)
    ]
    subjects = [*strays, *Payment.objects.filter(reference__in=references)]
    return Case.objects.filter(kind=Case.Kind.UNKNOWN_MONEY).about(*subjects).exists()
