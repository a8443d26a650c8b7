"""A shop for trying out says on every page, in every mail and of every order that it is a test. No sum mixes both."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite import staging
from cartsite.dev.postgres import CHECKOUT
from cartsite.models import Case, User
from orders import access, letters
from orders.mail import send_owed
from orders.models import Order, new_number
from payments import calling_off, closing, settling, starting
from payments.desk import overview
from payments.models import DailyClose, Payment
from payments.simulator import Simulator
from payments.statements import statement
from tests.cartsite.test_settings import KEPT, PRODUCTION
from tests.factories import EntryFactory
from tests.orders.letterbox import LETTERS
from tests.orders.test_mail_letters import clock, full, market, owe_every_kind, places

__all__ = ["clock", "full", "market", "places"]  # fixtures

PlaceOrder = Callable[..., Order]

pytestmark = pytest.mark.django_db

PAGE_MARK = "data-test-shop"
ORDER_MARK = "data-test-order"


@pytest.fixture
def testing(settings: Any) -> None:
    """The shop is for trying out, as the settings make it with STAGING=1."""
    settings.ORDERS_ARE_TESTS = True
    settings.REAL_EMAIL_BACKEND = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "cartsite.staging.MarkingBackend"


def pay(order: Order, sumup: Simulator) -> Payment:
    """The order is paid, and settled."""
    payment = starting.start(order)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    return payment


# --- What STAGING=1 does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "are_tests", "backend"),
    [
        ({}, False, "django.core.mail.backends.smtp.EmailBackend"),
        ({"STAGING": "1", "SUMUP_API_URL": "https://127.0.0.1:8001"}, True, "cartsite.staging.MarkingBackend"),
        ({"DEBUG": "1"}, False, "django.core.mail.backends.smtp.EmailBackend"),
        ({"DEBUG": "1", "DEMO": "1"}, False, "django.core.mail.backends.smtp.EmailBackend"),
        ({"DEBUG": "1", "SUMUP_API_URL": "https://api.sumup.com"}, True, "cartsite.staging.MarkingBackend"),
    ],
    ids=["production", "staging", "debug", "demo", "sandbox"],
)
def test_the_settings_say_where_orders_are_tests(change: dict[str, str], are_tests: bool, backend: str) -> None:
    """The demo's are not: it shows the shop as it is, on a simulator that nobody takes for a bank."""
    simulator = {"SUMUP_API_URL": "http://127.0.0.1:8001"} if change.get("DEBUG") else {}
    asked = "from cartsite import settings as s; import json; print(json.dumps([s.ORDERS_ARE_TESTS, s.EMAIL_BACKEND]))"

    ended = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=CHECKOUT,
        env=KEPT | PRODUCTION | simulator | change | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert json.loads(ended.stdout) == [are_tests, backend]


# --- Pages ------------------------------------------------------------------------------------------------------------


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every pattern of the URL table, with what it wants to be told."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, tuple(entry.pattern.regex.groupindex)


def every_address(fill: dict[str, Any]) -> set[str]:
    """An address for each pattern; the back office's records are the first of each kind, if there is one."""
    found = set()
    for route, names in routes(get_resolver()):
        address = "/" + route.replace("^", "").replace("$", "").replace("\\Z", "")
        for name in names:
            before, _, after = address.partition("<")
            _inside, _, after = after.partition(">")
            address = f"{before}{fill.get(name, 1)}{after}"
        if "(?" not in address and "<" not in address:
            found.add(address)
    return found


@pytest.fixture
def addresses(order: Order, workshop: Entry, sumup: Simulator) -> set[str]:
    """Every address of the shop and the back office, about things that exist."""
    pay(order, sumup)
    booking = Booking.objects.first()
    assert booking is not None
    return every_address(
        {
            "number": order.number,
            "entry_id": workshop.pk,
            "slug": workshop.calendar.slug,
            "booking": booking.uuid,
            "merge": uuid4(),
            "uuid": booking.uuid,
            "token": "none",
            "provider_id": "none",
            "object_id": order.pk,
            "order_id": order.pk,
        }
    )


def pages_of(addresses: set[str], client: Client) -> dict[str, Any]:
    """The whole HTML pages among the answers, of visitors and of staff, by address. Sign-out is no page to look at."""
    client.raise_request_exception = False
    visitor = Client(raise_request_exception=False)
    answers = [
        (f"{address} ({who})", one.get(address))
        for address in sorted(addresses)
        for who, one in (("staff", client), ("visitor", visitor))
        if "logout" not in address
    ]
    return {
        address: answer
        for address, answer in answers
        if not answer.streaming and b"<html" in answer.content and "iframe" not in address
    }


def test_every_page_says_that_the_shop_is_for_trying_out(
    testing: None, addresses: set[str], staff_client: Client
) -> None:
    pages = pages_of(addresses, staff_client)

    assert [address for address, answer in pages.items() if PAGE_MARK not in answer.content.decode()] == []
    good = [address for address, answer in pages.items() if answer.status_code == 200]
    assert len([address for address in good if address.startswith("/admin/")]) > 60
    assert len([address for address in good if not address.startswith("/admin/")]) > 20


