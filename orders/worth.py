"""What was really paid for a thing, after its part of a discount; of a place also by way of the orders before it.

Each place of a line has a number: the one issued last is the first, since it is called off first. A place that was
moved within its order keeps the number of the one it came instead of. So every place is worth the same penny for
penny whatever becomes of the others, and all of them together what the line came to.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from bookings.models import Booking
from orders.models import Order, OrderLine
from orders.money import round_to_penny

NOTHING = Decimal("0.00")


def worth_of(line: OrderLine) -> Decimal:
    """What the whole line came to: its total less the discounts about it, in the order's currency."""
    return line.total + sum((part.amount for part in line.discounts.all()), NOTHING)


def paid_for(line: OrderLine, quantity: int, already: int) -> Decimal:
    """What `quantity` of a line was worth, when `already` of it was counted before; in the order's currency.

    Rounded so that all parts, in whatever portions, add up to exactly what the line came to; never negative.
    """
    whole = worth_of(line)
    return _up_to(line, already + quantity, whole) - _up_to(line, already, whole)


def _up_to(line: OrderLine, quantity: int, whole: Decimal) -> Decimal:
    """What the first `quantity` of the line were worth together."""
    return round_to_penny(whole * quantity / line.quantity)


# --- Of places --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A part of what a place is worth, in its currency: what one line, in whichever order, was paid for it."""

    line: OrderLine
    amount: Decimal


@dataclass(frozen=True)
class Place:
    """A sold place, with what of its price is still here: its own order's part first, then those of orders before."""

    booking: Booking
    number: int
    pieces: list[Piece]

    @property
    def worth(self) -> Decimal:
        return sum((piece.amount for piece in self.pieces), NOTHING)

    @property
    def is_as_sold(self) -> bool:
        """Whether all of it was paid with its own line, and none of that went back."""
        return not self.booking.given_back and len(self.pieces) == 1


# So many places, or those with these numbers.
Some = int | AbstractSet[int]


def choose(places: Sequence[Place], some: Some) -> Sequence[Place]:
    """So many of these places, the first ones given; or those with these numbers, as far as they are among them."""
    if isinstance(some, int):
        return places[:some]
    return [place for place in places if place.number in some]


def how_many(some: Some) -> int:
    """How many places that are."""
    return some if isinstance(some, int) else len(some)


def places_of(line: OrderLine, bookings: Iterable[Booking]) -> list[Place]:
    """These places of one line with what they are worth now, in the order given."""
    numbers = numbers_of(line)
    replaced = _replaced_by(line)
    return [_place(line, booking, numbers[booking.pk], replaced) for booking in bookings]


def numbers_of(line: OrderLine) -> dict[int, int]:
    """The number of every place that the line ever had, by the bookings' primary keys."""
    first: dict[int, int] = {}  # the booking that a chain of moves began with
    for key, before in line.bookings.order_by("pk").values_list("pk", "moved_from"):
        first[key] = key if before is None else first[before]
    ranks = {key: rank for rank, key in enumerate(sorted(set(first.values()), reverse=True), start=1)}
    return {key: ranks[begun] for key, begun in first.items()}


def _replaced_by(line: OrderLine) -> list[Place]:
    """The places of an order before that the line's own places took the place of, by these places' numbers."""
    before = list(line.replaces.select_related("order_line__order", "entry").order_by("pk"))
    return places_of(before[0].order_line, before) if before else []


def _place(line: OrderLine, booking: Booking, number: int, replaced: list[Place]) -> Place:
    if not replaced:
        return Place(booking, number, _less([Piece(line, paid_for(line, 1, number - 1))], booking.given_back))
    carried = replaced[number - 1].pieces
    own = line.unit_price - sum((piece.amount for piece in carried), NOTHING)
    return Place(booking, number, _less([Piece(line, own), *carried], booking.given_back))


def _less(pieces: list[Piece], given_back: Decimal) -> list[Piece]:
    """What is left of the pieces after so much went back: the first ones go first."""
    taken = take(pieces, given_back)
    return [Piece(piece.line, piece.amount - gone.amount) for piece, gone in zip(pieces, taken, strict=True)]


def take(pieces: Iterable[Piece], amount: Decimal) -> list[Piece]:
    """How much of each of these pieces makes up the amount (or all of them, if it is more): the first ones first."""
    taken = []
    for piece in pieces:
        part = min(piece.amount, amount)
        taken.append(Piece(piece.line, part))
        amount -= part
    return taken


def carried_by(order: Order) -> Decimal:
    """What the order keeps of the money for places that moved on to other orders and still stand there, or were used;
    in its currency."""
    lines = OrderLine.objects.filter(replaces__order_line__order=order, replaces__status=Booking.Status.MOVED)
    return sum((_kept_for(order, line) for line in lines.distinct()), NOTHING)


def _kept_for(order: Order, line: OrderLine) -> Decimal:
    standing = line.bookings.exclude(status__in=[Booking.Status.MOVED, Booking.Status.CANCELLED])
    here = sum(
        (
            piece.amount
            for place in places_of(line, standing)
            for piece in place.pieces
            if piece.line.order_id == order.pk
        ),
        NOTHING,
    )
    onward = OrderLine.objects.filter(replaces__order_line=line, replaces__status=Booking.Status.MOVED).distinct()
    return here + sum((_kept_for(order, later) for later in onward), NOTHING)
