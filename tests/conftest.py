"""The cast: a shop with honey and a workshop, a shopper, and a SumUp that runs in this process and speaks real HTTP."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client, TransactionTestCase

from bookings.models import Entry
from cart import services as carts
from cart.models import Cart, Product
from cartsite.celery import broker_outage
from cartsite.models import User
from orders.models import Order
from orders.placing import NOTHING_CHOSEN, place
from orders.quoting import make_quote
from payments import page_calls, starting
from payments.models import Payment
from payments.simulator import Merchant, Simulator, serve
from payments.simulator.server import SimulatorServer
from tests.emptying import empty_tables
from tests.factories import EntryFactory, ProductFactory, UserFactory


@pytest.fixture(scope="session", autouse=True)
def _empty_quickly() -> Iterator[None]:
    """After each test that commits."""
    with patch.object(TransactionTestCase, "_fixture_teardown", lambda _self: empty_tables()):
        yield


@pytest.fixture(autouse=True)
def _as_in_production(settings: Any) -> None:
    """What `make test` cannot say through the environment."""
    settings.CELERY_BROKER_URL = "memory://"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.RECENT_SIGN_IN = 10**10  # tests move the clock; what asks again is in test_reauthentication.py
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    broker_outage.note_answer()
    page_calls.silence.note_answer()


@pytest.fixture(scope="session")
def sumup_server() -> Iterator[SimulatorServer]:
    with serve(Simulator(merchant=Merchant("MROSEASH", "sup_sk_simulator", "GBP"))) as server:
        yield server


@pytest.fixture
def sumup(sumup_server: SimulatorServer, settings: Any) -> Iterator[Simulator]:
    """SumUp: it takes checkouts over HTTP, and tests make its payers pay or decline. It sends no webhooks."""
    settings.SUMUP_API_URL = settings.SUMUP_ORIGIN = sumup_server.url
    simulator = sumup_server.simulator
    simulator.reset()
    simulator.behave(webhooks="never")
    yield simulator
    simulator.reset()


@pytest.fixture
def honey(db: None) -> Product:
    return ProductFactory(title="Heather honey", sku="HONEY")


@pytest.fixture
def workshop(db: None) -> Entry:
    """A bread workshop with 10 places."""
    return EntryFactory(title="Bread workshop")


@pytest.fixture
def shopper(db: None) -> User:
    return UserFactory(username="ada", email="ada@example.org", name="Ada Shopper")


@pytest.fixture
def staff(db: None) -> User:
    return UserFactory(username="sam", email="sam@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def staff_client(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def fill_cart(db: None) -> Callable[..., tuple[Cart, str]]:
    """Fill a fresh cart: `fill_cart((honey, 1), (workshop, 2), user=None)` gives the cart and its token."""

    def fill(*things: tuple[Product | Entry, int], user: User | None = None) -> tuple[Cart, str]:
        with transaction.atomic():
            cart, token = carts.open_cart("", user)
            for thing, quantity in things:
                carts.add(cart, thing, quantity)
        return cart, token or ""

    return fill


@pytest.fixture
def place_order(fill_cart: Callable[..., tuple[Cart, str]]) -> Callable[..., Order]:
    """Place an order of things: `place_order((honey, 1), (workshop, 2), user=None)`."""

    def order(*things: tuple[Product | Entry, int], user: User | None = None) -> Order:
        cart, token = fill_cart(*things, user=user)
        agreed = make_quote(carts.basket_of(token, user), NOTHING_CHOSEN).fingerprint
        placed, _new = place(
            cart.uuid, token=token, user=user, agreed=agreed, name="Ada Shopper", email="ada@example.org"
        )
        return placed

    return order


@pytest.fixture
def order(place_order: Callable[..., Order], honey: Product, workshop: Entry) -> Order:
    """One jar of honey and two places at the workshop, not paid yet: £76.50."""
    return place_order((honey, 1), (workshop, 2))


@pytest.fixture
def payment(order: Order, sumup: Simulator) -> Payment:
    """An attempt to pay the order whose page is open at SumUp."""
    return starting.start(order)
