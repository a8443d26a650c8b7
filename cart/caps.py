"""How many places one shopper may have in a basket: what an entry and its calendar allow, over all prices.

Caps are asked only where a line is to grow. What came together when two baskets met stays, and is told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation import ngettext

from bookings.models import Entry
from cart.models import CartItem


@dataclass(frozen=True)
class Cap:
    """So many places at most, of some of a basket's lines; a sentence says so."""

    most: int
    has: int
    sentence: str


def caps_on(item: CartItem, items: Iterable[CartItem]) -> Iterator[Cap]:
    """The caps that this line meets, and how many places the other lines have of each already; none for goods."""
    entry = item.entry
    if entry is None:
        return
    others = [(other.entry, other.quantity) for other in items if other is not item and other.entry is not None]
    at_entry = sum(quantity for other, quantity in others if other.pk == entry.pk)
    at_calendar = sum(quantity for other, quantity in others if other.calendar_id == entry.calendar_id)
    most = _most_of(entry)
    if most is not None:
        yield Cap(most, at_entry, _say_most_of_entry(entry, most))
    yield Cap(entry.calendar.most_held, at_calendar, _say_most_of_calendar(entry))


def _most_of(entry: Entry) -> int | None:
    """How many places at an entry one order may have; None for any number."""
    return min((most for most in (entry.max_per_order, entry.max_per_person) if most is not None), default=None)


def _say_most_of_entry(entry: Entry, most: int) -> str:
    return ngettext(
        "You can order %(most)d place at %(title)s at most, over all prices.",
        "You can order %(most)d places at %(title)s at most, over all prices.",
        most,
    ) % {"most": most, "title": entry.title}


def _say_most_of_calendar(entry: Entry) -> str:
    return ngettext(
        "You can have %(most)d place of %(calendar)s at most in one basket.",
        "You can have %(most)d places of %(calendar)s at most in one basket.",
        entry.calendar.most_held,
    ) % {"most": entry.calendar.most_held, "calendar": entry.calendar.name}


def say_too_many(item: CartItem, quantity: int, items: Iterable[CartItem]) -> str:
    """Why a line among these may not be so many; empty if it may."""
    return next((cap.sentence for cap in caps_on(item, items) if cap.has + quantity > cap.most), "")


def room_for(item: CartItem, items: Iterable[CartItem]) -> int | None:
    """How many of a line the caps allow; None where there are none."""
    return min((max(cap.most - cap.has, 0) for cap in caps_on(item, items)), default=None)


def problems_of(items: list[CartItem]) -> list[str]:
    """What of a basket is more than one may have, one sentence for each cap."""
    said = (say_too_many(item, item.quantity, items) for item in items if item.entry_id)
    return list(dict.fromkeys(sentence for sentence in said if sentence))
