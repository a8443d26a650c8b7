"""Calling off what was sold, with the money that goes back for it: one transaction for both.

Staff call off what they like, and nothing of its price is kept; somebody approves the refund. Shoppers do it by
themselves, within the rules that each line was sold under: they are shown what it comes to, and it is done only if it
still comes to that. Their refund was promised to them, so nobody has to approve it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case, User
from orders import services as orders
from orders.models import LineFact, Order, OrderLine
from orders.money import round_to_penny
from orders.worth import paid_for
from payments import ledger, refunds
from payments.models import Payment, Refund
from payments.refunds import CannotRefund, Wish

NOTHING = Decimal("0.00")


class CannotCancel(Exception):
    """It cannot be called off; nothing has moved. The text says why."""


class LooksDifferent(CannotCancel):
    """It does not come to what the shopper was shown any more: they must look again."""


@dataclass(frozen=True)
class Part:
    """So many of a line."""

    line: OrderLine
    quantity: int


# --- By staff ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def cancel_order(order: Order, *, by: User, reason: str) -> list[Refund]:
    """Call a whole confirmed order off and ask for all its money to go back; the refunds, to be approved.

    What cannot go back by card becomes an `overpaid` case. Raises CannotCancel once anything was handed out.
    """
    order = orders.lock(order.pk)
    if not orders.cancel_confirmed(order, by=by, cause=Order.Closer.STAFF):
        raise CannotCancel(_("It is not confirmed, or something of it was collected or attended already."))
    return _send_back(order, [Wish(ledger.money_of(order).net, reason, by)])


@transaction.atomic
def cancel_parts(parts: list[Part], *, by: User, reason: str) -> list[Refund]:
    """Call so many of some lines of one order off and ask for what was paid for them to go back, if the order has so
    much left; the refunds, to be approved. What was paid for delivery goes back with the last of the goods.

    What cannot go back by card becomes an `overpaid` case. Raises CannotCancel, with nothing moved.
    """
    if not parts:
        return []
    order = orders.lock(parts[0].line.order_id)
    left = ledger.money_of(order).net
    wishes = []
    for part in parts:
        worth = min(paid_for(part.line, part.quantity, _called_off(part.line)), left)
        _cancel_some(part, by=by)
        wishes.append(Wish(worth, reason, by, part.line))
        left -= worth
    if any(part.line.kind == OrderLine.Kind.PRODUCT for part in parts):
        lines = list(_count(order))
        for fee, _quantity, worth, _kept in _handover_too(order, lines, {line.pk: line.cancelled for line in lines}):
            wishes.append(Wish(min(worth, left), reason, by, fee))
            left -= worth
    _owe_mail_about_parts(order)
    return _send_back(order, wishes)


def _called_off(line: OrderLine) -> int:
    """How many of a line were called off before."""
    return line.facts.filter(kind=LineFact.Kind.CANCELLED).aggregate(sum=Sum("quantity"))["sum"] or 0


def _cancel_some(part: Part, *, by: User | None) -> None:
    try:
        orders.cancel_some(part.line, part.quantity, by=by)
    except orders.CannotRecord as refusal:
        raise CannotCancel(str(refusal)) from refusal


def _owe_mail_about_parts(order: Order) -> None:
    """One mail for all that was called off just now; told apart from other times by the last event of it."""
    orders.owe_mail(order, "cancelled", occurrence=f"part-{order.events.latest('pk').pk}")


def _send_back(order: Order, wishes: list[Wish]) -> list[Refund]:
    """Ask for the money to go back; what did not come by card becomes one case."""
    asked, missed, why = [], NOTHING, ""
    for wish in wishes:
        if wish.amount <= 0:
            continue
        try:
            asked += refunds.request_from_order(order, wish)
        except CannotRefund as refusal:
            missed, why = missed + wish.amount, str(refusal)
    if missed:
        ask_a_person(order, missed, why)
    return asked


def ask_a_person(order: Order, missed: Decimal, why: str) -> None:
    """So much must go back by hand: a case of its own, or on top of what the locked order's open one is about."""
    what_happened = _("Order %(number)s: something was called off, and its money must go back. %(why)s")
    said = what_happened % {"number": order.number, "why": why}
    raised = Coalesce(F("at_stake"), NOTHING) + missed
    told = Concat("what_happened", Value(f" {said}"))
    standing = Case.objects.unresolved().filter(kind=Case.Kind.OVERPAID).about(order)
    if not standing.update(at_stake=raised, what_happened=told):
        Case.open(Case.Kind.OVERPAID, order, said, at_stake=missed)