def test_no_page_of_a_real_shop_says_so(addresses: set[str], staff_client: Client) -> None:
    pages = pages_of(addresses, staff_client)

    assert [
        address
        for address, answer in pages.items()
        if PAGE_MARK in answer.content.decode() or ORDER_MARK in answer.content.decode()
    ] == []


def test_the_page_of_our_own_fault_says_it(testing: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.raise_request_exception = False
    monkeypatch.setattr("cart.views.render", None)

    answer = client.get("/")

    assert answer.status_code == 500
    assert PAGE_MARK in answer.content.decode()


# --- Mail -------------------------------------------------------------------------------------------------------------


def assert_marked(sent: Any) -> None:
    assert sent.subject.startswith(staging.SUBJECT)
    assert sent.subject.count(staging.SUBJECT) == 1
    assert sent.body.startswith("This is a test.")
    for html, kind in sent.alternatives:
        assert kind == "text/html"
        assert str(html).count("This is a test.") == 1
        assert str(html).index("<body") < str(html).index("This is a test.") < str(html).index("<table")


def test_every_mail_about_an_order_says_it(full: Order, testing: None, staff: User, clock: Any) -> None:
    owe_every_kind(full, staff, clock)

    send_owed()

    assert len(mail.outbox) >= len(letters.KINDS)
    for sent in mail.outbox:
        assert_marked(sent)


@pytest.mark.parametrize("page", ["account_signup", "account_request_login_code", "account_reset_password"])
def test_mail_about_accounts_says_it(testing: None, client: Client, page: str, shopper: User) -> None:
    client.post(reverse(page), {"email": shopper.email})

    (sent,) = mail.outbox
    assert_marked(sent)


def test_no_mail_of_a_real_shop_says_it(full: Order, staff: User, clock: Any) -> None:
    owe_every_kind(full, staff, clock)

    send_owed()

    golden = [path.read_text() for path in LETTERS.iterdir() if path.is_file()]
    assert not [text for text in golden if "This is a test" in text or staging.SUBJECT in text]
    assert not [sent for sent in mail.outbox if staging.HEADER in sent.extra_headers or "TEST" in sent.subject]


def test_mail_about_a_test_order_says_it_in_a_real_shop(
    testing: None, order: Order, sumup: Simulator, settings: Any
) -> None:
    pay(order, sumup)
    settings.ORDERS_ARE_TESTS, settings.EMAIL_BACKEND = False, settings.REAL_EMAIL_BACKEND

    send_owed()

    assert_marked(mail.outbox[0])


# --- Orders -----------------------------------------------------------------------------------------------------------


def test_an_order_placed_there_is_a_test_with_a_number_of_its_own_series(testing: None, order: Order) -> None:
    assert order.is_test
    assert order.number.startswith("TEST-")


def test_an_order_of_a_real_shop_is_none(order: Order) -> None:
    assert not order.is_test
    assert "TEST" not in order.number


@pytest.mark.parametrize("change", [{"is_test": True}, {"number": "TEST-7KQM-X4WP-2R"}])
def test_the_database_lets_no_number_lie(order: Order, change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="order_number_says_whether_it_is_a_test"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**change)


@pytest.mark.parametrize(
    "spell", [str, str.lower, lambda number: number.replace("-", ""), lambda n: f" {n[:9]} {n[9:]}"]
)
@pytest.mark.parametrize("is_test", [True, False])
def test_the_number_is_understood_however_it_is_typed(spell: Callable[[str], str], is_test: bool) -> None:
    number = new_number(is_test)

    assert access.read_number(spell(number)) == number


@pytest.fixture
def tried_out(testing: None, order: Order, sumup: Simulator, settings: Any) -> Order:
    """An order from the time when the shop was one for trying out; now it takes real money."""
    pay(order, sumup)
    settings.ORDERS_ARE_TESTS = False
    return order


@pytest.mark.parametrize("page", ["", "receipt/", "tickets/"])
def test_a_test_order_says_it_on_its_pages_in_a_real_shop_too(
    tried_out: Order, client: Client, shopper: User, page: str
) -> None:
    Order.objects.update(user=shopper)
    client.force_login(shopper)

    said = client.get(tried_out.get_absolute_url() + page).content.decode()

    assert ORDER_MARK in said
    assert PAGE_MARK not in said


def test_a_test_order_says_it_in_the_back_office_of_a_real_shop(tried_out: Order, staff_client: Client) -> None:
    record = staff_client.get(f"/admin/orders/order/{tried_out.pk}/change/").content.decode()
    listed = staff_client.get("/admin/orders/order/?is_test__exact=1").content.decode()

    assert ORDER_MARK in record
    assert tried_out.number in listed


def test_a_test_ticket_says_it_at_the_check_in_page_of_a_real_shop(tried_out: Order, staff_client: Client) -> None:
    booking = Booking.objects.first()
    assert booking is not None

    said = staff_client.post(
        f"/door/{booking.entry_id}/scan/", {"code": booking.code, "scan": str(uuid4())}, follow=True
    )

    assert ORDER_MARK in said.content.decode()


def test_a_test_order_is_not_paid_in_a_real_shop(testing: None, order: Order, sumup: Simulator, settings: Any) -> None:
    settings.ORDERS_ARE_TESTS = False

    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert sumup.requests == []


def test_a_real_order_is_not_paid_in_a_test_shop(order: Order, testing: None, sumup: Simulator) -> None:
    with pytest.raises(starting.CannotPay):
        starting.start(order)

    assert sumup.requests == []


# --- Sums -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def both(
    place_order: PlaceOrder, honey: Product, workshop: Entry, sumup: Simulator, settings: Any
) -> tuple[Order, Order]:
    """A real order of honey and a test order of the workshop, both paid today to the same merchant."""
    real = place_order((honey, 1))
    pay(real, sumup)
    settings.ORDERS_ARE_TESTS = True
    test = place_order((workshop, 1))
    pay(test, sumup)
    settings.ORDERS_ARE_TESTS = False
    return real, test


