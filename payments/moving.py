"""Moving places to another entry by their shopper: they see what it comes to, and it is done only if it still does.

What counts is what was paid for a place. At an entry of the same price nothing moves but the place; at a cheaper one
the difference goes back, promised, so that nobody has to approve it; a dearer one is a new order for the new place,
less what was paid for the old one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity, waiting
from bookings.browsing import load_price_kinds
from bookings.models import Booking, Entry, PriceKind
from cartsite import agreements
from cartsite.models import User
from cartsite.refusals import Conflict
from orders import moving, per_person, replacing
from orders import services as orders
from orders.models import Order, OrderContact, OrderLine
from orders.moving import CannotMove
from orders.worth import Piece, Place, Some, choose, how_many, places_of, take
from payments import cancelling, giving_back
from payments.cancelling import Key
from payments.giving_back import Purse
from payments.refunds import Wish

NOTHING = Decimal("0.00")


# --- What may be moved ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """Places of a line, all at one entry, that their shopper may move by themselves at this moment."""

    line: OrderLine
    entry: Entry
    places: Sequence[Place]  # the ones issued last first

    @property
    def key(self) -> Key:
        return cancelling.key_of(self.line, self.entry)

    @property
    def open(self) -> int:
        """How many may be moved."""
        return len(self.places)


def offers_for(order: Order) -> list[Offer]:
    """The places of an order that its shopper may move by themselves at this moment."""
    if order.status != Order.Status.CONFIRMED:
        return []
    return [offer for line in _lines_of(order) for offer in _offers_of(line)]


def _lines_of(order: Order) -> QuerySet[Any]:
    bookings = Prefetch("bookings", Booking.objects.select_related("entry__calendar", "entry__series", "attendee"))
    lines = order.lines.filter(kind=OrderLine.Kind.ENTRY).select_related("stall", "entry__calendar", "price_kind")
    return lines.prefetch_related("discounts", bookings).with_counts()


def _offers_of(line: Any) -> list[Offer]:
    if not is_offered(line):
        return []
    there = cancelling.by_entry(line, (booking for booking in line.bookings.all() if _may_go(booking)))
    left = line.quantity - line.counted
    return [Offer(line, entry, places_of(line, bookings[:left])) for entry, bookings in there]


def is_offered(line: Any) -> bool:
    """Whether the shopper may still move some of a confirmed order's line, of which so many are `counted` for."""
    return line.quantity > line.counted and any(_may_go(booking) for booking in line.bookings.all())


def _may_go(booking: Booking) -> bool:
    """Whether a place stands, is on its way nowhere else, and it is not too late.

    Not from an entry that the co-operative called off: that money goes back without being asked.
    """
    stands = booking.status == Booking.Status.CONFIRMED and booking.moving_to_id is None
    return stands and booking.entry.cancelled_at is None and _is_in_time(booking)


def _is_in_time(booking: Booking) -> bool:
    """As its calendar says; or as long as it is free to go since the co-operative changed when it is."""
    hours = booking.entry.calendar.move_hours
    in_time = hours is not None and timezone.now() < booking.entry.starts_at - timedelta(hours=hours)
    return in_time or cancelling.is_free_of_loss(booking)


# --- Where to, and what it comes to -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Price:
    """What one place costs at an entry, in the order's currency; without a kind its own price."""

    amount: Decimal
    kind: PriceKind | None


