"""Who is expected at an entry, who is in, and what the people at the door should know of them."""

from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, Count, OuterRef, Q, QuerySet, Subquery, UUIDField, Value
from django.db.models.functions import Coalesce, Lower, NullIf

from bookings.models import Booking, Entry, Scan
from orders.access import read_number
from orders.door import read_code


@dataclass(frozen=True)
class Tally:
    """How many of how many are in, at one price or in all."""

    name: str
    inside: int
    missed: int
    every: int

    @property
    def expected(self) -> int:
        """How many may still come."""
        return self.every - self.inside - self.missed


@dataclass(frozen=True)
class Counts:
    """Who is in at an entry: in all, and by price where there are several."""

    total: Tally
    by_price: list[Tally]


def standing_at(entry: Entry) -> QuerySet[Booking]:
    """The places at an entry that were neither cancelled nor exchanged for another date."""
    return Booking.objects.occupying().filter(entry=entry)


def count_people(entry: Entry) -> Counts:
    """How many of an entry's places are in, were missed, and may still come."""
    rows = (
        standing_at(entry)
        .values("order_line__price_kind", "order_line__price_kind__name")
        .annotate(
            inside=Count("pk", filter=Q(status=Booking.Status.ATTENDED)),
            missed=Count("pk", filter=Q(status=Booking.Status.NO_SHOW)),
            every=Count("pk"),
        )
        .order_by("order_line__price_kind")
    )
    tallies = [
        Tally(row["order_line__price_kind__name"] or entry.price_name, row["inside"], row["missed"], row["every"])
        for row in rows
    ]
    total = Tally(
        "", sum(one.inside for one in tallies), sum(one.missed for one in tallies), sum(one.every for one in tallies)
    )
    return Counts(total, tallies if len(tallies) > 1 else [])


def price_name(booking: Booking) -> str:
    """What the price of a place is called, such as Child; an entry's own price may have no name."""
    kind = booking.order_line.price_kind
    return kind.name if kind else booking.entry.price_name


def name_of(booking: Booking) -> str:
    """Whoever comes to a place, or else whoever ordered it; empty if neither is known."""
    attendee = getattr(booking, "attendee", None)
    contact = getattr(booking.order_line.order, "contact", None)
    return (attendee.name if attendee else "") or (contact.name if contact else "")


def find_people(entry: Entry, said: str) -> QuerySet[Any]:
    """The places at an entry by name; with something `said`, those whose attendee or buyer it is a part of,
    and those whose code or order's number it is.

    Each has `who` (the attendee, or else whoever ordered it), `buyer`, and `welcome`: the UUID of the scan that let it
    in.
    """
    buyer = Coalesce("order_line__order__contact__name", Value(""), output_field=CharField())
    welcome = Scan.objects.filter(booking=OuterRef("pk"), outcome=Scan.Outcome.WELCOME, undone_at=None)
    people = (
        standing_at(entry)
        .annotate(
            buyer=buyer,
            who=Coalesce(NullIf("attendee__name", Value("")), buyer, output_field=CharField()),
            welcome=Subquery(welcome.values("uuid")[:1], output_field=UUIDField()),
        )
        .select_related("entry", "attendee", "order_line__price_kind")
        .prefetch_related("attendee__answers__question")
        .order_by(Lower("who"), "pk")
    )
    if said:
        alike = Q(who__icontains=said) | Q(buyer__icontains=said)
        exactly = Q(code=read_code(said) or "-") | Q(order_line__order__number=read_number(said) or "-")
        people = people.filter(alike | exactly)
    return people
