"""A plan in sentences that staff read before they say yes."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import formats
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from bookings.models import Booking, Entry
from bookings.planning import AroundChange, Change, Claims, Fate, Occurrence, Plan, Reason, Step
from bookings.wall_time import ClockChange, Oddity
from cartsite.templatetags.shop import in_words
from orders.models import Order

TIMES = ("starts_at", "ends_at")
NAMES = {
    "starts_at": gettext_lazy("Starts"),
    "ends_at": gettext_lazy("Ends"),
    "places": gettext_lazy("Places"),
}
FIELDS = {field.name: str(field.verbose_name) for field in Entry._meta.fields}
REASONS = {
    Reason.PAST: gettext_lazy("Over already"),
    Reason.BY_HAND: gettext_lazy("Changed by hand"),
    Reason.CALLED_OFF: gettext_lazy("Called off"),
}


def when(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> str:
    """From when to when, on the wall's clock: `Sat 5 Dec 2026, 18:00 to 20:00 GMT`.

    Where the clocks change in between, both ends say which: `Sun 31 Oct 2027, 01:30 BST to 02:30 GMT`.
    """
    starts, ends = starts_at.astimezone(zone), ends_at.astimezone(zone)
    begins = f"{starts:%H:%M}" if starts.tzname() == ends.tzname() else f"{starts:%H:%M %Z}"
    day = formats.date_format(starts, "D j M Y")
    return _("%(day)s, %(from)s to %(to)s") % {"day": day, "from": begins, "to": f"{ends:%H:%M %Z}"}


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A day and an hour on the wall's clock: `Sat 5 Dec 2026, 18:00 GMT`."""
    local = at.astimezone(zone)
    return f"{formats.date_format(local, 'D j M Y')}, {local:%H:%M %Z}"


def describe_oddity(occurrence: Occurrence, zone: ZoneInfo) -> str:
    """What the clocks do to that day; nothing on nearly all days."""
    starts, ends = occurrence.starts_at.astimezone(zone), occurrence.ends_at.astimezone(zone)
    said = {
        Oddity.MISSING: _("The clocks skip the hour it should begin at: it begins at %(at)s."),
        Oddity.TWICE: _("The clocks show the hour it begins at twice: it begins at the first %(at)s."),
    }
    said_of_end = {
        Oddity.MISSING: _("The clocks skip the hour it should end at: it ends at %(at)s."),
        Oddity.TWICE: _("The clocks show the hour it ends at twice: it ends at %(at)s."),
    }
    first = said[occurrence.starts_oddly] % {"at": f"{starts:%H:%M %Z}"} if occurrence.starts_oddly else ""
    second = said_of_end[occurrence.ends_oddly] % {"at": f"{ends:%H:%M %Z}"} if occurrence.ends_oddly else ""
    return f"{first} {second}".strip()


def describe_claims(claims: Claims) -> str:
    """What people have there: `3 sold, 1 in baskets or unpaid orders`."""
    sold = _("%(n)d sold") % {"n": claims.sold} if claims.sold else ""
    held = _("%(n)d in baskets, unpaid orders or offers") % {"n": claims.held} if claims.held else ""
    return ", ".join(part for part in (sold, held) if part)


def describe_change(change: Change, zone: ZoneInfo) -> str:
    """What becomes different: `Price: 10.00, then 12.00`."""
    if change.name == "archived_at":
        return _("On the calendar again")
    if change.name == "pool":
        return _("Shares the places of %(pool)s") % {"pool": change.after} if change.after else _("Places of its own")
    if change.name == "description":
        return _("A new description")
    name = NAMES.get(change.name) or capfirst(FIELDS[change.name])
    before, after = (_value(change.name, value, zone) for value in (change.before, change.after))
    return _("%(name)s: %(before)s, then %(after)s") % {"name": name, "before": before, "after": after}