@dataclass(frozen=True)
class Move:
    """Places of an offer that go to another entry, and what that comes to, in the order's currency."""

    offer: Offer
    places: Sequence[Place]
    to: Entry
    price: Price

    @property
    def quantity(self) -> int:
        return len(self.places)

    @property
    def bookings(self) -> list[Booking]:
        return [place.booking for place in self.places]

    @property
    def leaves_some(self) -> bool:
        """Whether some of these places would stay where they are: then it must be said which ones go."""
        return self.quantity < self.offer.open

    @cached_property
    def paid(self) -> Decimal:
        """What was paid for them so far, less what went back."""
        return sum((place.worth for place in self.places), NOTHING)

    @cached_property
    def costs(self) -> Decimal:
        """What they cost there."""
        return self.price.amount * self.quantity

    @cached_property
    def is_dearer(self) -> bool:
        """Whether the place there costs more than it did here: then what was paid is taken off what it costs."""
        return any(_is_dearer(self.offer.line, place, self.price.amount) for place in self.places)

    @property
    def more(self) -> Decimal:
        """What is to be paid now."""
        return self.costs - self.paid if self.is_dearer else NOTHING

    @cached_property
    def rule(self) -> dict[str, Any]:
        """How they may be cancelled there, for the sentence that says so."""
        rule = moving.rule_there(self.bookings, self.to, is_dearer=self.is_dearer)
        return {"entry": self.to, "cancel_until": rule.cancel_until, "kept_percent": rule.kept_percent}

    @property
    def is_mixed(self) -> bool:
        """Whether it would be dearer for some of the places only."""
        dearer = [_is_dearer(self.offer.line, place, self.price.amount) for place in self.places]
        return any(dearer) and not all(dearer)


def _is_dearer(line: OrderLine, place: Place, price: Decimal) -> bool:
    """Whoever bought a place with a discount may have one of the same price for what they paid."""
    return price > (line.unit_price if place.is_as_sold else place.worth)


def price_at(line: OrderLine, entry: Entry) -> Price:
    """What a place of a line costs at an entry: at the kind of price of the same name, if there is one."""
    name = line.price_kind.name if line.price_kind else None
    kind = next((kind for kind in entry.price_kinds if kind.name == name), None)
    return Price(kind.price if kind else entry.price, kind)


def moves_for(offer: Offer) -> list[Move]:
    """All that one place of the offer may be moved to, the soonest first."""
    entries = list(others_like(offer.entry))
    load_price_kinds(entries)
    queued = waiting.is_queued({entry.pool_id for entry in entries})
    moves = [Move(offer, offer.places[:1], entry, price_at(offer.line, entry)) for entry in entries]
    return [move for move in moves if _why_not(move, queued) == ""]


def others_like(entry: Entry) -> QuerySet[Entry]:
    """Other dates of the same thing: of its series; without one those of the same title in the same calendar."""
    coming = Entry.objects.coming().exclude(pk=entry.pk)
    if entry.series_id is not None:
        return coming.filter(series=entry.series_id)
    return coming.filter(series=None, calendar=entry.calendar_id, title=entry.title)


def _why_not(move: Move, queued: set[int]) -> str:
    """Why places cannot go there, as a sentence; nothing if they can. `queued`: pools whose free places are others'."""
    line, to = move.offer.line, move.to
    is_like_it = to.calendar.stall_id == line.stall_id and to.tax_rate == line.tax_rate
    if not to.is_on_sale or not is_like_it:
        return _("You cannot move there any more.")
    if to.max_per_order is not None and move.quantity > to.max_per_order:
        return _("At most %(most)s places there can be booked at a time.") % {"most": to.max_per_order}
    takes_room = move.is_dearer or to.pool_id != move.offer.entry.pool_id
    if takes_room and (to.pool_id in queued or (to.pool.free is not None and to.pool.free < move.quantity)):
        return _("There are not enough places free there any more.")
    return _("Please move these places one at a time: they were not paid alike.") if move.is_mixed else ""


# --- The plan, and doing it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """A move, with what really goes back of what was paid, from which lines' money, place by place."""

    move: Move
    pieces: Sequence[Sequence[Piece]]
    by_card: bool  # all of what goes back can go to the card

    @property
    def by_place(self) -> list[Decimal]:
        """What goes back for each place."""
        return [sum((piece.amount for piece in pieces), NOTHING) for pieces in self.pieces]

    @property
    def back(self) -> Decimal:
        return sum(self.by_place, NOTHING)

    @property
    def fingerprint(self) -> str:
        """Equal if the shopper would read the same about the same places."""
        move = self.move
        read = (move.to.pk, str(move.to.starts_at), str(move.costs), str(move.paid), str(move.more), str(self.back))
        rule = (str(move.rule["cancel_until"]), str(move.rule["kept_percent"]))
        stands = [(place.booking.pk, str(place.worth)) for place in move.places]
        return agreements.fingerprint_of(read, rule, stands, self.by_card)


