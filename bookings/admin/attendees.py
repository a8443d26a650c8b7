"""The back office: what is asked about those who come, and who they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget

from bookings.admin import wording
from bookings.models import Attendee, Booking, Entry, Question
from bookings.questions import questions_about
from cartsite.backoffice import RecordAdmin, may_see
from cartsite.editing import EditedAdmin
from cartsite.sheets import answer_csv, as_text
from orders.access import read_number
from orders.guest_list import name_of

FEWEST_CHOICES = 2
LONGEST_CHOICE = 100


# --- What is asked ----------------------------------------------------------------------------------------------------


class LinesField(forms.CharField):
    """A list of short texts, each on a line of its own."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The lines that say something, each once; raises ValidationError for a character that no text may have."""
        typed = str(value or "")
        ProhibitNullCharactersValidator()(typed)
        lines = (" ".join(line.split()) for line in typed.splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != list(initial or []))
        except ValidationError:
            return True


class QuestionForm(forms.ModelForm):  # type: ignore[type-arg]
    choices = LinesField(required=False, help_text=gettext_lazy("Of a question with choices: one on each line."))

    class Meta:
        model = Question
        fields = [
            "calendar",
            "series",
            "text",
            "help_text",
            "kind",
            "choices",
            "is_required",
            "position",
            "archived_at",
        ]

    def clean_choices(self) -> list[str]:
        choices: list[str] = self.cleaned_data["choices"]
        if any(len(choice) > LONGEST_CHOICE for choice in choices):
            raise ValidationError(_("A choice has at most 100 characters."))
        return choices

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("kind") == Question.Kind.CHOICE and len(data.get("choices", [])) < FEWEST_CHOICES:
            self.add_error("choices", _("Please give at least two choices."))
        series, calendar = data.get("series"), data.get("calendar")
        if series and calendar and series.calendar_id != calendar.pk:
            self.add_error("series", _("This series is in another calendar."))
        return data


@admin.register(Question)
class QuestionAdmin(EditedAdmin):
    form = QuestionForm
    list_display = ["text", "calendar", "series", "kind", "is_required", "position", "archived_at"]
    list_select_related = ["calendar", "series"]
    list_filter = ["calendar"]
    search_fields = ["text", "calendar__name"]
    ordering = ["calendar__name", "position", "pk"]


# --- Who comes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """Who comes to an entry: a heading for each column, and a row for each place."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@admin.register(Attendee)
class AttendeeAdmin(RecordAdmin):
    """Personal data, to be read: by the organisers of an entry, for as long as it is kept."""

    list_display = ["name", "title", "order_number", "number"]
    search_fields = ["name", "order_line__order__number", "booking__entry__title"]
    found_by = [("order_line__order__number", read_number)]
    list_filter = ["booking__entry__calendar"]
    ordering = ["-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        attendees: QuerySet[Attendee] = super().get_queryset(request)
        return attendees.select_related("booking__entry", "order_line__order")

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.of_entry)
        return [path("of/<int:entry_id>/", page, name="bookings_entry_attendees"), *super().get_urls()]

    @admin.display(description=gettext_lazy("comes to"))
    def title(self, attendee: Attendee) -> str:
        return attendee.booking.entry.title if attendee.booking else attendee.order_line.title

    @admin.display(description=gettext_lazy("order"))
    def order_number(self, attendee: Attendee) -> str:
        return attendee.order_line.order.number

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def of_entry(self, request: HttpRequest, entry_id: int) -> HttpResponse:
        """Who comes to one entry, as a page or (`?as=csv`) as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        entry = get_object_or_404(Entry.objects.select_related("calendar"), pk=entry_id)
        sheet = make_sheet(entry, with_buyers=may_see(request, "orders.ordercontact"))
        if request.GET.get("as") == "csv":
            rows = [[as_text(cell) for cell in row] for row in [sheet.headings, *sheet.rows]]
            return answer_csv(f"attendees-{entry.local_start:%Y-%m-%d}-{entry.pk}.csv", rows)
        title = _("Who comes to %(title)s") % {"title": entry.title}
        when = wording.when(entry.starts_at, entry.ends_at, entry.calendar.zone)
        return self.show_page(
            request, "admin/bookings/attendee/of_entry.html", title, entry=entry, when=when, sheet=sheet
        )


def make_sheet(entry: Entry, *, with_buyers: bool) -> Sheet:
    """Who comes to an entry, or else who ordered the place; the same few queries for any number of places."""
    bookings = list(_bookings_at(entry))
    answered = {answer.question for booking in bookings for answer in _answers_of(booking)}
    asked = questions_about([entry])[entry.pk]
    asked += sorted(answered - set(asked), key=lambda question: question.pk)  # was asked once
    headings = [_("Name"), _("Price"), _("Status"), _("Order"), *(question.text for question in asked)]
    return Sheet(headings, sorted(_rows(bookings, asked, with_buyers), key=lambda row: row[0].casefold()))


def _bookings_at(entry: Entry) -> QuerySet[Booking]:
    """Places at the entry, but for those that were moved away from it."""
    bookings = Booking.objects.filter(entry=entry).exclude(status=Booking.Status.MOVED)
    loaded = bookings.select_related("attendee", "entry", "order_line__order__contact", "order_line__price_kind")
    return loaded.prefetch_related("attendee__answers__question").order_by("pk")


def _answers_of(booking: Booking) -> list[Any]:
    return list(booking.attendee.answers.all()) if hasattr(booking, "attendee") else []


def _rows(bookings: Sequence[Booking], asked: Sequence[Question], with_buyers: bool) -> Iterator[list[str]]:
    for booking in bookings:
        line = booking.order_line
        said = {answer.question_id: answer.words for answer in _answers_of(booking)}
        price = line.price_kind.name if line.price_kind else booking.entry.price_name or _("Standard")
        attendee = booking.attendee.name if hasattr(booking, "attendee") else ""
        name = name_of(booking) if with_buyers else attendee
        status = str(booking.get_status_display())
        yield [name, price, status, line.order.number, *(said.get(question.pk, "") for question in asked)]
