"""Looking into carts and cookies."""

from django.conf import settings
from django.test import Client

from bookings.models import Entry, Pool
from cart.models import Cart, CartItem, Product, hash_token


def token_in(client: Client) -> str:
    """The value of a visitor's cart cookie; empty if there is none."""
    morsel = client.cookies.get(settings.CART_COOKIE)
    return morsel.value if morsel else ""


def cart_of(client: Client) -> Cart:
    """The cart whose token a visitor has."""
    return Cart.objects.get(token_hash=hash_token(token_in(client)))


def lines_of(cart: Cart) -> dict[str, int]:
    """What is to be bought in a cart: how many of each title."""
    return {item.thing.title: item.quantity for item in CartItem.objects.loaded().filter(cart=cart, saved_at=None)}


def saved_in(cart: Cart) -> dict[str, int]:
    """What a cart has saved for later: how many of each title."""
    items = CartItem.objects.loaded().filter(cart=cart, saved_at__isnull=False)
    return {item.thing.title: item.quantity for item in items}


def item_of(cart: Cart, thing: Product | Entry) -> CartItem:
    """The one line of a cart about this thing, saved or not."""
    return next(item for item in CartItem.objects.loaded().filter(cart=cart) if item.thing == thing)


def held_by(cart: Cart) -> dict[str, int]:
    """What a cart holds of each scarce thing."""
    items = CartItem.objects.loaded().filter(cart=cart, hold__isnull=False)
    return {item.thing.title: item.hold.quantity for item in items if item.hold}


def only_item(cart: Cart) -> CartItem:
    """The one line of a cart."""
    return CartItem.objects.loaded().get(cart=cart)


def taken(thing: Product | Entry) -> int:
    """How much of a scarce thing is held or sold."""
    return Pool.objects.get(pk=thing.pool_id or 0).taken
