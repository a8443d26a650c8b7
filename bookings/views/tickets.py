"""One ticket, to hand to a friend: its address is its secret, and it says nothing of the order."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings import ical
from orders import calendar_files, tickets


@never_cache
@require_safe
def ticket(request: HttpRequest, booking: UUID) -> HttpResponse:
    """The ticket; one that was cancelled or moved says so, and has no code to scan."""
    answer = render(request, "bookings/tickets/ticket.html", {"ticket": _find(booking)})
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


@never_cache
@require_safe
def calendar(request: HttpRequest, booking: UUID) -> HttpResponse:
    """Its place as a file for its holder's own calendar; of one that is gone, a file that takes it out again."""
    shown = _find(booking)
    return ical.answer(calendar_files.write_ticket(shown), shown.code)


def _find(booking: UUID) -> tickets.Ticket:
    """The ticket of this booking, or 404."""
    shown = tickets.of_booking(booking)
    if shown is None:
        raise Http404
    return shown
