"""Taking what was offered to somebody on a waiting list into a basket."""

from django.db import transaction
from django.utils.translation import gettext as _

from bookings import capacity, waiting
from bookings.models import Hold, Waiter
from cart.basket import Basket, Unavailable
from cart.filling import basket_in, check_line, line_for
from cart.models import Cart


@transaction.atomic
def take_offer(cart: Cart, waiter: Waiter) -> Basket:
    """Put the offered places into a locked cart, with their hold; doing it again changes nothing.

    They cost what they cost today, of the kind that was asked for. Raises Unavailable if the offer is over.
    """
    waiter, basket = waiting.lock(waiter), basket_in(cart)
    if waiter.status == Waiter.Status.TAKEN:
        return basket
    item, saved = line_for(basket, cart, waiter.entry, waiter.price_wished)
    held = capacity.lock(pk for pk in (waiter.hold_id, item.hold_id) if pk)
    if not waiter.has_offer or not held[waiter.hold_id or 0].quantity:
        raise Unavailable(_("This offer is over. You may join the waiting list again."))
    offered = held[waiter.hold_id or 0]
    check_line(waiter.entry, offered.quantity, waiter.price_wished)
    waiting.mark_taken(waiter)  # before the line has its hold: a hold is somebody's offer, or in somebody's basket
    item.hold = _put_together(held.get(item.hold_id or 0), offered)
    capacity.hand_to_cart(item.hold, waiter.offer_until or item.hold.claimed_at)
    item.quantity = item.hold.quantity
    item.save()
    if saved is not None:
        saved.delete()
    return basket


def _put_together(own: Hold | None, offered: Hold) -> Hold:
    """One hold for all of a line: what was offered, and what it holds itself. What lapsed belongs to the others."""
    if own is None:
        return offered
    if own.is_over:
        capacity.give_back([own.pk])
        return offered
    capacity.join(own, offered)
    return own
