"""Filling a cart: every write locks the cart first, so two tabs never undo each other."""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings import capacity, waiting
from bookings.models import Entry, Hold, Pool, PriceKind
from cart import caps
from cart.basket import Basket, Unavailable
from cart.models import Cart, CartItem, Product

MOST_PER_LINE = 999


def check_line(thing: Product | Entry, quantity: int, price_kind: PriceKind | None = None) -> None:
    """Raise Unavailable unless so many of this thing may be bought now, whether or not there is room."""
    if not 1 <= quantity <= MOST_PER_LINE:
        raise Unavailable(_("Choose a quantity from 1 to %(most)d.") % {"most": MOST_PER_LINE})
    if not thing.is_on_sale:
        raise Unavailable(_("%(title)s is no longer on sale.") % {"title": thing.title})
    if price_kind is not None and not (isinstance(thing, Entry) and price_kind.is_price_of(thing)):
        raise _not_at_that_price(thing)


def _not_at_that_price(thing: Product | Entry) -> Unavailable:
    return Unavailable(_("%(title)s is no longer on sale at that price.") % {"title": thing.title})


def check_caps(basket: Basket, item: CartItem, quantity: int) -> None:
    """Raise Unavailable if so many of this line are more than one shopper may have in a basket."""
    if sentence := caps.say_too_many(item, quantity, basket.items):
        raise Unavailable(sentence)


def check_growth(item: CartItem) -> None:
    """Raise Unavailable if a scarce line may not claim more than it holds, though there is room for it.

    Asked wherever a cart claims from a pool: for more of a line, for one that lapsed, when carts meet.
    """
    if item.entry_id is None:
        return
    # Only now, with the pool locked by the claim: staff may have given the entry other places since it was read.
    if not Entry.objects.filter(pk=item.entry_id, pool=item.thing.pool_id or 0).exists():
        raise Unavailable(_("%(title)s was changed just now. Please try again.") % {"title": item.title})
    if waiting.is_queued([item.thing.pool_id or 0]):
        raise _not_ones_turn(item.thing)


def _check_network(item: CartItem, network: str) -> None:
    """Raise Unavailable if the visitor's network holds more places unpaid than one may."""
    try:
        capacity.check_network(item.thing.pool_id or 0, network)
    except capacity.HeldByOneNetwork as held:
        raise Unavailable(say_held_by_one_network(item.title, held.most)) from None


def say_held_by_one_network(title: str, most: int) -> str:
    """Why a visitor may not hold more places, though there are some left."""
    return ngettext(
        "We keep at most %(most)d unpaid place at %(title)s for one internet connection. "
        "Please pay for what you have first, or try again in a quarter of an hour.",
        "We keep at most %(most)d unpaid places at %(title)s for one internet connection. "
        "Please pay for what you have first, or try again in a quarter of an hour.",
        most,
    ) % {"most": most, "title": title}


def _too_few(thing: Product | Entry) -> Unavailable:
    """Why there is not enough of it, in words for the shopper."""
    free = Pool.objects.get(pk=thing.pool_id or 0).free
    if not free:
        return Unavailable(_("%(title)s is sold out.") % {"title": thing.title})
    return Unavailable(
        ngettext("Only %(free)d more of %(title)s is left.", "Only %(free)d more of %(title)s are left.", free)
        % {"title": thing.title, "free": free}
    )


def _not_ones_turn(thing: Product | Entry) -> Unavailable:
    """Others are first, in words for the shopper."""
    return Unavailable(
        _("Others wait for %(title)s. Join the waiting list on its page: we write to you when it is your turn.")
        % {"title": thing.title}
    )


def basket_in(cart: Cart) -> Basket:
    """What is in this cart, in one query."""
    return Basket(CartItem.objects.loaded().filter(cart=cart), cart=cart)


# --- Lines ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def add(cart: Cart, thing: Product | Entry, quantity: int, price_kind: PriceKind | None = None) -> Basket:
    """Put so many more of a thing into a locked cart, claiming what is scarce; Unavailable if it cannot be had.

    `price_kind` is one of an entry's other prices.
    A line of it that was saved for later comes back with it, at the price the shopper saw then.
    """
    basket = basket_in(cart)
    item, saved = line_for(basket, cart, thing, price_kind)
    check_line(thing, item.quantity + quantity, price_kind)
    _check_offered(thing, price_kind)
    check_caps(basket, item, item.quantity + quantity)
    _set_quantity(item, item.quantity + quantity)
    if saved is not None:
        saved.delete()
    if thing.pool is not None:
        thing.pool.taken += quantity  # so that the page which is rendered next need not read it again
    return basket


