"""One ticket, to hand to a friend: its address is its secret, and it says nothing of the order."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from orders import tickets


@never_cache
@require_safe
def ticket(request: HttpRequest, booking: UUID) -> HttpResponse:
    """The ticket; one that was cancelled or moved says so, and has no code to scan."""
    shown = tickets.of_booking(booking)
    if shown is None:
        raise Http404
    answer = render(request, "bookings/tickets/ticket.html", {"ticket": shown})
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
