"""The back office: single entries, on the clock of their own calendar."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldBooleanWidget

from bookings import capacity, planning
from bookings.admin import wording
from bookings.admin.asking import ArchivableForm, AskingAdmin, Changed, Refused, check_may_reschedule
from bookings.admin.fields import PlacesField, WallTimeField
from bookings.admin.pools import tell_shortfall
from bookings.admin.series import PriceKindInline
from bookings.admin.steps import EntrySteps
from bookings.models import Entry, Pool
from bookings.planning import CannotPlan
from bookings.wall_time import moment_of, shown_at
from cartsite import agreements
from cartsite.backoffice import log, person_of
from cartsite.editing import claim
from orders import rescheduling
from orders.rescheduling import CannotReschedule, ResourceTaken

ASK = "admin/bookings/entry/ask.html"
TIMES = ("starts_at", "ends_at")
WALL_TIMES = (*TIMES, "booking_opens_at", "booking_closes_at")
# What the form asks for, as it is shown to those who may not change it.
READ_AS = {
    "starts_at": "starts",
    "ends_at": "ends",
    "booking_opens_at": "opens",
    "booking_closes_at": "closes",
    "places": "places_taken",
    "on_its_own": "by_hand",
    "archived": "archived_at",
}


class EntryForm(ArchivableForm):
    """One entry. Its times are what the clock on the wall of its calendar shows.

    A time that is left as it was shown stays the moment it was: in an hour that comes twice it may be the second.
    """

    starts_at = WallTimeField(label=_("Starts"), day=_("Starts on this day"), hour=_("Starts at this time"))
    ends_at = WallTimeField(label=_("Ends"), day=_("Ends on this day"), hour=_("Ends at this time"))
    booking_opens_at = WallTimeField(
        label=_("Booking opens"),
        day=_("Booking opens on this day"),
        hour=_("Booking opens at this time"),
        required=False,
    )
    booking_closes_at = WallTimeField(
        label=_("Booking closes"),
        day=_("Booking closes on this day"),
        hour=_("Booking closes at this time"),
        required=False,
    )
    places = PlacesField(label=_("Places"), help_text=_("Empty means any number."))
    on_its_own = forms.BooleanField(
        label=_("On its own"),
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text=_("It is left as it is when its series changes. Any change here ticks this by itself."),
    )

    class Meta:
        model = Entry
        fields = ["calendar", "title", "description", "kind", "pool", "price", "price_name", "tax_rate", "resource"]
        labels = {"pool": _("Shared places")}
        help_texts = {"pool": _("A pool that it shares with other entries. Empty: places of its own.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        entry = self.instance
        if "pool" in self.fields:
            self.fields["pool"].required = False
            self.fields["pool"].queryset = Pool.objects.to_share().order_by("name", "pk")  # type: ignore[attr-defined]
        for name in WALL_TIMES:
            self.fields[name].help_text = self._say_which_clock(name)
        if entry.pk:
            shown = {name: getattr(entry, name) for name in WALL_TIMES}
            self.initial.update({name: at and shown_at(at, entry.calendar.zone) for name, at in shown.items()})
            self.initial.update(places=entry.pool.wanted, on_its_own=entry.by_hand)
            if entry.pool.entries.count() > 1:
                self.fields["places"].disabled = True
                self.fields["places"].help_text = _("Several entries share these: their pool says how many there are.")

    def _say_which_clock(self, name: str) -> str:
        here = self.instance.calendar.time_zone if self.instance.pk else _("its calendar")
        clock = _now("On the clock of %(here)s.") % {"here": here}
        return clock if name in TIMES else _now("Empty means as its calendar says.") + " " + clock

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("pool") and data.get("places") is not None:
            self.add_error("places", _("How many places are shared is said on the page of their pool: leave it empty."))
        calendar = self.instance.calendar if self.instance.pk else data.get("calendar")
        self._read_clock(data, calendar.zone if calendar else ZoneInfo("UTC"))
        self._check_times(data)
        self._check_resource(data)
        if data.get("archived") and self.instance.pk and planning.claims_on([self.instance])[self.instance.pk]:
            self.add_error("archived", _("People have places at it: call it off instead, so that they are told."))
        return data

    def _get_validation_exclusions(self) -> set[str]:
        """Who has the resource is said beside it, by `_check_resource`; Django would say it of the whole form."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"resource"}

    def _read_clock(self, data: dict[str, Any], zone: ZoneInfo) -> None:
        """What the clock shows, as moments (UTC)."""
        for name in WALL_TIMES:
            typed, stored = data.get(name), getattr(self.instance, name)
            if typed is not None:
                is_as_shown = stored is not None and typed == shown_at(stored, zone)
                data[name] = stored if is_as_shown else moment_of(typed.date(), typed.time(), zone)

    def _check_times(self, data: dict[str, Any]) -> None:
        starts, ends = data.get("starts_at"), data.get("ends_at")
        opens, closes = data.get("booking_opens_at"), data.get("booking_closes_at")
        if starts and ends and ends <= starts:
            self.add_error("ends_at", _("It must end after it begins."))
        if opens and closes and closes <= opens:
            self.add_error("booking_closes_at", _("It must close after it opens."))

    def _check_resource(self, data: dict[str, Any]) -> None:
        """Beside the field, and with who has it; the database says it again for who was faster."""
        starts, ends, resource = data.get("starts_at"), data.get("ends_at"), data.get("resource")
        is_on = self.instance.cancelled_at is None and not data.get("archived")
        if not (resource and starts and ends and is_on):
            return
        if other := planning.users_of(resource, starts, ends).exclude(pk=self.instance.pk).first():
            self.add_error("resource", planning.describe_user(other))


