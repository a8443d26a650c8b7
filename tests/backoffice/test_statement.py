"""The stall statement as a page and as a file."""

from collections.abc import Callable

import pytest
from django.test import Client
from time_machine import TimeMachineFixture

from cart.models import Product, Stall
from orders.models import Order
from payments.models import Payment
from payments.simulator import Simulator
from tests.backoffice.desk import list_of, text_of
from tests.payments.days import NOON
from tests.payments.days import paid as pay

pytestmark = pytest.mark.django_db(transaction=True)
STATEMENT = "/admin/payments/movement/statement/"
JUNE = {"first": "2026-06-01", "last": "2026-06-30"}


@pytest.fixture
def june(
    time_machine: TimeMachineFixture, honey: Product, place_order: Callable[..., Order], sumup: Simulator
) -> Stall:
    """A stall called Honey that sold two jars by card on a day in June, £13, and nothing else happened."""
    Stall.objects.filter(pk=honey.stall_id).update(name="Honey")
    time_machine.move_to(NOON, tick=False)
    pay(sumup, place_order((honey, 2)))
    return Stall.objects.get(pk=honey.stall_id)


def test_a_statement_shows_each_stall_and_all_together(staff_client: Client, june: Stall) -> None:
    page = text_of(staff_client.get(STATEMENT, JUNE))

    assert "Honey £13.00 £0.00 £0.00 £0.00 £0.00 £13.00 £0.00 £13.00" in page
    assert "All stalls £13.00" in page


def test_other_days_are_not_in_it(staff_client: Client, june: Stall) -> None:
    page = text_of(staff_client.get(STATEMENT, {"first": "2026-06-18", "last": "2026-06-30"}))

    assert "All stalls £0.00" in page


def test_one_stall_stands_beside_the_total_of_all(staff_client: Client, june: Stall) -> None:
    other = Stall.objects.create(name="Bread", slug="bread")

    page = staff_client.get(STATEMENT, JUNE | {"stall": other.pk})

    sheet = page.context["sheet"]
    assert (sheet.lines, str(sheet.total.amounts[0])) == ([], "13.00")


def test_last_month_is_shown_unless_another_time_is_asked_for(
    staff_client: Client, june: Stall, time_machine: TimeMachineFixture
) -> None:
    time_machine.shift(30 * 86_400)

    answer = staff_client.get(STATEMENT)

    assert answer.context["form"].cleaned_data["first"].isoformat() == "2026-06-01"
    assert "Honey £13.00" in text_of(answer)


def test_the_same_as_a_file(staff_client: Client, june: Stall) -> None:
    answer = staff_client.get(STATEMENT, JUNE | {"as": "csv"})

    assert answer["Content-Disposition"] == 'attachment; filename="stalls-2026-06-01-2026-06-30.csv"'
    assert answer.content.decode().split("\r\n") == [
        "Stall,Sold by card,By hand,Refunded,Charged back,Fees,Net,Paid out,Still at SumUp",
        "Honey,13.00,0.00,0.00,0.00,0.00,13.00,0.00,13.00",
        "All stalls,13.00,0.00,0.00,0.00,0.00,13.00,0.00,13.00",
        "",
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_name_in_the_file_is_a_formula(staff_client: Client, june: Stall, start: str) -> None:
    Stall.objects.update(name=f"{start}HYPERLINK(1)")

    answer = staff_client.get(STATEMENT, JUNE | {"as": "csv"})

    assert f"'{start}HYPERLINK(1),13.00" in answer.content.decode()


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"first": "x", "last": "2026-06-30"}, "first"),
        ({"first": "2026-06-01"}, "last"),
        ({"first": "2026-06-02", "last": "2026-06-01"}, "last"),
        ({"first": "0001-01-01", "last": "2026-06-01"}, "first"),
        ({"first": "2026-06-01", "last": "9999-12-31"}, "last"),
        (JUNE | {"stall": "4711"}, "stall"),
    ],
)
@pytest.mark.parametrize("form", ["", "csv"])
def test_a_wrong_time_or_stall_is_refused_beside_its_field(
    staff_client: Client, typed: dict[str, str], field: str, form: str
) -> None:
    page = staff_client.get(STATEMENT, typed | {"as": form})

    assert list(page.context["form"].errors) == [field]
    assert page.context["sheet"] is None


def test_the_movements_lead_to_it(staff_client: Client, paid: Payment) -> None:
    assert f'href="{STATEMENT}"' in staff_client.get(list_of(type(paid.movements.get()))).content.decode()


def test_who_may_not_see_movements_gets_no_statement(hire: Callable[..., Client]) -> None:
    assert hire("orders.view_order").get(STATEMENT, JUNE).status_code == 403
