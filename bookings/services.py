"""Turning what was paid for into places."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction

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
    issued = Booking.objects.bulk_create(
        Booking(entry_id=sale.entry, order_line_id=sale.order_line, hold=hold)
        for sale in sales
        for hold in ones[sale.hold]
    )
    _seat(issued)
    return issued


# The first attendee of a line has its first place, and so on: all of them at once.
SEAT = """
    UPDATE bookings_attendee attendee SET booking_id = issued.booking
    FROM (SELECT booking, line, row_number() OVER (PARTITION BY line ORDER BY booking) AS number
          FROM unnest(%s::bigint[], %s::bigint[]) AS given(booking, line)) AS issued
    WHERE attendee.order_line_id = issued.line AND attendee.number = issued.number"""


def _seat(bookings: list[Booking]) -> None:
    """Whoever comes has a place now; after a revival a new one."""
    if not bookings:
        return
    with connection.cursor() as cursor:
        cursor.execute(SEAT, [[row.pk for row in bookings], [row.order_line_id for row in bookings]])


@transaction.atomic
def call_off(bookings: Iterable[Booking]) -> list[int]:
    """Cancel the confirmed ones of these places; the keys of their holds, to be given back in one call with others."""
    confirmed = Booking.objects.filter(
        pk__in=[booking.pk for booking in bookings], status=Booking.Status.CONFIRMED
    ).select_for_update(no_key=True)
    rows = list(confirmed.order_by("pk"))
    Booking.objects.filter(pk__in=[row.pk for row in rows]).update(status=Booking.Status.CANCELLED)
    return [row.hold_id for row in rows]
