"""Looking for what is on: as a list, a week or a month, and what shoppers may narrow that down to."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import DateTimeField, ExpressionWrapper, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bookings import waiting
from bookings.availability import Places, look_at
from bookings.models import Calendar, Entry, EntryKind, EntryQuerySet, Hold, PriceKind
from bookings.wall_time import DAY, moment_of

AGENDA, WEEK, MONTH = "agenda", "week", "month"
VIEWS = [(AGENDA, _("List")), (WEEK, _("Week")), (MONTH, _("Month"))]
# The days that pages know: far enough from the ends of what a date can say for the weeks and zones around them.
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
# More entries than this of one week or month are not shown at once.
MOST_AT_ONCE = 500

BAD_DAY = _("This is not a day that we know. Please write it as 2026-11-23, or choose it.")
BAD_CHOICE = {"invalid_choice": _("There is no such choice. Please take one of the list.")}


class DayField(forms.DateField):
    """A day as browsers send it, within the years that the shop knows."""

    def __init__(self, label: Any) -> None:
        super().__init__(
            label=label,
            required=False,
            input_formats=["%Y-%m-%d"],
            widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "min": FIRST_DAY, "max": LAST_DAY}),
            error_messages={"invalid": BAD_DAY},
            validators=[MinValueValidator(FIRST_DAY, BAD_DAY), MaxValueValidator(LAST_DAY, BAD_DAY)],
        )


class BrowseForm(forms.Form):
    """What the query string of a page says: a view, from which day, and what it is narrowed down to.

    Whatever cannot be read is told beside its field, and taken as not said.
    """

    view = forms.ChoiceField(
        choices=VIEWS,
        required=False,
        widget=forms.HiddenInput,
        error_messages={"invalid_choice": _("There is no such view. Here is the list.")},
    )
    stall = forms.ChoiceField(label=_("Stall"), required=False, error_messages=BAD_CHOICE)
    kind = forms.ChoiceField(
        label=_("What"),
        choices=[("", _("Everything")), *EntryKind.choices],
        required=False,
        error_messages=BAD_CHOICE,
    )
    free = forms.BooleanField(label=_("Only with free places"), required=False)
    series = forms.UUIDField(
        required=False, widget=forms.HiddenInput, error_messages={"invalid": _("There are no such dates.")}
    )

    def __init__(self, said: Any, calendar: Calendar | None) -> None:
        """`said` is a query string; one calendar's entries are all of one stall."""
        super().__init__(said)
        self.fields["from"] = DayField(_("From"))
        self.fields["to"] = DayField(_("Until"))
        if calendar is None:
            self.fields["stall"].choices = [("", _("All stalls")), *_stalls()]  # type: ignore[attr-defined]
        else:
            del self.fields["stall"]
        self.order_fields(["stall", "kind", "from", "to", "free"])
        self.is_valid()
        if self.view_name != AGENDA:
            del self.fields["to"]  # a week and a month end by themselves

    def clean(self) -> None:
        first, last = self.cleaned_data.get("from"), self.cleaned_data.get("to")
        if self.view_name == AGENDA and first and last and last < first:
            self.add_error("to", _("This is before the first day."))

    @property
    def view_name(self) -> str:
        """One of AGENDA, WEEK and MONTH."""
        return self.cleaned_data.get("view") or AGENDA

    @property
    def looks(self) -> list[tuple[str, Any, bool]]:
        """All views: name, label, and whether it is the one that is shown."""
        return [(name, label, name == self.view_name) for name, label in VIEWS]

    @property
    def narrows(self) -> bool:
        """Whether it asks for less than everything."""
        return any(self.cleaned_data.get(name) for name in ("stall", "kind", "free", "series", "to"))

    def narrow(self, entries: EntryQuerySet) -> EntryQuerySet:
        """Those of the entries that are asked for, whenever they are."""
        names = {"stall": "calendar__stall__slug", "kind": "kind", "series": "series__uuid"}
        asked_for = {column: value for name, column in names.items() if (value := self.cleaned_data.get(name))}
        entries = entries.filter(**asked_for)
        return with_free_places(entries) if self.cleaned_data.get("free") else entries

    def within(self, entries: EntryQuerySet, zone: ZoneInfo) -> EntryQuerySet:
        """Those of the entries that begin on the days that are asked for, by the zone's clock."""
        first, last = self.cleaned_data.get("from"), self.cleaned_data.get("to")
        if first:
            entries = entries.filter(starts_at__gte=moment_of(first, time.min, zone))
        if last:
            entries = entries.filter(starts_at__lt=moment_of(last + DAY, time.min, zone))
        return entries

    def span(self, zone: ZoneInfo) -> "Span":
        """The week or the month that is asked for; the one that is now, if none is."""
        day = self.cleaned_data.get("from") or timezone.localdate(timezone=zone)
        return (Span.week_of if self.view_name == WEEK else Span.month_of)(day, zone)


