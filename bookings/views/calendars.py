"""Calendars and their entries, for shoppers."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from bookings.models import Calendar, Entry
from cartsite.http import wants_fragment
from cartsite.paging import page_of

PER_PAGE = 30


@require_safe
def calendars(request: HttpRequest) -> HttpResponse:
    """All calendars, with who puts them on."""
    listed = Calendar.objects.filter(archived_at=None).select_related("stall").order_by("name", "pk")
    page = page_of(listed, ("name", "pk"), request.GET.get("after", ""), PER_PAGE)
    return render(request, "bookings/calendars.html", {"page": page})


@require_safe
def calendar(request: HttpRequest, slug: str) -> HttpResponse:
    """One calendar's coming entries with their free places, soonest first."""
    shown = get_object_or_404(Calendar.objects.select_related("stall"), slug=slug, archived_at=None)
    entries = Entry.objects.coming().filter(calendar=shown)
    page = page_of(entries, ("starts_at", "pk"), request.GET.get("after", ""), PER_PAGE)
    template = "bookings/_entries.html" if wants_fragment(request) else "bookings/calendar.html"
    return render(request, template, {"calendar": shown, "page": page})


@require_safe
def entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """One entry: what, when in the calendar's own zone, where, for how much, and the form that adds places."""
    shown = get_object_or_404(Entry.objects.listed(), pk=entry_id)
    return render(request, "bookings/entry.html", {"entry": shown, "thing": shown})
