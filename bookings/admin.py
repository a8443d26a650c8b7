"""The back office: calendars and entries to plan, pools to size, holds and bookings to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bookings import capacity
from bookings.models import Booking, Calendar, Entry, Hold, Pool
from cartsite.backoffice import KeptAdmin, RecordAdmin


@admin.register(Pool)
class PoolAdmin(KeptAdmin):
    list_display = ["name", "wanted", "taken", "free", "archived_at"]
    search_fields = ["name", "=uuid"]
    list_filter = ["archived_at"]
    readonly_fields = ["uuid", "capacity", "taken"]
    ordering = ["name", "pk"]

    def save_model(self, request: HttpRequest, pool: Pool, form: Any, change: bool) -> None:
        """A new size goes through the one service that may set it."""
        wanted = form.cleaned_data["wanted"]
        if not change:
            pool.pk = capacity.new_pool(pool.name, wanted).pk
            return
        pool.save(update_fields=["name", "archived_at"])
        if "wanted" in form.changed_data:
            capacity.set_capacity(pool, wanted)


@admin.register(Hold)
class HoldAdmin(RecordAdmin):
    list_display = ["pool", "quantity", "until", "claimed_at"]
    list_select_related = ["pool"]
    search_fields = ["pool__name", "=uuid"]
    list_filter = ["until"]
    ordering = ["-pk"]


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


@admin.register(Booking)
class BookingAdmin(RecordAdmin):
    list_display = ["code", "entry", "order_number", "status", "created_at"]
    search_fields = ["code", "entry__title", "order_line__order__number"]
    list_filter = ["status", "entry__calendar"]
    ordering = ["-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        bookings: QuerySet[Booking] = super().get_queryset(request)
        return bookings.select_related("entry", "order_line__order")

    @admin.display(description=_("order"))
    def order_number(self, booking: Booking) -> str:
        return booking.order_line.order.number