def line_for(
    basket: Basket, cart: Cart, thing: Product | Entry, price_kind: PriceKind | None
) -> tuple[CartItem, CartItem | None]:
    """The basket's line of a thing, of none yet if it is new, and the saved one that it makes needless."""
    product, entry = (thing, None) if isinstance(thing, Product) else (None, thing)
    fresh = CartItem(cart=cart, product=product, entry=entry, price_kind=price_kind, quantity=0)
    fresh.seen_price = fresh.unit_price
    item = next((item for item in basket.items if item.key == fresh.key), None)
    saved = next((line for line in basket.saved if line.key == fresh.key), None)
    if saved is not None:
        basket.saved.remove(saved)
    if item is not None:
        return item, saved
    if saved is not None:
        saved.saved_at, saved.quantity = None, 0
        item = saved
    else:
        item = fresh
    basket.items.append(item)
    return item, None


@transaction.atomic
def set_quantity(cart: Cart, item_id: int, quantity: int) -> Basket:
    """Make a line of a locked cart so many; 0 removes it, which is always allowed, also what was saved for later.

    Raises Unavailable if they cannot be had, CartItem.DoesNotExist if the cart has no such line.
    """
    basket = basket_in(cart)
    if quantity == 0:
        _remove(basket, _find(basket.lines, item_id))
        return basket
    _change_quantity(basket, _find(basket.items, item_id), quantity)
    return basket


def _change_quantity(basket: Basket, item: CartItem, quantity: int) -> None:
    """Make a line so many, at least one. Taking fewer is always allowed, even of what is no longer on sale."""
    if quantity > item.quantity:
        check_line(item.thing, quantity, item.price_kind)
        check_caps(basket, item, quantity)
    _set_quantity(item, quantity)


@transaction.atomic
def set_quantities(cart: Cart, wanted: Mapping[int, int]) -> tuple[Basket, dict[int, str]]:
    """Make each of these lines (by primary key) of a locked cart so many; 0 removes one.

    Returns the basket, and of each line that could not be changed the reason, in words for the shopper. Raises
    CartItem.DoesNotExist, with nothing changed, if the cart has no such line.
    """
    basket, refused = basket_in(cart), dict[int, str]()
    items = [_find(basket.items, pk) for pk in wanted]
    # All holds before any pool, and pools by primary key: so no two of these wait for each other.
    capacity.lock(item.hold_id for item in items if item.hold_id)
    for item in sorted(items, key=lambda item: (item.thing.pool_id or 0, item.pk)):
        pk, quantity = item.pk, wanted[item.pk]
        try:
            if quantity == 0:
                _remove(basket, item)
            else:
                _change_quantity(basket, item, quantity)
        except Unavailable as unavailable:
            refused[pk] = str(unavailable)
    return basket, refused


def _find(lines: Iterable[CartItem], item_id: int) -> CartItem:
    item = next((line for line in lines if line.pk == item_id), None)
    if item is None:
        raise CartItem.DoesNotExist
    return item


def _set_quantity(item: CartItem, quantity: int) -> None:
    """Change a line and make its hold fit; things that are not counted need none."""
    if item.thing.pool_id is not None:
        try:
            item.hold = fit_hold(item, quantity)
        except capacity.SoldOut:
            raise _too_few(item.thing) from None
    item.quantity = quantity
    item.save()


@transaction.atomic
def fit_hold(item: CartItem, quantity: int) -> Hold:
    """A scarce line's hold, made to fit this quantity, or a new one.

    SoldOut if there is no room, Unavailable if the line may not grow; the hold is as it was then.
    """
    held = item.hold.quantity if item.hold else 0
    network = item.cart.network if item.entry_id else ""  # what may be delivered is not held to a network's share
    if item.hold is None:
        hold = capacity.claim(item.thing.pool_id or 0, quantity, capacity.cart_hold_ends(), network=network)
    else:
        hold = capacity.resize(item.hold, quantity, network=network)
        if hold.claimed_at != item.hold.claimed_at:  # it was over, or given back since it was read
            held = 0
    if quantity > held:
        check_growth(item)
        _check_network(item, network)
        item.newly_held += quantity - held
    return hold


