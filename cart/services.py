"""Filling a cart: every write locks the cart first, so two tabs never undo each other."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings import capacity
from bookings.models import Entry, Hold, Pool
from cart.models import BurntToken, Cart, CartItem, Product, hash_token, new_token
from cartsite.models import User

MOST_PER_LINE = 999
ABANDONED_AFTER = timedelta(days=30)


class UnknownCart(Exception):
    """No open cart has this token, or it belongs to somebody else: both get the same answer."""


class Unavailable(Exception):
    """The shopper cannot have this; the text says why, in words for them."""


@dataclass
class Basket:
    """What is in a cart, as its pages, its badge and its siblings see it."""

    items: list[CartItem] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many things there are, over all lines."""
        return sum(item.quantity for item in self.items)

    @cached_property
    def total(self) -> Decimal:
        """What all of it costs now, in the shop's currency."""
        return sum((item.total for item in self.items), Decimal("0.00"))

    @property
    def holds_until(self) -> datetime | None:
        """When (UTC) the first of its holds ends; None if nothing in it is scarce."""
        live = [item.hold for item in self.items if item.hold and item.hold.quantity]
        return min((hold.until for hold in live if hold.until), default=None)

    @property
    def prices_rose(self) -> bool:
        """Whether some line costs more than the shopper has agreed to."""
        return any(item.price_rose for item in self.items)

    @property
    def fingerprint(self) -> str:
        """Equal for equal contents and prices: tells whether a cart changed since a page showed it."""
        lines = [f"{item.pk} {item.quantity} {item.thing.price}" for item in self.items]
        return sha256("\n".join(lines).encode()).hexdigest()[:16]


# --- Finding a cart ---------------------------------------------------------------------------------------------------


def _may_use(token: str, user: User | UUID | None, prefix: str = "") -> Q:
    """Open carts that a visitor may use: their own, or the one whose token they present unless it is another user's."""
    presented = Q(**{f"{prefix}token_hash": hash_token(token)}) if token else Q(pk__in=[])
    own = Q(pk__in=[])
    if user is not None:
        own = Q(**{f"{prefix}user__uuid" if isinstance(user, UUID) else f"{prefix}user": user})
        presented &= Q(**{f"{prefix}user": None}) | own
    return Q(**{f"{prefix}ordered_at": None, f"{prefix}merged_into": None}) & (presented | own)


def basket_of(token: str, user: User | UUID | None) -> Basket:
    """What the visitor's cart holds now, in one query; the cart of the token goes before the user's own.

    Siblings know a user by their UUID, which will do as well.
    """
    if not token and user is None:
        return Basket()
    items = list(CartItem.objects.loaded().filter(_may_use(token, user, "cart__")))
    presented = [item for item in items if token and item.cart.token_hash == hash_token(token)]
    return Basket(presented or items)


def find_cart(token: str, user: User | None) -> Cart | None:
    """The visitor's cart, locked; None if there is none. Call it inside a transaction."""
    if not token and user is None:
        return None
    carts = list(Cart.objects.select_for_update(no_key=True).filter(_may_use(token, user)).order_by("pk"))
    presented = [cart for cart in carts if token and cart.token_hash == hash_token(token)]
    return next(iter(presented or carts), None)


def open_cart(token: str, user: User | None) -> tuple[Cart, str | None]:
    """The visitor's cart, locked, made if there is none; with its token if it is new.

    Call it inside a transaction.
    """
    if cart := find_cart(token, user):
        return cart, None
    return _new_cart(user)


def _new_cart(user: User | None) -> tuple[Cart, str | None]:
    token = new_token()
    if user is None:
        return Cart.objects.create(token_hash=hash_token(token)), token
    # Two tabs may ask at once, or a tab and a sign-in: a user has one open cart.
    _hold_still(user)
    cart, made = Cart.objects.select_for_update(no_key=True).get_or_create(
        user=user, ordered_at=None, merged_into=None, defaults={"token_hash": hash_token(token)}
    )
    return cart, token if made else None


def cart_with_token(token: str, user: User | None) -> tuple[Cart, str | None]:
    """A visitor's new cart under a token that the caller can make again, so that a repeat gets the same cart.

    For a user it is their one cart; a token whose cart is over already gets a fresh one. Call it inside a transaction.
    """
    if user is not None:
        return _new_cart(user)
    cart, _made = Cart.objects.select_for_update(no_key=True).get_or_create(token_hash=hash_token(token))
    is_over = cart.ordered_at is not None or cart.merged_into_id is not None
    return _new_cart(None) if is_over else (cart, token)


