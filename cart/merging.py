"""Two carts become one when their shopper signs in.

While browsing they are put together; on the way to the checkout the one the shopper looked at stays as it is, and the
other is saved for later. Every function locks first the user (if it may give them a cart), then carts, then holds, then
pools, each by primary key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings import capacity
from bookings.models import Hold
from cart.basket import Unavailable, UnknownCart, hold_still, new_cart
from cart.filling import fit_hold, put_aside
from cart.models import BurntToken, Cart, CartItem, CartMerge, Key, hash_token, new_token
from cartsite.models import User


@dataclass(frozen=True)
class Line:
    """What a cart is to get from elsewhere: another cart, or an order that was let go."""

    product_id: int | None
    entry_id: int | None
    price_kind_id: int | None
    quantity: int
    hold: Hold | None  # locked
    seen_price: Decimal


# --- Lines into a cart ------------------------------------------------------------------------------------------------


@transaction.atomic
def merge(cart: Cart, lines: Iterable[Line]) -> None:
    """Put lines with their holds into a locked cart: of each thing the larger quantity, not the sum.

    Live holds join their line; what is too much is given back, what is missing is claimed, and where there is no room
    the quantity falls to what is held. What the cart has saved for later stays so.
    """
    items = {item.key: item for item in CartItem.objects.loaded().filter(cart=cart, saved_at=None)}
    twice = []
    for line in lines:
        if item := items.get((line.product_id, line.entry_id, line.price_kind_id)):
            twice.append((item, line))
        else:
            _put_line(cart, line)
    # All holds before any pool, and pools by primary key: so no two merges wait for each other.
    capacity.lock(item.hold_id for item, _line in twice if item.hold_id)
    for item, line in sorted(twice, key=lambda pair: pair[0].thing.pool_id or 0):
        _merge_line(item, line)


def _put_line(cart: Cart, line: Line) -> None:
    CartItem.objects.create(
        cart=cart,
        product_id=line.product_id,
        entry_id=line.entry_id,
        price_kind_id=line.price_kind_id,
        quantity=line.quantity,
        hold=line.hold,
        seen_price=line.seen_price,
    )


def _merge_line(item: CartItem, line: Line) -> None:
    item.quantity = max(item.quantity, line.quantity)
    item.seen_price = min(item.seen_price, line.seen_price)
    if line.hold is not None:
        item.hold = _join(item.hold, line.hold)
    if item.thing.pool_id is not None:
        # A line that holds nothing stays visible, and may be claimed later.
        item.quantity = hold_what_fits(item) or item.quantity
    item.save()


def _join(mine: Hold | None, other: Hold) -> Hold:
    if mine is None:
        return other
    held = capacity.lock([mine.pk, other.pk])  # as they are now: an earlier line may have needed their room
    capacity.join(held[mine.pk], held[other.pk])
    return held[mine.pk]


def hold_what_fits(item: CartItem) -> int:
    """Make a scarce line's hold fit its quantity if it can have all of it; how many it holds then."""
    try:
        item.hold = fit_hold(item, item.quantity)
    except (capacity.SoldOut, Unavailable):
        item.hold = capacity.lock([item.hold.pk])[item.hold.pk] if item.hold else None
    return item.hold.quantity if item.hold else 0


# --- Signing in -------------------------------------------------------------------------------------------------------


@transaction.atomic
def adopt(token: str, user: User, *, keep_presented: bool = False) -> tuple[Cart, str]:
    """Make the cart of this token the user's, joining it with the one they have; the cart and its fresh token.

    `keep_presented` is for the way to the checkout: they get exactly the cart they looked at, and what was in their own
    one is saved for later. If there was something in both, the cart's `last_merge` says what changed, for the undoing.

    The token is burnt: presented again by the same user it gets the same answer, by anybody else UnknownCart, which is
    also raised for a token nobody knows and for another user's cart.
    """
    cart, presented = _lock_both(token, user)
    if presented is not None:
        own, found = _lines_of(cart, presented)
        record = _write_down(cart, own, found, keep_presented=keep_presented)
        if keep_presented and _active(found):
            _set_aside(cart, _active(own), _saved(own))
        _take_over(cart, presented, [*own, *found])
        if record is not None:
            _tell(record, [*own, *found])
    return cart, _renew_token(cart, user, hash_token(token))


