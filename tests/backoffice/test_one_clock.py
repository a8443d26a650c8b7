"""The back office writes every time by one clock, and every amount with its currency."""

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from cartsite.models import Case
from orders.models import Order
from payments.models import DailyClose
from tests.backoffice.desk import list_of, money_page, page_of, text_of

pytestmark = pytest.mark.django_db

EVERY_MODEL = sorted(admin.site._registry, key=lambda model: model._meta.label)
TWELVE_HOURS = re.compile(r"\b\d{1,2}(?::\d\d)? ?[ap]\.m\.")
# Two decimals with neither a currency before nor per cent after.
BARE = re.compile(r"(?<![£$€\d.,-])-?\d[\d,]*\.\d\d(?![\d.%])")
# Rates of tax and the like are numbers of per cent, below a heading that says so.
RATES = {"0.00", "5.00", "20.00"}


@pytest.fixture
def busy(sold: Order, closed: DailyClose) -> Order:
    """An order of a day that was closed, and a case about it."""
    Case.open(Case.Kind.OVERPAID, sold, "More was paid than it costs.", at_stake=Decimal("1234.50"))
    return sold


def pages_of(model: type[Model]) -> Iterator[str]:
    """The list, and the page and history of its newest row."""
    yield list_of(model)
    row = model._default_manager.order_by("-pk").first()
    if row is not None:
        yield page_of(row)
        yield page_of(row).replace("/change/", "/history/")


def assert_written_alike(client: Client, path: str) -> None:
    said = text_of(client.get(path))
    assert TWELVE_HOURS.findall(said) == [], path
    assert set(BARE.findall(said)) - RATES == set(), path


@pytest.mark.parametrize("model", EVERY_MODEL, ids=[model._meta.label for model in EVERY_MODEL])
def test_lists_and_pages_write_times_and_money_alike(staff_client: Client, busy: Order, model: type[Model]) -> None:
    for path in pages_of(model):
        assert_written_alike(staff_client, path)


def test_our_own_pages_do_too(staff_client: Client, busy: Order) -> None:
    for path in [reverse("admin:index"), money_page(busy), reverse("admin:payments_dailyclose_close")]:
        assert_written_alike(staff_client, path)
