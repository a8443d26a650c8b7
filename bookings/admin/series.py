"""The back office: what recurs, planned on the wall's clock, shown before it is done."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from bookings import planning
from bookings.admin import wording
from bookings.admin.asking import ArchivableForm, AskingAdmin, Changed, Refused, check_may_reschedule
from bookings.admin.fields import WEEKDAYS, DayField, DaysField, HourInput, WeekdaysField
from bookings.models import Pool, PriceKind, Series
from bookings.planning import CannotPlan, Fate, Plan
from cartsite.backoffice import PlainTextMixin, RecordAdmin, log, person_of
from cartsite.editing import EditedInline
from orders import rescheduling
from orders.rescheduling import CannotReschedule

ASK = "admin/bookings/series/preview.html"


class PriceKindForm(ArchivableForm):
    """Another price; one that is not sold any more is archived, since orders name it."""

    class Meta:
        model = PriceKind
        fields = ["name", "note", "price", "position"]


class PriceKindInline(EditedInline, PlainTextMixin, TabularInline):
    model = PriceKind
    form = PriceKindForm
    fields = ["name", "note", "price", "position", "archived"]
    extra = 1  # without a script nothing adds another row
    can_delete = False
    verbose_name = _("other price")
    verbose_name_plural = _("other prices for a place, such as for a child or a member")


class SeriesForm(ArchivableForm):
    """The plan of a series; its times are those of the clock on the wall where the calendar is."""

    weekdays = WeekdaysField(label=_("Days of the week"))
    first_day = DayField(label=_("First day"), help_text=_("Weeks are counted from the one it is in."))
    last_day = DayField(label=_("Last day"))
    skipped_days = DaysField(label=_("Skipped days"), help_text=_("Not on these days. One day on each line."))
    extra_days = DaysField(label=_("Extra days"), help_text=_("Also on these days. One day on each line."))

    class Meta:
        model = Series
        fields = ["calendar", "title", "description", "kind", "starts", "ends", "every", "places", "pool", "price"]
        widgets = {"starts": HourInput(), "ends": HourInput()}
        labels = {"pool": _("Shared places"), "places": _("Places each day")}
        help_texts = {
            "starts": _("On the wall's clock: it stays the same when the clocks change."),
            "ends": _("On the next day if that is not after it starts."),
            "places": _("Empty means any number."),
            "pool": _("One pool of places for all its days, such as for a course. Else leave it empty."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "pool" in self.fields:
            self.fields["pool"].queryset = self._pools()  # type: ignore[attr-defined]
        self.fields["archived"].label = _("No longer planned")
        self.fields["archived"].help_text = _("Its coming days leave the calendar, but for those with places sold.")

    def _pools(self) -> QuerySet[Pool]:
        """Those to choose from, with the one that it has."""
        own = Pool.objects.filter(pk=self.instance.pool_id)
        return (own | Pool.objects.to_share()).order_by("name", "pk")

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        first, last = data.get("first_day"), data.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", _("It is before the first day."))
        skipped, extra = set(data.get("skipped_days") or []), set(data.get("extra_days") or [])
        if both := sorted(skipped & extra):
            days = ", ".join(formats.date_format(day) for day in both)
            self.add_error("extra_days", _("These days are skipped too: %(days)s") % {"days": days})
        if data.get("pool") and data.get("places") is not None:
            self.add_error("places", _("How many places are shared is said on the page of their pool: leave it empty."))
        if "weekdays" not in self.errors and not data.get("weekdays") and not extra and not data.get("archived"):
            self.add_error("weekdays", _("Choose a day of the week, or give extra days."))
        return data


@admin.register(Series)
class SeriesAdmin(AskingAdmin):
    form = SeriesForm
    list_display = ["title", "calendar", "days", "hours", "first_day", "last_day", "archived_at"]
    list_select_related = ["calendar"]
    search_fields = ["title", "calendar__name", "=uuid"]
    list_filter = ["calendar", "kind", "archived_at"]
    inlines = [PriceKindInline]
    ordering = ["-last_day", "-pk"]
    change_form_outer_before_template = "admin/bookings/series/summary.html"
    fieldsets = [
        (None, {"fields": ["calendar", "title", "description", "kind"]}),
        (
            _("When, on the wall's clock"),
            {
                "fields": [
                    "weekdays",
                    "every",
                    ("starts", "ends"),
                    ("first_day", "last_day"),
                    ("skipped_days", "extra_days"),
                ]
            },
        ),
        (
            _("Places and prices"),
            {
                "fields": [
                    ("places", "pool"),
                    ("price", "tax_rate"),
                    "price_name",
                    "resource",
                    ("max_per_order", "max_per_person"),
                ]
            },
        ),
        (_("End"), {"fields": ["archived"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Its entries stay in their calendar, and so does it."""
        return ["calendar"] if obj else []

    @admin.display(description=_("days"))
    def days(self, series: Series) -> str:
        names = dict(WEEKDAYS)
        named = ", ".join(str(names[day]) for day in sorted(series.weekdays))
        often = _now("every %(n)d weeks") % {"n": series.every} if series.every > 1 else ""
        return ", ".join(part for part in (named, often) if part) or _now("extra days only")

    @admin.display(description=_("hours (local)"), ordering="starts")
    def hours(self, series: Series) -> str:
        return f"{series.starts:%H:%M} - {series.ends:%H:%M}"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, with what the next changes of the clocks mean above it."""
        series = self.get_object(request, object_id)
        clocks = describe_clocks_of(series) if series else []
        return super().change_view(request, object_id, form_url, (extra_context or {}) | {"clocks": clocks})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A plan that is as it was is not written again."""
        planning.lock_resource(obj.resource)
        planning.lock_series(obj.pk)
        if form.changed_data or not change:
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Follow the plan, once staff have seen what that comes to."""
        super().save_related(request, form, formsets, change)
        try:
            self._follow(request, form.instance)
        except CannotPlan as refusal:
            raise Refused({refusal.field: str(refusal)}) from refusal
        except CannotReschedule as refusal:
            raise Refused({"starts": str(refusal)}) from refusal

    def _follow(self, request: HttpRequest, series: Series) -> None:
        plan = planning.preview(series)
        if plan.is_idle:
            return
        planning.check_resource(plan)
        if plan.moves:
            check_may_reschedule(request, "starts")
        note = self._ask_about(request, plan)
        self._move_sold(request, plan, note)
        done = planning.apply(series)
        seen = {(step.day, step.fate) for step in plan.steps if step.touches_sold}
        if done.moves or {(step.day, step.fate) for step in done.steps if step.touches_sold} - seen:
            raise Changed  # somebody bought a place meanwhile
        self.message_user(request, _say(plan))

    def _ask_about(self, request: HttpRequest, plan: Plan) -> str:
        """The reason for telling people of another time, if anybody is told; raises Ask until staff agreed."""
        return self.make_sure(
            request,
            ASK,
            _now("What saving %(series)s comes to") % {"series": plan.series},
            row=plan.series,
            fingerprint=plan.fingerprint,
            needs_note=bool(plan.moves),
            plan=wording.describe_plan(plan),
            clocks=describe_clocks_of(plan.series),
        )

    def _move_sold(self, request: HttpRequest, plan: Plan, reason: str) -> None:
        """Entries that people have places at are moved by the one service that tells them."""
        rescheduling.hold_orders_still([step.entry for step in plan.moves if step.entry])
        for step in plan.moves:
            if step.entry and step.occurrence:
                starts_at, ends_at = step.occurrence.starts_at, step.occurrence.ends_at
                rescheduling.reschedule(step.entry, starts_at, ends_at, by=person_of(request), reason=reason)
                log(request, step.entry, f"Moved with its series: {reason}")


def describe_clocks_of(series: Series) -> list[dict[str, Any]]:
    """What the next two changes of the clocks mean for a series."""
    try:
        around = planning.around_clock_changes(series)
    except CannotPlan:
        return []
    return wording.describe_clocks(around, series.calendar.zone)


def _say(plan: Plan) -> str:
    """What was done, in one sentence."""
    counts = {
        "made": len(plan.of(Fate.NEW)),
        "changed": len(plan.of(Fate.CHANGED)),
        "dropped": len(plan.of(Fate.DROPPED)),
        "apart": len(plan.of(Fate.SET_APART)),
    }
    return _now("%(made)d made, %(changed)d changed, %(dropped)d off the calendar, %(apart)d set apart.") % counts


@admin.register(PriceKind)
class PriceKindAdmin(RecordAdmin):
    list_display = ["name", "price", "series", "entry", "archived_at"]
    list_select_related = ["series", "entry"]
    search_fields = ["name", "series__title", "entry__title", "=uuid"]
    list_filter = ["archived_at"]
    ordering = ["-pk"]
