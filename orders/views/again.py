"""The same once more: what was ordered goes into the visitor's basket."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from bookings.models import Entry, PriceKind
from cart.filling import add_again
from cart.models import Product
from cart.visitors import TooManyPlaces, check_places, open_cart_for, set_cart_cookie
from cartsite import limits
from cartsite.sorry import too_many
from orders import access
from orders.models import Order, OrderLine


@never_cache
@require_POST
def again(request: HttpRequest, number: str) -> HttpResponse:
    """Put the order's goods and places into the basket as far as they can be had, at the prices of today."""
    order = access.find_order(request, number)
    if not limits.is_within(request, "hold"):
        return too_many(request)
    things = _things_of(order)
    try:
        with transaction.atomic():
            cart, token = open_cart_for(request)
            gone = add_again(cart, things)
            check_places(request, sum(quantity for thing, quantity, _kind in things if isinstance(thing, Entry)))
    except TooManyPlaces:
        return too_many(request)
    for sentence in gone:
        messages.warning(request, sentence)
    if not gone:
        messages.success(request, _("What you ordered is in your basket once more."))
    return set_cart_cookie(redirect("cart:detail"), token)


def _things_of(order: Order) -> list[tuple[Product | Entry, int, PriceKind | None]]:
    """What was ordered, how many of each, and at which price of an entry."""
    lines = order.lines.filter(kind__in=OrderLine.GOODS)
    lines = lines.select_related(
        "product__stall", "product__pool", "entry__calendar__stall", "entry__pool", "price_kind"
    )
    return [(thing, line.quantity, line.price_kind) for line in lines if (thing := line.product or line.entry)]
