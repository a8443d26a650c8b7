"""With PostgreSQL away, everybody gets a page that says so, and when to come back: never "it is our fault"."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection
from django.test import Client

from cart.models import Product
from cartsite import sorry
from cartsite.models import User
from tests.orders.acts import HTMX

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "market-token-0123456789"


class Line:
    """A line to PostgreSQL that can be cut, for those who talk and for those who call."""

    def __init__(self, target: dict[str, Any]) -> None:
        self._host, self._port = target["HOST"], int(target["PORT"] or 5432)
        self._ends: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.is_cut = False
        threading.Thread(target=self._take_calls, daemon=True).start()

    def cut(self) -> None:
        """Drop every conversation, and take no calls any more."""
        self.is_cut = True
        self._drop_all()

    def mend(self) -> None:
        """Take calls again."""
        self.is_cut = False

    def close(self) -> None:
        self._door.close()
        self._drop_all()

    def _drop_all(self) -> None:
        while self._ends:
            end = self._ends.pop()
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _take_calls(self) -> None:
        while True:
            try:
                caller, _address = self._door.accept()
            except OSError:
                return
            if self.is_cut:
                caller.close()
                continue
            server = self._reach_server()
            self._ends += [caller, server]
            for source, target in ((caller, server), (server, caller)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _reach_server(self) -> socket.socket:
        if self._host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._host}/.s.PGSQL.{self._port}")
            return server
        return socket.create_connection((self._host or "127.0.0.1", self._port))

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := source.recv(65536):
                target.sendall(said)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line() -> Iterator[Line]:
    """This thread's connection to the database goes over the line."""
    former = connection.settings_dict
    line = Line(former)
    connection.close()
    connection.settings_dict = former | {"HOST": "127.0.0.1", "PORT": line.port}
    yield line
    connection.close()
    connection.settings_dict = former
    line.close()


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def member(visitor: Client, shopper: User) -> Client:
    """Somebody who is signed in, so that the session and the person are to be read."""
    visitor.force_login(shopper)
    return visitor


def assert_comes_back_soon(response: Any) -> None:
    said = response.content.decode()
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert "our fault" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("path", ["/", "/cart/", "/calendars/", "/orders/", "/account/", "/admin/", "/checkout/"])
def test_a_page_says_that_we_will_be_right_back(member: Client, line: Line, path: str) -> None:
    line.cut()

    response = member.get(path)

    assert_comes_back_soon(response)
    assert "We will be right back" in response.content.decode()
    assert 'id="broken"' in response.content.decode()


def test_a_form_that_is_sent_gets_the_same_page(visitor: Client, line: Line) -> None:
    line.cut()

    assert_comes_back_soon(visitor.post("/cart/items/", {"product": "HONEY", "quantity": "1"}))
    assert_comes_back_soon(visitor.post("/cart/items/", {"product": "HONEY", "quantity": "1"}, headers=HTMX))
    assert_comes_back_soon(visitor.post("/webhooks/sumup/some-token/"))


def test_siblings_get_a_problem_document(line: Line, settings: Any) -> None:
    settings.INTERNAL_API_TOKENS = {"market": TOKEN}
    sibling = Client(headers={"Authorization": f"Bearer {TOKEN}"}, raise_request_exception=False)
    line.cut()

    response = sibling.get("/internal/cart/summary?cart=x")

    assert_comes_back_soon(response)
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 503


def test_a_database_that_dies_in_the_middle_of_a_request_is_said_to_be_away(
    visitor: Client, honey: Product, line: Line
) -> None:
    def die(_request: object) -> None:
        list(Product.objects.all())  # the conversation has begun
        line.cut()
        list(Product.objects.all())

    with patch("cart.views.basket_for", die):
        response = visitor.get("/cart/")

    assert_comes_back_soon(response)


def test_a_database_that_dies_within_a_transaction_is_said_to_be_away(
    visitor: Client, honey: Product, line: Line
) -> None:
    def die(*_arguments: object, **_more: object) -> None:
        line.cut()
        list(Product.objects.all())

    with patch("cart.services.add", die), patch("cart.filling.add", die):
        response = visitor.post("/cart/items/", {"product": "HONEY", "quantity": "1"})

    assert_comes_back_soon(response)


def test_a_kept_connection_that_died_between_two_requests_costs_nobody_a_page(visitor: Client, line: Line) -> None:
    assert visitor.get("/calendars/").status_code == 200

    line.cut()
    line.mend()
    close_old_connections()  # as the server does when a request begins; Django's test client leaves it out

    assert visitor.get("/calendars/").status_code == 200


def test_when_the_database_is_back_so_are_the_pages(visitor: Client, line: Line) -> None:
    line.cut()
    assert_comes_back_soon(visitor.get("/"))

    line.mend()

    assert visitor.get("/").status_code == 200


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.errors.DeadlockDetected(), False),
        (psycopg.errors.QueryCanceled(), False),
    ],
)
def test_what_counts_as_away(error: Exception, is_away: bool) -> None:
    kind = OperationalError if isinstance(error, psycopg.OperationalError) else DatabaseError
    said = kind("as Django says it")
    said.__cause__ = error

    assert sorry.is_database_away(said) is is_away


def test_an_error_of_ours_stays_one(visitor: Client) -> None:
    with patch("cart.views.basket_for", side_effect=RuntimeError):
        response = visitor.get("/cart/")

    assert response.status_code == 500
    assert "It is our fault" in response.content.decode()


def test_a_connection_that_is_closed_already_counts_as_away() -> None:
    assert sorry.is_database_away(InterfaceError("connection already closed"))