# --- By the shopper: what it would come to ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """A line that its shopper may still call off by themselves."""

    line: OrderLine
    open: int  # how many still may be
    already: int  # how many were called off before


@dataclass(frozen=True)
class Promise:
    """So many of a line, what was paid for them, and what of that goes back."""

    line: OrderLine
    quantity: int
    worth: Decimal
    back: Decimal

    @property
    def kept(self) -> Decimal:
        return self.worth - self.back


@dataclass(frozen=True)
class Plan:
    """What calling off comes to, in the order's currency."""

    offers: list[Offer]
    promises: list[Promise]
    is_whole: bool  # nothing of the order would be left
    by_card: bool  # all of the money can go back to the card

    @property
    def back(self) -> Decimal:
        return sum((promise.back for promise in self.promises), NOTHING)

    @property
    def kept(self) -> Decimal:
        return sum((promise.kept for promise in self.promises), NOTHING)

    @property
    def fingerprint(self) -> str:
        """Equal if the shopper would read the same, of an order that still stands the same."""
        read = [(p.line.pk, p.quantity, str(p.back), str(p.worth)) for p in self.promises]
        stands = [(offer.line.pk, offer.open, offer.already) for offer in self.offers]
        return hashlib.sha256(repr((read, stands, self.is_whole, self.by_card)).encode()).hexdigest()[:32]


def offers_for(order: Order) -> list[Offer]:
    """The lines of an order that its shopper may call off by themselves at this moment, with how many."""
    return _offers_among(order, _count(order))


def _offers_among(order: Order, lines: Iterable[Any]) -> list[Offer]:
    return [
        Offer(line, line.quantity - line.counted, line.cancelled)
        for line in lines
        if order.status == Order.Status.CONFIRMED and is_offered(line)
    ]


def is_offered(line: Any) -> bool:
    """Whether the shopper may still call some of a confirmed order's line off, of which so many are `counted` for.

    Not places at an entry that the co-operative called off: their money goes back without being asked.
    """
    stands = line.entry is None or line.entry.cancelled_at is None
    in_time = line.cancel_until is not None and line.cancel_until > timezone.now()
    return stands and in_time and line.kind in OrderLine.GOODS and line.quantity > line.counted


def _count(order: Order) -> QuerySet[Any]:
    """The goods and places of an order, with how many of each are `counted` for already, and how many `cancelled`."""
    lines = order.lines.filter(kind__in=OrderLine.GOODS).select_related("stall", "entry__calendar")
    return lines.prefetch_related("discounts").with_counts()


def plan_for(order: Order, wanted: Mapping[int, int]) -> Plan:
    """What it would come to if the shopper called off so many of the lines at these positions. Raises CannotCancel.

    Delivery goes back too, once no goods are left to be delivered.
    """
    lines = list(_count(order))
    offers = _offers_among(order, lines)
    chosen = [(offer, wanted[offer.line.position]) for offer in offers if wanted.get(offer.line.position)]
    if not chosen or len(chosen) != sum(1 for quantity in wanted.values() if quantity):
        raise CannotCancel(_("Some of this cannot be cancelled any more."))
    if any(not 0 < quantity <= offer.open for offer, quantity in chosen):
        raise CannotCancel(_("There is not so much of it left to cancel."))
    worths = [(offer.line, quantity, *_worth_and_kept(offer, quantity)) for offer, quantity in chosen]
    gone = {line.pk: line.cancelled + wanted.get(line.position, 0) for line in lines}
    if any(line.kind == OrderLine.Kind.PRODUCT for line, *_rest in worths):
        worths += _handover_too(order, lines, gone)
    promises = _within(ledger.money_of(order).net, worths)
    is_whole = all(line.quantity == gone[line.pk] for line in lines)
    back = sum((promise.back for promise in promises), NOTHING)
    return Plan(offers, promises, is_whole, back <= _by_card(order))


