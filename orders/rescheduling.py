"""The organiser changes when an entry is: everybody who has places there is told, and may have all their money back."""

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.errors import ExclusionViolation

from bookings.models import Booking, Entry
from cartsite.models import Message, User
from cartsite.refusals import Refusal
from cartsite.versions import EDITED
from orders.models import Order, OrderEvent, OrderQuerySet


class CannotReschedule(Refusal):
    """Its time cannot be changed so; nothing has moved. The text says why, to staff."""


class ResourceTaken(CannotReschedule):
    """Another entry has its table, kiln or room at that time."""


@transaction.atomic
def reschedule(entry: Entry, starts_at: datetime, ends_at: datetime, *, by: User | None, reason: str) -> int:
    """Let an entry be at another time (UTC); how many orders are told of it, by event and mail. The same time is none.

    `reason` stays on the orders' records, without personal data. Baskets just show the new time. Whoever calls this in
    the back office writes it down in the entry's history, and has not locked the entry before: orders come first.
    Raises CannotReschedule, ResourceTaken.
    """
    hold_orders_still([entry])
    before = Entry.objects.select_for_update(no_key=True).get(pk=entry.pk)
    if (before.starts_at, before.ends_at) == (starts_at, ends_at):
        return 0
    if before.cancelled_at is not None:
        raise CannotReschedule(_("It is called off."))
    if ends_at <= starts_at:
        raise CannotReschedule(_("It must end after it begins."))
    changed = _change(before, starts_at, ends_at)
    _free(changed)
    concerned = list(_concerned([entry]))  # also those that came while we waited for the entry
    _tell(concerned, before, changed, by=by, reason=reason)
    entry.refresh_from_db(fields=["starts_at", "ends_at", "sequence", "rescheduled_at"])
    return len(concerned)


def _concerned(entries: Sequence[Entry]) -> OrderQuerySet:
    """The orders that have places there, or wait to be paid for some; the newest first, as orders are locked."""
    places = Booking.objects.filter(entry__in=entries, status=Booking.Status.CONFIRMED)
    waits = Order.objects.awaiting().filter(lines__entry__in=entries)
    has_some = Q(pk__in=places.values("order_line__order")) | Q(pk__in=waits.values("pk"))
    return Order.objects.filter(has_some).order_by("-pk")


def hold_orders_still(entries: Sequence[Entry]) -> None:
    """Before the entries: who moves a place has its order first, too. Whoever reschedules several entries in one
    transaction calls this for all of them first."""
    list(_concerned(entries).select_for_update(no_key=True).values_list("pk"))


def _change(entry: Entry, starts_at: datetime, ends_at: datetime) -> Entry:
    """The entry as it is then; the calendar files that people have know the newer one by its sequence."""
    changed = Entry.objects.get(pk=entry.pk)
    changed.starts_at, changed.ends_at = starts_at, ends_at
    changed.sequence, changed.rescheduled_at, changed.version = entry.sequence + 1, timezone.now(), EDITED
    try:
        with transaction.atomic():
            changed.save(update_fields=["starts_at", "ends_at", "sequence", "rescheduled_at", "version"])
    except IntegrityError as refusal:
        if isinstance(refusal.__cause__, ExclusionViolation):
            raise ResourceTaken(_("Another entry has %(what)s at that time.") % {"what": entry.resource}) from refusal
        raise
    return changed


def _free(entry: Entry) -> None:
    """Whoever does not like the new time gets everything back until it begins."""
    standing = Booking.objects.filter(entry=entry, status=Booking.Status.CONFIRMED)
    keys = list(standing.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    Booking.objects.filter(pk__in=keys).update(free_until=entry.starts_at)


def _tell(orders: list[Order], before: Entry, after: Entry, *, by: User | None, reason: str) -> None:
    """Write it down on every order, and owe each of them one mail about it; a few statements for all of them."""
    data = {
        "entry": str(after.uuid),
        "title": after.title,
        "zone": after.calendar.time_zone,
        "from": before.starts_at.isoformat(),
        "to": after.starts_at.isoformat(),
        "reason": reason,
    }
    OrderEvent.objects.bulk_create(
        OrderEvent(order=order, kind="entry_rescheduled", cause=Order.Closer.STAFF, by=by, data=data)
        for order in orders
    )
    Message.owe_all(orders, "rescheduled", f"{after.uuid}-{after.sequence}")
