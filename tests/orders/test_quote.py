"""What an order would be: the review shows it and placing writes it down, to the penny."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.models import Entry
from cart.models import Cart, Product, Stall
from orders import vouchers
from orders.handover import Address, Options
from orders.models import LineAllocation, OrderLine
from orders.offers import Voucher
from orders.placing import NOTHING_CHOSEN, CartChanged
from orders.quoting import Basket, Choices, Line, Part, Quote, discount_line, make_quote
from tests.factories import (
    CollectionSlotFactory,
    DeliveryZoneFactory,
    EntryFactory,
    ProductFactory,
    VoucherFactory,
)
from tests.orders.acts import agreed_for, all_rows, basket_in, place_cart

FillCart = Callable[..., tuple[Cart, str]]
HOME = Address("1 High Street", "Bristol", "BS1 3AB")

# --- Sums, of any basket ----------------------------------------------------------------------------------------------

STALLS = [Stall(pk=n, name=f"Stall {n}") for n in range(1, 5)]
RATES = [Decimal(rate) for rate in ("0.00", "5.00", "12.50", "20.00")]
PENNIES = st.integers(0, 9_999).map(lambda n: Decimal(n).scaleb(-2))
LINES = st.lists(
    st.builds(
        Line,
        kind=st.just(OrderLine.Kind.PRODUCT),
        title=st.just("Something"),
        stall=st.sampled_from(STALLS),
        unit_price=PENNIES,
        tax_rate=st.sampled_from(RATES),
        quantity=st.integers(1, 12),
    ),
    min_size=1,
    max_size=9,
)
FEES = st.none() | st.builds(
    Line,
    kind=st.just(OrderLine.Kind.FEE),
    title=st.just("Delivery"),
    stall=st.just(STALLS[0]),
    unit_price=PENNIES,
    tax_rate=st.sampled_from(RATES),
)
VOUCHERS = st.builds(
    Voucher,
    kind=st.just("fixed"),
    value=st.integers(1, 50_000).map(lambda n: Decimal(n).scaleb(-2)),
    stall=st.none() | st.sampled_from(STALLS),
) | st.builds(
    Voucher,
    kind=st.just("percent"),
    value=st.integers(1, 10_000).map(lambda n: Decimal(n).scaleb(-2)),
    stall=st.none() | st.sampled_from(STALLS),
)


def quote_of(lines: list[Line], voucher: Voucher, fee: Line | None) -> Quote:
    """A quote of these lines, with what the voucher takes off if it takes off anything."""
    try:
        discount = discount_line(voucher, lines, voucher.stall or STALLS[0])
    except vouchers.CannotUse:
        discount = None
    made = [line for line in (*lines, discount, fee) if line]
    return Quote(Basket(), NOTHING_CHOSEN, Options(), made_at=None, lines=made)


@given(LINES, VOUCHERS, FEES)
def test_by_line_by_stall_and_by_rate_the_sums_are_what_is_charged(
    lines: list[Line], voucher: Voucher, fee: Line | None
) -> None:
    quote = quote_of(lines, voucher, fee)

    assert quote.total == sum(line.total for line in quote.lines)
    assert quote.total == sum(quote.by_stall.values()) == sum(at.amount for at in quote.by_rate)
    for line in quote.lines:
        assert sum(part.amount for part in line.parts) == line.total
        assert all(part.amount == part.amount.quantize(Decimal("0.01")) for part in line.parts)


@given(LINES, VOUCHERS, FEES)
def test_no_stall_rate_or_line_falls_below_nothing_and_fees_stay_whole(
    lines: list[Line], voucher: Voucher, fee: Line | None
) -> None:
    quote = quote_of(lines, voucher, fee)

    assert quote.total >= (fee.total if fee else 0)
    assert all(amount >= 0 for amount in quote.by_stall.values())
    assert all(0 <= at.tax <= at.amount for at in quote.by_rate)
    for discount in (line for line in quote.lines if line.kind == "discount"):
        for part in discount.parts:
            cheaper = quote.lines[part.about or 0]
            assert cheaper.kind == "product"
            assert 0 < -part.amount <= cheaper.total
            assert (part.stall, part.tax_rate) == (cheaper.stall, cheaper.tax_rate)
            assert voucher.stall in (None, part.stall)


@given(LINES, st.integers(1, 10_000).map(lambda n: Decimal(n).scaleb(-2)))
def test_a_percentage_is_rounded_once_and_lies_less_than_a_penny_from_each_lines_own(
    lines: list[Line], value: Decimal
) -> None:
    discounts = [line for line in quote_of(lines, Voucher(kind="percent", value=value), None).lines if line.voucher]

    for discount in discounts:
        off = {part.about: -part.amount for part in discount.parts}
        whole = sum(line.total for line in lines)
        assert abs(-discount.total - whole * value / 100) <= Decimal("0.005")
        assert all(abs(off.get(n, 0) - -discount.total * line.total / whole) < 1 for n, line in enumerate(lines))


def test_of_equal_parts_the_first_line_gets_the_penny() -> None:
    lines = [Line(OrderLine.Kind.PRODUCT, "Jar", STALLS[1], Decimal("1.00"), RATES[0]) for _ in range(3)]

    discount = discount_line(Voucher(kind="fixed", value=Decimal("1.00")), lines, STALLS[0])

    assert [part.amount for part in discount.parts] == [Decimal("-0.34"), Decimal("-0.33"), Decimal("-0.33")]
    assert [part.about for part in discount.parts] == [0, 1, 2]


def test_the_tax_of_a_discount_is_that_of_the_lines_it_is_about() -> None:
    lines = [Line(OrderLine.Kind.PRODUCT, "Mug", STALLS[1], Decimal("12.00"), RATES[3])]
    discount = discount_line(Voucher(kind="percent", value=Decimal(50)), lines, STALLS[0])

    assert discount.parts == [Part(STALLS[1], RATES[3], Decimal("-6.00"), about=0)]
    assert discount.parts[0].tax == Decimal("-1.00")
    assert discount.tax_rate == RATES[3]


# --- What is written down is what was quoted --------------------------------------------------------------------------


@pytest.fixture
def everything(fill_cart: FillCart) -> tuple[Cart, str, Choices]:
    """Two stalls' goods at two rates and a place, to be brought for £3.50, with ten per cent off."""
    DeliveryZoneFactory(tax_rate="20.00")
    VoucherFactory(code="WELCOME")
    bread = ProductFactory(title="Bread", price="3.33", stock=9)
    mug = ProductFactory(title="Mug", price="14.99", tax_rate="20.00")
    cart, token = fill_cart((bread, 3), (mug, 1), (EntryFactory(title="Walk"), 2))
    return cart, token, Choices("delivery", HOME, "welcome")


