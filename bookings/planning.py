"""From the plan of a series to its entries: the days it is on, what saving it comes to, and doing it.

Entries that are over, called off or changed by hand are never touched. An entry that people have places at keeps its
time here: the back office moves it through `orders.rescheduling`, which tells them.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Any

from dateutil.rrule import MO, WEEKLY, rrule
from django.db import IntegrityError, transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from psycopg.errors import ExclusionViolation

from bookings import capacity
from bookings.models import Booking, Calendar, Entry, Hold, Pool, Resource, Series
from bookings.wall_time import DAY, ClockChange, Oddity, clock_changes, moment_of, oddity_of
from cartsite.refusals import Refusal
from cartsite.versions import EDITED

LIMIT = 400  # entries of one series
# What each entry of a series has from it.
SHARED = ("title", "description", "kind", "price", "price_name", "tax_rate", "max_per_order", "max_per_person")
TIMES = ("starts_at", "ends_at")


class CannotPlan(Refusal):
    """The plan cannot be followed; nothing has changed. The text says why, to staff, and `field` which part of it."""


# --- Which days, and when ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Occurrence:
    """One day of a series: when (UTC) it begins and ends, and what the wall's clock does then."""

    day: date
    starts_at: datetime
    ends_at: datetime
    starts_oddly: Oddity | None = None
    ends_oddly: Oddity | None = None

    @property
    def is_odd(self) -> bool:
        return bool(self.starts_oddly or self.ends_oddly)


def occurrences(series: Series) -> list[Occurrence]:
    """Every day of a series, saved or not, first to last; raises CannotPlan if there are too many."""
    return [_on(day, series) for day in _days_of(series)]


def _days_of(series: Series) -> list[date]:
    """The days of the weekly rule but those skipped, and the extra ones. An archived series has none."""
    if series.archived_at is not None:
        return []
    days = (set(_weekly_days(series)) - set(series.skipped_days)) | set(series.extra_days)
    if len(days) > LIMIT:
        raise CannotPlan(_("That would be more than %(limit)d entries.") % {"limit": LIMIT}, field="last_day")
    return sorted(days)


def _weekly_days(series: Series) -> Iterator[date]:
    """The days of the weekly rule, not many more than may be used; weeks are counted from that of the first day."""
    if not series.weekdays:
        return
    first, last = (datetime.combine(day, time()) for day in (series.first_day, series.last_day))
    rule = rrule(WEEKLY, dtstart=first, until=last, interval=series.every, byweekday=series.weekdays, wkst=MO)
    for moment in islice(rule, LIMIT + len(series.skipped_days) + 1):
        yield moment.date()


def _on(day: date, series: Series) -> Occurrence:
    """What the plan says of one day."""
    zone = series.calendar.zone
    last = day if series.ends > series.starts else day + DAY
    starts_at, ends_at = moment_of(day, series.starts, zone), moment_of(last, series.ends, zone)
    if ends_at <= starts_at:  # a clock that was put forward or back between the two
        ends_at = starts_at + (datetime.combine(last, series.ends) - datetime.combine(day, series.starts))
    return Occurrence(day, starts_at, ends_at, oddity_of(day, series.starts, zone), oddity_of(last, series.ends, zone))


@dataclass(frozen=True)
class AroundChange:
    """What a series does around a change of the clocks."""

    change: ClockChange
    last_before: Occurrence | None
    first_after: Occurrence | None
    odd: list[Occurrence]  # those whose hour is missing then, or comes twice


def around_clock_changes(series: Series) -> list[AroundChange]:
    """The next two changes of the clocks, from now or from when the series begins, and its days around each."""
    planned = occurrences(series)
    begins = [planned[0].starts_at] if planned else []
    changes = clock_changes(series.calendar.zone, max([timezone.now(), *begins]))
    return [_around(change, planned) for change in changes]


def _around(change: ClockChange, planned: list[Occurrence]) -> AroundChange:
    before = [each for each in planned if each.starts_at < change.at]
    after = [each for each in planned if each.starts_at >= change.at]
    odd = [each for each in planned if each.is_odd and abs(each.starts_at - change.at) < 2 * DAY]
    return AroundChange(change, before[-1] if before else None, after[0] if after else None, odd)


# --- What people have there -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claims:
    """How many places of one entry are spoken for."""

    sold: int = 0
    held: int = 0  # in baskets and unpaid orders, or offered to the waiting list

    def __bool__(self) -> bool:
        return bool(self.sold or self.held)


