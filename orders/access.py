"""Who may see an order: its user, or whoever holds its secret link.

The first visit with a secret sets a signed cookie for that one order and goes on to an address without it.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare, salted_hmac

from orders.models import NUMBER_ALPHABET, TEST_PREFIX, Order

Response = TypeVar("Response", bound=HttpResponseBase)

_signer = Signer(salt="orders.access")
COOKIE = "order"
# Which orders the browser knows, for pages that mention them; it opens none of them.
_seen_signer = Signer(salt="orders.seen")
SEEN_COOKIE = "orders"
MOST_SEEN = 20
COOKIE_AGE = 60 * 60 * 24 * 365  # seconds
NUMBER_LENGTH = 10  # without the dashes


def find_order(request: HttpRequest, number: str) -> Order:
    """The order if this visitor may see it; Http404 otherwise, whether it exists or not."""
    order = find_by_number(number)
    if not may_see(request, order or _nobodys_order()) or order is None:
        raise Http404
    return order


def _nobodys_order() -> Order:
    """Stands in for an order that does not exist, so that refusing it takes the same work; its secrets are fresh."""
    return Order(pk=0)


def find_by_number(number: str) -> Order | None:
    """An order by its number, in any case; None if there is none."""
    return Order.objects.select_related("user", "contact", "address").filter(number=number.upper()).first()


def read_number(typed: str) -> str:
    """An order's number as somebody typed or heard it, with dashes or without, in any case; empty if it is none."""
    said = "".join(letter for letter in typed.upper() if letter not in " -")
    code = said.removeprefix(TEST_PREFIX.rstrip("-"))
    is_number = len(code) == NUMBER_LENGTH and set(code) <= set(NUMBER_ALPHABET)
    prefix = TEST_PREFIX if said != code else ""
    return f"{prefix}{code[:4]}-{code[4:8]}-{code[8:]}" if is_number else ""


def may_see(request: HttpRequest, order: Order) -> bool:
    """Whether the visitor is the order's user, or came with its secret link before."""
    if order.user_id is not None and request.user.pk == order.user_id:
        return True
    try:
        return constant_time_compare(_signer.unsign(request.COOKIES.get(COOKIE, "")), str(order.uuid))
    except BadSignature:
        return False


def seen_by(request: HttpRequest) -> list[UUID]:
    """The orders (by UUID) that this browser may see since it came with their secret links, newest first."""
    try:
        listed = _seen_signer.unsign(request.COOKIES.get(SEEN_COOKIE, ""))
    except BadSignature:
        return []
    return [UUID(each) for each in listed.split(".")]


def any_fits(secrets: Iterable[str], presented: str) -> bool:
    """Whether one of the secrets was presented; every one is compared, so that the time taken tells nothing."""
    fitting = [secret for secret in secrets if constant_time_compare(secret, presented)]
    return bool(fitting)


def take_secret(
    request: HttpRequest, number: str, presented: str, go_to: str, secrets_of: Callable[[Order], Iterable[str]]
) -> HttpResponse:
    """Let whoever has a secret of the order see it from now on, at an address without the secret; else 404."""
    order = find_by_number(number)
    if not any_fits(secrets_of(order or _nobodys_order()), presented) or order is None:
        raise Http404
    return remember(request, redirect(go_to, order.number), order)


def returning_token(order: Order) -> str:
    """The token of the cart that gets an order's lines back: the same each time, so a double click loses nothing."""
    return salted_hmac("orders.returning_cart", order.key, algorithm="sha256").hexdigest()


def remember(request: HttpRequest, response: Response, order: Order) -> Response:
    """Let this browser see this order from now on: the cookie that opens it is sent to its own addresses only.

    The order's own user needs none, and once they have signed out nobody else at this browser sees it.
    """
    if order.user_id is not None and request.user.pk == order.user_id:
        return response
    seen = [order.uuid, *(uuid for uuid in seen_by(request) if uuid != order.uuid)][:MOST_SEEN]
    for name, value, path in (
        (COOKIE, _signer.sign(str(order.uuid)), order.get_absolute_url()),
        (SEEN_COOKIE, _seen_signer.sign(".".join(uuid.hex for uuid in seen)), "/"),
    ):
        response.set_cookie(
            name,
            value,
            max_age=COOKIE_AGE,
            path=path,
            httponly=True,
            secure=settings.COOKIES_SECURE,
            samesite="Lax",
        )
    return response
