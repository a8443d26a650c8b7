"""Calling off what was sold, with the money that goes back for it: one transaction for both.

Staff call off what they like, and nothing of its price is kept; somebody approves the refund. Shoppers do it by
themselves, within the rules that each line was sold under: they are shown what it comes to, and it is done only if it
still comes to that. Their refund was promised to them, so nobody has to approve it.

Places go back by where they are now: some of a line may have been moved. What was paid for a place by way of an order
before goes back from that one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings.models import Booking, Entry
from cartsite import agreements
from cartsite.models import User
from cartsite.refusals import Conflict, Refusal
from orders import replacing
from orders import services as orders
from orders.models import LineFact, Order, OrderLine
from orders.money import round_to_penny
from orders.worth import Piece, Place, Some, carried_by, choose, how_many, paid_for, places_of, take
from payments import giving_back, ledger
from payments.giving_back import Purse
from payments.models import Refund
from payments.refunds import Wish

NOTHING = Decimal("0.00")


class CannotCancel(Refusal):
    """It cannot be called off; nothing has moved. The text says why."""


@dataclass(frozen=True)
class Part:
    """So many of a line; of places those named, or the ones issued last."""

    line: OrderLine
    quantity: int
    places: Sequence[Booking] = ()


# --- By staff ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def cancel_order(order: Order, *, by: User, reason: str) -> list[Refund]:
    """Call a whole confirmed order off and ask for all its money to go back; the refunds, to be approved.

    What cannot go back by card becomes an `overpaid` case. Raises CannotCancel once anything was handed out, and while
    places of it are on their way to another order, or count there on what was paid here.
    """
    order = orders.lock(order.pk)
    check_pending(order)
    if carried_by(order):
        raise CannotCancel(
            _("Places were moved from it to another order, which needs its money. Call off the rest of it.")
        )
    replacing.lock_before(order)
    money = ledger.money_of(order).net - giving_back.due_by_hand(order)
    wishes = [Wish(money, reason, by), *_from_before(order, reason, by)]
    if not orders.cancel_confirmed(order, by=by, cause=Order.Closer.STAFF):
        raise CannotCancel(_("It is not confirmed, or something of it was collected or attended already."))
    return giving_back.send_back(order, wishes)


def check_pending(order: Order) -> None:
    """Raise CannotCancel while an unpaid order is to replace places of this one."""
    if (waiting := replacing.pending_for(order)) is not None:
        said = _("Places of it are to be moved by order %(number)s, which is not paid yet: cancel that one first.")
        raise CannotCancel(said % {"number": waiting.number})


def _from_before(order: Order, reason: str, by: User) -> list[Wish]:
    """What was paid by way of orders before for the places of this one that stand."""
    lines = order.lines.filter(replaces__isnull=False).distinct()
    standing = [(line, line.bookings.filter(status=Booking.Status.CONFIRMED)) for line in lines]
    pieces = [piece for line, bookings in standing for place in places_of(line, bookings) for piece in place.pieces]
    before = [piece for piece in pieces if piece.line.order_id != order.pk]
    return [Wish(piece.amount, reason, by, piece.line) for piece in Purse(order).pay(giving_back.by_line(before))]


@transaction.atomic
def cancel_parts(parts: list[Part], *, by: User, reason: str) -> list[Refund]:
    """Call so many of some lines of one order off and ask for what was paid for them to go back, if the order has so
    much left; the refunds, to be approved. What was paid for delivery goes back with the last of the goods.

    What cannot go back by card becomes an `overpaid` case. Raises CannotCancel, with nothing moved.
    """
    if not parts:
        return []
    order = orders.lock(parts[0].line.order_id)
    check_pending(order)
    replacing.lock_before(order)
    purse = Purse(order)
    pieces: list[Piece] = []
    for part in parts:
        pieces += purse.pay(_pieces_of(part))
        _cancel_some(part, by=by)
    if any(part.line.kind == OrderLine.Kind.PRODUCT for part in parts):
        lines = list(_count(order))
        fees = _handover_too(order, lines, {line.pk: line.cancelled for line in lines})
        pieces += purse.pay(Piece(fee, worth) for fee, worth in fees)
    _owe_mail_about_parts(order)
    return giving_back.send_back(
        order, [Wish(piece.amount, reason, by, piece.line) for piece in giving_back.by_line(pieces)]
    )


def _pieces_of(part: Part) -> list[Piece]:
    """What was paid for so many of a line, line by line where some of it was paid with another order."""
    line = part.line
    bookings = part.places or orders.last_places(line, part.quantity)
    if line.kind != OrderLine.Kind.ENTRY or not bookings:
        return [Piece(line, paid_for(line, part.quantity, _called_off(line)))]
    return giving_back.by_line(piece for place in places_of(line, bookings) for piece in place.pieces)


def _called_off(line: OrderLine) -> int:
    """How many of a line were called off before."""
    return line.facts.filter(kind=LineFact.Kind.CANCELLED).aggregate(sum=Sum("quantity"))["sum"] or 0


def _cancel_some(part: Part, *, by: User | None) -> None:
    try:
        orders.cancel_some(part.line, part.quantity, by=by, places=part.places)
    except orders.CannotRecord as refusal:
        raise CannotCancel(str(refusal)) from refusal


def _owe_mail_about_parts(order: Order) -> None:
    """One mail for all that was called off just now; told apart from other times by the last event of it."""
    orders.owe_mail(order, "cancelled", occurrence=f"part-{order.events.latest('pk').pk}")


# --- By the shopper: what it would come to ----------------------------------------------------------------------------


# A line's position; for places that are at another entry than was ordered, with that entry's primary key.
Key = int | tuple[int, int]


@dataclass(frozen=True)
class Offer:
    """What its shopper may still call off by themselves of a line; of places those at one entry."""

    line: OrderLine
    open: int  # how many still may be
    already: int  # how many of the line were called off before
    entry: Entry | None = None
    places: Sequence[Place] = ()  # the ones issued last first

    @property
    def key(self) -> Key:
        return key_of(self.line, self.entry)

    @property
    def title(self) -> str:
        return self.entry.title if self.entry and self.is_moved else self.line.title

    @property
    def is_moved(self) -> bool:
        """Whether these places are at another entry than was ordered, where what was paid for them may be less."""
        return not isinstance(self.key, int)

    @property
    def cancel_until(self) -> datetime | None:
        """Until when (UTC) all of it may be called off."""
        untils = [_until(self.line, place.booking) for place in self.places]
        return min((until for until in untils if until), default=self.line.cancel_until)

    @property
    def kept_percent(self) -> Decimal:
        """Of what was paid for it."""
        is_free = self.places and all(is_free_of_loss(place.booking) for place in self.places)
        return NOTHING if is_free else self.line.kept_percent


def key_of(line: OrderLine, entry: Entry | None) -> Key:
    """What names a line, or its places at one entry, in forms."""
    return line.position if entry is None or entry.pk == line.entry_id else (line.position, entry.pk)


@dataclass(frozen=True)
class Choice:
    """So many of an offer; of places which ones."""

    offer: Offer
    quantity: int
    places: Sequence[Place]


@dataclass(frozen=True)
class Promise:
    """So many of a line, what was paid for them, and what of that goes back, from which lines' money."""

    line: OrderLine
    quantity: int
    worth: Decimal
    pieces: Sequence[Piece]
    choice: Choice | None = None  # none for delivery, which nobody chooses to call off

    @property
    def title(self) -> str:
        return self.choice.offer.title if self.choice else self.line.title

    @property
    def entry(self) -> Entry | None:
        return self.choice.offer.entry if self.choice else None

    @property
    def places(self) -> list[Booking]:
        return [place.booking for place in self.choice.places] if self.choice else []

    @property
    def leaves_some(self) -> bool:
        """Whether some of these places would stand: then it must be said which ones go."""
        return self.choice is not None and 0 < len(self.places) < len(self.choice.offer.places)

    @property
    def back(self) -> Decimal:
        return sum((piece.amount for piece in self.pieces), NOTHING)

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
    def pieces(self) -> list[Piece]:
        return [piece for promise in self.promises for piece in promise.pieces]

    @property
    def fingerprint(self) -> str:
        """Equal if the shopper would read the same, of an order that still stands the same."""
        read = [(p.line.pk, p.quantity, str(p.back), str(p.worth), [b.pk for b in p.places]) for p in self.promises]
        stands = [(offer.line.pk, str(offer.key), offer.open, offer.already) for offer in self.offers]
        return agreements.fingerprint_of(read, stands, self.is_whole, self.by_card)


