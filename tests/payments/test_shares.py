"""Whose money it is: every movement is shared out to the penny, and no stall pays for what it did not get."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from cart.models import Cart, Product, Stall
from orders.models import Order
from orders.quoting import Choices
from payments import ledger, shares
from payments.models import Movement, Payment, Refund
from payments.sumup import Event, PayoutRecord, Transaction
from tests.factories import ProductFactory, StallFactory, VoucherFactory
from tests.invariants import assert_no_stall_pays_in, assert_shares_add_up
from tests.orders.acts import place_cart
from tests.payments.money import balances, pounds

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]
AMOUNTS = st.integers(1, 20_000).map(lambda pennies: Decimal(pennies).scaleb(-2))
WEIGHTS = st.dictionaries(st.integers(1, 8), st.integers(-500, 20_000).map(lambda n: Decimal(n).scaleb(-2)))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
new_id = count(1)


# --- Splitting --------------------------------------------------------------------------------------------------------


@given(AMOUNTS, WEIGHTS, st.sampled_from([1, -1]))
def test_parts_add_up_to_the_penny(amount: Decimal, weights: Mapping[int, Decimal], sign: int) -> None:
    parts = shares.share_out(sign * amount, weights)

    if any(weight > 0 for weight in weights.values()):
        assert sum(parts.values()) == sign * amount
    else:
        assert parts == {}
    assert all(part == part.quantize(Decimal("0.01")) for part in parts.values())


@given(AMOUNTS, WEIGHTS)
def test_nobody_gets_a_part_of_the_other_sign_nor_without_a_weight(
    amount: Decimal, weights: Mapping[int, Decimal]
) -> None:
    for key, part in shares.share_out(amount, weights).items():
        assert part > 0
        assert weights[key] > 0


@given(WEIGHTS, st.data())
def test_nobody_gets_more_than_their_weight_of_what_is_no_more_than_all(
    weights: Mapping[int, Decimal], data: st.DataObject
) -> None:
    whole = sum((weight for weight in weights.values() if weight > 0), Decimal(0))
    amount = Decimal(data.draw(st.integers(0, int(whole * 100)))).scaleb(-2)

    parts = shares.share_out(amount, weights)

    assert all(part <= weights[key] for key, part in parts.items())


@given(AMOUNTS, WEIGHTS)
def test_every_part_is_less_than_a_penny_from_its_exact_share(amount: Decimal, weights: Mapping[int, Decimal]) -> None:
    whole = sum((weight for weight in weights.values() if weight > 0), Decimal(0))

    parts = shares.share_out(amount, weights)

    for key, weight in weights.items():
        if weight > 0:
            assert abs(parts.get(key, Decimal(0)) - amount * weight / whole) < Decimal("0.01")


def test_of_equal_remainders_the_first_gets_the_penny() -> None:
    thirds = {3: Decimal(1), 1: Decimal(1), 2: Decimal(1)}

    assert shares.share_out(Decimal("1.00"), thirds) == {1: pounds("0.34"), 2: pounds("0.33"), 3: pounds("0.33")}
    assert shares.share_out(Decimal("0.01"), thirds) == {1: pounds("0.01")}


def test_the_largest_remainder_gets_the_penny() -> None:
    assert shares.share_out(Decimal("0.10"), {1: Decimal("1.7"), 2: Decimal(1)}) == {
        1: pounds("0.06"),
        2: pounds("0.04"),
    }


# --- Orders -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def market(db: None) -> tuple[Product, Product, Product]:
    """Three stalls: honey at £6.50 (Bees), bread at £3.33 (Bakers), tea at £0.10 (Leaves)."""
    return (
        ProductFactory(title="Honey", price=Decimal("6.50"), stall=StallFactory(name="Bees")),
        ProductFactory(title="Bread", price=Decimal("3.33"), stall=StallFactory(name="Bakers")),
        ProductFactory(title="Tea", price=Decimal("0.10"), stall=StallFactory(name="Leaves")),
    )


@pytest.fixture
def account(place_order: PlaceOrder, market: tuple[Product, Product, Product]) -> Payment:
    """An attempt to pay £9.93: one of each."""
    return attempt_for(place_order(*((product, 1) for product in market)))


def attempt_for(order: Order) -> Payment:
    """An attempt that nobody has heard of at SumUp; money is written down for it by hand."""
    return Payment.objects.create(
        order=order, status="captured", amount=order.total, currency="GBP", merchant_code="MROSEASH", valid_until=NOW
    )


def capture(payment: Payment, amount: str | Decimal, name: str = "") -> Movement:
    """So much money comes in."""
    tried = Transaction(name or f"t-{next(new_id)}", "TCODE", "SUCCESSFUL", Decimal(amount), "GBP", NOW)
    assert ledger.record_capture(payment, tried)
    return Movement.objects.get(kind="capture", sumup_id=tried.id)


def send_back(payment: Payment, amount: str | Decimal, sku_title: str = "") -> None:
    """So much goes back, for a line if one is named."""
    line = payment.order.lines.get(title=sku_title) if sku_title else None
    refund = Refund.objects.create(
        order=payment.order,
        payment=payment,
        line=line,
        status="done",
        amount=amount,
        currency="GBP",
        reason="Broken",
    )
    event = Event(f"e-{next(new_id)}", "t-1", "REFUND", "REFUNDED", Decimal(amount), NOW)
    assert ledger.record_money_back(Movement.Kind.REFUND, payment, event, refund)


def charge_back(payment: Payment, amount: str | Decimal) -> None:
    """The bank takes so much."""
    event = Event(f"e-{next(new_id)}", "t-1", "CHARGE_BACK", "SUCCESSFUL", Decimal(amount), NOW)
    assert ledger.record_money_back(Movement.Kind.CHARGEBACK, payment, event)


@pytest.mark.django_db
def test_what_was_paid_is_each_stalls_as_agreed(account: Payment) -> None:
    capture(account, "9.93")

    assert balances(account) == {"Bees": pounds("6.50"), "Bakers": pounds("3.33"), "Leaves": pounds("0.10")}


@pytest.mark.django_db
def test_a_part_payment_is_shared_by_what_is_owed_and_the_rest_completes_it(account: Payment) -> None:
    capture(account, "5.00")
    half = balances(account)
    capture(account, "4.93")

    assert half == {"Bees": pounds("3.27"), "Bakers": pounds("1.68"), "Leaves": pounds("0.05")}
    assert balances(account) == {"Bees": pounds("6.50"), "Bakers": pounds("3.33"), "Leaves": pounds("0.10")}


@pytest.mark.django_db
def test_what_was_paid_too_much_is_the_houses_and_goes_back_from_it(account: Payment) -> None:
    capture(account, "9.93")
    capture(account, "9.93")
    with_extra = balances(account)

    send_back(account, "9.93")

    assert with_extra["Rose Ash (house)"] == pounds("9.93")
    assert balances(account) == {"Bees": pounds("6.50"), "Bakers": pounds("3.33"), "Leaves": pounds("0.10")}


@pytest.mark.django_db
def test_a_lines_refund_comes_from_its_own_stall(account: Payment) -> None:
    capture(account, "9.93")

    send_back(account, "3.33", "Bread")

    assert balances(account) == {"Bees": pounds("6.50"), "Leaves": pounds("0.10")}


@pytest.mark.django_db
def test_a_refund_without_a_line_comes_from_everybody_by_what_they_have(account: Payment) -> None:
    capture(account, "9.93")

    send_back(account, "5.00")

    assert balances(account) == {"Bees": pounds("3.23"), "Bakers": pounds("1.65"), "Leaves": pounds("0.05")}


@pytest.mark.django_db
def test_a_lines_refund_takes_no_more_from_its_stall_than_it_has(account: Payment) -> None:
    """Half of everything went back before, so its stall has not got all of the line any more."""
    capture(account, "9.93")
    send_back(account, "5.00")

    send_back(account, "3.33", "Bread")

    assert_no_stall_pays_in(account.order)
    assert sum(balances(account).values()) == pounds("1.60")


@pytest.mark.django_db
def test_a_refund_above_its_lines_price_takes_no_more_from_its_stall_than_it_has(account: Payment) -> None:
    capture(account, "9.93")

    send_back(account, "5.00", "Bread")

    assert_no_stall_pays_in(account.order)


@pytest.mark.django_db
def test_a_discounted_lines_refund_takes_from_its_stall_what_was_paid_for_the_line(
    fill_cart: FillCart, market: tuple[Product, Product, Product]
) -> None:
    """Honey and wax of the Bees and bread of the Bakers, £10.00 each, at half the price; £8.00 goes back for honey."""
    honey, bread, _tea = market
    wax = ProductFactory(title="Wax", price=10, stall=honey.stall)
    Product.objects.update(price=10)
    cart, token = fill_cart(*((Product.objects.get(pk=each.pk), 1) for each in (honey, wax, bread)))
    account = attempt_for(place_cart(cart, token, chosen=Choices(voucher=VoucherFactory(value=50).code)))
    capture(account, "15.00")

    send_back(account, "8.00", "Honey")

    assert balances(account) == {"Bees": pounds("3.50"), "Bakers": pounds("3.50")}  # £5.00, then half of what is left


@pytest.mark.django_db
def test_what_nobody_has_is_the_houses_loss(account: Payment) -> None:
    capture(account, "9.93")
    send_back(account, "9.93")

    charge_back(account, "9.93")

    assert balances(account) == {"Rose Ash (house)": pounds("-9.93")}


@pytest.mark.django_db
def test_a_fee_follows_its_payment(account: Payment) -> None:
    captured = capture(account, "9.93")

    assert ledger.record_fee(captured, Decimal("0.20"), NOW)

    fee = Movement.objects.get(kind="fee")
    assert fee.amount == pounds("-0.20")
    assert {share.stall.name: share.amount for share in fee.shares.all()} == {
        "Bees": pounds("-0.13"),
        "Bakers": pounds("-0.07"),
    }


@pytest.mark.django_db
def test_a_payout_is_each_stalls_part_of_the_payment_less_its_part_of_the_fee(account: Payment) -> None:
    captured = capture(account, "9.93")
    ledger.record_fee(captured, Decimal("0.20"), NOW)
    record = PayoutRecord("p-1", "PAYOUT", Decimal("9.73"), Decimal("0.20"), "GBP", "SUCCESSFUL", "TCODE", NOW)

    assert ledger.record_payout(captured, record)

    payout = Movement.objects.get(kind="payout")
    assert {share.stall.name: share.amount for share in payout.shares.all()} == {
        "Bees": pounds("6.37"),
        "Bakers": pounds("3.26"),
        "Leaves": pounds("0.10"),
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("amount", "fee"), [("-9.93", "0"), ("4.00", "0.10"), ("-0.01", "0"), ("0.01", "0")])
def test_any_payout_record_is_shared_to_the_penny(account: Payment, amount: str, fee: str) -> None:
    captured = capture(account, "9.93")
    record = PayoutRecord("p-1", "ANY", Decimal(amount), Decimal(fee), "GBP", "SUCCESSFUL", "TCODE", NOW)

    assert ledger.record_payout(captured, record)

    assert_shares_add_up(Movement.objects.get(kind="payout"))


@pytest.mark.django_db
def test_shares_that_do_not_add_up_are_not_written(account: Payment) -> None:
    captured = capture(account, "9.93")

    with pytest.raises(ValueError, match="are not"):
        shares.write(captured, {Stall.objects.get(name="Bees").pk: Decimal("9.92")})


# --- Any sequence -----------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["capture", "refund", "Honey", "Bread", "Tea", "chargeback", "cash in", "cash back", "pay up"]),
        st.integers(1, 100),
    ),
    min_size=1,
    max_size=10,
)


@pytest.mark.django_db
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],  # each example writes to the database: making a failing one small is slow
)
@example(steps=[("capture", 1), ("Bread", 35)])
@example(steps=[("pay up", 100), ("refund", 50), ("Bread", 100), ("capture", 100), ("refund", 90)])
@given(steps=STEPS)
def test_over_any_sequence_nobody_gets_more_than_owed_nor_pays_in(
    place_order: PlaceOrder, market: tuple[Product, Product, Product], steps: list[tuple[str, int]]
) -> None:
    """Each step moves some percent: of the total for what comes in, of what is there for what goes out."""
    payment = attempt_for(place_order(*((product, 1) for product in market)))
    for kind, percent in steps:
        take_step(payment, kind, percent)

        for movement in payment.order.movements.all():
            assert_shares_add_up(movement)
        assert_no_stall_pays_in(payment.order)


def take_step(payment: Payment, kind: str, percent: int) -> None:
    """Let one thing happen to an order's money, as far as there is any for it."""
    order = payment.order
    there = order.movements.all().net()
    incoming = (order.total * percent / 100).quantize(Decimal("0.01"))
    outgoing = (max(there, Decimal(0)) * percent / 100).quantize(Decimal("0.01"))
    if kind == "capture" and incoming:
        capture(payment, incoming)
    elif kind == "pay up" and order.total > there:
        capture(payment, order.total - there)
    elif kind == "cash in" and incoming:
        ledger.record_cash(order, incoming)
    elif kind == "cash back" and outgoing:
        ledger.record_cash(order, -outgoing)
    elif kind == "chargeback" and incoming:
        charge_back(payment, incoming)  # whatever is there
    elif kind == "refund" and outgoing:
        send_back(payment, outgoing)
    elif kind in ("Honey", "Bread", "Tea"):
        price = order.lines.get(title=kind).total
        if min(price, outgoing):
            send_back(payment, min(price, outgoing), kind)