@transaction.atomic
def leave(token: str, user: User) -> tuple[Cart, str]:
    """Let the user go on with their own cart: what was in the one of this token is saved for later in it.

    The cart and its fresh token, as `adopt` gives them; UnknownCart for the same reasons.
    """
    cart, presented = _lock_both(token, user)
    if presented is not None:
        own, found = _lines_of(cart, presented)
        _set_aside(cart, _active(found), _saved(own))
        _take_over(cart, presented, [*own, *found])
    return cart, _renew_token(cart, user, hash_token(token))


def _lock_both(token: str, user: User) -> tuple[Cart, Cart | None]:
    """The user's cart, which may be the token's, and the token's if it is another; UnknownCart if it is not theirs."""
    burnt = hash_token(token)
    if not hold_still(user):
        raise UnknownCart
    presented, own = _lock_carts(burnt, user)
    if own is None:
        # One that was being ordered meanwhile may have left them a new one, with what it had saved.
        presented, own = _lock_carts(burnt, user)
    if presented is None:
        if not BurntToken.objects.filter(token_hash=burnt, user=user).exists():
            raise UnknownCart
        return own or new_cart(user)[0], None
    if presented.user_id not in (None, user.pk):
        raise UnknownCart
    return (presented, None) if own in (None, presented) else (own, presented)


def _lock_carts(token_hash: str, user: User) -> tuple[Cart | None, Cart | None]:
    """The open cart of this token, and the user's, both locked."""
    found = Cart.objects.open().filter(Q(token_hash=token_hash) | Q(user=user))
    carts = list(found.select_for_update(no_key=True).order_by("pk"))
    presented = next((cart for cart in carts if cart.token_hash == token_hash), None)
    return presented, next((cart for cart in carts if cart.user_id == user.pk), None)


def _lines_of(*carts: Cart) -> list[list[CartItem]]:
    """The lines of each of these locked carts, their holds locked as well."""
    lines = list(CartItem.objects.loaded().filter(cart__in=carts))
    holds = capacity.lock(line.hold_id for line in lines if line.hold_id)
    for line in lines:
        line.hold = holds.get(line.hold_id or 0)
    return [[line for line in lines if line.cart_id == cart.pk] for cart in carts]


def _active(lines: Iterable[CartItem]) -> list[CartItem]:
    return [line for line in lines if line.saved_at is None]


def _saved(lines: Iterable[CartItem]) -> list[CartItem]:
    return [line for line in lines if line.saved_at is not None]


def _set_aside(cart: Cart, lines: list[CartItem], saved: list[CartItem]) -> None:
    """Save lines (perhaps another cart's) for later in this cart, beside what it has saved; their holds go back."""
    holds = [line.hold_id for line in lines if line.hold_id]
    twins = {line.key: line for line in saved}
    for line in lines:
        put_aside(cart, line, twins.get(line.key))
    capacity.give_back(holds)


def _take_over(cart: Cart, other: Cart, lines: list[CartItem]) -> None:
    """Move what the other cart still has into this one. It stays as a signpost: an order may yet return into it.

    `lines` are those of both, of which some may be deleted by now.
    """
    there = [line for line in lines if line.pk]
    theirs = [line for line in there if line.cart_id == other.pk]
    _set_aside(cart, _saved(theirs), [line for line in _saved(there) if line.cart_id == cart.pk])
    active = _active(theirs)
    CartItem.objects.filter(pk__in=[line.pk for line in active]).delete()
    other.merged_into, other.network = cart, ""
    other.save(update_fields=["merged_into", "network"])
    merge(cart, [Line(*line.key, line.quantity, line.hold, line.seen_price) for line in active])


