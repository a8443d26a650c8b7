"""What these tests do over and over: place a cart, look at all rows, count statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.models import Pool
from cart.models import Cart, CartItem
from cart.services import Basket
from cartsite.models import User
from orders.models import Order
from orders.placing import NOTHING_CHOSEN, place
from orders.quoting import Choices, make_quote
from tests.invariants import assert_pool_balances

ROOMS = ("cartsite", "bookings", "cart", "orders", "payments")
NAME, EMAIL = "Grace Example", "grace@mail.example"
TRANSACTION_CONTROL = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
HTMX = {"HX-Request": "true"}


def basket_in(cart: Cart) -> Basket:
    """What is in this cart now."""
    return Basket(list(CartItem.objects.loaded().filter(cart=cart, saved_at=None)))


def agreed_for(cart: Cart, chosen: Choices = NOTHING_CHOSEN) -> str:
    """What a review page of this cart would show now, in short."""
    return make_quote(basket_in(cart), chosen).fingerprint


def place_cart(
    cart: Cart,
    token: str,
    *,
    user: User | None = None,
    agreed: str | None = None,
    chosen: Choices = NOTHING_CHOSEN,
    email: str = EMAIL,
) -> Order:
    """Place the cart as it is, or as a page showed it before."""
    seen = agreed_for(cart, chosen) if agreed is None else agreed
    order, _is_new = place(cart.uuid, token=token, user=user, agreed=seen, name=NAME, email=email, chosen=chosen)
    return order


def typed(cart: Cart, *, chosen: Choices = NOTHING_CHOSEN, **changes: str) -> dict[str, str]:
    """What a browser posts from the checkout page."""
    seen = {"cart": str(cart.uuid), "agreed": agreed_for(cart, chosen)}
    address = {name: value for name, value in vars(chosen.address).items() if value}
    choices = {"voucher": chosen.voucher, "handover": chosen.handover, **address}
    return {"name": NAME, "email": EMAIL, "terms": "on", **choices, **seen, **changes}


def visitor(token: str = "") -> Client:
    """A browser with a cart's cookie."""
    client = Client()
    if token:
        client.cookies["cart"] = token
    return client


def all_rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of the shop: equal before and after what moves nothing."""
    models = [model for room in ROOMS for model in apps.get_app_config(room).get_models()]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


def assert_pools_balance() -> None:
    """Check every pool there is. (Orders that a test confirmed without money are no matter here.)"""
    for pool in Pool.objects.all():
        assert_pool_balances(pool)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL sent meanwhile, without transaction control; complete when the block has ended."""
    sent: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield sent
    sent += [query["sql"] for query in captured if not query["sql"].startswith(TRANSACTION_CONTROL)]


def holder_of(order: Order) -> Client:
    """A browser that came with the order's secret link."""
    client = Client()
    client.get(order.secret_link)
    return client


def tabs_of(client: Client, count: int) -> list[Client]:
    """So many tabs of the same browser, each for a thread of its own."""
    tabs = [Client() for _tab in range(count)]
    for tab in tabs:
        for name, cookie in client.cookies.items():
            tab.cookies[name] = cookie.value
    return tabs
