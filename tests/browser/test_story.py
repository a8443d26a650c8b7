"""One season of a workshop on phones: planned across the change of clocks, sold out, waited for, moved, called off, and
attended. Organiser, shoppers and volunteer each have a phone of their own; timers and mail run when the story says so.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, timedelta

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from bookings import auditing, waiting
from bookings.models import Booking, Calendar, Entry, Waiter
from cartsite.models import Case, User
from orders import mail
from orders.models import Order
from payments import calling_off
from payments.models import RefundBatch
from tests.factories import CalendarFactory
from tests.invariants import assert_books_balance
from tests.orders.door import begin, hire
from tests.payments.money import sweep_money

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 390, "height": 800}
Come = Callable[..., Page]
Outbox = list[EmailMultiAlternatives]


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def come(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer, payable: None) -> Iterator[Come]:
    """Somebody comes to the shop with a phone of their own: `come()` as a guest, `come(person)` signed in."""
    contexts, errors = [], []

    def arrive(person: User | None = None) -> Page:
        script = request.param or bool(person and person.is_superuser)  # the back office is for browsers that have it
        context = browser.new_context(base_url=live_server.url, viewport=PHONE, java_script_enabled=script)
        contexts.append(context)
        if person:
            client = Client()
            client.force_login(person)
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def bakehouse(db: None) -> Calendar:
    """Places may be moved and cancelled until a day before."""
    return CalendarFactory.create(name="Bakehouse", slug="bakehouse", move_hours=24, cancel_hours=24)


def next_change_to_winter() -> date:
    """The last Sunday of an October that is not over in two weeks."""
    for year in (timezone.now().year, timezone.now().year + 1):
        last = date(year, 10, 31)
        sunday = last - timedelta(days=(last.weekday() + 1) % 7)
        if sunday - timedelta(days=20) > timezone.now().date():
            return sunday
    raise AssertionError("There is one each year.")


# --- What each of them does -------------------------------------------------------------------------------------------


def plan(desk: Page, calendar: Calendar, first_day: date, last_day: date) -> list[Entry]:
    """The organiser plans three places on every Tuesday at 18:00, and reads what that comes to."""
    desk.goto(f"/admin/bookings/series/add/?calendar={calendar.pk}")
    desk.get_by_label("Title").fill("Bread evening")
    desk.get_by_label("Tuesday").check()
    desk.locator("#id_starts").fill("18:00")
    desk.locator("#id_ends").fill("21:00")
    desk.locator("#id_first_day").fill(first_day.isoformat())
    desk.locator("#id_last_day").fill(last_day.isoformat())
    desk.locator("#id_places").fill("3")
    desk.locator("#id_price").fill("12")
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.locator("body")).to_contain_text("Nothing is saved yet.")
    expect(desk.locator("body")).to_contain_text("18:00")
    assert not Entry.objects.exists()
    desk.get_by_role("button", name="Do it").click()
    expect(desk.locator("body")).to_contain_text("4 made")
    return list(Entry.objects.order_by("starts_at"))


def book(phone: Page, entry: Entry, quantity: int, name: str) -> Order:
    """A shopper buys places, and is shown that they are confirmed."""
    phone.goto(entry.get_absolute_url())
    phone.locator("form.add input[name=quantity]").fill(str(quantity))
    phone.locator("form.add button").click()
    expect(phone.locator("#cart-badge")).to_contain_text(str(quantity))
    return check_out(phone, name)


def check_out(phone: Page, name: str) -> Order:
    phone.goto("/checkout/")
    phone.locator("input[name=name]").fill(f"{name} Shopper")
    phone.locator("input[name=email]").fill(f"{name.lower()}@example.org")
    phone.locator("input[name=terms]").check()
    phone.locator("#place").click()
    phone.locator("button[value=pay]").click()
    phone.get_by_role("link", name="back").click()
    expect(phone.locator("[data-order-status=confirmed]").first).to_be_visible(timeout=20_000)
    return Order.objects.get(contact__name=f"{name} Shopper")


def wait_in_line(phone: Page, entry: Entry, name: str) -> None:
    """Ask for a place in the line, and take it with the link that is mailed."""
    phone.goto(entry.get_absolute_url())
    expect(phone.locator("main")).to_contain_text("Sold out")
    phone.goto(f"/entries/{entry.pk}/wait/")
    phone.get_by_label("E-mail address").fill(f"{name.lower()}@example.org")
    phone.get_by_role("button", name="Put me on the list").click()
    expect(phone.locator("main")).to_contain_text("check your inbox")
    phone.goto(Waiter.objects.get(status="asked").secret_link)
    phone.locator("#confirm").click()
    expect(phone.locator("main")).to_contain_text("You are the first in line.")


def give_up_places(phone: Page, order: Order) -> None:
    phone.goto(f"/orders/{order.number}/cancel/")
    phone.locator("#whole").click()
    expect(phone.locator("main")).to_contain_text("£12.00")
    phone.locator("#yes").click()
    expect(phone.locator("[data-order-status=cancelled]").first).to_be_visible()


def take_offer(phone: Page, mailoutbox: Outbox, name: str) -> Order:
    """Whoever waited follows the link in their mail, and buys."""
    (told,) = [sent for sent in mailoutbox if sent.subject.startswith("A place is free for you")]
    assert told.to == [f"{name.lower()}@example.org"]
    link = re.search(r"http\S+/waiting/\S+", str(told.body))
    assert link
    phone.goto(link[0])
    phone.locator("#take").click()
    expect(phone.locator("[data-item]")).to_have_count(1)
    return check_out(phone, name)


def move_one(phone: Page, order: Order, to: Entry) -> None:
    """One of the shopper's two places goes to another date of the series."""
    phone.goto(f"/orders/{order.number}/move/")
    phone.get_by_role("checkbox").first.uncheck()
    phone.locator(f"input[name=to][value='{to.pk}']").check()
    phone.get_by_role("button", name="See what it comes to").click()
    expect(phone.locator("main")).to_contain_text("Nothing to pay, and nothing comes back")
    phone.locator("#yes").click()
    expect(phone.locator("[data-order-status=confirmed]").first).to_be_visible()