def _stalls() -> Iterable[tuple[str, str]]:
    """Slugs and names of the stalls that have calendars; in one query."""
    listed = Calendar.objects.filter(archived_at=None, stall__archived_at=None).order_by("stall__name")
    return listed.values_list("stall__slug", "stall__name").distinct()


def with_free_places(entries: EntryQuerySet) -> EntryQuerySet:
    """Those that somebody could book, now or once they go on sale: not closed, with room that nobody waits for."""
    now = timezone.now()
    expired = Hold.objects.expired().filter(pool=OuterRef("pool")).order_by().values("pool")
    returning = Coalesce(Subquery(expired.annotate(sum=Sum("quantity")).values("sum")), 0)
    noticed = ExpressionWrapper(Value(now) + F("calendar__notice_hours") * Value(timedelta(hours=1)), DateTimeField())
    return entries.filter(
        Q(pool__wanted=None) | Q(pool__taken__lt=F("pool__wanted") + returning),
        Q(booking_closes_at__gt=now) | Q(booking_closes_at=None, starts_at__gt=noticed),
        ~Q(pool__in=waiting.all_queued()),
        starts_at__gt=now,
        cancelled_at=None,
    )


# --- Weeks and months -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """A week (from Monday) or a month: its first and last day, by the clock of a zone."""

    first: date
    last: date
    zone: ZoneInfo

    @classmethod
    def week_of(cls, day: date, zone: ZoneInfo) -> Self:
        first = day - day.weekday() * DAY
        return cls(first, first + 6 * DAY, zone)

    @classmethod
    def month_of(cls, day: date, zone: ZoneInfo) -> Self:
        first = day.replace(day=1)
        return cls(first, (first + 31 * DAY).replace(day=1) - DAY, zone)

    @property
    def is_week(self) -> bool:
        return self.first + 6 * DAY == self.last

    @property
    def unit(self) -> Any:
        """What it is, for those who hear "next"."""
        return _("week") if self.is_week else _("month")

    @property
    def previous(self) -> date | None:
        """A day of the one before; None where that is too long ago."""
        day = self.first - DAY
        return day if day >= FIRST_DAY else None

    @property
    def next(self) -> date | None:
        """A day of the one after; None where that is too far ahead."""
        day = self.last + DAY
        return day if day <= LAST_DAY else None

    @property
    def blanks(self) -> range:
        """So many days of its first week belong to the one before."""
        return range(self.first.weekday())

    def of(self, entries: EntryQuerySet) -> EntryQuerySet:
        """Those of the entries that begin in it, in order, and one more than are shown at once."""
        begins, ends = (moment_of(day, time.min, self.zone) for day in (self.first, self.last + DAY))
        return entries.filter(starts_at__gte=begins, starts_at__lt=ends).order_by("starts_at", "pk")[: MOST_AT_ONCE + 1]

    def day_of_next(self, coming: EntryQuerySet) -> date | None:
        """The day of the first of these coming entries that begins after it; None if none does."""
        ends = moment_of(self.last + DAY, time.min, self.zone)
        starts = coming.filter(starts_at__gte=ends).order_by("starts_at").values_list("starts_at", flat=True).first()
        return starts.astimezone(self.zone).date() if starts else None

    def days(self) -> Iterator[date]:
        """All of its days."""
        return (self.first + n * DAY for n in range((self.last - self.first).days + 1))


# --- What a page shows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """An entry as a page shows it: under which day, and with what can be said of its places."""

    entry: Entry
    places: Places
    day: date

    @property
    def is_on_another_day(self) -> bool:
        """Whether its own calendar's clock shows another day than the one it is shown under."""
        return self.entry.local_start.date() != self.day


@dataclass(frozen=True)
class Day:
    """A day and what is on then, soonest first."""

    date: date
    is_today: bool
    offers: list[Offer]


def by_day(entries: Sequence[Entry], zone: ZoneInfo, days: Iterable[date] = ()) -> list[Day]:
    """The entries under the days on which they begin by the zone's clock; with `days`, those days and no others.

    Two queries, for any number of entries.
    """
    places, today = look_at(entries), timezone.localdate(timezone=zone)
    offers: defaultdict[date, list[Offer]] = defaultdict(list)
    for entry in entries:
        day = entry.starts_at.astimezone(zone).date()
        offers[day].append(Offer(entry, places[entry.pk], day))
    return [Day(day, day == today, offers[day]) for day in list(days) or list(offers)]


def load_price_kinds(entries: Sequence[Entry]) -> None:
    """Read the other prices of all these entries at once, as `Entry.price_kinds` would one by one."""
    series = {entry.series_id for entry in entries if entry.series_id}
    own: defaultdict[int, list[PriceKind]] = defaultdict(list)
    shared: defaultdict[int | None, list[PriceKind]] = defaultdict(list)
    for kind in PriceKind.objects.filter(Q(entry__in=entries) | Q(series__in=series), archived_at=None):
        (own[kind.entry_id] if kind.entry_id else shared[kind.series_id]).append(kind)
    for entry in entries:
        entry.price_kinds = own[entry.pk] or shared[entry.series_id]
