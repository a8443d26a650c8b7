"""The receipt: who sold what, the tax at each rate, what was paid; and it adds up to the penny."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from cart.models import Cart, Product
from cartsite.models import User
from orders import receipts
from orders.handover import Address
from orders.models import LineAllocation, Order, OrderContact
from orders.quoting import Choices
from payments import casework, refunds, starting
from payments.models import Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.factories import (
    CollectionSlotFactory,
    DeliveryZoneFactory,
    EntryFactory,
    ProductFactory,
    StallFactory,
    VoucherFactory,
)
from tests.orders.acts import holder_of, place_cart, statements
from tests.orders.late import expire
from tests.payments.money import ask_back, pay, sweep_money

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]
ADDRESS = Address("1 Quay Street", "Bristol", "BS1 3AB")


def path_of(order: Order) -> str:
    return f"{order.get_absolute_url()}receipt/"


def receipt_of(order: Order) -> str:
    response = holder_of(order).get(path_of(order))
    assert response.status_code == 200
    return response.content.decode()


def amounts_in(html: str) -> list[Decimal]:
    return [Decimal(amount) for amount in re.findall(r"£(\d+\.\d\d)", html)]


def basket(rates: list[str]) -> list[tuple[Any, int]]:
    """Awkward prices at these tax rates, of two stalls, and a workshop."""
    stalls = [StallFactory(name="Hill Bees"), StallFactory(name="The Bakers")]
    goods: list[tuple[Any, int]] = [
        (ProductFactory(stall=stalls[n % 2], price=Decimal("3.33") + n, tax_rate=Decimal(rate)), n + 1)
        for n, rate in enumerate(rates)
    ]
    return [*goods, (EntryFactory(price=Decimal("19.99")), 2)]


@pytest.mark.parametrize("rates", [["0"], ["20"], ["0", "5", "20"], ["20", "20", "5", "0", "12.5"]])
@pytest.mark.parametrize("voucher", [None, Decimal("10.00"), Decimal("33.33")])
@pytest.mark.parametrize("handover", ["delivery", "slot"])
def test_it_adds_up_to_the_penny(fill_cart: FillCart, rates: list[str], voucher: Decimal | None, handover: str) -> None:
    DeliveryZoneFactory(fee=Decimal("3.49"))
    slot = CollectionSlotFactory()
    code = VoucherFactory(value=voucher).code if voucher else ""
    chosen = Choices(handover if handover == "delivery" else str(slot.uuid), ADDRESS, code)
    order = place_cart(*fill_cart(*basket(rates)), chosen=chosen)

    receipt = receipts.write(order)

    things = [line.total for seller in receipt.sellers for line in seller.lines]
    assert sum(things) + sum(line.total for line in receipt.extras) == receipt.total == order.total
    assert sum(rate.gross for rate in receipt.rates) == order.total
    assert sum(rate.net for rate in receipt.rates) == receipt.net
    assert sum(rate.net + rate.tax for rate in receipt.rates) == receipt.net + receipt.tax == order.total
    assert sum(seller.gets for seller in receipt.sellers) == order.total
    assert sorted({rate.rate for rate in receipt.rates}) == [rate.rate for rate in receipt.rates]


def test_the_tax_of_each_rate_is_what_was_stored(fill_cart: FillCart) -> None:
    order = place_cart(*fill_cart(*basket(["0", "5", "20"])), chosen=Choices(voucher=VoucherFactory().code))

    receipt = receipts.write(order)

    for rate in receipt.rates:
        parts = LineAllocation.objects.filter(line__order=order, tax_rate=rate.rate)
        assert rate.tax == sum(part.tax for part in parts)


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    return pay(payment, sumup)


def test_it_names_sellers_lines_payment_and_reference(paid: Payment) -> None:
    said = receipt_of(paid.order)

    for line in paid.order.lines.select_related("stall"):
        assert f"Sold by {line.stall.name}" in said
        assert f"{line.quantity} \N{MULTIPLICATION SIGN} {line.title}" in said
    assert paid.transaction_code
    assert f"reference {paid.transaction_code}" in said
    assert "Ada Shopper" in said
    assert paid.order.number in said


def test_its_figures_are_on_the_page(paid: Payment) -> None:
    """£6.50 without VAT, and £70.00 with £11.67 of VAT at 20 %."""
    said = receipt_of(paid.order)

    vat = said.split('aria-labelledby="vat"')[1].split("</section>")[0]
    rows = [amounts_in(row) for row in vat.split("<tr>")[2:]]
    assert rows == [
        [Decimal("6.50"), Decimal("0.00"), Decimal("6.50")],
        [Decimal("58.33"), Decimal("11.67"), Decimal("70.00")],
        [Decimal("64.83"), Decimal("11.67"), Decimal("76.50")],
    ]
    assert "data-total>£76.50<" in said


def test_discount_and_delivery_are_lines_of_their_own(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    DeliveryZoneFactory(name="Bristol", fee=Decimal("3.50"))
    voucher = VoucherFactory(title="Friends of the market")
    chosen = Choices("delivery", ADDRESS, voucher.code)
    order = place_cart(*fill_cart((honey, 2)), chosen=chosen)
    pay(starting.start(order), sumup)

    said = receipt_of(order)

    assert "Discount: Friends of the market" in said
    assert "-£1.30" in said
    assert "£3.50" in said


def test_what_went_back_and_what_is_on_its_way_is_told(paid: Payment, staff: User) -> None:
    ask_back(paid, "12.00", staff)
    sweep_money()
    refunds.request(paid, Wish(Decimal(5), "A jar was broken", staff))

    said = receipt_of(paid.order)

    assert "Refunded on" in said
    assert "-£12.00" in said
    assert "-£5.00" in said
    assert "data-left>£59.50<" in said
    assert "A jar was broken" not in said


def test_cash_is_told_as_such(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)

    assert "Paid by hand on" in receipt_of(order)


def test_an_order_that_cost_nothing_has_one_too(place_order: PlaceOrder) -> None:
    order = place_order((EntryFactory(price=0), 2))

    said = receipt_of(order)

    assert "There was nothing to pay." in said
    assert f'href="{path_of(order)}"' in holder_of(order).get(order.get_absolute_url()).content.decode()


@pytest.mark.parametrize("is_over", [False, True])
def test_what_was_not_paid_has_none(order: Order, *, is_over: bool) -> None:
    if is_over:
        expire(order)
    client = holder_of(order)

    answer = client.get(path_of(order))

    assert (answer.status_code, answer["Location"]) == (302, order.get_absolute_url())
    assert path_of(order) not in client.get(order.get_absolute_url()).content.decode()


def test_an_erased_person_is_not_missed(paid: Payment) -> None:
    OrderContact.objects.all().delete()

    assert "Ada Shopper" not in receipt_of(paid.order)


def test_strangers_find_nothing(paid: Payment, place_order: PlaceOrder, honey: Product) -> None:
    other = place_order((honey, 1))

    for client in (Client(), holder_of(other)):
        assert client.get(path_of(paid.order)).status_code == 404
        assert client.get("/orders/CCCC-CCCC-CC/receipt/").status_code == 404


def test_small_letters_lead_to_the_real_address(paid: Payment) -> None:
    answer = Client().get(path_of(paid.order).lower())

    assert (answer.status_code, answer["Location"]) == (302, path_of(paid.order))


def test_nobody_keeps_a_copy(paid: Payment) -> None:
    control = holder_of(paid.order).get(path_of(paid.order))["Cache-Control"]

    assert "no-store" in control


def test_many_lines_cost_what_few_do(place_order: PlaceOrder, stocked: list[Product], staff: User) -> None:
    few, many = place_order((stocked[0], 1)), place_order(*((thing, 2) for thing in stocked))
    counts: list[Any] = []
    for order in (few, many):
        casework.take_cash(order, order.total, by=staff)
        client = holder_of(order)
        with statements() as sent:
            assert client.get(path_of(order)).status_code == 200
        counts.append(len(sent))

    assert counts[0] == counts[1] <= 8