def call_off(desk: Page, entry: Entry) -> RefundBatch:
    """The organiser calls a date off, and approves what goes back."""
    desk.goto(f"/admin/bookings/entry/{entry.pk}/change/")
    desk.get_by_role("link", name="Call off...").click()
    expect(desk.locator("body")).to_contain_text("1 paid order with 1 place")
    expect(desk.locator("body")).to_contain_text("£12.00 goes back")
    desk.get_by_label("Reason").fill("The oven is broken")
    desk.get_by_role("button", name="Call it off").click()
    expect(desk.locator("#progress")).to_contain_text("0 of 1 refunds are done")
    desk.locator("#progress").get_by_role("button").click()
    desk.get_by_role("button", name="Approve: send all of it").click()
    expect(desk.locator("#progress")).to_be_visible()
    calling_off.sweep()
    sweep_money()
    desk.reload()
    expect(desk.locator("#progress")).to_contain_text("1 of 1 refunds are done: £12.00 of £12.00")
    return RefundBatch.objects.get()


def let_in(phone: Page, code: str, answer: str) -> None:
    phone.get_by_label("Ticket code").fill(f"{code[:5].lower()} {code[5:]}")
    phone.get_by_role("button", name="Check").click()
    expect(phone.locator("#answers > *").first).to_contain_text(answer)


def codes_at(order: Order, entry: Entry) -> list[str]:
    there = Booking.objects.filter(order_line__order=order, entry=entry).exclude(status__in=["cancelled", "moved"])
    return list(there.order_by("pk").values_list("code", flat=True))


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


# --- The story --------------------------------------------------------------------------------------------------------


def test_a_season_is_planned_sold_out_waited_for_moved_called_off_and_attended(
    come: Come, bakehouse: Calendar, staff: User, mailoutbox: Outbox
) -> None:
    change, desk = next_change_to_winter(), come(staff)
    first, second, third, _fourth = plan(desk, bakehouse, change - timedelta(days=12), change + timedelta(days=9))
    assert {entry.local_start.hour for entry in Entry.objects.all()} == {18}
    assert [entry.starts_at.astimezone(UTC).hour for entry in (first, second, third)] == [17, 17, 18]

    ada, bob, cy = come(), come(), come()
    adas, bobs = book(ada, first, 2, "Ada"), book(bob, first, 1, "Bob")
    wait_in_line(cy, first, "Cy")
    give_up_places(bob, bobs)
    waiting.sweep()
    mail.send_owed()
    cys = take_offer(cy, mailoutbox, "Cy")
    sweep_money()

    move_one(ada, adas, second)
    assert (len(codes_at(adas, first)), len(codes_at(adas, second))) == (1, 1)
    call_off(desk, second)
    mail.send_owed()
    told = [sent.body for sent in mailoutbox if sent.to == ["ada@example.org"]]
    assert any("had to call off Bread evening" in body for body in told)

    begin(first)
    val = come(hire())
    val.goto("/door/")
    val.get_by_role("link", name="Bread evening").click()
    let_in(val, codes_at(adas, first)[0], "Welcome")
    let_in(val, codes_at(cys, first)[0], "Welcome")
    let_in(val, codes_at(cys, first)[0], "In already")
    assert fits(val)

    assert list(auditing.audit()) == []
    assert_books_balance()
    assert not Case.objects.exclude(status="resolved").exists()
