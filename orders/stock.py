"""What a sibling says is on the shelf, and what that means for what may still be sold."""

from django.db import transaction
from django.db.models import OuterRef, Subquery, Sum

from bookings import capacity
from bookings.models import Pool
from cart.models import Product
from cartsite.versions import EDITED
from orders.models import Order, OrderEvent, OrderLine


@transaction.atomic
def set_stock(product: Product, on_hand: int, as_of: int) -> Pool:
    """Take over a sibling's count of a product; its pool, made if it had none.

    `on_hand` is what lies there without our uncollected sales up to `as_of`, the id of the last of our order events
    that the sibling has subtracted (0: none). So those sales are added again: they are taken from the pool as well.
    """
    product = Product.objects.select_for_update(no_key=True).get(pk=product.pk)
    if product.pool is None:
        product.pool = capacity.new_pool(product.title, 0)
        product.version = EDITED
        product.save(update_fields=["pool", "version"])
    pool = Pool.objects.select_for_update(no_key=True).get(pk=product.pool.pk)
    capacity.set_capacity(pool, on_hand + _subtracted_and_uncollected(product, as_of))
    return pool


def _subtracted_and_uncollected(product: Product, as_of: int) -> int:
    """Units sold that the sibling has subtracted, and that still lie with us."""
    last_seen = OrderEvent.objects.filter(
        order=OuterRef("order"), pk__lte=as_of, kind__in=[Order.Status.CONFIRMED, Order.Status.CANCELLED]
    ).order_by("-pk")
    sold = OrderLine.objects.annotate(last_seen=Subquery(last_seen.values("kind")[:1])).filter(
        product=product, last_seen=Order.Status.CONFIRMED
    )
    return sold.aggregate(sum=Sum("hold__quantity"))["sum"] or 0