def plan_for(order: Order, key: Key, some: Some, to: int) -> Plan:
    """What it would come to if the shopper moved so many of the places that a key names, or some by their numbers, to
    an entry (its primary key).

    Raises CannotMove.
    """
    offer = next((offer for offer in offers_for(order) if offer.key == key), None)
    places = choose(offer.places, some) if offer else ()
    if offer is None or not 0 < how_many(some) == len(places):
        raise CannotMove(_("So many of these places cannot be moved any more."))
    entry = others_like(offer.entry).filter(pk=to).first()
    if entry is None:
        raise CannotMove(_("You cannot move there any more."))
    move = Move(offer, places, entry, price_at(offer.line, entry))
    if why_not := _why_not(move, waiting.is_queued({entry.pool_id})):
        raise CannotMove(why_not)
    _check_per_person(order, move)
    pieces = _pieces_back(order, move)
    return Plan(move, pieces, giving_back.is_by_card(piece for place in pieces for piece in place))


def _check_per_person(order: Order, move: Move) -> None:
    """Raise CannotMove if whoever ordered would have more places there than one person may."""
    wanted = {move.to: move.quantity} if move.to.max_per_person is not None else {}
    if reasons := per_person.find_excess_of(wanted, order.user, email_of(order)):
        raise CannotMove(*reasons)


def email_of(order: Order) -> str:
    """The address that the order was placed with; empty once it is erased."""
    contact = OrderContact.objects.filter(order=order).first()
    return contact.email if contact else ""


def _pieces_back(order: Order, move: Move) -> list[list[Piece]]:
    """What goes back for each place, from the lines that it was paid with, as far as there is money left."""
    purse = Purse(order)
    less = [NOTHING if move.is_dearer else max(place.worth - move.price.amount, NOTHING) for place in move.places]
    return [purse.pay(take(place.pieces, back)) for place, back in zip(move.places, less, strict=True)]


@transaction.atomic
def move_for_shopper(
    order: Order, key: Key, some: Some, to: int, *, agreed: str, by: User | None
) -> tuple[Plan, Order | None]:
    """Move so many places, or these, if that comes to what was agreed (a plan's fingerprint); the plan, and where it is
    dearer the new order that is to be paid.

    What goes back is approved with that; what cannot go back by card becomes an `overpaid` case. Raises CannotMove, or
    Conflict if it comes to something else, with nothing moved; so a second click never moves or pays anything twice.
    """
    if Entry.objects.filter(pk=to, max_per_person__isnull=False).exists():
        per_person.hold_still_at([to], order.user, email_of(order))  # before all else: so does whoever orders
    order = orders.lock(order.pk)
    replacing.lock_before(order)
    plan = plan_for(order, key, some, to)
    if plan.fingerprint != agreed:
        raise Conflict(_("This has changed since you looked at it. Please look again."))
    try:
        with transaction.atomic():
            if plan.move.is_dearer:
                return plan, _buy(plan.move, by=by)
            _go(order, plan, by=by)
    except capacity.SoldOut:
        raise CannotMove(_("There are not enough places free there any more.")) from None
    return plan, None


def _go(order: Order, plan: Plan, *, by: User | None) -> None:
    """Move them within their order, and send back what they cost less there."""
    move = plan.move
    moving.move_in_place(move.bookings, move.to, by=by, cause=Order.Closer.SHOPPER, back=plan.by_place)
    if move.to.pool_id != move.offer.entry.pool_id:
        waiting.refuse_if_queued([move.to.pool_id])
    pieces = giving_back.by_line(piece for place in plan.pieces for piece in place)
    why = _("The shopper moved it to a cheaper date.")
    giving_back.send_back_approved(order, [Wish(piece.amount, why, None, piece.line) for piece in pieces])


def _buy(move: Move, *, by: User | None) -> Order:
    """The order that pays for what they cost more there."""
    wish = moving.Dearer(move.bookings, move.to, move.price.amount, move.price.kind, move.paid)
    order = moving.place_move(wish, by=by)
    waiting.refuse_if_queued([move.to.pool_id])
    return order