def _remove(basket: Basket, item: CartItem) -> None:
    (basket.items if item.saved_at is None else basket.saved).remove(item)
    item.delete()
    if item.hold_id:
        capacity.give_back([item.hold_id])


# --- Saved for later --------------------------------------------------------------------------------------------------


@transaction.atomic
def save_for_later(cart: Cart, item_id: int) -> Basket:
    """Set a line of a locked cart aside and give back what it held; one that is saved already stays so.

    Raises CartItem.DoesNotExist if the cart has no such line.
    """
    basket = basket_in(cart)
    item = _find(basket.lines, item_id)
    if item.saved_at is None:
        hold, twin = item.hold_id, next((line for line in basket.saved if line.key == item.key), None)
        put_aside(cart, item, twin)
        capacity.give_back([hold] if hold else [])
    return Basket(line for line in basket.lines if line.pk)


def put_aside(cart: Cart, item: CartItem, twin: CartItem | None) -> None:
    """Make of a line (perhaps another cart's) a saved one of this cart, with the larger quantity of it and its twin.

    `twin` is what the cart has saved of that thing already. Whatever the line held is the caller's to give back.
    """
    if twin is not None:
        item.quantity = max(item.quantity, twin.quantity)
        item.seen_price = min(item.seen_price, twin.seen_price)
        twin.delete()
    item.cart, item.hold, item.saved_at = cart, None, item.saved_at or timezone.now()
    item.save()


@transaction.atomic
def bring_back(cart: Cart, item_id: int) -> Basket:
    """Put what a locked cart has saved into its basket again, claiming what is scarce: the larger quantity, no sum.

    Its price is still the one that was seen then. Raises Unavailable if it cannot be had, and it stays saved;
    CartItem.DoesNotExist if the cart has no such line.
    """
    basket = basket_in(cart)
    line = _find(basket.lines, item_id)
    if line.saved_at is None:
        return basket
    item = next((item for item in basket.items if item.key == line.key), line)
    quantity = max(item.quantity, line.quantity)
    check_line(item.thing, quantity, item.price_kind)
    if item is line or quantity > item.quantity:
        check_caps(basket, item, quantity)
    if item is not line:
        line.delete()
    item.saved_at, item.seen_price = None, min(item.seen_price, line.seen_price)
    _set_quantity(item, quantity)
    return Basket(line for line in basket.lines if line.pk)


# --- Ordering again ---------------------------------------------------------------------------------------------------


@transaction.atomic
def add_again(cart: Cart, wanted: Iterable[tuple[Product | Entry, int, PriceKind | None]]) -> list[str]:
    """Put things that were ordered before into a locked cart, as far as they can be had: twice asked is once put.

    Of what is in it already the larger quantity counts. Sentences name what is gone, or came in a smaller number.
    """
    basket, wishes = basket_in(cart), list(wanted)
    # All holds before any pool, and pools by primary key: so no two of these wait for each other.
    capacity.lock(item.hold_id for item in basket.items if item.hold_id)
    in_turn = sorted(range(len(wishes)), key=lambda n: wishes[n][0].pool_id or 0)
    said = {n: _put_again(basket, cart, *wishes[n]) for n in in_turn}
    return [said[n] for n in range(len(wishes)) if said[n]]


def _put_again(basket: Basket, cart: Cart, thing: Product | Entry, quantity: int, price_kind: PriceKind | None) -> str:
    """Have so many of a thing in the basket, or as many as there are; a sentence if those are fewer."""
    try:
        check_line(thing, 1, price_kind)
        _check_offered(thing, price_kind)
    except Unavailable as unavailable:
        return str(unavailable)
    item, saved = line_for(basket, cart, thing, price_kind)
    wish = min(max(quantity, item.quantity), MOST_PER_LINE)
    allowed = max(min(wish, _most_allowed(basket, item)), item.quantity)
    refusal = _have(item, allowed) if allowed else ""
    if refusal:
        fewer = min(allowed, _most_of(item))
        refusal = _have(item, fewer) if fewer > item.quantity else refusal
    if saved is not None:
        saved.delete()
    if item.quantity < allowed:
        return _how_many_came(item) if item.quantity else refusal
    return "" if allowed == wish else caps.say_too_many(item, wish, basket.items)