def claims_on(entries: Iterable[Entry]) -> dict[int, Claims]:
    """What people have at each of these entries, by its primary key."""
    entries = list(entries)
    keys = [entry.pk for entry in entries]
    sold = Booking.objects.occupying().filter(entry__in=keys).values_list("entry").annotate(Count("pk"))
    # A booking's own hold has none of the three.
    holder = Coalesce("order_line__entry", "cart_item__entry", "waiter__entry")
    live = Hold.objects.live().filter(pool__in={entry.pool_id for entry in entries}, booking=None)
    held = live.annotate(holder=holder).filter(holder__in=keys).values_list("holder").annotate(Sum("quantity"))
    counts = dict(sold), dict(held)
    return {pk: Claims(counts[0].get(pk, 0), counts[1].get(pk, 0)) for pk in keys}


# --- What saving comes to ---------------------------------------------------------------------------------------------


class Fate(StrEnum):
    """What the plan does with one day."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DROPPED = "dropped"  # no longer in the plan, and nobody has a place: it leaves the calendar
    SET_APART = "set_apart"  # no longer in the plan, but people have places: it stays as it is
    LEFT = "left"


class Reason(StrEnum):
    """Why an entry is left as it is."""

    PAST = "past"
    BY_HAND = "by_hand"
    CALLED_OFF = "called_off"


@dataclass(frozen=True)
class Change:
    """What becomes different about an entry: the name of a field of it, or `places`, or `archived_at`."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Step:
    """What the plan does with one day; `entry` is None for one that is yet to be made."""

    fate: Fate
    day: date
    entry: Entry | None = None
    occurrence: Occurrence | None = None
    changes: tuple[Change, ...] = ()
    claims: Claims = field(default_factory=Claims)
    reason: Reason | None = None

    @property
    def moves(self) -> bool:
        """Whether people who have places there have to be told of another time."""
        return bool(self.claims) and any(change.name in TIMES for change in self.changes)

    @property
    def touches_sold(self) -> bool:
        """Whether it does something to an entry that people have places at."""
        return bool(self.claims) and self.fate in (Fate.CHANGED, Fate.SET_APART)


@dataclass(frozen=True)
class Plan:
    """What following a series' plan comes to, day by day."""

    series: Series
    steps: list[Step]

    def of(self, *fates: Fate) -> list[Step]:
        return [step for step in self.steps if step.fate in fates]

    @property
    def is_idle(self) -> bool:
        """Whether nothing would change."""
        return not self.of(Fate.NEW, Fate.CHANGED, Fate.DROPPED, Fate.SET_APART)

    @property
    def moves(self) -> list[Step]:
        """Entries that people have places at and that are to be at another time: not done by `apply`."""
        return [step for step in self.steps if step.moves]

    @cached_property
    def fingerprint(self) -> str:
        """The same for two plans that come to the same. (Baskets come and go: only what is sold counts.)"""
        told = [
            (step.fate, step.day, step.entry and step.entry.pk, step.changes, step.claims.sold, step.moves)
            for step in self.steps
        ]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def preview(series: Series) -> Plan:
    """What following the plan of a series, saved or not, would do now. Raises CannotPlan."""
    planned = {occurrence.day: occurrence for occurrence in occurrences(series)}
    entries = {entry.series_day: entry for entry in _entries_of(series)}
    claims, alone = claims_on(entries.values()), _own_pools(entries.values())
    now = timezone.now()
    steps = []
    for day in sorted(planned.keys() | {day for day in entries if day}):
        entry, occurrence = entries.get(day), planned.get(day)
        if entry is None and occurrence is not None:
            is_over = occurrence.starts_at <= now
            steps.append(Step(Fate.LEFT if is_over else Fate.NEW, day, None, occurrence, reason=_past(is_over)))
        elif entry is not None:
            found = Step(Fate.UNCHANGED, day, entry, occurrence, claims=claims[entry.pk])
            steps.append(_judge(found, entry, series, now, has_own_pool=entry.pool_id in alone))
    return Plan(series, steps)


def _past(is_over: bool) -> Reason | None:
    return Reason.PAST if is_over else None


def _entries_of(series: Series) -> list[Entry]:
    """All entries that were made for days of the series."""
    return list(series.entries.select_related("pool", "resource", "calendar")) if series.pk else []


def _own_pools(entries: Iterable[Entry]) -> set[int]:
    """Those of their pools (by primary key) that serve one entry alone."""
    pools = Pool.objects.filter(pk__in=[entry.pool_id for entry in entries])
    return set(pools.annotate(n=Count("entries")).filter(n=1).values_list("pk", flat=True))


