"""The first page of the back office: what waits for staff."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client

from cart.models import Product
from cartsite.models import Case
from orders.models import Order
from payments.models import DailyClose, Payment
from tests.backoffice.desk import count_queries, text_of, wish_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_says_what_waits(staff_client: Client, paid: Payment) -> None:
    Case.open(Case.Kind.OVERPAID, paid.order, "A test.", at_stake=Decimal("10.00"))
    wish_for(paid, "5.00")
    DailyClose.objects.create(day=date(2026, 6, 17), status="closed")
    DailyClose.objects.create(day=date(2026, 6, 18), status="red")

    page = text_of(staff_client.get("/admin/"))

    assert "1 Overpaid , £10.00 , oldest 0 minutes" in page
    assert "Refunds waiting for approval 1 , £5.00" in page
    assert "Last closed day: 17 Jun 2026" in page
    assert "1 day has something unexplained." in page


def test_it_says_that_nothing_waits(staff_client: Client) -> None:
    page = text_of(staff_client.get("/admin/"))

    assert "None: there is nothing to look at." in page
    assert "No day is closed yet." in page


def test_nobody_is_shown_what_they_may_not_see(hire: Callable[..., Client]) -> None:
    page = text_of(hire("orders.view_order").get("/admin/"))

    assert "Open cases" not in page
    assert "Refunds waiting" not in page
    assert "Daily close" not in page


def test_it_takes_as_many_statements_however_much_waits(
    staff_client: Client, honey: Product, place_order: Callable[..., Order], paid: Payment
) -> None:
    Case.open(Case.Kind.OVERPAID, paid.order, "A test.")
    few = count_queries(staff_client, "/admin/")

    for kind in Case.Kind:
        Case.open(kind, place_order((honey, 1)), "A test.")
    wish_for(paid, "1.00")
    wish_for(paid, "2.00")

    assert count_queries(staff_client, "/admin/") == few
