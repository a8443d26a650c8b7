"""The tickets of an order, to show at the door or to print."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from orders import access
from orders import tickets as tickets_


@never_cache
@require_safe
def tickets(request: HttpRequest, number: str) -> HttpResponse:
    """Every ticket of the order that stands, for whoever may see the order; a visit with the key goes on without it."""
    if "key" in request.GET:
        return access.take_secret(request, number, request.GET["key"], "orders:tickets", lambda order: [order.key])
    if number != number.upper():  # typed by hand: each order has one address
        return redirect("orders:tickets", number.upper())
    order = access.find_order(request, number)
    answer = render(request, "orders/tickets.html", {"order": order, "tickets": tickets_.of_order(order)})
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
