"""Calendar files (RFC 5545) of an order's places: one event for each entry, in its calendar's own time zone."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from bookings.models import Booking, Entry
from orders.models import LineFact, Order, OrderLine

# A place that was called off, or is somewhere else now.
GONE = (Booking.Status.CANCELLED, Booking.Status.MOVED)
# How far around its entries a file describes a zone's clock changes.
AROUND = timedelta(days=370)


def write_places(order: Order) -> str:
    """A file of all entries that the order still has places at; nothing if there are none."""
    lines = _lines_with_places(order)
    return _write(order, "PUBLISH", [line for line in lines if _codes_of(line)]) if any(map(_codes_of, lines)) else ""


def write_gone(order: Order) -> str:
    """A file that takes those entries out of the shopper's calendar whose places are all gone; nothing if none is."""
    gone = [line for line in _lines_with_places(order) if not _codes_of(line)]
    return _write(order, "CANCEL", gone) if gone else ""


def _lines_with_places(order: Order) -> list[OrderLine]:
    """The lines for which places were issued, each with its bookings and how often it was `changed`."""
    issued = order.lines.filter(bookings__isnull=False)
    called_off = Count("facts", filter=Q(facts__kind=LineFact.Kind.CANCELLED), distinct=True)
    bookings = Prefetch("bookings", Booking.objects.order_by("pk"))
    lines = issued.annotate(changed=called_off).select_related("entry__calendar").prefetch_related(bookings)
    return list(lines.order_by("position").distinct())


def _codes_of(line: OrderLine) -> list[str]:
    """The codes of the places that the line still has."""
    if line.entry is None or line.entry.cancelled_at:
        return []
    return [booking.code for booking in line.bookings.all() if booking.status not in GONE]


def _write(order: Order, method: str, lines: Iterable[OrderLine]) -> str:
    calendar = Calendar()
    for name, value in [("PRODID", "-//Rose Ash//Cart//EN"), ("VERSION", "2.0"), ("METHOD", method)]:
        calendar.add(name, value)
    turns = _turns_of(order)
    entries = []
    for line in lines:
        if line.entry is not None:
            calendar.add_component(_event(order, line, line.entry, turns))
            entries.append(line.entry)
    calendar.add_missing_timezones(
        (min(entry.starts_at for entry in entries) - AROUND).date(),
        (max(entry.ends_at for entry in entries) + AROUND).date(),
    )
    return str(calendar.to_ical().decode())


def _turns_of(order: Order) -> int:
    """How often the whole order was called off, or came back, since it was confirmed first."""
    turns = order.events.filter(kind__in=[Order.Status.CONFIRMED, Order.Status.CANCELLED]).count()
    return max(turns - 1, 0)


def _event(order: Order, line: OrderLine, entry: Entry, turns: int) -> Event:
    """The same UID each time, with a SEQUENCE that grows as the line changes: so calendars update what they have."""
    codes = _codes_of(line)
    event = Event()
    event.add("UID", f"{line.uuid}@{urlsplit(settings.PUBLIC_URL).hostname}")
    event.add("SEQUENCE", turns + line.changed)  # type: ignore[attr-defined] # annotated
    event.add("DTSTAMP", timezone.now())
    event.add("DTSTART", _moment(entry.starts_at, entry.calendar.zone))
    event.add("DTEND", _moment(entry.ends_at, entry.calendar.zone))
    event.add("SUMMARY", line.title)
    if entry.calendar.place:
        event.add("LOCATION", entry.calendar.place)
    event.add("DESCRIPTION", _describe(order, codes))
    event.add("STATUS", "CONFIRMED" if codes else "CANCELLED")
    return event


def _moment(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment on the zone's clock; in UTC where that clock shows it for the second time, as files mean the first."""
    local = moment.astimezone(zone)
    return moment.astimezone(ZoneInfo("UTC")) if local.fold else local


def _describe(order: Order, codes: list[str]) -> str:
    said = [_("Order %(number)s") % {"number": order.number}]
    said += [_("Your code: %(code)s") % {"code": code} for code in codes]
    return "\n".join([*said, order.secret_link])
