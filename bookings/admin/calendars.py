"""The back office: calendars and entries to plan."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bookings.models import Calendar, Entry
from cartsite.backoffice import KeptAdmin


@admin.register(Calendar)
class CalendarAdmin(KeptAdmin):
    list_display = ["name", "stall", "place", "time_zone", "archived_at"]
    list_select_related = ["stall"]
    search_fields = ["name", "place", "stall__name"]
    list_filter = ["time_zone", "stall"]
    prepopulated_fields = {"slug": ["name"]}
    autocomplete_fields = ["stall"]
    readonly_fields = ["uuid"]


@admin.register(Entry)
class EntryAdmin(KeptAdmin):
    list_display = ["title", "calendar", "starts", "price", "taken", "wanted", "cancelled_at"]
    list_select_related = ["calendar", "pool"]
    search_fields = ["title", "calendar__name", "=uuid"]
    list_filter = ["calendar", "starts_at", "cancelled_at"]
    date_hierarchy = None
    autocomplete_fields = ["calendar", "pool"]
    readonly_fields = ["uuid", "cancelled_at"]
    ordering = ["starts_at", "pk"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """What was sold is held in the pool that was chosen first: another one would know nothing of it."""
        return [*self.readonly_fields, "pool"] if obj and obj.pool_id else self.readonly_fields

    @admin.display(description=_("starts (local)"), ordering="starts_at")
    def starts(self, entry: Entry) -> str:
        return entry.local_start.strftime("%a %d %b %Y %H:%M %Z")

    @admin.display(description=_("taken"))
    def taken(self, entry: Entry) -> int:
        return entry.pool.taken

    @admin.display(description=_("of"))
    def wanted(self, entry: Entry) -> int | None:
        return entry.pool.wanted