def _check_offered(thing: Product | Entry, price_kind: PriceKind | None) -> None:
    """Raise Unavailable if an entry's price of old is not among those that its page offers today."""
    if price_kind is not None and not (isinstance(thing, Entry) and price_kind in thing.price_kinds):
        raise _not_at_that_price(thing)


def _most_allowed(basket: Basket, item: CartItem) -> int:
    """How many of a line one shopper may have in this basket."""
    room = caps.room_for(item, basket.items)
    return MOST_PER_LINE if room is None else room


def _have(item: CartItem, quantity: int) -> str:
    """Make the line so many. If that cannot be, nothing has changed, and the sentence says why."""
    try:
        _set_quantity(item, quantity)
    except Unavailable as unavailable:
        return str(unavailable)
    return ""


def _most_of(item: CartItem) -> int:
    """How many of a scarce thing its line could have at this moment: what it holds, what is free, what has expired."""
    holds = Hold.objects.expired().filter(pool=item.thing.pool_id).exclude(pk=item.hold_id or 0)
    expired = holds.aggregate(sum=Sum("quantity"))["sum"] or 0
    held = Hold.objects.filter(pk=item.hold_id or 0).aggregate(sum=Sum("quantity"))["sum"] or 0
    return held + expired + (Pool.objects.get(pk=item.thing.pool_id or 0).free or 0)


def _how_many_came(item: CartItem) -> str:
    """Why a thing that was ordered before came in a smaller number."""
    return ngettext(
        "There is only %(n)d of %(title)s: that is in your basket.",
        "There are only %(n)d of %(title)s: those are in your basket.",
        item.quantity,
    ) % {"title": item.title, "n": item.quantity}


# --- Prices and holds -------------------------------------------------------------------------------------------------


@transaction.atomic
def accept_prices(cart: Cart, agreed: str = "", item_id: int | None = None) -> Basket:
    """The shopper agrees to what the lines of a locked cart cost now, or to one line's price.

    `agreed` is the fingerprint of the basket that the page showed: if it has changed since, they agreed to other
    prices, and must look again. Raises Unavailable then.
    """
    basket = basket_in(cart)
    if agreed and agreed != basket.fingerprint:
        raise Unavailable(_("Your basket has changed. Please look at the prices again."))
    rose = [item for item in basket.items if item.price_rose and item_id in (None, item.pk)]
    for item in rose:
        item.seen_price = item.unit_price
    CartItem.objects.bulk_update(rose, ["seen_price"])
    return basket


@transaction.atomic
def renew(cart: Cart) -> Basket:
    """Hold what is in a locked cart for the full hour since it was claimed; what lapsed is claimed anew, if it is free.

    The basket's `gone` says of what there is not enough left: its lines stay, and are held no more than before.
    """
    basket = basket_in(cart)
    # All holds before any pool, and pools by primary key: so no two of these wait for each other.
    held = capacity.lock(item.hold_id for item in basket.items if item.hold_id)
    capacity.renew(held)
    holds = Hold.objects.in_bulk(held)
    for item in basket.items:
        item.hold = holds.get(item.hold_id or 0)
    lapsed = [item for item in basket.items if item.hold_expired]
    for item in sorted(lapsed, key=lambda item: item.thing.pool_id or 0):
        _hold_again(basket, item)
    return basket


def _hold_again(basket: Basket, item: CartItem) -> None:
    """Claim anew what a line does not hold any more; where that cannot be, the basket says so."""
    try:
        check_line(item.thing, item.quantity, item.price_kind)
        item.hold = fit_hold(item, item.quantity)
    except Unavailable as unavailable:
        basket.gone.append(str(unavailable))
    except capacity.SoldOut:
        basket.gone.append(_("There is not enough left of %(title)s to hold it again.") % {"title": item.title})
    else:
        item.save()
