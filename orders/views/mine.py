"""All of a shopper's orders."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cart.visitors import user_of
from cartsite.http import wants_fragment
from cartsite.paging import page_of
from orders.forms import OrderFilterForm
from orders.models import Order

PER_PAGE = 25


@never_cache
@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """The signed-in shopper's orders, newest first, by status and day."""
    form = OrderFilterForm(request.GET)
    form.is_valid()
    orders = form.narrow(Order.objects.filter(user=user_of(request)))
    page = page_of(orders, ("-placed_at", "-pk"), request.GET.get("after", ""), PER_PAGE)
    template = "orders/_list.html" if wants_fragment(request) else "orders/list.html"
    return render(request, template, {"form": form, "page": page}, status=200 if form.is_valid() else 422)
