"""What of a basket is no longer held and cannot be had in full: how many are left, before anybody fills in a form."""

from bookings import waiting
from bookings.availability import Held, held_in
from cart.basket import Basket
from cart.models import CartItem


def find_shortages(basket: Basket) -> None:
    """Note on each line of which there are too few now how many are `left` for it; None stays where it can be had.

    Nothing is asked while all of it is held, and two queries are enough for any number of lines. Places that others
    wait for count as none.
    """
    lapsed = [item for item in basket.items if item.hold_expired and item.is_on_sale]
    if not lapsed:
        return
    pools = {item.thing.pool_id or 0 for item in lapsed}
    held = held_in(pools)
    queued = waiting.is_queued({item.thing.pool_id or 0 for item in lapsed if item.entry_id})
    room = {item.thing.pool_id: _free_for(item, held) for item in lapsed}
    for item in lapsed:
        left = room[item.thing.pool_id]
        if left is None:
            continue
        own = item.hold.quantity if item.hold and not item.hold.is_over else 0
        could_have = 0 if item.thing.pool_id in queued else min(left + own, item.quantity)
        room[item.thing.pool_id] = max(left - could_have, 0)
        if could_have < item.quantity:
            item.left = could_have


def _free_for(item: CartItem, held: dict[int, Held]) -> int | None:
    """How many anybody could claim of what a line is about: what is free, and what expired holds give back."""
    pool = item.thing.pool
    if pool is None or pool.free is None:
        return None
    return pool.free + held.get(pool.pk, Held()).expired