def offers_for(order: Order) -> list[Offer]:
    """What of an order its shopper may call off by themselves at this moment, and how many of each."""
    return _offers_among(order, _count(order))


def _offers_among(order: Order, lines: Iterable[Any]) -> list[Offer]:
    if order.status != Order.Status.CONFIRMED:
        return []
    return [offer for line in lines for offer in _offers_of(line)]


def _offers_of(line: Any) -> list[Offer]:
    """A line of goods, or its places by where they are: first those that were not moved."""
    if not is_offered(line):
        return []
    left = line.quantity - line.counted
    if line.entry is None:
        return [Offer(line, left, line.cancelled)]
    return [
        Offer(line, min(len(there), left), line.cancelled, entry, places_of(line, there))
        for entry, there in by_entry(line, (booking for booking in line.bookings.all() if _may_go(line, booking)))
    ]


def by_entry(line: OrderLine, bookings: Iterable[Booking]) -> list[tuple[Entry, list[Booking]]]:
    """These places of a line by where they are: first at the entry that was ordered, then the soonest; each time the
    ones issued last first."""

    def place(booking: Booking) -> tuple[bool, datetime, int, int]:
        return booking.entry_id != line.entry_id, booking.entry.starts_at, booking.entry_id, -booking.pk

    found = groupby(sorted(bookings, key=place), key=lambda booking: booking.entry)
    return [(entry, list(there)) for entry, there in found]


