"""The back office: places that were sold, and who was let in, to read."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from bookings.admin import wording
from bookings.models import Booking, Scan
from cartsite.backoffice import RecordAdmin, read_address
from orders.access import read_number
from orders.door import read_code
from orders.guest_list import name_of


@admin.register(Booking)
class BookingAdmin(RecordAdmin):
    list_display = ["code", "entry", "starts_at", "who", "order_number", "status", "ticket", "door"]
    search_fields = [
        "code",
        "attendee__name",
        "entry__title",
        "order_line__order__number",
        "order_line__order__contact__name",
    ]
    found_by = [
        ("code", read_code),
        ("order_line__order__number", read_number),
        ("order_line__order__contact__email__iexact", read_address),
    ]
    list_filter = ["status", "entry__calendar"]
    readonly_fields = ["who", "ticket", "door"]
    reveals = {"who": ["bookings.attendee", "orders.ordercontact"]}
    ordering = ["-pk"]

    def show_discreetly(self, request: HttpRequest, columns: Iterable[Any]) -> list[Any]:
        """Also without the way to check-in for those who may not check people in."""
        shown = super().show_discreetly(request, columns)
        return shown if request.user.has_perm("bookings.check_in") else [name for name in shown if name != "door"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        bookings: QuerySet[Booking] = super().get_queryset(request)
        return bookings.select_related("entry__calendar", "attendee", "order_line__order__contact")

    @admin.display(description=_("begins"), ordering="entry__starts_at")
    def starts_at(self, booking: Booking) -> str:
        return wording.moment(booking.entry.starts_at, booking.entry.calendar.zone)

    @admin.display(description=_("who comes"))
    def who(self, booking: Booking) -> str:
        return name_of(booking)

    @admin.display(description=_("order"))
    def order_number(self, booking: Booking) -> str:
        return booking.order_line.order.number

    @admin.display(description=_("ticket"))
    def ticket(self, booking: Booking) -> str:
        return _link("bookings:ticket", booking.uuid, _("Ticket"))

    @admin.display(description=_("door"))
    def door(self, booking: Booking) -> str:
        return _link("bookings:door", booking.entry_id, _("Door"))


@admin.register(Scan)
class ScanAdmin(RecordAdmin):
    list_display = ["at", "entry", "outcome", "booking", "typed", "by", "undone_at", "undone_by"]
    list_select_related = ["entry", "booking", "by", "undone_by"]
    list_filter = ["outcome", "at"]
    search_fields = ["booking__code", "typed", "entry__title", "by__username"]
    found_by = [("booking__code", read_code)]
    ordering = ["-pk"]


def _link(name: str, key: object, label: Any) -> str:
    return format_html('<a href="{}">{}</a>', reverse(name, args=[key]), label)
