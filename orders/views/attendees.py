"""Who comes to what was booked: told on the order's page, and changed until it begins."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cart.visitors import user_of
from cartsite.http import wants_fragment
from orders import access
from orders import attendees as guests
from orders.forms import AttendeesForm
from orders.models import Order


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def attendees(request: HttpRequest, number: str) -> HttpResponse:
    """What is known of whoever comes, as a form; a POST keeps it."""
    if request.method != "POST" and number != number.upper():
        return redirect("orders:attendees", number.upper())
    order = access.find_order(request, number)
    asked = guests.about_order(order)
    if not asked:
        messages.warning(request, _("Nothing is asked about the places of this order any more."))
        return redirect(order)
    form = AttendeesForm(asked, request.POST if request.method == "POST" else None)
    if form.is_valid():
        return _keep(request, order, form)
    return _show(request, order, form, status=422 if form.is_bound else 200)


def _keep(request: HttpRequest, order: Order, form: AttendeesForm) -> HttpResponse:
    guests.change(order, form.guests, by=user_of(request))
    if wants_fragment(request):
        return _show(request, order, AttendeesForm(guests.about_order(order)), is_saved=True)
    messages.success(request, _("Who comes is kept."))
    return redirect(order)


def _show(
    request: HttpRequest, order: Order, form: AttendeesForm, *, status: int = 200, is_saved: bool = False
) -> HttpResponse:
    template = "orders/_attendees.html" if wants_fragment(request) else "orders/attendees.html"
    return render(request, template, {"order": order, "who": form, "is_saved": is_saved}, status=status)
