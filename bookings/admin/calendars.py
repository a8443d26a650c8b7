"""The back office: calendars with their rules and questions, and what entries need for themselves alone."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline

from bookings.admin.asking import ArchivableForm
from bookings.admin.attendees import QuestionForm
from bookings.models import Calendar, Entry, Question, Resource
from cartsite.backoffice import PlainTextMixin
from cartsite.editing import EditedAdmin, EditedInline
from cartsite.pictures import check_picture


class QuestionInline(EditedInline, PlainTextMixin, StackedInline):
    """What is asked about everybody who comes; a question of one series alone is made on a page of its own."""

    model = Question
    form = QuestionForm
    fields = ["text", "help_text", ("kind", "is_required", "position"), "choices"]
    extra = 1  # without a script nothing adds another row
    can_delete = False
    show_change_link = True
    verbose_name_plural = _("questions about everybody who comes")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(archived_at=None, series=None)


class CalendarForm(ArchivableForm):
    # Ten years: whoever typed more mistyped it, and no date could be reckoned from it.
    MOST: ClassVar = {"notice_hours": 87_600, "cancel_hours": 87_600, "move_hours": 87_600, "horizon_days": 3_650}

    class Meta:
        model = Calendar
        fields = ["name", "slug", "stall", "description", "place", "time_zone", "picture"]
        help_texts = {
            "time_zone": _("Where it is, such as Europe/London. Its times are those of the clock on the wall there."),
            "kept_percent": _("Per cent of what was paid for the place. Shoppers see it before they buy."),
        }

    def clean_picture(self) -> str:
        path: str = self.cleaned_data["picture"]
        if path and "picture" in self.changed_data:
            check_picture(path)
        return path

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        for name, most in self.MOST.items():
            if (data.get(name) or 0) > most:
                self.add_error(name, _now("Please give %(most)d at most: that is ten years.") % {"most": most})
        return data


@admin.register(Calendar)
class CalendarAdmin(EditedAdmin):
    form = CalendarForm
    list_display = ["name", "stall", "place", "time_zone", "archived_at"]
    list_select_related = ["stall"]
    search_fields = ["name", "place", "stall__name"]
    list_filter = ["time_zone", "stall", "archived_at"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["uuid"]
    inlines = [QuestionInline]
    fieldsets = [
        (None, {"fields": ["name", "slug", "stall", "description", "place", "time_zone", "picture"]}),
        (_("When it can be booked"), {"fields": [("notice_hours", "horizon_days"), ("most_held", "offer_hours")]}),
        (_("When plans change"), {"fields": [("cancel_hours", "kept_percent"), "move_hours"]}),
        (_("Who comes"), {"fields": ["ask_names"]}),
        (_("Record"), {"fields": ["archived", "uuid"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """In another zone everything that was sold would be at another hour."""
        has_entries = obj is not None and Entry.objects.filter(calendar=obj).exists()
        return [*self.readonly_fields, "time_zone"] if has_entries else list(self.readonly_fields)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """An address that people may have written down stays as it is."""
        return {} if obj else dict(self.prepopulated_fields)


class ResourceForm(ArchivableForm):
    class Meta:
        model = Resource
        fields = ["name"]


@admin.register(Resource)
class ResourceAdmin(EditedAdmin):
    form = ResourceForm
    fields = ["name", "archived", "uuid"]
    list_display = ["name", "archived_at"]
    search_fields = ["name"]
    list_filter = ["archived_at"]
    readonly_fields = ["uuid"]