@pytest.mark.django_db
def test_an_order_is_its_quote_line_by_line(everything: tuple[Cart, str, Choices]) -> None:
    cart, token, chosen = everything
    quote = make_quote(basket_in(cart), chosen)

    order = place_cart(cart, token, chosen=chosen)

    # 9.99 + 14.99 + 70.00 = 94.98, less 9.50, and 3.50 of delivery
    assert order.total == quote.total == Decimal("88.98")
    said = [(line.kind, line.title, line.stall, line.unit_price, line.total) for line in quote.lines]
    written = [(line.kind, line.title, line.stall, line.unit_price, line.total) for line in order.lines.all()]
    assert written == said
    assert [line.kind for line in order.lines.all()] == ["product", "product", "entry", "discount", "fee"]


@pytest.mark.django_db
def test_whose_money_it_is_is_written_down_to_the_penny(everything: tuple[Cart, str, Choices]) -> None:
    cart, token, chosen = everything
    quote = make_quote(basket_in(cart), chosen)

    order = place_cart(cart, token, chosen=chosen)

    parts = LineAllocation.objects.filter(line__order=order).select_related("stall", "about", "line")
    sums: dict[Stall, Decimal] = {}
    for part in parts:
        sums[part.stall] = sums.get(part.stall, Decimal(0)) + part.amount
    assert sums == quote.by_stall
    assert sum(part.tax for part in parts) == sum(at.tax for at in quote.by_rate)
    about = {part.about.title: (part.amount, part.tax_rate, part.stall) for part in parts if part.about}
    lines = {line.title: line for line in order.lines.all()}
    assert about == {
        "Bread": (Decimal("-1.00"), Decimal("0.00"), lines["Bread"].stall),
        "Mug": (Decimal("-1.50"), Decimal("20.00"), lines["Mug"].stall),
        "Walk": (Decimal("-7.00"), Decimal("20.00"), lines["Walk"].stall),
    }
    assert sums[Stall.objects.house()] == Decimal("3.50")


@pytest.mark.django_db
def test_which_terms_were_accepted_is_written_down(fill_cart: FillCart, honey: Product, settings: object) -> None:
    settings.TERMS_VERSION = "2031-05"  # type: ignore[attr-defined]
    cart, token = fill_cart((honey, 1))

    assert place_cart(cart, token).terms_version == "2031-05"


# --- What was agreed to -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["fee", "zone", "value", "voucher gone", "terms", "rule"])
def test_whatever_changed_since_the_review_is_shown_again(
    everything: tuple[Cart, str, Choices], change: str, settings: object
) -> None:
    cart, token, chosen = everything
    seen = agreed_for(cart, chosen)
    entry = cart.items.get(entry__isnull=False).entry
    match change:
        case "fee":
            DeliveryZoneFactory._meta.model.objects.update(fee="3.51")
        case "zone":
            DeliveryZoneFactory(postcodes="BS1 3A", fee="3.50", name="Nearer")
        case "value":
            Voucher.objects.update(value="10.50")
        case "voucher gone":
            chosen = Choices(chosen.handover, chosen.address)
        case "terms":
            settings.TERMS_VERSION = "2031-05"  # type: ignore[attr-defined]
        case "rule":
            entry.calendar.cancel_hours = 72
            entry.calendar.save()
    before = all_rows()

    with pytest.raises(CartChanged):
        place_cart(cart, token, agreed=seen, chosen=chosen)

    assert all_rows() == before


@pytest.mark.django_db
def test_another_window_than_was_shown_is_shown_again(fill_cart: FillCart, honey: Product) -> None:
    early, late = CollectionSlotFactory(name="Early"), CollectionSlotFactory(name="Late")
    cart, token = fill_cart((honey, 1))
    seen = agreed_for(cart, Choices(str(early.uuid)))
    before = all_rows()

    with pytest.raises(CartChanged):
        place_cart(cart, token, agreed=seen, chosen=Choices(str(late.uuid)))

    assert all_rows() == before


@pytest.mark.django_db
def test_nothing_changes_what_was_agreed_to_but_what_was_shown(
    everything: tuple[Cart, str, Choices], workshop: Entry
) -> None:
    cart, _token, chosen = everything
    seen = agreed_for(cart, chosen)

    DeliveryZoneFactory(postcodes="EX36")
    VoucherFactory()
    workshop.calendar.cancel_hours = 1
    workshop.calendar.save()

    assert agreed_for(cart, chosen) == seen