def _value(name: str, value: Any, zone: ZoneInfo) -> str:
    if name in TIMES:
        return moment(value, zone)
    if value in (None, ""):
        return _("any number") if name in ("places", "max_per_order", "max_per_person") else _("none")
    if isinstance(value, Decimal):
        return in_words(value)
    return str(dict(Entry._meta.get_field("kind").flatchoices).get(value, value)) if name == "kind" else str(value)


def describe_step(step: Step, zone: ZoneInfo) -> dict[str, Any]:
    """One line of the plan."""
    times = step.entry or step.occurrence
    return {
        "when": when(times.starts_at, times.ends_at, zone) if times else "",
        "changes": [describe_change(change, zone) for change in step.changes],
        "claims": describe_claims(step.claims),
        "is_bold": step.touches_sold,
        "odd": describe_oddity(step.occurrence, zone) if step.occurrence else "",
        "then": _then(step),
        "reason": REASONS[step.reason] if step.reason else "",
    }


def _then(step: Step) -> str:
    """What becomes of the people who have places there."""
    if step.moves:
        return describe_told(orders_told([step.entry] if step.entry else []))
    if step.fate == Fate.SET_APART:
        return _("It stays on the calendar by itself, with its places. Call it off on its own page if it must go.")
    return _("It is changed. What was sold keeps the price that was paid.") if step.touches_sold else ""


def describe_told(orders: int) -> str:
    """Who hears of another time."""
    if not orders:
        return _("No order is told: baskets just show the new time.")
    said = ngettext("%(n)d order is told of the new time.", "%(n)d orders are told of the new time.", orders)
    return said % {"n": orders}


def describe_plan(plan: Plan) -> dict[str, Any]:
    """The whole plan, in the groups that its page shows."""
    zone = plan.series.calendar.zone

    def lines(*fates: Fate) -> list[dict[str, Any]]:
        return [describe_step(step, zone) for step in plan.of(*fates)]

    return {
        "touched": [describe_step(step, zone) for step in plan.steps if step.touches_sold],
        "made": lines(Fate.NEW),
        "changed": lines(Fate.CHANGED),
        "dropped": lines(Fate.DROPPED),
        "apart": lines(Fate.SET_APART),
        "left": [line for line in lines(Fate.LEFT) if line["reason"] != REASONS[Reason.PAST]],
        "over": sum(step.reason == Reason.PAST for step in plan.steps),
        "unchanged": sum(step.fate == Fate.UNCHANGED and step.occurrence is not None for step in plan.steps),
    }


def describe_clocks(around: Iterable[AroundChange], zone: ZoneInfo) -> list[dict[str, Any]]:
    """The next changes of the clocks, and what the series does around them."""
    return [
        {
            "what": describe_clock_change(each.change),
            "before": each.last_before and when(each.last_before.starts_at, each.last_before.ends_at, zone),
            "after": each.first_after and when(each.first_after.starts_at, each.first_after.ends_at, zone),
            "odd": [f"{moment(odd.starts_at, zone)}: {describe_oddity(odd, zone)}" for odd in each.odd],
        }
        for each in around
    ]


def describe_clock_change(change: ClockChange) -> str:
    """When the clocks change, and what they do."""
    told = {
        "day": formats.date_format(change.shown_before, "D j M Y"),
        "from": f"{change.shown_before:%H:%M}",
        "to": f"{change.shown_after:%H:%M}",
        "minutes": change.minutes,
    }
    if change.is_forward:
        return _("%(day)s: at %(from)s the clocks go forward to %(to)s; those %(minutes)d minutes are missing.") % told
    return _("%(day)s: at %(from)s the clocks go back to %(to)s; those %(minutes)d minutes come twice.") % told


def orders_told(entries: Iterable[Entry]) -> int:
    """How many orders hear of it if these entries are at another time."""
    entries = list(entries)
    having = Booking.objects.filter(entry__in=entries, status=Booking.Status.CONFIRMED).values("order_line__order")
    waiting = Order.objects.filter(status=Order.Status.AWAITING_PAYMENT, lines__entry__in=entries).values("pk")
    return Order.objects.filter(Q(pk__in=having) | Q(pk__in=waiting)).count()
