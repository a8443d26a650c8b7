"""The back office: places that were sold, to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bookings.models import Booking
from cartsite.backoffice import RecordAdmin


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
