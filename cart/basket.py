"""Whose cart it is, and what is in it."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings.capacity import LONGEST_CART_HOLD
from bookings.models import Hold
from cart.caps import problems_of
from cart.models import Cart, CartItem, CartMerge, hash_token, new_token
from cartsite.models import User
from cartsite.refusals import Refusal


class UnknownCart(Exception):
    """No open cart has this token, or it belongs to somebody else: both get the same answer."""


class Unavailable(Refusal):
    """The shopper cannot have this; the text says why, in words for them."""


class Basket:
    """What is in a cart, as its pages, its badge and its siblings see it.

    `items` are what the shopper is about to buy, and all that is counted, held and ordered; `saved` are the lines they
    saved for later. `elsewhere` is what lies in the user's own cart while they look at another one. The `cart` need be
    given only where it may be empty.
    """

    def __init__(
        self, lines: Iterable[CartItem] = (), *, elsewhere: Iterable[CartItem] = (), cart: Cart | None = None
    ) -> None:
        lines = list(lines)
        self.cart = lines[0].cart if lines else cart
        self.items = [line for line in lines if line.saved_at is None]
        self.saved = [line for line in lines if line.saved_at is not None]
        self.elsewhere = list(elsewhere)
        # What could not be held again just now, in sentences.
        self.gone: list[str] = []

    @property
    def lines(self) -> list[CartItem]:
        """Both kinds of lines."""
        return [*self.items, *self.saved]

    @property
    def merge(self) -> CartMerge | None:
        """How the cart last met another one, if that is still to be told."""
        merge = self.cart.last_merge if self.cart else None
        return merge if merge and merge.can_be_undone else None

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
    def is_short(self) -> bool:
        """Whether there are too few of something in it, as far as that was looked for (`cart.shortages`)."""
        return any(item.left is not None for item in self.items)

    @property
    def next_end(self) -> datetime | None:
        """When (UTC) the first of the holds that still last ends; None if none does."""
        return min((hold.until for hold in self._lasting() if hold.until), default=None)

    @property
    def seconds_left(self) -> int:
        """How many whole seconds there still are until then."""
        return int((self.next_end - timezone.now()).total_seconds()) if self.next_end else 0

    @property
    def time_left(self) -> str:
        """The same in words, such as `12 minutes left`."""
        minutes = self.seconds_left // 60
        if minutes >= 120:
            return _("%(n)d hours left") % {"n": minutes // 60}
        if minutes == 0:
            return _("less than a minute left")
        return ngettext("%(n)d minute left", "%(n)d minutes left", minutes) % {"n": minutes}

    @property
    def can_be_kept(self) -> bool:
        """Whether some of it may be held longer: its hour is not used up."""
        return any(hold.until and hold.until < hold.claimed_at + LONGEST_CART_HOLD for hold in self._lasting())

    @property
    def has_lapsed(self) -> bool:
        """Whether some line is no longer held."""
        return any(item.hold_expired for item in self.items)

    def _lasting(self) -> list[Hold]:
        """The holds that take up room and are not over."""
        return [item.hold for item in self.items if item.hold and item.hold.quantity and not item.hold.is_over]

    @property
    def newly_held(self) -> int:
        """How many places the change that was just made claimed."""
        return sum(item.newly_held for item in self.items if item.entry_id)

    @cached_property
    def beyond_caps(self) -> list[str]:
        """What is more than one shopper may have in a basket, in sentences."""
        return problems_of(self.items)

    @property
    def prices_rose(self) -> bool:
        """Whether some line costs more than the shopper has agreed to."""
        return bool(self.risen)

    @property
    def risen(self) -> list[CartItem]:
        """The lines that cost more than the shopper has agreed to."""
        return [item for item in self.items if item.price_rose]

    @property
    def fingerprint(self) -> str:
        """Equal for equal contents and prices: tells whether a cart changed since a page showed it."""
        lines = [f"{item.pk} {item.quantity} {item.unit_price}" for item in self.items]
        return sha256("\n".join(lines).encode()).hexdigest()[:16]


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
    lines = list(CartItem.objects.loaded().filter(_may_use(token, user, "cart__")))
    presented = [line for line in lines if token and line.cart.token_hash == hash_token(token)]
    if not presented:
        return Basket(lines)
    return Basket(presented, elsewhere=[line for line in lines if line not in presented])


def find_cart(token: str, user: User | None) -> Cart | None:
    """The visitor's cart, locked; None if there is none. Call it inside a transaction.

    The token's one goes before the user's own, unless nothing is in it: it is the one that `basket_of` shows.
    """
    if not token and user is None:
        return None
    carts = list(Cart.objects.select_for_update(no_key=True).filter(_may_use(token, user)).order_by("pk"))
    presented = next((cart for cart in carts if token and cart.token_hash == hash_token(token)), None)
    if presented is None or (len(carts) > 1 and not presented.items.exists()):
        return next((cart for cart in carts if cart != presented), None)
    return presented


def open_cart(token: str, user: User | None) -> tuple[Cart, str | None]:
    """The visitor's cart, locked, made if there is none; with its token if it is new.

    Call it inside a transaction.
    """
    if cart := find_cart(token, user):
        return cart, None
    # The token's cart may have been ordered in another tab just now, and have left one behind with what it had saved.
    if token and (cart := find_cart(next_token(token), user)):
        return cart, next_token(token)
    return new_cart(user)


def next_token(token: str) -> str:
    """The token of the cart that follows the one of this token: always the same, so that a second click finds it."""
    return salted_hmac("cart.next", token).hexdigest()[:48]


def new_cart(user: User | None) -> tuple[Cart, str | None]:
    """A cart for somebody who has none, locked, with its token; for a user it is their one cart if they have it now."""
    token = new_token()
    # Two tabs may ask at once, or a tab and a sign-in: a user has one open cart.
    if user is None or not hold_still(user):
        return Cart.objects.create(token_hash=hash_token(token)), token
    cart, made = Cart.objects.select_for_update(no_key=True).get_or_create(
        user=user, ordered_at=None, merged_into=None, defaults={"token_hash": hash_token(token)}
    )
    return cart, token if made else None


def cart_with_token(token: str, user: User | None) -> tuple[Cart, str | None]:
    """A visitor's new cart under a token that the caller can make again, so that a repeat gets the same cart.

    For a user it is their one cart; a token whose cart is over already gets a fresh one. Call it inside a transaction.
    """
    if user is not None:
        return new_cart(user)
    cart, _made = Cart.objects.select_for_update(no_key=True).get_or_create(token_hash=hash_token(token))
    is_over = cart.ordered_at is not None or cart.merged_into_id is not None
    return new_cart(None) if is_over else (cart, token)


def hold_still(user: User) -> bool:
    """Nobody else gives this user a cart or an order until the transaction ends; False if they were erased meanwhile.

    What only names them does not wait for it: no_key.
    """
    return User.objects.select_for_update(no_key=True).filter(pk=user.pk, erased_at=None).first() is not None
