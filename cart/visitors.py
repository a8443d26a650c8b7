"""Who is asking, and which cart is theirs: the cart's cookie."""

from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from cart import services
from cart.models import Cart
from cartsite import cookies, limits
from cartsite.models import User


class TooManyPlaces(Exception):
    """More places than one address may claim for its baskets in a while: nothing has moved."""


Response = TypeVar("Response", bound=HttpResponseBase)


def token_of(request: HttpRequest) -> str:
    """The cart's token in the visitor's cookie; empty if there is none."""
    if token := cookies.read(request, settings.CART_COOKIE):
        return token[:100]
    if old := cookies.read_old(request, settings.CART_COOKIE)[:100]:
        cookies.replace_old(request, settings.CART_COOKIE, old, lasts=settings.CART_COOKIE_AGE)
    return old


def user_of(request: HttpRequest) -> User | None:
    """The person who signed in, if anybody did. (A request refused early, for a wrong host, has nobody at all.)"""
    person = getattr(request, "user", None)
    return person if isinstance(person, User) else None


def basket_for(request: HttpRequest) -> services.Basket:
    """What the visitor's cart holds, in one query."""
    return services.basket_of(token_of(request), user_of(request))


def even_if_emptied(request: HttpRequest, basket: services.Basket) -> services.Basket:
    """The basket for its own page, which tells what a user's cart last met even when nothing is in it any more."""
    user = user_of(request)
    if basket.cart is None and user is not None:
        basket.cart = Cart.objects.open().filter(user=user).select_related("last_merge").first()
    return basket


def find_cart_for(request: HttpRequest) -> Cart | None:
    """The visitor's cart, locked, if they have one; call it inside a transaction."""
    cart = services.find_cart(token_of(request), user_of(request))
    if cart is not None:
        _note_network(request, cart)
    return cart


def open_cart_for(request: HttpRequest) -> tuple[Cart, str | None]:
    """The visitor's cart, locked, and its token if it is new; call it inside a transaction."""
    cart, token = services.open_cart(token_of(request), user_of(request))
    _note_network(request, cart)
    return cart, token


def _note_network(request: HttpRequest, cart: Cart) -> None:
    """Write down whose network claims what the cart claims next."""
    network = limits.network_key(request)
    if cart.network != network:
        cart.network = network
        cart.save(update_fields=["network"])


def check_places(request: HttpRequest, places: int) -> None:
    """Raise TooManyPlaces if this address has claimed too many with these: fresh carts must not empty a calendar.

    Call it inside the transaction that claimed them.
    """
    if places and not limits.is_within(request, "places", cost=places):
        raise TooManyPlaces


def set_cart_cookie(response: Response, token: str | None) -> Response:
    """Give the visitor their cart's token, if it is new."""
    return cookies.put(response, settings.CART_COOKIE, token, lasts=settings.CART_COOKIE_AGE) if token else response
