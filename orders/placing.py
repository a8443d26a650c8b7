"""Placing an order: a cart becomes a commitment, once."""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity
from bookings.models import Hold
from cart.models import Cart, CartItem, hash_token
from cart.services import Basket, Unavailable, check_line
from cartsite.models import User
from orders import services
from orders.models import LineAllocation, Order, OrderContact, OrderLine
from orders.money import tax_within


class CannotPlace(Exception):
    """The order was not placed and nothing has moved; `reasons` are sentences for the shopper."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__(*reasons)


class CartChanged(CannotPlace):
    """The cart is not what the shopper agreed to: they must look again."""


@transaction.atomic
def place(cart_id: UUID, *, token: str, user: User | None, agreed: str, name: str, email: str) -> tuple[Order, bool]:
    """Make an order of the cart, exactly as it was shown; the order, and whether it is new.

    `cart_id` and `agreed` (the basket's fingerprint) are what the review page showed. Placing the same cart again
    gives the first order. Raises CannotPlace with nothing moved. An order of nothing to pay is confirmed at once.
    """
    cart = Cart.objects.filter(_may_place(token, user), uuid=cart_id)
    # The cart is over, and locked by that: of several who place it at once, the others wait here for the order.
    if not cart.filter(ordered_at=None).update(ordered_at=timezone.now()):
        return _order_of(cart), False
    basket = Basket(list(CartItem.objects.loaded().filter(cart__in=cart)))
    _check(basket, agreed)
    holds = _hold_everything(basket)
    order = _write_order(basket, holds, user)
    OrderContact.objects.create(order=order, name=name, email=email)
    if order.total == 0:
        services.confirm(order, cause="nothing to pay")
    return order, True


def _may_place(token: str, user: User | None) -> Q:
    """Carts of this visitor: by their token, or because they are theirs."""
    mine = Q(token_hash=hash_token(token))
    return mine if user is None else Q(user=user) | mine & Q(user=None)


def _order_of(cart: QuerySet[Cart]) -> Order:
    """The order that was made of this cart before; CartChanged if there is none, or no such cart for this visitor."""
    order = Order.objects.filter(cart__in=cart).first()
    if order is None:
        raise CartChanged(_("Your basket has changed. Please look through it again."))
    return order


def _check(basket: Basket, agreed: str) -> None:
    if not basket.items:
        raise CannotPlace(_("Your basket is empty."))
    reasons = []
    for item in basket.items:
        try:
            check_line(item.thing, item.quantity)
        except Unavailable as unavailable:
            reasons.append(str(unavailable))
    if basket.prices_rose:
        reasons.append(_("Some prices have gone up. Please look at them before you go on."))
    if reasons:
        raise CannotPlace(*reasons)
    if basket.fingerprint != agreed:
        raise CartChanged(_("Your basket has changed. Please look through it again."))


def _hold_everything(basket: Basket) -> dict[int, Hold]:
    """Hold what the basket asks for without end, claiming again only what has lapsed; the hold of each item's key."""
    held = capacity.lock(item.hold_id for item in basket.items if item.hold_id)
    scarce = [item for item in basket.items if item.thing.pool_id is not None]
    lapsed = [item for item in scarce if item.hold_id not in held or held[item.hold_id].quantity != item.quantity]
    fitting = {item.pk: held[item.hold_id] for item in scarce if item not in lapsed and item.hold_id}
    capacity.give_back([hold.pk for hold in held.values() if hold not in fitting.values() and hold.quantity])
    capacity.keep(hold.pk for hold in fitting.values())
    try:
        claimed = capacity.claim_all([(item.thing.pool_id or 0, item.quantity) for item in lapsed], until=None)
    except capacity.SoldOut as sold_out:
        gone = [item.thing.title for item in lapsed if item.thing.pool_id in sold_out.pools]
        raise CannotPlace(*(_("There is not enough left of %(title)s.") % {"title": title} for title in gone)) from None
    return fitting | {item.pk: hold for item, hold in zip(lapsed, claimed, strict=True)}


def _write_order(basket: Basket, holds: dict[int, Hold], user: User | None) -> Order:
    """The order with its lines; what the cart held is the order's now."""
    cart = basket.items[0].cart
    order = Order.objects.create(cart=cart, user=user or cart.user, total=basket.total, currency=settings.CURRENCY)
    lines = OrderLine.objects.bulk_create(
        _line(order, position, item, holds.get(item.pk)) for position, item in enumerate(basket.items)
    )
    _allocate(lines)
    cart.items.update(hold=None)
    order.record("placed", total=str(order.total))
    return order


def _line(order: Order, position: int, item: CartItem, hold: Hold | None) -> OrderLine:
    return OrderLine(
        order=order,
        position=position,
        kind=OrderLine.Kind.PRODUCT if item.product else OrderLine.Kind.ENTRY,
        product=item.product,
        entry=item.entry,
        stall=item.stall,
        title=item.thing.title,
        unit_price=item.thing.price,
        quantity=item.quantity,
        tax_rate=item.thing.tax_rate,
        total=item.total,
        hold=hold,
    )


def _allocate(lines: Sequence[OrderLine]) -> None:
    """What a stall sells is the stall's, at the thing's own rate. (Fees and discounts will be shared out here too.)"""
    LineAllocation.objects.bulk_create(
        LineAllocation(
            line=line,
            stall=line.stall,
            tax_rate=line.tax_rate,
            amount=line.total,
            tax=tax_within(line.total, line.tax_rate),
        )
        for line in lines
    )
