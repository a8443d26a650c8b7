"""What mail tells of an order: its lines, and where and when the places of each now are."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from django.db.models import Prefetch
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings.models import Booking, Entry
from cart.models import Stall
from cartsite.templatetags.shop import local_day, local_time, named_time
from orders.models import Order, OrderLine


@dataclass(frozen=True)
class Places:
    """Places at one entry; a line's may be at several, since places can be moved."""

    entry: Entry
    codes: list[str]  # of those that stand; none before they are paid for
    when: str  # when it is, in words
    rule: str  # how they may be given back, as a sentence
    is_moved: bool = False  # it is not the entry that was ordered

    @property
    def is_called_off(self) -> bool:
        return self.entry.cancelled_at is not None


@dataclass(frozen=True)
class Told:
    """One line as a mail tells of it."""

    line: OrderLine
    cancelled: int  # how many of it were called off
    places: list[Places]  # of goods: none
    rule: str  # of goods: how they may be called off, as a sentence

    @property
    def codes(self) -> list[str]:
        """Of all its places that stand."""
        return [code for places in self.places for code in places.codes]


def tell_lines(order: Order) -> list[Told]:
    """All lines in their order, in the same few queries for any number of them."""
    confirmed = Booking.objects.filter(status=Booking.Status.CONFIRMED).select_related("entry__calendar")
    moved_on = _count_moved_on(order)
    lines = order.lines.select_related("stall", "entry__calendar", "slot", "zone").with_counts()
    return [
        Told(line, line.cancelled - moved_on[line.pk], _places_of(line), "" if line.entry else _rule_of(line))
        for line in lines.prefetch_related(Prefetch("bookings", confirmed.order_by("entry__starts_at", "pk")))
    ]


def _count_moved_on(order: Order) -> Counter[int]:
    """How many places of each line (by primary key) went to another order: they count as cancelled, but are not."""
    gone = Booking.objects.filter(order_line__order=order, status=Booking.Status.MOVED, moving_to__isnull=False)
    return Counter(gone.values_list("order_line", flat=True))


def _places_of(line: OrderLine) -> list[Places]:
    """Where a line's places are, the soonest first; the entry that was ordered where there are none (yet)."""
    if line.entry is None:
        return []
    by_entry = groupby(line.bookings.all(), key=lambda booking: booking.entry)
    return [_at(entry, line, list(group)) for entry, group in by_entry] or [_at(line.entry, line, [])]


def _at(entry: Entry, line: OrderLine, bookings: list[Booking]) -> Places:
    codes = [booking.code for booking in bookings]
    return Places(entry, codes, when_is(entry), _rule_at(entry, line, bookings), is_moved=entry.pk != line.entry_id)


def tell_entry(order: Order, uuid: str) -> Places | None:
    """All places that stand at one entry, of whichever lines; before they are paid for, without codes."""
    there = [at for told in tell_lines(order) for at in told.places if str(at.entry.uuid) == uuid]
    if not there:
        return None
    rules = sorted({at.rule for at in there if at.codes} or {at.rule for at in there})
    codes = [code for at in there for code in at.codes]
    return Places(there[0].entry, codes, there[0].when, " ".join(rules), all(at.is_moved for at in there))


def by_stall(lines: Iterable[Told]) -> list[tuple[Stall, list[Told]]]:
    """Goods and places by the stall that sells them."""
    things = sorted(
        (told for told in lines if told.line.kind in OrderLine.GOODS), key=lambda told: told.line.stall.name
    )
    return [(stall, list(group)) for stall, group in groupby(things, key=lambda told: told.line.stall)]


# --- Moments and rules in words ---------------------------------------------------------------------------------------


def when_is(entry: Entry) -> str:
    """When an entry is, on its calendar's own clock."""
    return window(entry.local_start, entry.local_end)


def window(begins: datetime, ends: datetime) -> str:
    """Two moments of one zone in words, such as `Saturday 5 December 2026, 10:00 - 13:00 GMT`."""
    zone = ZoneInfo(str(begins.tzinfo))
    day, last_day = local_day(begins, zone), local_day(ends, zone)
    until = local_time(ends, zone) if day == last_day else f"{last_day}, {local_time(ends, zone)}"
    return f"{day}, {local_time(begins, zone)} \N{EN DASH} {until} {ends.tzname()}"


def moment(at: datetime, zone: ZoneInfo | None = None) -> str:
    """A moment in words, such as `Saturday 5 December 2026, 10:00`, in a calendar's zone or the shop's."""
    return f"{local_day(at, zone)}, {local_time(at, zone)}"


def _rule_at(entry: Entry, line: OrderLine, bookings: list[Booking]) -> str:
    """The rule of a line's places at one entry; whose time the co-operative changed, they come back at no loss."""
    zone = entry.calendar.zone
    free = [booking.free_until for booking in bookings if booking.free_until]
    if free and len(free) == len(bookings) and min(free) > timezone.now():
        return _("You may give this back until %(until)s, and get back all that you paid for it.") % {
            "until": moment(min(free), zone)
        }
    # Of places that were moved, the line's own day speaks of another entry.
    days = {booking.cancel_until or line.cancel_until for booking in bookings} or {line.cancel_until}
    known = [day for day in days if day is not None]
    return _in_words(min(known) if len(known) == len(days) else None, line.kept_percent, zone)


def _rule_of(line: OrderLine) -> str:
    """The rule of goods; nothing for fees and discounts."""
    return _in_words(line.cancel_until, line.kept_percent, None) if line.kind in OrderLine.GOODS else ""


def _in_words(cancel_until: datetime | None, kept_percent: Decimal, zone: ZoneInfo | None) -> str:
    """Until when the shopper may cancel it by themselves, and what they get back then, as a sentence."""
    if cancel_until is None or cancel_until <= timezone.now():
        return _("You cannot cancel this yourself.")
    until = {"day": local_day(cancel_until, zone), "time": named_time(cancel_until, zone)}
    if kept_percent == 0:
        return _("You may cancel this until %(day)s, %(time)s, and get back all that you paid for it.") % until
    if kept_percent == 100:
        return _("You may cancel this until %(day)s, %(time)s, but nothing that you paid for it comes back.") % until
    back = {"back": trim(100 - kept_percent)}
    return _("You may cancel this until %(day)s, %(time)s, and get back %(back)s%% of what you paid for it.") % (
        until | back
    )


def trim(percent: Decimal) -> str:
    """A number of per cent without needless noughts, such as `20` or `12.5`."""
    return f"{percent.normalize():f}"