def _hold_still(user: User) -> None:
    """Nobody else gives this user a cart until the transaction ends. (Orders of theirs do not wait for it: no_key.)"""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


# --- Filling it -------------------------------------------------------------------------------------------------------


def check_line(thing: Product | Entry, quantity: int) -> None:
    """Raise Unavailable unless so many of this thing may be bought now, whether or not there is room."""
    if not 1 <= quantity <= MOST_PER_LINE:
        raise Unavailable(_("Choose a quantity from 1 to %(most)d.") % {"most": MOST_PER_LINE})
    if not thing.is_on_sale:
        raise Unavailable(_("%(title)s is no longer on sale.") % {"title": thing.title})


def _too_few(thing: Product | Entry) -> Unavailable:
    """Why there is not enough of it, in words for the shopper."""
    free = Pool.objects.get(pk=thing.pool_id or 0).free
    if not free:
        return Unavailable(_("%(title)s is sold out.") % {"title": thing.title})
    return Unavailable(
        ngettext("Only %(free)d more of %(title)s is left.", "Only %(free)d more of %(title)s are left.", free)
        % {"title": thing.title, "free": free}
    )


@transaction.atomic
def add(cart: Cart, thing: Product | Entry, quantity: int) -> Basket:
    """Put so many more of a thing into a locked cart, claiming what is scarce; Unavailable if it cannot be had."""
    basket = Basket(list(CartItem.objects.loaded().filter(cart=cart)))
    item = next((item for item in basket.items if item.thing == thing), None)
    if item is None:
        product, entry = (thing, None) if isinstance(thing, Product) else (None, thing)
        item = CartItem(cart=cart, product=product, entry=entry, quantity=0, seen_price=thing.price)
        basket.items.append(item)
    check_line(thing, item.quantity + quantity)
    _set_quantity(item, item.quantity + quantity)
    if thing.pool is not None:
        thing.pool.taken += quantity  # so that the page which is rendered next need not read it again
    return basket


@transaction.atomic
def set_quantity(cart: Cart, item_id: int, quantity: int) -> Basket:
    """Make a line of a locked cart so many; 0 removes it, which is always allowed.

    Raises Unavailable if they cannot be had, CartItem.DoesNotExist if the cart has no such line.
    """
    basket = Basket(list(CartItem.objects.loaded().filter(cart=cart)))
    item = next((item for item in basket.items if item.pk == item_id), None)
    if item is None:
        raise CartItem.DoesNotExist
    if quantity == 0:
        basket.items.remove(item)
        _remove(item)
        return basket
    if quantity > item.quantity:  # taking fewer is always allowed, even of what is no longer on sale
        check_line(item.thing, quantity)
    _set_quantity(item, quantity)
    return basket


def _set_quantity(item: CartItem, quantity: int) -> None:
    """Change a line and make its hold fit; things that are not counted need none."""
    pool = item.thing.pool_id
    try:
        if pool is not None and item.hold is None:
            item.hold = capacity.claim(pool, quantity, capacity.cart_hold_ends())
        elif item.hold is not None:
            item.hold = capacity.resize(item.hold, quantity)
    except capacity.SoldOut:
        raise _too_few(item.thing) from None
    item.quantity = quantity
    item.save()


def _remove(item: CartItem) -> None:
    item.delete()
    if item.hold_id:
        capacity.give_back([item.hold_id])


@transaction.atomic
def accept_prices(cart: Cart) -> None:
    """The shopper agrees to what the lines of a locked cart cost now."""
    items = [item for item in CartItem.objects.loaded().filter(cart=cart) if item.price_rose]
    for item in items:
        item.seen_price = item.thing.price
    CartItem.objects.bulk_update(items, ["seen_price"])


@transaction.atomic
def renew(cart: Cart) -> int:
    """Let the live holds of a locked cart last another 15 minutes, an hour at most; how many there were."""
    holds = CartItem.objects.filter(cart=cart, hold__isnull=False).values_list("hold_id", flat=True)
    return capacity.renew(list(holds))


# --- Merging and adopting ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """What a cart is to get from elsewhere: another cart, or an order that was let go."""

    product_id: int | None
    entry_id: int | None
    quantity: int
    hold: Hold | None  # locked
    seen_price: Decimal