def is_offered(line: Any) -> bool:
    """Whether the shopper may still call some of a confirmed order's line off, of which so many are `counted` for."""
    if line.kind not in OrderLine.GOODS or line.quantity <= line.counted:
        return False
    if line.entry is None:
        return line.cancel_until is not None and line.cancel_until > timezone.now()
    return any(_may_go(line, booking) for booking in line.bookings.all())


def _may_go(line: OrderLine, booking: Booking) -> bool:
    """Whether its shopper may call a place off: it stands, is not about to be moved, and it is not too late.

    Not at an entry that the co-operative called off: that money goes back without being asked.
    """
    stands = booking.status == Booking.Status.CONFIRMED and booking.moving_to_id is None
    until = _until(line, booking)
    return stands and booking.entry.cancelled_at is None and until is not None and until > timezone.now()


def _until(line: OrderLine, booking: Booking) -> datetime | None:
    """Until when (UTC) its shopper may call a place off: as it was sold, or as the co-operative's change allows."""
    untils = [booking.cancel_until or line.cancel_until, booking.free_until]
    return max((until for until in untils if until), default=None)


def is_free_of_loss(booking: Booking) -> bool:
    """Whether all that was paid for a place comes back, since the co-operative changed when it is."""
    return booking.free_until is not None and booking.free_until > timezone.now()


def _count(order: Order) -> QuerySet[Any]:
    """The goods and places of an order, with how many of each are `counted` for already, and how many `cancelled`."""
    bookings = Prefetch("bookings", Booking.objects.select_related("entry__calendar", "attendee"))
    lines = order.lines.filter(kind__in=OrderLine.GOODS).select_related("stall", "entry__calendar")
    return lines.prefetch_related("discounts", bookings).with_counts()


def plan_for(order: Order, wanted: Mapping[Key, Some]) -> Plan:
    """What it would come to if the shopper called off so many of these, or these places. Raises CannotCancel.

    Delivery goes back too, once no goods are left to be delivered.
    """
    lines = list(_count(order))
    offers = _offers_among(order, lines)
    chosen = _choose(offers, wanted)
    gone = Counter({line.pk: line.cancelled for line in lines})
    for choice in chosen:
        gone[choice.offer.line.pk] += choice.quantity
    purse = Purse(order)
    promises = [_promise(choice, purse) for choice in chosen]
    if any(choice.offer.line.kind == OrderLine.Kind.PRODUCT for choice in chosen):
        fees = _handover_too(order, lines, gone)
        promises += [Promise(fee, fee.quantity, worth, purse.pay([Piece(fee, worth)])) for fee, worth in fees]
    is_whole = all(line.quantity == gone[line.pk] for line in lines) and not carried_by(order)
    return Plan(
        offers, promises, is_whole, giving_back.is_by_card(piece for promise in promises for piece in promise.pieces)
    )


