"""Reminders: a shopper hears once of each entry that they have places at, shortly before it begins."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import CharField, Exists, OuterRef, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone

from bookings.models import Booking
from cartsite.models import Message, kind_of
from orders.models import Order, OrderEvent

# Who has just had the confirmation knows.
JUST_CONFIRMED = timedelta(hours=6)


def owe_due(most: int = 500) -> int:
    """Owe up to `most` reminders of entries that begin soon, the soonest first; how many. The next run goes on."""
    due = list(find_due()[:most])
    orders = Order.objects.in_bulk({order for order, _entry, _starts_at in due})
    for order, entry, _starts_at in due:
        Message.owe(orders[order], "reminder", str(entry), not_before=timezone.now())  # the next sweep sends them all
    return len(due)


def find_due() -> QuerySet[Booking, tuple[int, UUID, datetime]]:
    """Confirmed orders (their keys), each with the UUID and start (UTC) of an entry to remind its shopper of."""
    now = timezone.now()
    soon = Booking.objects.filter(
        entry__starts_at__gt=now,
        entry__starts_at__lte=now + timedelta(hours=settings.REMIND_BEFORE),
        entry__cancelled_at=None,
        status=Booking.Status.CONFIRMED,
        order_line__order__status=Order.Status.CONFIRMED,
    )
    owed = Message.objects.filter(
        subject_type=kind_of(Order),
        subject_uuid=OuterRef("order_line__order__uuid"),
        kind="reminder",
        occurrence=Cast(OuterRef("entry__uuid"), CharField()),
    )
    fresh = OrderEvent.objects.filter(
        order=OuterRef("order_line__order"), kind=Order.Status.CONFIRMED, at__gt=now - JUST_CONFIRMED
    )
    rows = soon.exclude(Exists(owed)).exclude(Exists(fresh)).order_by("entry__starts_at", "order_line__order")
    return rows.values_list("order_line__order", "entry__uuid", "entry__starts_at").distinct()
