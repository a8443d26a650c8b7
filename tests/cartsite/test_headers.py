"""What every page tells the browser: whom to trust, and what never to pass on."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from bookings.models import Entry
from cart.models import Cart, Product
from cartsite.models import User
from payments.models import Payment
from tests.orders.acts import HTMX, visitor

pytestmark = pytest.mark.django_db

STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def policy_of(response: Any) -> dict[str, str]:
    """The Content-Security-Policy by directive."""
    directives = response["Content-Security-Policy"].split(";")
    return dict(directive.strip().split(" ", 1) for directive in directives if directive.strip())


@pytest.fixture
def pages(
    workshop: Entry,
    payment: Payment,
    shopper: User,
    fill_cart: Callable[..., tuple[Cart, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Every kind of page of the shop, good and bad."""
    order = payment.order
    _cart, token = fill_cart((workshop, 1))
    client = visitor(token)
    client.get(order.secret_link)
    client.force_login(shopper)
    anonymous = Client(raise_request_exception=False)
    found = {
        path: client.get(path)
        for path in (
            "/",
            "/calendars/",
            f"/calendars/{workshop.calendar.slug}/",
            workshop.get_absolute_url(),
            "/cart/",
            "/checkout/",
            order.get_absolute_url(),
            f"{order.get_absolute_url()}return/",
            order.secret_link,
            "/orders/",
            "/account/",
            "/account/email/",
            "/nowhere/",
            "/healthz",
            "/internal/cart/summary",
        )
    }
    found["sign in"] = anonymous.get("/sign-in/")
    found["sign up"] = anonymous.get("/account/sign-up/")
    found["fragment"] = client.get(order.get_absolute_url(), headers=HTMX)
    found["unprocessable"] = client.post("/checkout/", {})
    found["stale form"] = Client(enforce_csrf_checks=True).post("/checkout/", {})
    found["bad host"] = anonymous.get("/", headers={"host": "evil.example"})
    monkeypatch.setattr("cart.visitors.services.basket_of", lambda *_: 1 / 0)
    found["broken"] = anonymous.get("/cart/")
    return found


def test_no_page_passes_its_address_on_to_others(pages: dict[str, Any]) -> None:
    assert pages["broken"].status_code == 500
    for name, response in pages.items():
        assert (name, response["Referrer-Policy"]) == (name, "same-origin")


def test_no_page_is_framed_or_guessed_at(pages: dict[str, Any]) -> None:
    for name, response in pages.items():
        # (A host we do not serve is refused so early that the old header is not there yet.)
        assert (name, response.get("X-Frame-Options", "")) == (name, "DENY" if name != "bad host" else "")
        assert (name, response["X-Content-Type-Options"]) == (name, "nosniff")


def test_every_page_of_the_shop_has_the_strict_policy(pages: dict[str, Any]) -> None:
    for name, response in pages.items():
        policy = policy_of(response)
        forms = policy.pop("form-action").split()

        assert (name, policy) == (name, STRICT)
        assert "unsafe" not in response["Content-Security-Policy"]
        assert "'self'" in forms
        assert "https://*.sumup.com" in forms
        assert len(forms) == 3  # and the place of the SumUp that we talk to


def test_forms_may_lead_to_the_sumup_we_talk_to(client: Client, settings: Any) -> None:
    assert settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"][2] == "http://127.0.0.1:8001"


def test_forms_may_lead_to_the_account_service_that_is_set() -> None:
    """Browsers hold a redirect after a form to the list, so without it the button to sign on would do nothing."""
    service = {"OIDC_NAME": "Co-op", "OIDC_SERVER_URL": "https://accounts.shop.example/co-op"}
    service |= {"OIDC_CLIENT_ID": "shop", "OIDC_CLIENT_SECRET": "no-secret"}
    asked = "from cartsite import settings; print(settings.CONTENT_SECURITY_POLICY['DIRECTIVES']['form-action'])"

    said = subprocess.run(
        [sys.executable, "-c", asked], env=os.environ | service, capture_output=True, text=True, check=True
    )

    assert "'https://accounts.shop.example']" in said.stdout


def test_no_page_has_inline_script_style_or_a_foreign_host(pages: dict[str, Any], settings: Any) -> None:
    for name, response in pages.items():
        said = response.content.decode()

        for unwanted in ("<style", " style=", "onclick=", " onload=", "javascript:", "hx-on"):
            assert (name, unwanted in said) == (name, False)
        for quoted in ('src="http', "src='http", 'src="//', 'href="http', 'action="http'):
            assert (name, quoted in said) == (name, False)
        assert said.count("<script") == said.count("<script src=") + said.count("<script defer src=")


def test_the_back_office_alone_may_do_more(staff_client: Client, client: Client) -> None:
    widened = policy_of(staff_client.get("/admin/"))

    assert widened["script-src"] == "'self' 'unsafe-eval'"
    assert widened["style-src"] == "'self' 'unsafe-inline'"
    assert widened["default-src"] == "'none'"
    assert "unsafe" not in client.get("/administrator/")["Content-Security-Policy"]
    assert "unsafe" not in client.get("/orders/admin/")["Content-Security-Policy"]


def test_cookies_are_out_of_scripts_reach(honey: Product, shopper: User) -> None:
    client = Client()
    client.post("/cart/items/", {"product": "HONEY", "quantity": "1"})
    client.get("/checkout/")
    client.post("/sign-in/", {"username": "ada", "password": "correct horse"})

    assert {"cart", "csrftoken", "sessionid"} <= set(client.cookies)
    for name, cookie in client.cookies.items():
        assert (name, cookie["httponly"], cookie["samesite"]) == (name, True, "Lax")