def _renew_token(cart: Cart, user: User, presented: str) -> str:
    """Give a cart its owner and a fresh token; the old ones are burnt."""
    token = new_token()
    burnt = [BurntToken(token_hash=old, user=user) for old in {presented, cart.token_hash}]
    BurntToken.objects.bulk_create(burnt, ignore_conflicts=True)
    cart.user, cart.token_hash = user, hash_token(token)
    cart.save(update_fields=["user", "token_hash"])
    return token


# --- Writing it down --------------------------------------------------------------------------------------------------


def _write_down(cart: Cart, own: list[CartItem], found: list[CartItem], *, keep_presented: bool) -> CartMerge | None:
    """What both carts hold before they meet; nothing if that is no news, since one of them is empty."""
    if not _active(own) or not _active(found):
        return None
    how = CartMerge.How.SET_ASIDE if keep_presented else CartMerge.How.MERGED
    cart.last_merge = CartMerge.objects.create(
        cart=cart,
        how=how,
        own_lines=[_as_data(line) for line in own],
        presented_lines=[_as_data(line) for line in found],
    )
    cart.save(update_fields=["last_merge"])
    return cart.last_merge


def _as_data(line: CartItem) -> dict[str, Any]:
    return {
        "product": line.product_id,
        "entry": line.entry_id,
        "price_kind": line.price_kind_id,
        "quantity": line.quantity,
        "seen_price": str(line.seen_price),
        "saved": line.saved_at is not None,
    }


def _tell(record: CartMerge, lines: Iterable[CartItem]) -> None:
    """Say in sentences what the shopper finds changed in the basket that they looked at."""
    titles = {line.key: line.title for line in lines}
    own, found = _quantities(record.own_lines), _quantities(record.presented_lines)
    if record.how == CartMerge.How.SET_ASIDE:
        named = _name_all(titles, own)
        record.news = [_("What was in the basket of your account is saved for later: %(things)s.") % {"things": named}]
    else:
        record.news = _tell_of_merge(record.cart, titles, own, found)
    record.save(update_fields=["news"])


def key_of(line: dict[str, Any]) -> Key:
    """What a line of a record was about."""
    return line["product"], line["entry"], line.get("price_kind")


def _quantities(lines: list[dict[str, Any]]) -> dict[Key, int]:
    """How many of each thing the active lines of a record were."""
    return {key_of(line): line["quantity"] for line in lines if not line["saved"]}


def _name_all(titles: dict[Key, str], quantities: dict[Key, int]) -> str:
    """Such as `2 x Rye loaf, 1 x Heather honey`."""
    return ", ".join(f"{quantity} x {titles[key]}" for key, quantity in quantities.items())


def _tell_of_merge(cart: Cart, titles: dict[Key, str], own: dict[Key, int], found: dict[Key, int]) -> list[str]:
    """What came from the account, which quantities rose, and what there was no room for."""
    news = []
    came = {key: quantity for key, quantity in own.items() if key not in found}
    if came:
        named = _name_all(titles, came)
        news.append(_("From the basket in your account came: %(things)s.") % {"things": named})
    for item in CartItem.objects.loaded().filter(cart=cart, saved_at=None):
        if item.key in own and item.key in found:
            news += _tell_of_line(item, own[item.key], found[item.key])
    return news


def _tell_of_line(item: CartItem, own: int, found: int) -> list[str]:
    """What became of a line that both carts had."""
    names = {"title": item.title, "n": item.quantity, "wished": max(own, found)}
    if item.quantity < max(own, found):
        return [
            ngettext(
                "Of %(title)s there is only %(n)d for you now, not %(wished)d: there is not enough left.",
                "Of %(title)s there are only %(n)d for you now, not %(wished)d: there are not enough left.",
                item.quantity,
            )
            % names
        ]
    if not item.is_held:
        return [_("We cannot hold %(title)s for you at the moment: there is not enough left.") % names]
    if item.quantity > found:
        return [_("Of %(title)s there are %(n)d now, as many as in the basket of your account.") % names]
    return []
