"""The door on a phone: typed, by camera, by name; over a bad line nothing is lost and nobody is let in twice."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from bookings.models import Booking, Entry, Scan
from cartsite.models import User
from orders.models import LineFact, Order
from tests.orders.door import begin, hire, places_of, sell

pytestmark = pytest.mark.django_db(transaction=True)

PlaceOrder = Callable[..., Order]

# A camera that shows whatever the test holds up, since Chromium reads no QR codes on every system.
CAMERA = """
window.heldUp = "";
window.BarcodeDetector = class {
  async detect() { return window.heldUp ? [{ rawValue: window.heldUp }] : []; }
};
const canvas = document.createElement("canvas");
setInterval(() => canvas.getContext("2d").fillRect(0, 0, 10, 10), 50);
Object.defineProperty(navigator, "mediaDevices", { value: { getUserMedia: async () => canvas.captureStream() } });
"""


@pytest.fixture
def val(db: None) -> User:
    return hire()


@pytest.fixture
def sold(place_order: PlaceOrder, workshop: Entry) -> Order:
    order = sell(place_order, (workshop, 3))
    begin(workshop)
    return order


def sign_in(context: BrowserContext, person: User) -> None:
    client = Client()
    client.force_login(person)
    page = context.new_page()
    page.goto("/healthz")
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": page.url}])
    page.close()


@pytest.fixture
def phone(browser: Browser, live_server: LiveServer, val: User, sold: Order) -> Iterator[Page]:
    """The volunteer's phone, which may lose its line: what the browser says about that is no complaint."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 360, "height": 740})
    sign_in(context, val)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def door_of(entry: Entry) -> str:
    return f"/door/{entry.pk}/"


def type_code(page: Page, code: str) -> None:
    page.get_by_label("Ticket code").fill(code)
    page.get_by_role("button", name="Check").click()


def newest(page: Page) -> Locator:
    return page.locator("#answers > *").first


def assert_in(*statuses: str) -> None:
    assert list(Booking.objects.order_by("pk").values_list("status", flat=True)) == list(statuses)
    assert LineFact.objects.filter(kind="attended").count() == statuses.count("attended")


# --- With a script and without, wide and narrow


def test_a_typed_ticket_lets_in_once_and_is_taken_back(page: Page, val: User, sold: Order, workshop: Entry) -> None:
    sign_in(page.context, val)
    code = places_of(sold)[0].code
    page.goto("/door/")
    page.get_by_role("link", name="Bread workshop").click()

    type_code(page, f"{code[:5]}-{code[5:].lower()}")
    expect(newest(page)).to_contain_text("Welcome")
    expect(newest(page)).to_contain_text("Ada Shopper")
    expect(page.locator("#people")).to_contain_text("1 of 3 in")
    assert_in("attended", "confirmed", "confirmed")

    type_code(page, code)
    expect(newest(page)).to_contain_text("In already")
    expect(newest(page)).to_contain_text("by Val")

    page.locator("#people").get_by_role("button", name="Undo").click()
    expect(page.locator("#people")).to_contain_text("0 of 3 in")
    assert list(Booking.objects.values_list("status", flat=True).distinct()) == ["confirmed"]


def test_somebody_is_found_and_let_in_by_name(page: Page, val: User, sold: Order, workshop: Entry) -> None:
    sign_in(page.context, val)
    page.goto(door_of(workshop))
    page.get_by_label("Find by name").fill("nobody")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#people")).to_contain_text("Nobody of that name")
    page.get_by_label("Find by name").fill("ada")
    page.get_by_role("button", name="Find").click()

    page.locator("#people").get_by_role("button", name="Let in").first.click()

    expect(newest(page)).to_contain_text("Welcome")
    expect(page.locator("#people")).to_contain_text("1 of 3 in")
    expect(page.locator("body")).not_to_contain_text("Not sent yet: 1")
    assert_in("attended", "confirmed", "confirmed")


