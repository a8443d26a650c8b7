"""The main job in a real browser, with JavaScript and without, on a desk and on a phone."""

import pytest
from playwright.sync_api import Page, expect

from bookings.models import Entry


@pytest.mark.usefixtures("payable", "honey")
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
