"""Vouchers: when they may be used, what they take off, and never more often than there are uses."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Entry, Hold, Pool
from cart.models import Cart, Product, Stall
from orders import services
from orders.models import Order
from orders.offers import Voucher
from orders.placing import CannotPlace, CartChanged
from orders.quoting import Choices, make_quote
from payments import cancelling, releasing, settling, starting
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, ProductFactory, VoucherFactory
from tests.invariants import assert_books_balance
from tests.orders.acts import agreed_for, all_rows, basket_in, place_cart

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
SPRING = Choices(voucher="SPRING")


def problems_of(cart: Cart, chosen: Choices = SPRING) -> list[tuple[str, str]]:
    return [(problem.about, problem.sentence) for problem in make_quote(basket_in(cart), chosen).problems]


def use(voucher: Voucher) -> int:
    """How many orders have it now."""
    return Pool.objects.get(voucher=voucher).taken


# --- When it may be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["SPRING", "spring", "  Spring "])
def test_a_code_is_known_in_any_case(fill_cart: FillCart, honey: Product, typed: str) -> None:
    VoucherFactory(code="SPRING")
    cart, token = fill_cart((honey, 2))

    order = place_cart(cart, token, chosen=Choices(voucher=typed))

    assert order.total == Decimal("11.70")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": "AUTUMN"}, "We do not know this voucher code."),
        ({"archived_at": timezone.now()}, "This voucher is no longer valid."),
        ({"valid_until": timezone.now()}, "This voucher is no longer valid."),
        ({"valid_from": timezone.now() + timedelta(days=2)}, "This voucher is not valid yet, but from "),
        ({"minimum": "20.00"}, "This voucher is for baskets of £20.00 or more: £7.00 is missing."),
        ({"uses": 0}, "This voucher is used up."),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_why_it_cannot_be_used_is_said_in_a_sentence_and_nothing_moves(
    fill_cart: FillCart, honey: Product, changes: dict[str, Any], sentence: str
) -> None:
    Stall.objects.house()
    VoucherFactory(**({"code": "SPRING"} | changes))
    cart, token = fill_cart((honey, 2))
    before = all_rows()

    ((about, said),) = problems_of(cart)
    with pytest.raises(CannotPlace) as refusal:
        place_cart(cart, token, chosen=SPRING)

    assert about == "voucher"
    assert said.startswith(sentence)
    assert refusal.value.reasons == (said,)
    assert all_rows() == before


def test_a_stalls_voucher_looks_at_what_that_stall_sells_alone(fill_cart: FillCart, honey: Product) -> None:
    jam = ProductFactory(title="Jam", price="9.00")
    VoucherFactory(code="SPRING", stall=jam.stall, kind="fixed", value="2.00", minimum="10.00")
    cart, _token = fill_cart((honey, 9))
    wrong, _token = fill_cart((honey, 9), (jam, 1))
    right, token = fill_cart((honey, 1), (jam, 2))

    name = jam.stall.name
    assert problems_of(cart) == [
        ("voucher", f"This voucher is for what {name} sells, and nothing of that in your basket can be made cheaper.")
    ]
    assert problems_of(wrong) == [("voucher", f"This voucher is for £10.00 or more at {name}: £1.00 is missing.")]
    assert place_cart(right, token, chosen=SPRING).total == Decimal("22.50")


def test_what_costs_nothing_cannot_be_made_cheaper(fill_cart: FillCart) -> None:
    VoucherFactory(code="SPRING", uses=5)
    cart, _token = fill_cart((EntryFactory(price=0), 1))

    ((_about, said),) = problems_of(cart)

    assert said == "There is nothing in your basket that this voucher could make cheaper."


def test_the_last_moment_counts(fill_cart: FillCart, honey: Product) -> None:
    now = timezone.now()
    VoucherFactory(code="SPRING", valid_from=now - timedelta(hours=1), valid_until=now + timedelta(hours=1))
    cart, token = fill_cart((honey, 2))
    seen = agreed_for(cart, SPRING)
    Voucher.objects.update(valid_until=now)

    with pytest.raises(CannotPlace, match="no longer valid"):
        place_cart(cart, token, agreed=seen, chosen=SPRING)

    assert not Order.objects.exists()


# --- What it takes off ------------------------------------------------------------------------------------------------


def test_an_amount_is_no_more_than_what_it_is_for_costs(fill_cart: FillCart, honey: Product) -> None:
    VoucherFactory(code="SPRING", kind="fixed", value="50.00")
    cart, token = fill_cart((honey, 2))

    order = place_cart(cart, token, chosen=SPRING)

    assert (order.total, order.status) == (Decimal("0.00"), "confirmed")
    assert order.lines.get(kind="discount").total == Decimal("-13.00")


def test_a_voucher_makes_places_cheaper_too(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    VoucherFactory(code="SPRING", stall=workshop.calendar.stall)
    cart, token = fill_cart((honey, 1), (workshop, 2))

    order = place_cart(cart, token, chosen=SPRING)

    discount = order.lines.get(kind="discount")
    assert (discount.total, discount.stall) == (Decimal("-7.00"), workshop.calendar.stall)
    assert discount.allocations.get().about == order.lines.get(kind="entry")


def test_a_whole_carts_voucher_stands_with_the_house_but_costs_each_stall_its_part(
    fill_cart: FillCart, honey: Product, workshop: Entry
) -> None:
    VoucherFactory(code="SPRING")
    cart, token = fill_cart((honey, 1), (workshop, 1))

    discount = place_cart(cart, token, chosen=SPRING).lines.get(kind="discount")

    assert (discount.stall.is_house, discount.tax_rate) == (True, Decimal("0.00"))
    parts = {part.stall: part.amount for part in discount.allocations.all()}
    assert parts == {honey.stall: Decimal("-0.65"), workshop.calendar.stall: Decimal("-3.50")}


# --- How often --------------------------------------------------------------------------------------------------------


def test_an_unpaid_order_has_its_use_and_gives_it_back(fill_cart: FillCart, honey: Product) -> None:
    voucher = VoucherFactory(code="SPRING", uses=1)
    first = place_cart(*fill_cart((honey, 1)), chosen=SPRING)
    cart, token = fill_cart((honey, 1))

    assert use(voucher) == 1
    assert problems_of(cart) == [
        (
            "voucher",
            "This voucher is used up, but orders that are not paid yet have some of it: try again in an hour.",
        )
    ]
    releasing.release(first, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)
    assert use(voucher) == 0
    assert place_cart(cart, token, chosen=SPRING).total == Decimal("5.85")
    assert_books_balance()


def test_a_paid_order_uses_it_up_for_good(fill_cart: FillCart, honey: Product) -> None:
    VoucherFactory(code="SPRING", uses=1, kind="fixed", value="9.00")
    place_cart(*fill_cart((honey, 1)), chosen=SPRING)
    cart, _token = fill_cart((honey, 1))

    assert problems_of(cart) == [("voucher", "This voucher is used up.")]


def test_a_basket_that_comes_back_brings_neither_voucher_nor_its_use(fill_cart: FillCart, workshop: Entry) -> None:
    voucher = VoucherFactory(code="SPRING", uses=1)
    order = place_cart(*fill_cart((workshop, 2)), chosen=SPRING)
    cart, _token = fill_cart()

    releasing.release(order, to=Order.Status.CANCELLED, by=Order.Closer.SHOPPER, cart=cart)

    item = cart.items.get()
    assert (item.entry, item.quantity, item.hold.quantity) == (workshop, 2, 2)
    assert (use(voucher), workshop.pool.holds.live().count()) == (0, 1)
    assert not Hold.objects.filter(order_line__isnull=False).exists()
    assert_books_balance()


def test_a_confirmed_order_that_is_called_off_gives_its_use_back(
    fill_cart: FillCart, honey: Product, staff: Any
) -> None:
    voucher = VoucherFactory(code="SPRING", uses=1, kind="fixed", value="9.00")
    order = place_cart(*fill_cart((honey, 1)), chosen=SPRING)

    assert services.cancel_confirmed(order, by=staff, cause="closed")

    assert use(voucher) == 0


def test_late_money_claims_the_use_again_even_of_a_voucher_that_is_over(fill_cart: FillCart, honey: Product) -> None:
    voucher = VoucherFactory(code="SPRING", uses=1)
    order = place_cart(*fill_cart((honey, 1)), chosen=SPRING)
    releasing.release(order, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)
    Voucher.objects.update(archived_at=timezone.now(), valid_until=timezone.now())

    assert services.revive(order, cause="late money")

    assert (order.status, use(voucher)) == ("confirmed", 1)


def test_late_money_finds_no_use_that_somebody_else_has(fill_cart: FillCart, honey: Product) -> None:
    voucher = VoucherFactory(code="SPRING", uses=1)
    order = place_cart(*fill_cart((honey, 1)), chosen=SPRING)
    releasing.release(order, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)
    place_cart(*fill_cart((honey, 1)), chosen=SPRING)

    assert not services.revive(order, cause="late money")

    assert (order.status, use(voucher)) == ("expired", 1)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_after_the_last_uses_are_as_many_as_there_are(fill_cart: FillCart, honey: Product) -> None:
    voucher = VoucherFactory(code="SPRING", uses=3)
    carts = [fill_cart((honey, 1)) for _shopper in range(8)]
    seen = [agreed_for(cart, SPRING) for cart, _token in carts]

    def order(n: int) -> Callable[[], Order]:
        return lambda: place_cart(*carts[n], agreed=seen[n], chosen=SPRING)

    outcomes = run_at_once(*(order(n) for n in range(8)))

    refused = [outcome.error for outcome in outcomes if outcome.error]
    assert [type(error) for error in refused] == [CannotPlace] * 5
    assert {error.reasons for error in refused} == {
        ("This voucher is used up, but orders that are not paid yet have some of it: try again in an hour.",)
    }
    assert (Order.objects.count(), use(voucher)) == (3, 3)
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_uses_that_come_free_while_many_ask_are_never_given_twice(fill_cart: FillCart, workshop: Entry) -> None:
    voucher = VoucherFactory(code="SPRING", uses=2)
    unpaid = [place_cart(*fill_cart((workshop, 1)), chosen=SPRING) for _order in range(2)]
    carts = [fill_cart((workshop, 1)) for _shopper in range(4)]
    Voucher.objects.filter(pk=voucher.pk).update(pool=None)
    seen = [agreed_for(cart, SPRING) for cart, _token in carts]  # as it was shown a while ago
    Voucher.objects.filter(pk=voucher.pk).update(pool=voucher.pool)

    def let_go(order: Order) -> Callable[[], object]:
        return lambda: releasing.release(order, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)

    def buy(n: int) -> Callable[[], object]:
        return lambda: place_cart(*carts[n], agreed=seen[n], chosen=SPRING)

    outcomes = run_at_once(*(let_go(order) for order in unpaid), *(buy(n) for n in range(4)))

    placed = [outcome.result for outcome in outcomes[2:] if outcome.result]
    assert {type(outcome.error) for outcome in outcomes} <= {type(None), CannotPlace}
    assert results_of(outcomes[:2]) == [True, True]
    assert use(voucher) == len(placed) <= 2
    assert_books_balance()


# --- Its money --------------------------------------------------------------------------------------------------------


def test_a_jar_bought_cheaper_goes_back_for_what_was_paid(
    fill_cart: FillCart, honey: Product, staff: Any, sumup: Simulator
) -> None:
    VoucherFactory(code="SPRING")
    loaf = ProductFactory(title="Loaf", price="4.00")
    order = place_cart(*fill_cart((honey, 2), (loaf, 1)), chosen=SPRING)
    payment = starting.start(order)
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    jars = order.lines.get(title="Heather honey")

    (refund,) = cancelling.cancel_parts([cancelling.Part(jars, 1)], by=staff, reason="Broken")

    assert refund.amount == Decimal("5.85")
    assert_books_balance()


def test_a_form_that_names_a_voucher_that_nobody_agreed_to_is_shown_again(fill_cart: FillCart, honey: Product) -> None:
    VoucherFactory(code="SPRING", uses=1)
    cart, token = fill_cart((honey, 1))
    before = all_rows()

    with pytest.raises(CartChanged):
        place_cart(cart, token, agreed=agreed_for(cart), chosen=SPRING)

    assert all_rows() == before
