"""Turning what was paid for into places."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from bookings import capacity
from bookings.models import Booking


@dataclass(frozen=True)
class Sale:
    """Places of one entry that somebody paid for, by primary keys: an order's line and the hold it has."""

    order_line: int
    entry: int
    hold: int


@transaction.atomic
def issue(sales: Iterable[Sale]) -> list[Booking]:
    """One booking, with its own code and its own hold of 1, for every place sold."""
    sales = list(sales)
    ones = capacity.split(sale.hold for sale in sales)
    return Booking.objects.bulk_create(
        Booking(entry_id=sale.entry, order_line_id=sale.order_line, hold=hold)
        for sale in sales
        for hold in ones[sale.hold]
    )


@transaction.atomic
def call_off(bookings: Iterable[Booking]) -> list[int]:
    """Cancel the confirmed ones of these places; the keys of their holds, to be given back in one call with others."""
    confirmed = Booking.objects.filter(
        pk__in=[booking.pk for booking in bookings], status=Booking.Status.CONFIRMED
    ).select_for_update(no_key=True)
    rows = list(confirmed.order_by("pk"))
    Booking.objects.filter(pk__in=[row.pk for row in rows]).update(status=Booking.Status.CANCELLED)
    return [row.hold_id for row in rows]