@pytest.mark.parametrize("are_tests", [False, True])
def test_the_statement_adds_up_one_kind_of_order_only(
    both: tuple[Order, Order], settings: Any, are_tests: bool
) -> None:
    settings.ORDERS_ARE_TESTS = are_tests
    today = timezone.localdate()

    assert statement(today, today).total.sold == both[are_tests].total


@pytest.mark.parametrize("are_tests", [False, True])
def test_the_first_page_of_the_back_office_adds_up_one_kind_of_order_only(
    both: tuple[Order, Order], settings: Any, are_tests: bool, rf: Any, staff: User
) -> None:
    for order in both:
        Case.open(Case.Kind.OVERPAID, order, "More was paid than it costs.", at_stake=order.total)
        Case.open(Case.Kind.OVERPAID, order.payments.get(), "More was paid than it costs.", at_stake=Decimal(1))
    settings.ORDERS_ARE_TESTS = are_tests
    request = rf.get("/admin/")
    request.user = staff

    (kind,) = overview.fill(request, {})["open_cases"]["kinds"]

    assert (kind["count"], kind["at_stake"]) == (2, both[are_tests].total + 1)


def test_the_daily_close_leaves_test_orders_out(
    place_order: PlaceOrder, honey: Product, workshop: Entry, sumup: Simulator, settings: Any
) -> None:
    """The account that takes real money knows nothing of what was tried out under the same merchant's code."""
    settings.ORDERS_ARE_TESTS = True
    pay(place_order((workshop, 1)), sumup)
    settings.ORDERS_ARE_TESTS = False
    sumup.reset()
    sumup.behave(webhooks="never")
    real = place_order((honey, 1))
    pay(real, sumup)

    close = closing.close_day(timezone.localdate())

    assert close.status == DailyClose.Status.EARLY
    assert close.figures["ours"]["capture"] == close.figures["theirs"]["capture"] == {"rows": 1, "sum": str(real.total)}
    assert (close.figures["matched"], close.figures["explained"], close.figures["unexplained"]) == (1, 0, 0)
    assert not Case.objects.exists()


@pytest.fixture
def both_at_the_workshop(place_order: PlaceOrder, workshop: Entry, sumup: Simulator, settings: Any) -> None:
    """A real order of one place and a test order of two, both paid, and one of each kind that waits to be paid."""
    for are_tests in (False, True):
        settings.ORDERS_ARE_TESTS = are_tests
        pay(place_order((workshop, 1 + are_tests)), sumup)
        place_order((workshop, 1))
    settings.ORDERS_ARE_TESTS = False


@pytest.mark.parametrize("are_tests", [False, True])
def test_what_calling_an_event_off_would_come_to_is_about_one_kind_of_order_only(
    both_at_the_workshop: None, workshop: Entry, settings: Any, are_tests: bool
) -> None:
    settings.ORDERS_ARE_TESTS = are_tests

    seen = calling_off.look_ahead(workshop)

    assert (seen.orders, seen.places, seen.unpaid) == (1, 1 + are_tests, 1)
    assert seen.back == workshop.price * seen.places


@pytest.mark.parametrize("are_tests", [False, True])
def test_calling_an_event_off_moves_every_place_and_counts_those_of_one_kind_of_order(
    both_at_the_workshop: None, workshop: Entry, settings: Any, staff: User, are_tests: bool
) -> None:
    later = EntryFactory(calendar=workshop.calendar, price=workshop.price, starts_at=workshop.starts_at + timedelta(1))
    settings.ORDERS_ARE_TESTS = are_tests

    batch = calling_off.begin(workshop, by=staff, reason="The oven is broken.", move_to=later)
    calling_off.step(batch)

    assert Booking.objects.filter(entry=later, status="confirmed").count() == 3
    assert calling_off.places_moved(batch) == 1 + are_tests