def test_whoever_lets_in_by_keyboard_stays_in_the_list(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.goto(door_of(workshop))
    button = phone.get_by_role("button", name="Let in").first

    button.focus()
    phone.keyboard.down("Enter")
    for _again in range(5):
        phone.keyboard.down("Enter")  # held down
    phone.keyboard.up("Enter")
    expect(phone.locator("#people")).to_contain_text("1 of 3 in")

    expect(phone.locator("#people").get_by_role("button", name="Undo")).to_be_focused()
    phone.keyboard.down("Enter")
    phone.keyboard.down("Enter")
    phone.keyboard.up("Enter")
    expect(phone.locator("#people")).to_contain_text("0 of 3 in")
    assert list(Scan.objects.values_list("outcome", flat=True)) == ["welcome"]


def test_no_page_of_the_door_is_wider_than_the_phone(phone: Page, workshop: Entry, sold: Order) -> None:
    for path in ("/door/", door_of(workshop), f"/tickets/{places_of(sold)[0].uuid}/"):
        phone.goto(path)
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


# --- Over a bad line


def test_what_is_scanned_offline_is_sent_once_there_is_a_line(phone: Page, workshop: Entry, sold: Order) -> None:
    code = places_of(sold)[0].code
    phone.goto(door_of(workshop))
    phone.context.set_offline(True)

    type_code(phone, code)
    type_code(phone, code)

    expect(phone.locator("#waiting")).to_contain_text("Not sent yet: 2")
    expect(phone.locator("#waiting")).to_contain_text("offline")
    expect(phone.locator("#answers")).to_contain_text("Not answered yet")
    expect(phone.locator(".answer-good")).to_have_count(0)
    assert_in("confirmed", "confirmed", "confirmed")

    phone.context.set_offline(False)

    expect(phone.locator("#waiting")).to_be_hidden()
    expect(phone.locator('[data-outcome="welcome"]')).to_have_count(1)
    expect(phone.locator('[data-outcome="already_in"]')).to_have_count(1)
    assert_in("attended", "confirmed", "confirmed")
    assert Scan.objects.count() == 2


def test_check_without_a_code_does_not_leave_the_page(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.goto(door_of(workshop))
    phone.context.set_offline(True)

    phone.get_by_role("button", name="Check").click()
    type_code(phone, "  ")

    expect(phone.get_by_label("Ticket code")).to_be_focused()
    expect(phone).to_have_url(re.compile(f"{door_of(workshop)}$"))
    phone.context.set_offline(False)
    type_code(phone, places_of(sold)[0].code)
    expect(newest(phone)).to_contain_text("Welcome")


def test_a_scan_whose_answer_was_lost_is_answered_the_same(phone: Page, workshop: Entry, sold: Order) -> None:
    """The shop let somebody in, and the phone never heard: asked again, it says welcome, not already in."""
    phone.goto(door_of(workshop))
    lost: list[int] = []

    def lose_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    phone.route("**/scan/", lose_first)
    type_code(phone, places_of(sold)[0].code)

    expect(newest(phone)).to_contain_text("Welcome")
    assert lost == [200]
    assert_in("attended", "confirmed", "confirmed")
    assert Scan.objects.count() == 1


def test_what_is_not_sent_survives_a_reload(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.goto(door_of(workshop))
    phone.route("**/scan/", lambda route: route.abort())
    type_code(phone, places_of(sold)[0].code)
    expect(phone.locator("#waiting")).to_contain_text("Not sent yet: 1")

    phone.reload()
    expect(phone.locator("#waiting")).to_contain_text("Not sent yet: 1")
    expect(phone.locator(".answer-good")).to_have_count(0)
    phone.unroute("**/scan/")
    phone.reload()

    expect(newest(phone)).to_contain_text("Welcome")
    expect(phone.locator("#waiting")).to_be_hidden()
    assert_in("attended", "confirmed", "confirmed")


def test_the_page_of_a_strange_network_is_no_answer(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.goto(door_of(workshop))
    portal = '<div class="answer answer-good" data-outcome="welcome">Welcome to our hotel</div>'
    phone.route("**/scan/", lambda route: route.fulfill(body=portal, content_type="text/html"))

    type_code(phone, places_of(sold)[0].code)

    expect(phone.locator("#waiting")).to_contain_text("Not sent yet: 1")
    expect(phone.locator(".answer-good")).to_have_count(0)
    phone.unroute("**/scan/")
    expect(newest(phone)).to_contain_text("Welcome", timeout=20_000)
    assert_in("attended", "confirmed", "confirmed")


def test_whoever_is_signed_out_is_told_and_loses_nothing(phone: Page, workshop: Entry, sold: Order, val: User) -> None:
    phone.goto(door_of(workshop))
    phone.context.clear_cookies(name="sessionid")

    type_code(phone, places_of(sold)[0].code)

    expect(phone.locator("#waiting")).to_contain_text("You are signed out")
    expect(phone.locator("#waiting")).to_contain_text("Not sent yet: 1")
    sign_in(phone.context, val)
    phone.goto(door_of(workshop))
    expect(newest(phone)).to_contain_text("Welcome")
    assert_in("attended", "confirmed", "confirmed")


def test_a_page_that_is_too_old_says_so_and_keeps_what_was_scanned(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.goto(door_of(workshop))
    phone.context.clear_cookies(name="csrftoken")

    type_code(phone, places_of(sold)[0].code)

    expect(phone.locator("#waiting")).to_contain_text("This page is too old")
    phone.get_by_role("link", name="load it again").click()
    expect(newest(phone)).to_contain_text("Welcome")
    assert_in("attended", "confirmed", "confirmed")


def test_each_person_has_a_queue_of_their_own(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.goto(door_of(workshop))
    phone.route("**/scan/", lambda route: route.abort())
    type_code(phone, places_of(sold)[0].code)
    expect(phone.locator("#waiting")).to_contain_text("Not sent yet: 1")

    phone.goto("/healthz")
    phone.unroute("**/scan/")
    sign_in(phone.context, hire("kim"))
    phone.goto(door_of(workshop))

    expect(phone.locator("#people")).to_contain_text("0 of 3 in")
    expect(phone.locator("#answers > *")).to_have_count(0)
    assert_in("confirmed", "confirmed", "confirmed")


# --- The camera, and two phones


def test_the_camera_reads_a_ticket_once(phone: Page, workshop: Entry, sold: Order) -> None:
    phone.add_init_script(CAMERA)
    phone.goto(door_of(workshop))
    phone.get_by_role("button", name="Scan with the camera").click()
    expect(phone.get_by_label("What the camera sees")).to_be_visible()

    phone.evaluate("code => { window.heldUp = code }", places_of(sold)[0].code)

    expect(newest(phone)).to_contain_text("Welcome")
    phone.wait_for_timeout(1000)  # it is still held up: no second scan
    assert Scan.objects.count() == 1
    phone.get_by_role("button", name="Stop the camera").click()
    expect(phone.get_by_label("What the camera sees")).to_be_hidden()


def test_where_the_camera_is_refused_the_code_is_typed(phone: Page, workshop: Entry) -> None:
    phone.add_init_script(CAMERA.replace("canvas.captureStream()", 'Promise.reject(new Error("no"))'))
    phone.goto(door_of(workshop))

    phone.get_by_role("button", name="Scan with the camera").click()

    expect(phone.get_by_text("The camera cannot be used.")).to_be_visible()


def test_without_a_reader_of_codes_no_camera_is_offered(phone: Page, workshop: Entry) -> None:
    phone.add_init_script("delete window.BarcodeDetector")
    phone.goto(door_of(workshop))

    expect(phone.locator("#camera")).to_be_hidden()


def test_what_one_phone_lets_in_the_other_counts(
    phone: Page, browser: Browser, live_server: LiveServer, workshop: Entry, sold: Order
) -> None:
    phone.goto(door_of(workshop))
    context = browser.new_context(base_url=live_server.url)
    sign_in(context, hire("kim"))
    other = context.new_page()
    other.goto(door_of(workshop))

    type_code(phone, places_of(sold)[0].code)

    expect(other.locator("#people")).to_contain_text("1 of 3 in", timeout=15_000)
    context.close()
