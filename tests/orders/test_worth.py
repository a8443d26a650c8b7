"""What a line was worth after its discount, whole or in portions."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import worth
from orders.models import LineAllocation, Order, OrderLine
from orders.money import round_to_penny


def make_cheaper(line: OrderLine, by: str) -> None:
    """Write down a discount about this line alone."""
    discount = line.order.lines.create(
        position=90 + line.position,
        kind="discount",
        stall=line.stall,
        title="Less",
        unit_price=-Decimal(by),
        quantity=1,
        tax_rate=line.tax_rate,
        total=-Decimal(by),
    )
    LineAllocation.objects.create(
        line=discount, about=line, stall=line.stall, tax_rate=line.tax_rate, amount=-Decimal(by), tax=0
    )


@pytest.mark.django_db
def test_without_a_discount_a_part_is_worth_its_price(order: Order) -> None:
    places = order.lines.get(kind="entry")

    assert worth.worth_of(places) == Decimal("70.00")
    assert worth.paid_for(places, 1, 0) == worth.paid_for(places, 1, 1) == Decimal("35.00")


@pytest.mark.django_db
def test_a_part_is_worth_what_was_paid_for_it(order: Order) -> None:
    places = order.lines.get(kind="entry")
    make_cheaper(places, "7.01")

    assert worth.worth_of(places) == Decimal("62.99")
    assert [worth.paid_for(places, 1, already) for already in (0, 1)] == [Decimal("31.50"), Decimal("31.49")]
    assert worth.paid_for(places, 2, 0) == Decimal("62.99")


@pytest.mark.django_db
def test_a_discount_about_another_line_is_no_matter_here(order: Order) -> None:
    jar, places = order.lines.all()
    make_cheaper(jar, "6.50")

    assert (worth.worth_of(jar), worth.worth_of(places)) == (Decimal("0.00"), Decimal("70.00"))


@given(st.integers(0, 30_000), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_all_portions_add_up_to_the_line(pennies: int, portions: list[int]) -> None:
    line, whole = OrderLine(quantity=sum(portions)), Decimal(pennies).scaleb(-2)

    steps = [worth._up_to(line, sum(portions[:n]), whole) for n in range(len(portions) + 1)]

    assert steps[0] == 0
    assert steps[-1] == whole
    assert steps == sorted(steps)
    assert all(step == round_to_penny(step) for step in steps)
