"""How long places are held: shown, said politely, and kept longer by one press, with JavaScript and without."""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from bookings import capacity
from bookings.models import Entry, Hold
from cart.models import Cart, Product

pytestmark = pytest.mark.django_db(transaction=True)

Open = Callable[[str], Page]
with_script = pytest.mark.parametrize("page", [(True, 1280), (True, 360)], ids=str, indirect=True)


@pytest.fixture
def open_page(page: Page, fill_cart: Callable[..., tuple[Cart, str]], workshop: Entry, honey: Product) -> Open:
    """Opens a page as a visitor with a jar and two of the workshop's ten places."""
    _cart, token = fill_cart((honey, 1), (workshop, 2))
    page.goto("/healthz")
    page.context.add_cookies([{"name": "cart", "value": token, "url": page.url}])

    def show(address: str) -> Page:
        page.clock.install()
        page.goto(address)
        return page

    return show


def last(**left: int) -> None:
    """Let what is held end in so much time."""
    Hold.objects.filter(until__isnull=False).update(until=timezone.now() + timedelta(**left))


def listen(page: Page) -> None:
    """Write down everything that a screen reader is told from now on."""
    page.evaluate(
        """() => {
          window.told = [];
          const announcer = document.getElementById("announcer");
          new MutationObserver(() => window.told.push(announcer.textContent)).observe(announcer, { childList: true });
        }"""
    )


def told(page: Page) -> list[str]:
    heard: list[str] = page.evaluate("window.told")
    return heard


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        js = page.evaluate("document.querySelector('#cart-badge') !== null")
        width = page.evaluate("window.innerWidth")
        page.screenshot(path=f"{folder}/{name}-{width}-{js}.png", full_page=True)


# --- Kept longer ------------------------------------------------------------------------------------------------------


def test_one_press_keeps_the_places_for_the_full_hour(open_page: Open) -> None:
    last(minutes=12, seconds=30)
    page = open_page("/cart/")
    expect(page.locator("[data-countdown]")).to_contain_text("(12 minutes left)")
    shot(page, "basket")

    page.get_by_role("button", name="Keep longer").click()

    expect(page.locator("#basket")).to_contain_text("An hour is the longest we can hold things in a basket.")
    expect(page.locator("[data-countdown]")).to_contain_text("(59 minutes left)")
    expect(page.get_by_role("button", name="Keep longer")).to_have_count(0)
    shot(page, "basket-hour")


def test_at_the_checkout_one_press_keeps_them_and_what_was_typed(open_page: Open) -> None:
    last(minutes=12, seconds=30)
    page = open_page("/checkout/")
    page.get_by_label("Name").fill("Ada Shopper")
    page.get_by_label("Voucher").fill("SPRING")
    shot(page, "checkout")

    page.locator("#keep").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#review")).to_contain_text("An hour is the longest we can hold things in a basket.")
    expect(page.get_by_label("Name")).to_have_value("Ada Shopper")
    expect(page.get_by_label("Voucher")).to_have_value("SPRING")
    shot(page, "checkout-hour")


def test_what_lapsed_is_held_again_by_one_press_or_said_to_be_gone(open_page: Open, workshop: Entry) -> None:
    last(minutes=-1)
    page = open_page("/cart/")
    expect(page.get_by_text("We no longer hold this for you, but it may still be free.")).to_be_visible()
    shot(page, "basket-over")

    page.get_by_role("button", name="Hold again").click()
    expect(page.locator("[data-countdown]")).to_contain_text("(14 minutes left)")

    capacity.give_back(Hold.objects.values_list("pk", flat=True))
    capacity.claim(workshop.pool_id, 9, until=None)
    page.reload()
    page.get_by_role("button", name="Hold again").click()
    expect(page.get_by_text("There is not enough left of Bread workshop to hold it again.")).to_be_visible()
    expect(page.get_by_text("Only 1 place left.")).to_be_visible()
    expect(page.locator("[data-item]")).to_have_count(2)
    shot(page, "basket-gone")


# --- The countdown ----------------------------------------------------------------------------------------------------


@with_script
def test_the_time_that_is_left_is_said_at_5_and_2_minutes_and_at_the_end_and_not_more(open_page: Open) -> None:
    last(minutes=6, seconds=30)
    page = open_page("/cart/")
    listen(page)

    page.clock.run_for(60_000)
    expect(page.locator("[data-left]")).to_have_text("5 minutes left")
    assert told(page) == []
    page.clock.run_for(60_000)
    expect(page.locator("[data-left]")).to_have_text("4 minutes left")
    page.clock.run_for(210_000)
    expect(page.locator("[data-left]")).to_have_text("less than a minute left")
    last(minutes=-1)
    page.clock.run_for(120_000)

    expect(page.get_by_text("We no longer hold this for you, but it may still be free.")).to_be_visible()
    assert told(page) == [
        "What is in your basket is held for 5 more minutes.",
        "What is in your basket is held for 2 more minutes.",
        "The time we held things for you is over. What is still free you can order all the same.",
    ]


@with_script
@pytest.mark.parametrize("at", ["remove", "nothing"])
def test_when_the_time_is_over_the_lines_are_read_once_more_and_nobodys_place_on_the_page_is_lost(
    open_page: Open, live_server: LiveServer, at: str
) -> None:
    last(seconds=20)
    page = open_page("/cart/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/static/" not in request.url else None)
    if at == "remove":
        page.get_by_role("button", name="Remove Bread workshop").focus()
    page.evaluate("window.scrollTo(0, 30)")
    before = page.evaluate("[document.activeElement.id, scrollY]")
    last(minutes=-1)

    page.clock.run_for(30_000)
    expect(page.get_by_role("button", name="Hold again")).to_be_visible()
    page.clock.run_for(60_000)

    assert asked == [f"{live_server.url}/cart/"]
    assert page.evaluate("[document.activeElement.id, scrollY]") == before


@with_script
def test_what_is_being_typed_then_is_not_taken_away(open_page: Open) -> None:
    last(seconds=20)
    page = open_page("/cart/")
    page.get_by_label("How many of Bread workshop").fill("7")
    last(minutes=-1)

    page.clock.run_for(60_000)

    expect(page.locator("[data-countdown]")).to_have_text(
        "The time we held things for you is over. What is still free you can order all the same."
    )
    expect(page.get_by_label("How many of Bread workshop")).to_have_value("7")


@with_script
def test_at_the_checkout_the_end_keeps_what_was_typed(open_page: Open) -> None:
    last(seconds=20)
    page = open_page("/checkout/")
    listen(page)
    page.get_by_label("Name").fill("Ada Shopper")
    page.get_by_label("Voucher").fill("SPR")
    last(minutes=-1)

    page.clock.run_for(30_000)

    expect(page.locator("#review")).to_contain_text("We no longer hold this for you, but it may still be free.")
    expect(page.get_by_label("Name")).to_have_value("Ada Shopper")
    expect(page.get_by_label("Voucher")).to_have_value("SPR")
    expect(page.get_by_label("Voucher")).to_be_focused()
    assert told(page) == ["The time we held things for you is over. What is still free you can order all the same."]
    shot(page, "checkout-over")
