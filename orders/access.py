"""Who may see an order: its user, or whoever holds its secret link.

The first visit with a secret sets a signed cookie for that one order and goes on to an address without it.
"""

import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare, salted_hmac

from cartsite.secret_links import SecretLinks
from orders.models import NUMBER_ALPHABET, TEST_PREFIX, Order

Response = TypeVar("Response", bound=HttpResponseBase)

LINKS = SecretLinks(cookie="order", salt="orders.access", lasts=60 * 60 * 24 * 365)
NUMBER_LENGTH = 10  # without the dashes
# What people take the letters and digits of numbers for: none of these is in any number.
LOOK_ALIKES = str.maketrans("0OZBUNAEI1L", "QQ28VM43777")


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
    """An order's number as somebody typed, copied or heard it; empty if it is none.

    Case, dashes, spaces and a `#` do not matter. A letter that was misread is read as the one it looks like, unless
    there is no digit at all: then it is a word.
    """
    said = "".join(letter for letter in unicodedata.normalize("NFKC", typed).upper() if letter.isalnum())
    code = said.removeprefix(TEST_PREFIX.rstrip("-"))
    if any(letter.isdigit() for letter in code):
        code = code.translate(LOOK_ALIKES)
    is_number = len(code) == NUMBER_LENGTH and set(code) <= set(NUMBER_ALPHABET)
    prefix = TEST_PREFIX if len(said) > NUMBER_LENGTH else ""
    return f"{prefix}{code[:4]}-{code[4:8]}-{code[8:]}" if is_number else ""


def may_see(request: HttpRequest, order: Order) -> bool:
    """Whether the visitor is the order's user, or came with its secret link before."""
    if order.user_id is not None and request.user.pk == order.user_id:
        return True
    return LINKS.may_see(request, order.uuid, path=order.get_absolute_url())


def seen_by(request: HttpRequest) -> list[UUID]:
    """The orders (by UUID) that this browser may see since it came with their secret links, newest first."""
    return LINKS.seen(request)


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
    """Let this browser see this order from now on.

    The order's own user needs none, and once they have signed out nobody else at this browser sees it.
    """
    if order.user_id is not None and request.user.pk == order.user_id:
        return response
    return LINKS.remember(request, response, order.uuid)
