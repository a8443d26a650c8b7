"""All of a shopper's orders."""

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cart.visitors import user_of
from cartsite.http import wants_fragment
from cartsite.paging import Page, cursor_of, page_of
from orders import access
from orders.forms import OrderFilterForm
from orders.models import Order, OrderLine, OrderQuerySet
from orders.unpaid import orders_seen

PER_PAGE = 25
NEWEST_FIRST = ("-placed_at", "-pk")
# A search for words looks through so many orders at a time, so that it costs the same in a list of any length.
LOOK_THROUGH = 500


@never_cache
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """The shopper's orders: all of their account's, or those that a guest's browser knows."""
    if user_of(request) is None and (seen := orders_seen(request, PER_PAGE)):
        return render(request, "orders/of_browser.html", {"page": Page(seen, "")})
    return of_account(request)


@login_required
def of_account(request: HttpRequest) -> HttpResponse:
    """The signed-in shopper's orders, newest first: by status and day, number, or words from what is in them."""
    form = OrderFilterForm(request.GET)
    form.is_valid()
    orders = form.narrow(Order.objects.filter(user=user_of(request)))
    page = _find(orders, form.cleaned_data.get("q", ""), request.GET.get("after", ""))
    is_narrowed = any(request.GET.get(name) for name in form.fields)
    is_first = not request.GET.get("after")
    is_empty = is_first and not page.rows and not is_narrowed  # then there is nothing to search
    context = {"form": form, "page": page, "is_narrowed": is_narrowed, "is_empty": is_empty}
    return render(request, _template_for(request), context, status=200 if form.is_valid() else 422)


def _template_for(request: HttpRequest) -> str:
    """The page, what a search replaces of it, or only more of the list."""
    if not wants_fragment(request):
        return "orders/list.html"
    return "orders/_list.html" if "part" in request.GET else "orders/_found.html"


def _find(orders: OrderQuerySet, words: str, after: str) -> Page[Order]:
    if not words:
        return page_of(orders, NEWEST_FIRST, after, PER_PAGE)
    if number := access.read_number(words):
        return page_of(orders.filter(number=number), NEWEST_FIRST, after, PER_PAGE)
    return _look_through(orders, words, after)


def _look_through(orders: OrderQuerySet, words: str, after: str) -> Page[Order]:
    """The next orders with these words in the title or the stall of a line; perhaps none, and still more to look at."""
    window = page_of(orders, NEWEST_FIRST, after, LOOK_THROUGH)
    lines = OrderLine.objects.filter(
        Q(title__icontains=words) | Q(stall__name__icontains=words),
        order__in=[order.pk for order in window.rows],
        kind__in=OrderLine.GOODS,
    )
    fitting = set(lines.values_list("order_id", flat=True))
    found = [order for order in window.rows if order.pk in fitting]
    if len(found) > PER_PAGE:
        return Page(found[:PER_PAGE], cursor_of(found[PER_PAGE - 1], NEWEST_FIRST))
    return Page(found, window.next)