def as_read(fields: list[Any]) -> list[Any]:
    """The fields of a page, some side by side in a tuple, for those who only read."""
    return [
        tuple(READ_AS.get(each, each) for each in name) if isinstance(name, tuple) else READ_AS.get(name, name)
        for name in fields
    ]


class WhenFilter(SimpleListFilter):
    """Coming entries, or those of one month. (Django's own hierarchy of dates would read every row there is.)"""

    title = _("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        months = [add_months(timezone.localdate(), n) for n in range(-3, 13)]
        named = [(f"{month:%Y-%m}", formats.date_format(month, "F Y")) for month in months]
        return [("past", _("Past")), *named, ("all", _("All"))]

    def choices(self, changelist: Any) -> Any:
        """What is coming, unless something else is chosen."""
        first, *others = super().choices(changelist)
        return [first | {"display": _("Coming")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value() if self.value() in dict(self.lookup_choices) else None
        if chosen == "all":
            return queryset
        if chosen == "past":
            return queryset.filter(ends_at__lt=timezone.now())
        if chosen is None:
            return queryset.filter(ends_at__gte=timezone.now())
        first = date.fromisoformat(f"{chosen}-01")
        return queryset.filter(starts_at__gte=midnight(first), starts_at__lt=midnight(add_months(first, 1)))


def add_months(day: date, months: int) -> date:
    """The first day of a month, so many months on."""
    months += day.year * 12 + day.month - 1
    return date(months // 12, months % 12 + 1, 1)


def midnight(day: date) -> datetime:
    """When a day begins, on the shop's clock."""
    return moment_of(day, datetime.min.time(), ZoneInfo(timezone.get_current_timezone_name()))


@admin.register(Entry)
class EntryAdmin(EntrySteps, AskingAdmin):
    form = EntryForm
    list_display = ["title", "calendar", "starts", "price", "places_taken", "cancelled_at", "archived_at"]
    list_select_related = ["calendar", "pool"]
    search_fields = ["title", "calendar__name", "=uuid"]
    list_filter = [WhenFilter, "calendar", "kind", "by_hand", "cancelled_at"]
    inlines = [PriceKindInline]
    ordering = ["starts_at", "pk"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        first = ["calendar", "title", "description", "kind", "starts_at", "ends_at"]
        places = [("pool_page", "places")] if obj else [("places", "pool")]
        prices = [("price", "tax_rate"), "price_name", "resource", ("max_per_order", "max_per_person")]
        ends = ["series_page", "on_its_own"] if obj and obj.series_id else []
        groups: list[tuple[Any, list[Any]]] = [
            (None, first),
            (_("Places and prices"), [*places, *prices]),
            (_("Booking"), ["booking_opens_at", "booking_closes_at"]),
            (_("Record"), [*ends, "archived", *(["cancelled_at", "uuid"] if obj else [])]),
        ]
        is_only_read = obj is not None and not self.has_change_permission(request, obj)
        return [(name, {"fields": as_read(fields) if is_only_read else fields}) for name, fields in groups]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """What was sold is held in the pool that was chosen first, and belongs to the calendar's stall."""
        return ["calendar", "pool_page", "series_page", "cancelled_at", "uuid"] if obj else []

    @admin.display(description=_("starts (local)"), ordering="starts_at")
    def starts(self, entry: Entry) -> str:
        return wording.moment(entry.starts_at, entry.calendar.zone)

    @admin.display(description=_("ends (local)"))
    def ends(self, entry: Entry) -> str:
        return wording.moment(entry.ends_at, entry.calendar.zone)

    @admin.display(description=_("booking opens (local)"))
    def opens(self, entry: Entry) -> str:
        return wording.moment(entry.opens_at, entry.calendar.zone) if entry.opens_at else _now("at once")

    @admin.display(description=_("booking closes (local)"))
    def closes(self, entry: Entry) -> str:
        return wording.moment(entry.closes_at, entry.calendar.zone)

    @admin.display(description=_("taken"))
    def places_taken(self, entry: Entry) -> str:
        """How many places are taken, of how many; said in colour and in words where that is too many."""
        pool = entry.pool
        if pool.wanted is None:
            return f"{pool.taken} / {_now('any')}"
        said = f"{pool.taken} / {pool.wanted}"
        if pool.taken <= pool.wanted:
            return said
        return render_to_string("unfold/helpers/label.html", {"text": f"{said}, {_now('oversold')}", "type": "danger"})

    @admin.display(description=_("pool"))
    def pool_page(self, entry: Entry) -> str:
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            reverse("admin:bookings_pool_change", args=[entry.pool_id]),
            entry.pool,
        )

    @admin.display(description=_("series"))
    def series_page(self, entry: Entry) -> str:
        path = reverse("admin:bookings_series_change", args=[entry.series_id])
        return format_html('<a class="text-link" href="{}">{}</a>', path, entry.series)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Only what was changed is written; who has a place at it is told of another time."""
        planning.lock_resource(obj.resource)
        planning.lock_series(obj.series_id)
        try:
            with planning.resource_is_free(obj.resource):
                self._change(request, obj, form) if change else self._make(obj, form)
        except CannotPlan as refusal:
            raise Refused({refusal.field: str(refusal)}) from refusal
        except CannotReschedule as refusal:
            raise Refused(
                {"resource" if isinstance(refusal, ResourceTaken) else "starts_at": str(refusal)}
            ) from refusal

    def _make(self, entry: Entry, form: Any) -> None:
        if not form.cleaned_data["pool"]:
            name = planning.pool_name(entry.title, entry.starts_at, entry.calendar)
            entry.pool = capacity.new_pool(name, form.cleaned_data["places"])
        entry.save()

    def _change(self, request: HttpRequest, entry: Entry, form: Any) -> None:
        changed = set(form.changed_data)
        if not changed:
            return
        if "archived" in changed and entry.archived_at is not None:
            self._keep_unsold(entry)
        if changed & set(TIMES) and self._reschedule(request, entry, form):
            changed -= set(TIMES)
        claim(form)
        if "places" in changed:
            capacity.change_capacity(entry.pool, form.cleaned_data["places"], shown=form.initial["places"])
            tell_shortfall(request, entry.pool)
        if entry.series_id:
            entry.by_hand = form.cleaned_data["on_its_own"] if "on_its_own" in changed else True
        renamed = {"archived": "archived_at"}
        fields = {renamed.get(name, name) for name in changed if name not in ("places", "on_its_own")}
        entry.save(update_fields=[*fields, "by_hand"])

    def _keep_unsold(self, entry: Entry) -> None:
        """Nobody takes a place until it is saved; who did a moment ago must be told, so staff are asked first."""
        capacity.lock_pools([entry.pool_id])
        if planning.claims_on([entry])[entry.pk]:
            raise Changed

    def _reschedule(self, request: HttpRequest, entry: Entry, form: Any) -> bool:
        """Move an entry that people have places at, once staff have seen how many are told; False if nobody has."""
        before = Entry.objects.select_related("calendar").get(pk=entry.pk)
        claims = planning.claims_on([before])[entry.pk]
        if (before.starts_at, before.ends_at) == (entry.starts_at, entry.ends_at):
            return False
        if not claims:
            self._keep_unsold(before)
            return False
        check_may_reschedule(request, "starts_at")
        told, zone = wording.orders_told([before]), before.calendar.zone
        times = [(each.starts_at, each.ends_at) for each in (before, entry)]
        reason = self.make_sure(
            request,
            ASK,
            _now("Another time for %(entry)s") % {"entry": before.title},
            row=entry,
            fingerprint=agreements.fingerprint_of(times, claims.sold),
            needs_note=True,
            original=before,
            before=wording.when(*times[0], zone),
            after=wording.when(*times[1], zone),
            claims=wording.describe_claims(claims),
            told=wording.describe_told(told),
        )
        rescheduling.hold_orders_still([before])
        claim(form)
        told = rescheduling.reschedule(before, *times[1], by=person_of(request), reason=reason)
        entry.sequence, entry.rescheduled_at = before.sequence, before.rescheduled_at
        log(request, entry, f"Another time: {reason}")
        self.message_user(request, wording.describe_told(told))
        return True