@transaction.atomic
def merge(cart: Cart, lines: Iterable[Line]) -> None:
    """Put lines with their holds into a locked cart: of each thing the larger quantity, not the sum.

    Live holds join their line; what is too much is given back, what is missing is claimed, and where there is no room
    the quantity falls to what is held.
    """
    items = {(item.product_id, item.entry_id): item for item in CartItem.objects.loaded().filter(cart=cart)}
    twice = []
    for line in lines:
        if item := items.get((line.product_id, line.entry_id)):
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
        quantity=line.quantity,
        hold=line.hold,
        seen_price=line.seen_price,
    )


def _merge_line(item: CartItem, line: Line) -> None:
    item.quantity = max(item.quantity, line.quantity)
    item.seen_price = min(item.seen_price, line.seen_price)
    if line.hold is not None:
        item.hold = _join(item.hold, line.hold)
    if item.hold is not None:
        item.quantity = _fit(item.hold, item.quantity)
    item.save()


def _join(mine: Hold | None, other: Hold) -> Hold:
    if mine is None:
        return other
    held = capacity.lock([mine.pk, other.pk])  # as they are now: an earlier line may have needed their room
    capacity.join(held[mine.pk], held[other.pk])
    return held[mine.pk]


def _fit(hold: Hold, quantity: int) -> int:
    """Resize a hold to the quantity, or as near as there is room; the quantity the line can promise."""
    try:
        capacity.resize(hold, quantity)
    except capacity.SoldOut:
        return hold.quantity or quantity  # a line that holds nothing stays visible, and may be claimed later
    return quantity


@transaction.atomic
def adopt(token: str, user: User) -> tuple[Cart, str]:
    """Make the cart of this token the user's, joining it with the one they have; the cart and its fresh token.

    The token is burnt: presented again by the same user it gets the same answer, by anybody else UnknownCart, which is
    also raised for a token nobody knows and for another user's cart.
    """
    burnt = hash_token(token)
    _hold_still(user)
    carts = list(
        Cart.objects.open().filter(Q(token_hash=burnt) | Q(user=user)).select_for_update(no_key=True).order_by("pk")
    )
    presented = next((cart for cart in carts if cart.token_hash == burnt), None)
    own = next((cart for cart in carts if cart.user_id == user.pk), None)
    if presented is None:
        if not BurntToken.objects.filter(token_hash=burnt, user=user).exists():
            raise UnknownCart
        cart = own or _new_cart(user)[0]
    elif presented.user_id not in (None, user.pk):
        raise UnknownCart
    else:
        cart = own or presented
        if presented != cart:
            _move_into(cart, presented)
    return cart, _renew_token(cart, user, burnt)


def _move_into(cart: Cart, other: Cart) -> None:
    """Merge the other cart into this one. The other stays as an empty signpost: an order may yet return into it."""
    items = list(other.items.all())
    holds = capacity.lock(item.hold_id for item in items if item.hold_id)
    other.items.all().delete()
    other.merged_into = cart
    other.save(update_fields=["merged_into"])
    merge(
        cart,
        [
            Line(item.product_id, item.entry_id, item.quantity, holds.get(item.hold_id or 0), item.seen_price)
            for item in items
        ],
    )


def _renew_token(cart: Cart, user: User, presented: str) -> str:
    """Give a cart its owner and a fresh token; the old ones are burnt."""
    token = new_token()
    burnt = [BurntToken(token_hash=old, user=user) for old in {presented, cart.token_hash}]
    BurntToken.objects.bulk_create(burnt, ignore_conflicts=True)
    cart.user, cart.token_hash = user, hash_token(token)
    cart.save(update_fields=["user", "token_hash"])
    return token


# --- Ending it --------------------------------------------------------------------------------------------------------


def purge_abandoned(most: int = 200) -> int:
    """Delete up to `most` carts nobody touched for 30 days, but no ordered one, and give back their holds; how many."""
    long_ago = timezone.now() - ABANDONED_AFTER
    BurntToken.objects.filter(burnt_at__lt=long_ago).delete()
    with transaction.atomic():
        abandoned = (
            Cart.objects.filter(ordered_at=None, created_at__lt=long_ago)
            .exclude(items__changed_at__gte=long_ago)
            .select_for_update(no_key=True, skip_locked=True)
        )
        carts = list(abandoned[:most])
        holds = list(CartItem.objects.filter(cart__in=carts, hold__isnull=False).values_list("hold_id", flat=True))
        Cart.objects.filter(pk__in=[cart.pk for cart in carts]).delete()
        capacity.give_back(holds)
    return len(carts)
