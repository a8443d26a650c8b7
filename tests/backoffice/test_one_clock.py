"""The back office writes every time by one clock, and every amount with its currency."""

import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from time_machine import TimeMachineFixture

from bookings.models import Entry, PriceKind
from cart.models import Product
from cartsite.models import Case, User
from orders import rescheduling
from orders.models import Order
from orders.offers import Voucher
from payments import closing, history, refunds
from payments.models import DailyClose, Finding, Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.backoffice.desk import ask_way, list_of, page_of, text_of
from tests.factories import (
    CollectionSlotFactory,
    DeliveryZoneFactory,
    QuestionFactory,
    SeriesFactory,
    UserFactory,
    VoucherFactory,
)
from tests.payments.days import DAY, NEXT_MORNING
from tests.payments.money import transaction_of
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

EVERY_MODEL = sorted(admin.site._registry, key=lambda model: model._meta.label)
# Twelve hours, the months of other formats, days with a nought before them, and days as machines write them.
OTHER_CLOCKS = re.compile(
    r"\b\d{1,2}(?::\d\d)? ?[ap]\.?m\b|\bnoon\b|\bmidnight\b"
    r"|\b\d{1,2} (?:January|February|March|April|June|July|August|September|October|November|December) \d{4}"
    r"|\b0\d [A-Z][a-z]{2} \d{4}|\b\d{4}-\d\d-\d\d"
)
# Two decimals with neither a currency before nor per cent after.
BARE = re.compile(r"(?<![£$€\d.,-])-?\d[\d,]*\.\d\d(?![\d.%])")
# Rates of tax and the like are numbers of per cent, below a heading that says so.
RATES = {"0.00", "5.00", "20.00"}
NOT_READ = re.compile(r"<(script|style|textarea|pre)\b.*?</\1>", re.DOTALL)
LINK = re.compile(r'href="(/admin/[^"#?]*)')


@pytest.fixture
def busy(noon: None, paid: Payment, sumup: Simulator, staff: User, time_machine: TimeMachineFixture) -> Order:
    """An order of a day on which money moved in every way; it is the morning after, and the day is closed."""
    workshop = Entry.objects.get()
    PriceKind.objects.create(entry=workshop, name="Child", price=Decimal("17.25"))
    rescheduling.reschedule(workshop, workshop.starts_at, workshop.ends_at, by=staff, reason="The oven is late.")
    refund = refunds.request(paid, Wish(Decimal("10.25"), "One jar was broken.", staff))
    refunds.approve(refund, by=staff)
    refunds.look_now(refund)
    refunds.give_by_hand(paid.order, Wish(Decimal("1.15"), "Somebody was late.", staff))
    refunds.request(paid, Wish(Decimal("2.35"), "The lid was loose.", staff))
    sumup.charge_back(transaction_of(paid), Decimal("21.75"))
    sumup.take_reader_payment(Decimal("3.35"), "Coffee")
    sumup.take_stray_payment(Decimal("1020.40"))
    history.sweep()
    Case.open(Case.Kind.OVERPAID, paid.order, "More was paid than it costs.", at_stake=Decimal("1234.50"))
    make_offers()
    time_machine.shift(NEXT_MORNING)
    closing.close_day(DAY)
    return paid.order


def make_offers() -> None:
    CollectionSlotFactory()
    DeliveryZoneFactory()
    VoucherFactory()
    VoucherFactory(kind=Voucher.Kind.FIXED, value=Decimal("4.15"), minimum=Decimal("12.85"))
    QuestionFactory()
    SeriesFactory()


@pytest.fixture
def reader(db: None) -> Client:
    """Somebody who may look at everything and change nothing."""
    person = UserFactory(username="kim", email="kim@example.org", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(person)
    return client


def what_is_odd(page: str) -> set[str]:
    """Times and amounts that are written another way."""
    said = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", NOT_READ.sub(" ", page))))
    return {*OTHER_CLOCKS.findall(said), *BARE.findall(said)} - RATES


def walk(client: Client) -> Iterator[tuple[str, str]]:
    """Every page that a link of the back office leads to, but for further pages of lists, as its path and its text."""
    to_open, seen = [reverse("admin:index"), *map(list_of, EVERY_MODEL)], set()
    while to_open:
        path = to_open.pop()
        if path in seen or path.endswith("/logout/"):
            continue
        seen.add(path)
        answer = client.get(path)
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            page = answer.content.decode()
            to_open += LINK.findall(page)
            yield path, page


@pytest.mark.parametrize("person", ["staff_client", "reader"])
def test_every_page_writes_times_and_money_alike(busy: Order, person: str, request: pytest.FixtureRequest) -> None:
    pages = dict(walk(request.getfixturevalue(person)))

    assert {path: odd for path, page in pages.items() if (odd := what_is_odd(page))} == {}
    assert {page_of(busy), list_of(Case), reverse("admin:payments_movement_statement")} <= set(pages)


@pytest.mark.parametrize("model", EVERY_MODEL, ids=[model._meta.label for model in EVERY_MODEL])
def test_the_page_and_the_history_of_every_row_do_too(staff_client: Client, busy: Order, model: type[Model]) -> None:
    for row in model._default_manager.order_by("-pk")[:5]:
        for path in (page_of(row), page_of(row).replace("/change/", "/history/")):
            assert what_is_odd(staff_client.get(path).content.decode()) == set(), path


def test_the_history_of_an_edit_does_too(staff_client: Client, honey: Product) -> None:
    save_form(staff_client, page_of(honey), price="7.85")

    answer = staff_client.get(page_of(honey).replace("/change/", "/history/"))

    assert "Changed Price" in text_of(answer)
    assert what_is_odd(answer.content.decode()) == set()


@pytest.mark.parametrize(
    ("way", "typed"), [("cancel", {}), ("amount", {"amount": "3.05"}), ("by_hand", {"amount": "4.05"})]
)
def test_what_a_step_comes_to_does_too(staff_client: Client, sold: Order, way: str, typed: dict[str, str]) -> None:
    page = ask_way(staff_client, sold, way, **typed).content.decode()

    assert "If you go on:" in page
    assert what_is_odd(page) == set()


def test_sumups_figures_have_the_sign_of_our_books(staff_client: Client, busy: Order) -> None:
    said = text_of(staff_client.get(page_of(DailyClose.objects.get())))

    assert "Refund 1 -£10.25 1 -£10.25" in said
    assert "Chargeback 1 -£21.75 1 -£21.75" in said


def test_a_finding_has_the_sign_of_our_books(staff_client: Client, closed: DailyClose) -> None:
    sums = {"ours": Decimal("43.50"), "theirs": Decimal("40.00")}
    Finding.objects.create(close=closed, kind="refund", transaction_id="t", what="They differ.", **sums)

    assert "They differ. Refund t -£43.50 -£40.00 Unexplained" in text_of(staff_client.get(page_of(closed)))
