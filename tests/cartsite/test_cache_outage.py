"""With Redis refusing or silent, shoppers notice nothing: limits count in the process, and the log says so once."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as real_settings
from django.core.cache import caches
from django.test import Client, RequestFactory

from cart.models import Product
from cartsite import caching, limits
from cartsite.caching import SteadyCache
from cartsite.dev.postgres import CHECKOUT
from orders.models import Order
from tests.cart.baskets import cart_of, lines_of
from tests.orders.acts import typed

pytestmark = pytest.mark.django_db


class Silence:
    """Something at Redis's address that takes connections and says nothing."""

    def __init__(self) -> None:
        self.visits = 0
        self._visitors: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}/0"
        threading.Thread(target=self._let_in, daemon=True).start()

    def _let_in(self) -> None:
        while True:
            try:
                visitor, _address = self._door.accept()
            except OSError:
                return
            self.visits += 1
            self._visitors.append(visitor)

    def close(self) -> None:
        self._door.close()
        for visitor in self._visitors:
            visitor.close()


class MiniRedis(Silence):
    """A Redis that answers OK to everything."""

    def _let_in(self) -> None:
        while True:
            try:
                visitor, _address = self._door.accept()
            except OSError:
                return
            self.visits += 1
            self._visitors.append(visitor)
            threading.Thread(target=self._agree, args=(visitor,), daemon=True).start()

    @staticmethod
    def _agree(visitor: socket.socket) -> None:
        while said := visitor.recv(4096):
            visitor.sendall(b"+OK\r\n" * max(said.count(b"*"), 1))


@pytest.fixture
def silence() -> Iterator[Silence]:
    server = Silence()
    yield server
    server.close()


def use_redis(settings: Any, url: str) -> None:
    """Cache there, as in production, but wait for less long."""
    caching._outages.clear()
    options = {"socket_timeout": 0.1, "socket_connect_timeout": 0.1, "protocol": 2}
    settings.CACHES = {"default": {"BACKEND": "cartsite.caching.SteadyCache", "LOCATION": url, "OPTIONS": options}}
    caches["default"].here.clear()


@pytest.fixture(params=["refuses", "hangs"])
def _no_redis(request: pytest.FixtureRequest, settings: Any) -> None:
    url = "redis://127.0.0.1:9/0" if request.param == "refuses" else request.getfixturevalue("silence").url
    use_redis(settings, url)


@pytest.mark.usefixtures("_no_redis")
def test_adding_works_without_redis(client: Client, honey: Product) -> None:
    answers = [client.post("/cart/items/", {"product": "HONEY", "quantity": "1"}).status_code for _ in range(2)]

    assert answers == [302, 302]
    assert lines_of(cart_of(client)) == {"Heather honey": 2}


@pytest.mark.usefixtures("_no_redis", "sumup")
def test_placing_works_without_redis(client: Client, honey: Product) -> None:
    client.post("/cart/items/", {"product": "HONEY", "quantity": "1"})

    answer = client.post("/checkout/", typed(cart_of(client)))

    assert answer.status_code == 302
    assert Order.objects.get().payments.get().status == "open"


@pytest.mark.usefixtures("_no_redis")
def test_signing_in_works_without_redis(client: Client, shopper: Any) -> None:
    answer = client.post("/account/code/", {"email": "ada@example.org"})

    assert answer.status_code == 302


@pytest.mark.usefixtures("_no_redis")
def test_limits_hold_without_redis_in_each_process(settings: Any, client: Client, honey: Product) -> None:
    settings.LIMITS = dict.fromkeys(settings.LIMITS, (3, 600))
    settings.LIMITS_SPARE_LOOPBACK = False

    answers = [client.post("/cart/items/", {"product": "HONEY", "quantity": "1"}).status_code for _ in range(4)]

    assert answers == [302, 302, 302, 429]


@pytest.mark.usefixtures("_no_redis")
def test_an_outage_is_logged_once_and_names_no_address(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        limits.is_within(RequestFactory().post("/", REMOTE_ADDR="192.0.2.7"), "hold")

    assert caplog.text.count("The cache is out of reach") == 1
    assert "192.0.2.7" not in caplog.text


def test_a_redis_that_hangs_is_waited_for_once_and_not_by_each_request(settings: Any, silence: Silence) -> None:
    use_redis(settings, silence.url)

    for _ in range(20):
        limits.is_within(RequestFactory().post("/"), "hold")

    assert silence.visits == 1


def test_no_request_waits_long_for_redis() -> None:
    cache = SteadyCache("redis://127.0.0.1:9/0", {})

    assert cache._options["socket_timeout"] + cache._options["socket_connect_timeout"] <= 2
    assert cache._options["retry"].get_retries() <= 1


def test_when_redis_is_back_it_is_used_again(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    redis = MiniRedis()
    use_redis(settings, redis.url)
    caches["default"].outage.note_silence(ConnectionError())
    assert caches["default"].add("here", 1)
    assert redis.visits == 0

    caches["default"].outage.pause = 0
    caches["default"].outage.note_silence(ConnectionError())
    answered = caches["default"].add("there", 1)
    redis.close()

    assert answered
    assert redis.visits == 1
    assert "The cache answers again." in caplog.text


@pytest.mark.parametrize("method", ["add", "get", "set", "touch", "delete", "get_many", "has_key", "set_many", "clear"])
@pytest.mark.usefixtures("_no_redis")
def test_nothing_that_a_cache_can_do_fails(method: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "add": ("a", 1),
        "set": ("a", 1),
        "get_many": (["a"],),
        "set_many": ({"a": 1},),
        "clear": (),
    }

    getattr(caches["default"], method)(*arguments.get(method, ("a",)))


def test_a_session_lives_in_the_database_alone() -> None:
    assert real_settings.SESSION_ENGINE == "django.contrib.sessions.backends.db"


def test_a_shop_with_redis_uses_the_steady_cache() -> None:
    say = "from cartsite import settings; print(settings.CACHES['default']['BACKEND'])"

    said = subprocess.run(
        [sys.executable, "-c", say],
        cwd=CHECKOUT,
        env=os.environ | {"CACHE_URL": "redis://cache.example:6379/1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.strip() == "cartsite.caching.SteadyCache"