def _worth_and_kept(offer: Offer, quantity: int) -> tuple[Decimal, Decimal]:
    """What was paid for so many more of a line, and what is kept of it: the same in sum in whatever portions."""
    line, already = offer.line, offer.already
    kept = _kept(line, already + quantity) - _kept(line, already)
    return paid_for(line, quantity, already), kept


def _kept(line: OrderLine, quantity: int) -> Decimal:
    """What is kept of the first so many of a line."""
    return round_to_penny(paid_for(line, quantity, 0) * line.kept_percent / 100)


def _handover_too(
    order: Order, lines: list[OrderLine], gone: Mapping[int, int]
) -> list[tuple[OrderLine, int, Decimal, Decimal]]:
    """What was paid for delivery, if no goods would be left."""
    if any(line.kind == OrderLine.Kind.PRODUCT and line.quantity > gone[line.pk] for line in lines):
        return []
    fees = order.lines.filter(kind=OrderLine.Kind.FEE, total__gt=0).prefetch_related("discounts")
    return [(fee, fee.quantity, paid_for(fee, fee.quantity, 0), NOTHING) for fee in fees]


def _within(left: Decimal, worths: list[tuple[OrderLine, int, Decimal, Decimal]]) -> list[Promise]:
    """What goes back for each, and never more than is left of what was paid for the order."""
    promises = []
    for line, quantity, worth, kept in worths:
        back = max(min(worth - kept, left), NOTHING)
        promises.append(Promise(line, quantity, worth, back))
        left -= back
    return promises


def _by_card(order: Order) -> Decimal:
    """How much of the order's money can go back to cards."""
    captured = order.payments.filter(status=Payment.Status.CAPTURED)
    return sum((ledger.refundable(payment) for payment in captured), NOTHING)


# --- By the shopper: doing it -----------------------------------------------------------------------------------------


@transaction.atomic
def cancel_for_shopper(order: Order, wanted: Mapping[int, int], *, agreed: str, by: User | None) -> Plan:
    """Call off so many of the lines at these positions if that comes to what was agreed (a plan's fingerprint).

    The refunds are approved with that. What cannot go back by card becomes an `overpaid` case. Raises CannotCancel,
    with nothing moved; so a second click, or somebody who was faster, never sends money twice.
    """
    order = orders.lock(order.pk)
    plan = plan_for(order, wanted)
    if plan.fingerprint != agreed:
        raise LooksDifferent(_("This order has changed since you looked at it. Please look again."))
    wishes = _wishes(order, plan)
    if plan.is_whole:
        orders.cancel_confirmed(order, by=by, cause=Order.Closer.SHOPPER)
    else:
        _cancel_promised(order, plan, by=by)
    for refund in _send_back(order, wishes):
        refunds.approve(refund, by=None)
    return plan


def _cancel_promised(order: Order, plan: Plan, *, by: User | None) -> None:
    """Call off the goods and places of the plan, and owe a mail about them."""
    for promise in plan.promises:
        if promise.line.kind in OrderLine.GOODS:
            _cancel_some(Part(promise.line, promise.quantity), by=by)
    _owe_mail_about_parts(order)


def _wishes(order: Order, plan: Plan) -> list[Wish]:
    """The money that goes back: in one sum where that is all there is, else line by line."""
    why = _("The shopper cancelled it.")
    if plan.is_whole and plan.back == ledger.money_of(order).net:
        return [Wish(plan.back, why, None)]
    return [Wish(promise.back, why, None, promise.line) for promise in plan.promises]