def _judge(found: Step, entry: Entry, series: Series, now: datetime, *, has_own_pool: bool) -> Step:
    """What becomes of an entry that is there."""
    occurrence = found.occurrence
    if reason := _reason_to_leave(entry, occurrence, now):
        return replace(found, fate=Fate.LEFT, reason=reason)
    if occurrence is None:
        if entry.archived_at is not None:
            return found
        return replace(found, fate=Fate.SET_APART if found.claims else Fate.DROPPED)
    changes = tuple(_changes(entry, series, occurrence, may_swap=not found.claims, has_own_pool=has_own_pool))
    return replace(found, fate=Fate.CHANGED if changes else Fate.UNCHANGED, changes=changes)


def _reason_to_leave(entry: Entry, occurrence: Occurrence | None, now: datetime) -> Reason | None:
    """Why an entry is not touched; None if it follows its plan."""
    if entry.cancelled_at is not None:
        return Reason.CALLED_OFF
    if entry.starts_at <= now or (occurrence is not None and occurrence.starts_at <= now):
        return Reason.PAST
    return Reason.BY_HAND if entry.by_hand else None


def _changes(
    entry: Entry, series: Series, occurrence: Occurrence, *, may_swap: bool, has_own_pool: bool
) -> Iterator[Change]:
    """In what an entry differs from its plan. What is held lies in its pool: only an empty one is swapped."""
    wanted = {name: getattr(series, name) for name in SHARED} | {
        "resource": series.resource,
        "starts_at": occurrence.starts_at,
        "ends_at": occurrence.ends_at,
        "archived_at": None,
    }
    yield from (Change(name, getattr(entry, name), new) for name, new in wanted.items() if getattr(entry, name) != new)
    if series.pool_id is None and has_own_pool:
        if entry.pool.wanted != series.places:
            yield Change("places", entry.pool.wanted, series.places)
    elif entry.pool_id != series.pool_id and may_swap:
        yield Change("pool", entry.pool, series.pool)


# --- Doing it ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def apply(
    series: Series, *, only_new: bool = False, uuid_of: Callable[[date], uuid.UUID] = lambda day: uuid.uuid4()
) -> Plan:
    """Follow the plan of a saved series; what was done, or is left to be done: see `Plan.moves`.

    Of those the time stays, and all else is done. `only_new` makes what is missing, and changes nothing. Following it
    twice does nothing the second time. Raises CannotPlan, also where a resource is taken.
    """
    hold_still(series)
    plan = preview(series)
    check_resource(plan)
    with resource_is_free(series.resource):
        if not only_new:
            _leave_off(plan)
            for step in _in_order(plan.of(Fate.CHANGED)):
                if step.entry is not None:
                    _change(step, step.entry, series)
        _make(plan.of(Fate.NEW), series, uuid_of)
    return plan


def hold_still(series: Series) -> None:
    """Nobody else plans this series or its resource, or takes places of it, until the transaction ends."""
    lock_resource(series.resource)
    lock_series(series.pk)
    coming = series.entries.filter(starts_at__gt=timezone.now())
    capacity.lock(Hold.objects.filter(cart_item__entry__in=coming).values_list("pk", flat=True))
    capacity.lock_pools(coming.values_list("pool", flat=True))


def lock_resource(resource: Resource | None) -> None:
    """One plan with a table, kiln or room at a time: two at once would wait for each other in the database."""
    if resource is not None:
        Resource.objects.select_for_update(no_key=True).get(pk=resource.pk)


def lock_series(series: int | None) -> None:
    """One plan of a series (by primary key), or one change of an entry of it, at a time. Call it before orders, entries
    and pools are locked: a plan has the pools first, a change of an entry the entry."""
    list(Series.objects.select_for_update(no_key=True).filter(pk=series or 0).values_list("pk"))


