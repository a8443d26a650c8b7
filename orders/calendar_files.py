"""Calendar files (RFC 5545) of an order's places: one event for each entry, in its calendar's own time zone. A ticket
that is handed to a friend has a file of its own."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Count, Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from icalendar import Event

from bookings import ical
from bookings.models import Booking, Entry
from orders.models import LineFact, Order, OrderLine
from orders.tickets import Ticket


@dataclass(frozen=True)
class _Visit:
    """One entry that a line has, or had, places at: it may have been moved since it was bought."""

    line: OrderLine
    entry: Entry
    codes: list[str]  # of the places that it still has there
    changes: int  # how often the line, or the entry, was changed since it was bought

    @property
    def uid(self) -> str:
        """The name of the event, the same in each file: that of the line itself at the entry that was bought."""
        host = urlsplit(settings.PUBLIC_URL).hostname
        moved = "" if self.entry.pk == self.line.entry_id else f"-{self.entry.uuid}"
        return f"{self.line.uuid}{moved}@{host}"

    @property
    def title(self) -> str:
        return self.line.title if self.entry.pk == self.line.entry_id else self.entry.title


def write_history(order: Order) -> str:
    """A file of all entries that the order ever had places at, those that it left as cancelled: whoever takes it in
    once more loses what is not so any more. Nothing if there are none."""
    visits = _visits_of(order)
    return _write(order, "PUBLISH", visits) if visits else ""


def write_places(order: Order) -> str:
    """A file of all entries that the order still has places at; nothing if there are none."""
    stand = [visit for visit in _visits_of(order) if visit.codes]
    return _write(order, "PUBLISH", stand) if stand else ""


def write_gone(order: Order) -> str:
    """A file that takes those entries out of the shopper's calendar whose places are all gone; nothing if none is."""
    gone = [visit for visit in _visits_of(order) if not visit.codes]
    return _write(order, "CANCEL", gone) if gone else ""


def _visits_of(order: Order) -> list[_Visit]:
    """Every line and entry for which places were issued, in the order of lines and of bookings."""
    issued = order.lines.filter(bookings__isnull=False)
    called_off = Count("facts", filter=Q(facts__kind=LineFact.Kind.CANCELLED), distinct=True)
    bookings = Prefetch("bookings", Booking.objects.select_related("entry__calendar").order_by("pk"))
    lines = issued.annotate(called_off=called_off).prefetch_related(bookings).order_by("position").distinct()
    return [visit for line in lines for visit in _visits_of_line(line)]


def _visits_of_line(line: Any) -> list[_Visit]:
    """`line.called_off` is how often some of it were."""
    bookings = list(line.bookings.all())
    entries = {booking.entry_id: booking.entry for booking in bookings}
    moves = sum(booking.status == Booking.Status.MOVED for booking in bookings)
    return [
        _Visit(
            line,
            entry,
            [] if entry.cancelled_at else [b.code for b in bookings if b.entry_id == pk and not b.is_lost],
            line.called_off + moves + entry.sequence + bool(entry.cancelled_at),
        )
        for pk, entry in entries.items()
    ]


def _write(order: Order, method: str, visits: list[_Visit]) -> str:
    calendar = ical.new_file(method)
    turns = _turns_of(order)
    for visit in visits:
        calendar.add_component(_event(order, visit, turns))
    ical.add_zones(calendar, [visit.entry for visit in visits])
    return str(calendar.to_ical().decode())


def _turns_of(order: Order) -> int:
    """How often the whole order was called off, or came back, since it was confirmed first."""
    turns = order.events.filter(kind__in=[Order.Status.CONFIRMED, Order.Status.CANCELLED])
    return max(turns.exclude(cause=Order.REOPENED).count() - 1, 0)


def _event(order: Order, visit: _Visit, turns: int) -> Event:
    event = _new_event(visit.uid, turns + visit.changes, visit.entry, stands=bool(visit.codes))
    event.add("SUMMARY", visit.title)
    event.add("DESCRIPTION", _describe(order, visit.codes))
    return event


def _new_event(uid: str, changes: int, entry: Entry, *, stands: bool) -> Event:
    """The same UID each time, with a SEQUENCE that grows with every change: so calendars update what they have."""
    event = Event()
    event.add("UID", uid)
    event.add("SEQUENCE", changes)
    event.add("DTSTAMP", timezone.now())
    event.add("DTSTART", ical.moment(entry.starts_at, entry.calendar.zone))
    event.add("DTEND", ical.moment(entry.ends_at, entry.calendar.zone))
    if entry.calendar.place:
        event.add("LOCATION", entry.calendar.place)
    event.add("STATUS", "CONFIRMED" if stands else "CANCELLED")
    return event


def _describe(order: Order, codes: list[str]) -> str:
    said = [_("Order %(number)s") % {"number": order.number}]
    said += [_("Your code: %(code)s") % {"code": code} for code in codes]
    return "\n".join([*said, order.secret_link])


# --- Of one ticket ----------------------------------------------------------------------------------------------------


def write_ticket(ticket: Ticket) -> str:
    """A file of one place alone, which says nothing of its order; of a place that is gone, one that takes it out of the
    calendar it was put into."""
    entry = ticket.entry
    calendar = ical.new_file("PUBLISH" if ticket.is_valid else "CANCEL")
    changes = entry.sequence + (not ticket.is_valid)
    event = _new_event(ical.uid_of(ticket.booking.uuid), changes, entry, stands=ticket.is_valid)
    event.add("SUMMARY", entry.title)
    said = [_("Your code: %(code)s") % {"code": ticket.booking.code}] if ticket.is_valid else []
    event.add("DESCRIPTION", "\n".join([*said, ticket.secret_link]))
    calendar.add_component(event)
    ical.add_zones(calendar, [entry])
    return str(calendar.to_ical().decode())
