"""No button leads staff to a refusal, and a refusal is said in the frame of the back office."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import Resolver404, resolve

from cartsite.models import Case, Message, User
from orders.models import Order
from payments.models import DailyClose, Stray
from tests.backoffice.desk import page_of, text_of, wish_for
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, SeriesFactory, VoucherFactory

pytestmark = pytest.mark.django_db(transaction=True)

Hire = Callable[..., Client]
LINK = re.compile(r'<a\b[^>]*\bhref="(/[^"#]*)')
SHOP_FLOOR = ["orders.view_order", "orders.change_order", "bookings.view_booking", "bookings.view_attendee"]
ACCOUNTANT = [
    f"{app}.view_{name}"
    for app, name in [
        ("orders", "order"),
        ("orders", "orderline"),
        ("payments", "payment"),
        ("payments", "movement"),
        ("payments", "refund"),
        ("payments", "dailyclose"),
        ("payments", "stray"),
        ("cartsite", "case"),
    ]
]
FEW = {"shop floor": [*SHOP_FLOOR, "cartsite.view_case", "cartsite.change_case"], "accountant": ACCOUNTANT}
ROLES = {**FEW, "door": ["bookings.check_in"], "stock": ["cart.change_product", "bookings.view_pool"]}


@pytest.fixture
def trade(sold: Order) -> Order:
    """A paid order with all that a shop has beside it: refunds, cases, mail, closed days, offers."""
    refund = wish_for(sold.payments.get())
    stray = Stray.objects.create(
        merchant_code="M", transaction_id="S", amount=1, currency="GBP", happened_at=refund.requested_at
    )
    for kind, subject in [(Case.Kind.UNKNOWN_MONEY, stray), (Case.Kind.OVERPAID, sold)]:
        Case.open(kind, subject, "A test.")
    DailyClose.objects.create(day=refund.requested_at.date())
    Message.owe(sold, "confirmation")
    for make in (CollectionSlotFactory, DeliveryZoneFactory, SeriesFactory, VoucherFactory):
        make()
    return sold


def view_behind(path: str) -> str:
    """The name of the page at an address, which stands for all of its kind; empty for what is no page of ours."""
    try:
        return resolve(path.partition("?")[0]).view_name
    except Resolver404:
        return ""


def walk(client: Client) -> dict[str, int]:
    """Follow one link of each kind from the first page on, as far as the back office goes; each link's answer."""
    left, answers, seen = [("", "/admin/")], {}, {"", "admin:index", "logout", "admin:logout"}
    while left:
        start, path = left.pop()
        answer = client.get(path)
        answers[f"{start} -> {path}"] = answer.status_code
        is_page = path.startswith("/admin/") and answer.headers["Content-Type"].startswith("text/html")
        for link in map(unescape, LINK.findall(answer.content.decode()) if is_page else []):
            if (name := view_behind(link)) not in seen:
                seen.add(name)
                left.append((path, link))
    return answers


def is_refused(code: int) -> bool:
    return code not in (200, 302)


@pytest.mark.parametrize("role", ROLES)
def test_no_link_leads_staff_with_few_rights_to_a_refusal(hire: Hire, trade: Order, role: str) -> None:
    answers = walk(hire(*ROLES[role]))

    assert {path: code for path, code in answers.items() if is_refused(code)} == {}
    assert len(answers) >= len(ROLES[role])


def test_no_link_leads_staff_who_may_only_look_to_a_refusal(hire: Hire, trade: Order) -> None:
    rights = Permission.objects.filter(codename__startswith="view_").select_related("content_type")

    answers = walk(hire(*(f"{right.content_type.app_label}.{right.codename}" for right in rights)))

    assert {path: code for path, code in answers.items() if is_refused(code)} == {}
    assert len(answers) > 60


def test_mail_is_previewed_by_those_who_may_read_whom_it_goes_to(hire: Hire, trade: Order) -> None:
    shown = hire(*SHOP_FLOOR).get(page_of(trade)).content.decode()

    assert "Preview mails" not in shown


@pytest.mark.parametrize("path", ["/admin/payments/refund/", "/admin/orders/order/{}/money/", "/admin/cart/stall/add/"])
def test_what_staff_may_not_do_is_said_in_the_back_office(hire: Hire, trade: Order, path: str) -> None:
    answer = hire("orders.view_order").get(path.format(trade.pk))

    assert answer.status_code == 403
    assert "Your account does not have the right to do this." in text_of(answer)
    assert_in_the_back_office(answer.content.decode())


@pytest.mark.parametrize(
    "path", ["orders/order/999999/change/", "orders/order/zzz/change/", "cart/stall/7/history/", "x/"]
)
def test_a_record_that_is_not_there_is_said_in_the_back_office(staff_client: Client, path: str) -> None:
    answer = staff_client.get(f"/admin/{path}")

    assert answer.status_code == 404
    assert "There is no such page or record" in text_of(answer)
    assert_in_the_back_office(answer.content.decode())


def assert_in_the_back_office(page: str) -> None:
    assert 'href="/admin/"' in page
    assert 'id="nav-sidebar' in page
    assert "Go to the market" not in page


@pytest.mark.parametrize("path", ["/admin/", "/admin/orders/order/"])
def test_those_who_check_people_in_find_the_way_there(hire: Hire, path: str) -> None:
    assert 'href="/door/"' in hire("bookings.check_in").get(path).content.decode()


def test_those_who_may_not_check_people_in_are_not_sent_there(hire: Hire) -> None:
    client = hire("orders.view_order")

    pages = [client.get(path).content.decode() for path in ("/admin/", "/admin/payments/refund/")]

    assert [page for page in pages if "/door/" in page] == []


def test_a_shopper_is_refused_in_the_shops_frame(shopper: User) -> None:
    client = Client()
    client.force_login(shopper)

    answer = client.get("/admin/orders/order/", follow=True)

    assert answer.status_code == 403
    assert "Go to the market" in answer.content.decode()