def _choose(offers: Iterable[Offer], wanted: Mapping[Key, Some]) -> list[Choice]:
    """What is wanted of these offers. Raises CannotCancel if they are not, or not so many, or not these places."""
    chosen = [_choose_of(offer, some) for offer in offers if (some := wanted.get(offer.key))]
    if not chosen or len(chosen) != sum(1 for some in wanted.values() if some):
        raise CannotCancel(_("Some of this cannot be cancelled any more."))
    return chosen


def _choose_of(offer: Offer, some: Some) -> Choice:
    choice = Choice(offer, how_many(some), choose(offer.places, some))
    if not 0 < choice.quantity <= offer.open:
        raise CannotCancel(_("There is not so much of it left to cancel."))
    if offer.places and len(choice.places) != choice.quantity:
        raise CannotCancel(_("Some of these places cannot be cancelled any more."))
    return choice


def _promise(choice: Choice, purse: Purse) -> Promise:
    """What was paid for so many of an offer, and what of that goes back: the same in sum in whatever portions."""
    line, quantity, already = choice.offer.line, choice.quantity, choice.offer.already
    if line.entry is None:
        worth = paid_for(line, quantity, already)
        kept = _kept(line, already + quantity) - _kept(line, already)
        return Promise(line, quantity, worth, purse.pay([Piece(line, worth - kept)]), choice)
    back = [piece for place in choice.places for piece in take(place.pieces, place.worth - _kept_of(line, place))]
    worth = sum((place.worth for place in choice.places), NOTHING)
    return Promise(line, quantity, worth, purse.pay(giving_back.by_line(back)), choice)


def _kept(line: OrderLine, quantity: int) -> Decimal:
    """What is kept of the first so many of a line."""
    return round_to_penny(paid_for(line, quantity, 0) * line.kept_percent / 100)


def _kept_of(line: OrderLine, place: Place) -> Decimal:
    """What is kept of one place: its portion of the line's, or of what it is worth since it was moved."""
    if is_free_of_loss(place.booking):
        return NOTHING
    if place.is_as_sold:
        return _kept(line, place.number) - _kept(line, place.number - 1)
    return round_to_penny(place.worth * line.kept_percent / 100)


def _handover_too(order: Order, lines: list[OrderLine], gone: Mapping[int, int]) -> list[tuple[OrderLine, Decimal]]:
    """What was paid for delivery, if no goods would be left."""
    if any(line.kind == OrderLine.Kind.PRODUCT and line.quantity > gone[line.pk] for line in lines):
        return []
    fees = order.lines.filter(kind=OrderLine.Kind.FEE, total__gt=0).prefetch_related("discounts")
    return [(fee, paid_for(fee, fee.quantity, 0)) for fee in fees]


# --- By the shopper: doing it -----------------------------------------------------------------------------------------


@transaction.atomic
def cancel_for_shopper(order: Order, wanted: Mapping[Key, Some], *, agreed: str, by: User | None) -> Plan:
    """Call off so many of these, or these places, if that comes to what was agreed (a plan's fingerprint).

    The refunds are approved with that. What cannot go back by card becomes an `overpaid` case. Raises CannotCancel,
    or Conflict if it comes to something else, with nothing moved; so a second click never sends money twice.
    """
    order = orders.lock(order.pk)
    replacing.lock_before(order)
    plan = plan_for(order, wanted)
    if plan.fingerprint != agreed:
        raise Conflict(_("This order has changed since you looked at it. Please look again."))
    wishes = _wishes(order, plan)
    if plan.is_whole:
        orders.cancel_confirmed(order, by=by, cause=Order.Closer.SHOPPER)
    else:
        _cancel_promised(order, plan, by=by)
    giving_back.send_back_approved(order, wishes)
    return plan


def _cancel_promised(order: Order, plan: Plan, *, by: User | None) -> None:
    """Call off the goods and places of the plan, and owe a mail about them."""
    for promise in plan.promises:
        if promise.choice is not None:
            _cancel_some(Part(promise.line, promise.quantity, promise.places), by=by)
    _owe_mail_about_parts(order)


def _wishes(order: Order, plan: Plan) -> list[Wish]:
    """The money that goes back: in one sum where that is all there is, else line by line."""
    why = _("The shopper cancelled it.")
    is_own = all(piece.line.order_id == order.pk for piece in plan.pieces)
    if plan.is_whole and is_own and plan.back == ledger.money_of(order).net:
        return [Wish(plan.back, why, None)]
    return [Wish(piece.amount, why, None, piece.line) for piece in plan.pieces]
