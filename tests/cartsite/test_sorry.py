"""When something is wrong: a sentence on a page for people, a problem document for siblings, and never a traceback."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpResponse
from django.test import Client

from cart import services as carts
from cart.models import Product
from tests.orders.acts import HTMX

pytestmark = pytest.mark.django_db

TOKEN = "market-token-0123456789"


@pytest.fixture
def stranger() -> Client:
    """A browser that shows what the server says of its own faults."""
    return Client(raise_request_exception=False)


@pytest.fixture
def sibling(settings: Any) -> Client:
    settings.INTERNAL_API_TOKENS = {"market": TOKEN}
    return Client(headers={"Authorization": f"Bearer {TOKEN}"}, raise_request_exception=False)


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_arguments: object) -> None:
        raise error

    return fail


def break_the_cart(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let every look into a cart fail, that of the header's badge too."""
    monkeypatch.setattr("cart.services.basket_of", failing(error))


def break_the_cart_page(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the view of the cart fail, and nothing else."""
    monkeypatch.setattr("cart.views.basket_for", failing(error))


# --- For people


def test_nothing_is_there(stranger: Client) -> None:
    response = stranger.get("/nowhere/")

    assert response.status_code == 404
    assert "There is nothing at this address, or it is not yours to see." in response.content.decode()
    assert "/nowhere/" not in response.content.decode().replace("next=/nowhere/", "")


def test_nothing_is_there_for_htmx_either(stranger: Client) -> None:
    said = stranger.get("/nowhere/", headers=HTMX).content.decode()

    assert "There is nothing at this address" in said
    assert "<html" not in said


def test_our_own_fault_is_said_without_what_may_be_broken(stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_cart(monkeypatch, RuntimeError("secret detail"))

    response = stranger.get("/cart/")

    said = response.content.decode()
    assert response.status_code == 500
    assert "It is our fault" in said
    assert "secret detail" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("host", ["evil.example", "shop example", "a/b", "[::1", "127.0.0.1:port", ""])
def test_a_host_we_do_not_serve_is_a_bad_request(stranger: Client, settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = ["shop.example"]

    for path in ("/", "/cart/", "/nowhere/", "/orders/", "/healthz"):
        response = stranger.get(path, headers={"host": host})

        assert response.status_code == 400
        assert "could not read" in response.content.decode()


def test_a_host_we_do_not_serve_is_a_problem_for_siblings(sibling: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["shop.example"]

    response = sibling.get("/internal/cart/summary", headers={"host": "evil.example"})

    assert_is_problem(response, 400)


def test_what_may_not_be_done_is_said(stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_cart_page(monkeypatch, PermissionDenied())

    response = stranger.get("/cart/")

    assert response.status_code == 403
    assert "You may not do this" in response.content.decode()


def test_what_is_suspicious_is_a_bad_request(stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_cart_page(monkeypatch, SuspiciousOperation())

    assert stranger.get("/cart/").status_code == 400


def test_a_form_that_was_open_for_too_long_says_what_to_do(honey: Product) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.post("/cart/items/", {"product": "HONEY", "quantity": "1"})

    assert response.status_code == 403
    assert "Go back, reload the page and try again." in response.content.decode()


@pytest.mark.parametrize("path", ["/%00", "/orders/%ff/", "/entries/99999999999999999999999999/", "/calendars/%00/"])
def test_an_address_that_makes_no_sense_is_not_found(stranger: Client, path: str) -> None:
    assert stranger.get(path).status_code == 404


@pytest.mark.parametrize("query", ["q=%00", "q=%ff", "after=%00", "q=" + "x" * 5000, "q[]=1", "q=%F0%9F%90%9D"])
def test_a_query_that_makes_no_sense_is_a_page(stranger: Client, honey: Product, query: str) -> None:
    assert stranger.get(f"/?{query}").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x" * 5000, "\x7f", "a;b", '"'])
def test_a_cart_cookie_that_makes_no_sense_is_no_cart(stranger: Client, honey: Product, cookie: str) -> None:
    """The header is sent as it stands: Python's own cookies may refuse to hold what a browser would send."""
    for path in ("/", "/cart/"):
        assert stranger.get(path, headers={"Cookie": f"cart={cookie}"}).status_code == 200
    assert carts.basket_of(cookie, None).items == []


# --- For siblings


def assert_is_problem(response: HttpResponse, status: int) -> None:
    """Check that it is an RFC 9457 document that says why."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


@pytest.mark.parametrize("path", ["/internal/nowhere", "/internal/", "/internal/cart/summary/more"])
def test_nothing_is_there_for_siblings(sibling: Client, path: str) -> None:
    assert_is_problem(sibling.get(path), 404)


def test_our_own_fault_is_a_problem_for_siblings(sibling: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_cart(monkeypatch, RuntimeError("secret detail"))

    response = sibling.get("/internal/cart/summary?cart=x")

    assert_is_problem(response, 500)
    assert "secret detail" not in response.content.decode()


@pytest.mark.parametrize("token", ["", "wrong", "market", f"{TOKEN} ", TOKEN.upper(), "é"])
def test_a_sibling_without_a_known_token_is_told_how_to_send_one(settings: Any, token: str) -> None:
    settings.INTERNAL_API_TOKENS = {"market": TOKEN}
    stranger = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"} if token else {})

    response = stranger.get("/internal/cart/summary")

    assert_is_problem(response, 401)
    assert response["WWW-Authenticate"] == "Bearer"


def test_without_any_token_configured_nobody_comes_in(settings: Any) -> None:
    settings.INTERNAL_API_TOKENS = {}

    for token in ("", "x", TOKEN):
        response = Client(headers={"Authorization": f"Bearer {token}"}).get("/internal/cart/summary")

        assert response.status_code == 401
