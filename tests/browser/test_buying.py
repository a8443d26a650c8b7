"""The main job in a real browser, with JavaScript and without, on a desk and on a phone."""

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from bookings.models import Entry
from cart.models import Product
from payments.simulator import Simulator


@pytest.fixture
def shop(settings: object, live_server: LiveServer, sumup: Simulator, honey: Product, workshop: Entry) -> None:
    """A shop with honey and a workshop, at the address that SumUp is told."""
    settings.PUBLIC_URL = live_server.url  # type: ignore[attr-defined]
    policy = settings.CONTENT_SECURITY_POLICY  # type: ignore[attr-defined]
    directives = policy["DIRECTIVES"] | {"form-action": ["'self'", settings.SUMUP_ORIGIN]}  # type: ignore[attr-defined]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}  # type: ignore[attr-defined]


@pytest.mark.usefixtures("shop")
@pytest.mark.django_db(transaction=True)
def test_honey_and_two_places_are_bought_in_one_order(page: Page, workshop: Entry) -> None:
    page.goto("/")
    page.locator("form:has(input[value=HONEY]) button").click()
    expect(page.locator("#cart-badge")).to_contain_text("1")
    page.goto(workshop.get_absolute_url())
    page.locator("form[data-free] input[name=quantity]").fill("2")
    page.locator("form[data-free] button").click()
    expect(page.locator("#cart-badge")).to_contain_text("3")

    page.goto("/checkout/")
    page.fill("input[name=name]", "Ada Shopper")
    page.fill("input[name=email]", "ada@example.org")
    page.check("input[name=terms]")
    page.get_by_role("button", name="pay").click()
    page.locator("button[value=decline]").click()
    page.locator("button[value=pay]").click()
    page.get_by_role("link", name="back").click()

    expect(page.locator("[data-order-status=confirmed]").first).to_be_visible(timeout=20_000)
    expect(page.locator("body")).to_contain_text("Bread workshop")
