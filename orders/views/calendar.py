"""The places of an order as a file for the shopper's own calendar."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings import ical
from orders import access, calendar_files


@never_cache
@require_safe
def calendar(request: HttpRequest, number: str) -> HttpResponse:
    """The calendar file, for whoever may see the order; 404 if it never had places."""
    order = access.find_order(request, number)
    text = calendar_files.write_history(order)
    if not text:
        raise Http404
    return ical.answer(text, order.number)
