"""The order that a visitor has placed and not paid yet: pages mention it, so that nobody loses it on the way."""

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from cart.visitors import user_of
from orders import access, replacing
from orders.models import Order


def find_unpaid(request: HttpRequest) -> Order | None:
    """The visitor's newest order that can still be paid; None if there is none.

    It is their own by their account, or by the signed cookie of its secret link. Whoever has neither costs no query.
    `order.is_move` says whether it is there to move places to another date.
    """
    seen, user = access.seen_by(request), user_of(request)
    if not seen and user is None:
        return None
    mine = Q(uuid__in=seen) if user is None else Q(uuid__in=seen) | Q(user=user)
    waiting = Order.objects.filter(mine, status=Order.Status.AWAITING_PAYMENT, closing_since=None)
    order = waiting.filter(deadline__gt=timezone.now()).order_by("-placed_at", "-pk").first()
    if order is not None:
        order.is_move = replacing.is_move(order)  # type: ignore[attr-defined]
    return order


def orders_seen(request: HttpRequest, most: int) -> list[Order]:
    """The orders that this browser may see by their secret links, the one that was placed last first."""
    return list(Order.objects.filter(uuid__in=access.seen_by(request)).order_by("-placed_at", "-pk")[:most])