@contextmanager
def resource_is_free(resource: Resource | None) -> Iterator[None]:
    """What the database refuses because another entry has the resource, as CannotPlan."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as refusal:
        if not isinstance(refusal.__cause__, ExclusionViolation):
            raise
        raise CannotPlan(
            _("Another entry has %(what)s at that time.") % {"what": resource}, field="resource"
        ) from refusal


def check_resource(plan: Plan) -> None:
    """Raise CannotPlan, with the day, if another entry has what the plan needs for itself alone."""
    needing = [step for step in plan.of(Fate.NEW, Fate.CHANGED, Fate.UNCHANGED) if step.occurrence]
    resource = plan.series.resource
    if resource is None or not needing:
        return
    spans = [(step.occurrence.starts_at, step.occurrence.ends_at) for step in needing if step.occurrence]
    own = [step.entry.pk for step in needing if step.entry]
    first, last = min(starts for starts, _ends in spans), max(ends for _starts, ends in spans)
    for other in users_of(resource, first, last).exclude(pk__in=own):
        if any(other.starts_at < ends and starts < other.ends_at for starts, ends in spans):
            raise CannotPlan(describe_user(other), field="resource")


def users_of(resource: Resource, starts_at: datetime, ends_at: datetime) -> Any:
    """The entries that have a resource at some time between two moments (UTC), soonest first."""
    having = Entry.objects.filter(resource=resource, cancelled_at=None, archived_at=None)
    overlapping = having.filter(starts_at__lt=ends_at, ends_at__gt=starts_at)
    return overlapping.select_related("resource", "calendar").order_by("starts_at", "pk")


def describe_user(entry: Entry) -> str:
    """Who has a resource, and when, on the clock of its own calendar."""
    return _("%(what)s is taken: %(title)s, %(day)s, %(from)s to %(to)s.") % {
        "what": entry.resource,
        "title": entry.title,
        "day": formats.date_format(entry.local_start, "D j M Y"),
        "from": f"{entry.local_start:%H:%M}",
        "to": f"{entry.local_end:%H:%M}",
    }


def _leave_off(plan: Plan) -> None:
    """Days that are no longer in the plan: off the calendar, or on their own where people have places."""
    dropped = [step.entry.pk for step in plan.of(Fate.DROPPED) if step.entry]
    Entry.objects.filter(pk__in=dropped).update(archived_at=timezone.now(), version=EDITED)
    apart = [step.entry.pk for step in plan.of(Fate.SET_APART) if step.entry]
    Entry.objects.filter(pk__in=apart).update(by_hand=True, version=EDITED)


def _in_order(steps: list[Step]) -> list[Step]:
    """Those that move earlier from the first on, those that move later from the last on: none meets its neighbour."""
    later = [step for step in steps if _moves_later(step)]
    return [step for step in steps if step not in later] + later[::-1]


def _moves_later(step: Step) -> bool:
    return any(change.name == "starts_at" and change.after > change.before for change in step.changes)


def _change(step: Step, entry: Entry, series: Series) -> None:
    """Make an entry as its plan says, but for the time of one that people have places at."""
    new = {change.name: change.after for change in step.changes if not (step.moves and change.name in TIMES)}
    if "places" in new:
        capacity.set_capacity(entry.pool, new.pop("places"))
    if "pool" in new:
        new["pool"] = new["pool"] or _new_pool(series, _on(step.day, series))
    if new:
        Entry.objects.filter(pk=entry.pk).update(**new, version=EDITED)
    if "pool" in new:
        capacity.follow(entry.pk, entry.pool, new["pool"])
        _retire(entry.pool)


def _retire(pool: Pool) -> None:
    """Put a locked pool away that nothing takes from any more: whoever read of it before finds no room there."""
    if Pool.objects.filter(pk=pool.pk, entries=None, series=None, product=None).update(
        archived_at=timezone.now(), version=EDITED
    ):
        capacity.set_capacity(pool, 0)


def _make(steps: list[Step], series: Series, uuid_of: Callable[[date], uuid.UUID]) -> None:
    """The entries that are missing."""
    Entry.objects.bulk_create(
        Entry(
            uuid=uuid_of(step.day),
            calendar=series.calendar,
            series=series,
            series_day=step.day,
            pool=series.pool or _new_pool(series, step.occurrence),
            starts_at=step.occurrence.starts_at,
            ends_at=step.occurrence.ends_at,
            resource=series.resource,
            **{name: getattr(series, name) for name in SHARED},
        )
        for step in steps
        if step.occurrence
    )


def _new_pool(series: Series, occurrence: Occurrence) -> Pool:
    """The places of one day."""
    return capacity.new_pool(pool_name(series.title, occurrence.starts_at, series.calendar), series.places)


def pool_name(title: str, starts_at: datetime, calendar: Calendar) -> str:
    """What the pool of a single entry is called, with its day and hour on the wall's clock."""
    when = f"{starts_at.astimezone(calendar.zone):%a %-d %b %Y, %H:%M}"
    return f"{title[: 198 - len(when)]}, {when}"
