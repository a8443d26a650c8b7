"""Goods are fetched or brought: the order says how, holds its place in the window, and asks for nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Entry, Hold, Pool
from cart.models import Cart, Product, Stall
from orders import services
from orders.handover import Address, normalise_postcode, parse_beginnings
from orders.models import DeliveryAddress, Order
from orders.offers import CollectionSlot, DeliveryZone
from orders.placing import NOTHING_CHOSEN, CannotPlace
from orders.quoting import Choices, Quote, make_quote
from payments import releasing
from tests.concurrency import run_at_once
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, ProductFactory, StallFactory, VoucherFactory
from tests.invariants import assert_books_balance
from tests.orders.acts import agreed_for, all_rows, basket_in, place_cart, statements

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
HOME = Address("1 High Street", "Bristol", "bs1 3ab", "Ring twice")


def fetched(slot: CollectionSlot) -> Choices:
    return Choices(str(slot.uuid))


def brought(postcode: str = "BS1 3AB") -> Choices:
    return Choices("delivery", Address("1 High Street", "Bristol", postcode))


def quote_of(cart: Cart, chosen: Choices = NOTHING_CHOSEN) -> Quote:
    return make_quote(basket_in(cart), chosen)


def said_of(cart: Cart, chosen: Choices = NOTHING_CHOSEN) -> list[tuple[str, str]]:
    return [(problem.about, problem.sentence) for problem in quote_of(cart, chosen).problems]


def taken(slot: CollectionSlot) -> int:
    return Pool.objects.get(collection_slot=slot).taken


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_places_alone_are_asked_nothing(fill_cart: FillCart, workshop: Entry) -> None:
    slot = CollectionSlotFactory()
    cart, token = fill_cart((workshop, 1))

    order = place_cart(cart, token, chosen=fetched(slot))

    assert not quote_of(cart).options.is_asked
    assert [line.kind for line in order.lines.all()] == ["entry"]


def test_a_shop_that_hands_nothing_over_asks_nothing(fill_cart: FillCart, honey: Product) -> None:
    CollectionSlotFactory(archived_at=timezone.now())
    CollectionSlotFactory(orders_close_at=timezone.now())
    DeliveryZoneFactory(archived_at=timezone.now())
    cart, token = fill_cart((honey, 1))

    order = place_cart(cart, token, chosen=brought())

    assert [line.kind for line in order.lines.all()] == ["product"]
    assert not DeliveryAddress.objects.exists()


def test_goods_must_be_handed_over_somehow(fill_cart: FillCart, honey: Product) -> None:
    CollectionSlotFactory()
    cart, token = fill_cart((honey, 1))
    before = all_rows()

    with pytest.raises(CannotPlace, match="Please choose how you get your goods"):
        place_cart(cart, token)

    assert all_rows() == before
    assert [problem.is_gap for problem in quote_of(cart).problems] == [True]


def test_a_stalls_own_window_is_for_its_goods_alone(fill_cart: FillCart, honey: Product) -> None:
    own, other, day = CollectionSlotFactory(stall=honey.stall), CollectionSlotFactory(stall=StallFactory()), None
    day = CollectionSlotFactory()
    alone, _token = fill_cart((honey, 1))
    mixed, token = fill_cart((honey, 1), (ProductFactory(), 1))

    assert set(quote_of(alone).options.slots) == {own, day}
    assert set(quote_of(mixed).options.slots) == {day}
    for slot in (own, other):
        with pytest.raises(CannotPlace, match="can no longer be chosen"):
            place_cart(mixed, token, chosen=fetched(slot))


def test_places_in_the_same_order_do_not_keep_a_stalls_window_from_its_goods(
    fill_cart: FillCart, honey: Product, workshop: Entry
) -> None:
    own = CollectionSlotFactory(stall=honey.stall)
    cart, token = fill_cart((honey, 1), (workshop, 1))

    assert place_cart(cart, token, chosen=fetched(own)).lines.get(kind="fee").stall == honey.stall


def test_goods_that_cannot_be_handed_over_together_are_refused_in_words(fill_cart: FillCart, honey: Product) -> None:
    CollectionSlotFactory(stall=honey.stall)
    cart, _token = fill_cart((honey, 1), (ProductFactory(), 1))

    ((about, said),) = said_of(cart)

    assert (about, said) == (
        "handover",
        "These goods cannot be handed over together at present. Please order each stall's by themselves.",
    )


# --- Fetched ----------------------------------------------------------------------------------------------------------


def test_a_window_is_a_line_of_nothing_that_holds_its_place(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory(
        orders=5,
        starts_at=datetime(2031, 7, 5, 9, tzinfo=UTC),
        orders_close_at=datetime(2031, 7, 4, 12, tzinfo=UTC),
    )
    cart, token = fill_cart((honey, 2))

    order = place_cart(cart, token, chosen=fetched(slot))

    line = order.lines.get(kind="fee")
    assert line.title == "Collection: Saturday market, Sat 5 Jul 10:00 to 13:00, Town hall"
    assert (line.total, line.slot, line.stall.is_house, order.total) == (Decimal(0), slot, True, Decimal("13.00"))
    assert (line.hold.quantity, line.hold.until, taken(slot)) == (1, None, 1)
    assert not DeliveryAddress.objects.exists()


def test_an_address_typed_before_collection_was_chosen_is_not_kept(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory()
    cart, token = fill_cart((honey, 1))

    place_cart(cart, token, chosen=Choices(str(slot.uuid), HOME))

    assert not DeliveryAddress.objects.exists()


def test_a_line_stays_as_it_was_when_the_window_moves(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory()
    order = place_cart(*fill_cart((honey, 1)), chosen=fetched(slot))
    title = order.lines.get(kind="fee").title

    CollectionSlot.objects.update(name="Sunday", place="Elsewhere")

    assert order.lines.get(kind="fee").title == title


@pytest.mark.parametrize("change", [{"archived_at": timezone.now()}, {"orders_close_at": timezone.now()}])
def test_a_window_that_closed_since_the_review_is_refused(
    fill_cart: FillCart, honey: Product, change: dict[str, Any]
) -> None:
    slot = CollectionSlotFactory()
    CollectionSlotFactory()
    cart, token = fill_cart((honey, 1))
    seen = agreed_for(cart, fetched(slot))
    CollectionSlot.objects.filter(pk=slot.pk).update(**change)
    before = all_rows()

    with pytest.raises(CannotPlace, match="can no longer be chosen"):
        place_cart(cart, token, agreed=seen, chosen=fetched(slot))

    assert all_rows() == before


def test_a_full_window_is_shown_as_full_and_refused(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory(orders=1)
    place_cart(*fill_cart((honey, 1)), chosen=fetched(slot))
    cart, token = fill_cart((honey, 1))
    before = all_rows()

    with pytest.raises(CannotPlace, match=r"Saturday market, .* is full. Please choose another time."):
        place_cart(cart, token, chosen=fetched(slot))

    assert [slot.is_full for slot in quote_of(cart).options.slots] == [True]
    assert all_rows() == before


@pytest.mark.django_db(transaction=True)
def test_many_at_once_after_the_last_places_in_a_window(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory(orders=2)
    VoucherFactory(code="SPRING", uses=3)
    chosen = Choices(str(slot.uuid), voucher="SPRING")
    carts = [fill_cart((honey, 1), (ProductFactory(stock=1), 1)) for _shopper in range(6)]
    seen = [agreed_for(cart, chosen) for cart, _token in carts]

    def order(n: int) -> Callable[[], Order]:
        return lambda: place_cart(*carts[n], agreed=seen[n], chosen=chosen)

    outcomes = run_at_once(*(order(n) for n in range(6)))

    assert [type(outcome.error) for outcome in outcomes if outcome.error] == [CannotPlace] * 4
    assert (Order.objects.count(), taken(slot)) == (2, 2)
    assert_books_balance()


# --- Brought ----------------------------------------------------------------------------------------------------------


def test_delivery_is_a_fee_of_the_house_and_an_address_that_may_be_erased(fill_cart: FillCart, honey: Product) -> None:
    zone = DeliveryZoneFactory(name="Bristol", tax_rate="20.00")
    cart, token = fill_cart((honey, 1))

    order = place_cart(cart, token, chosen=Choices("delivery", HOME))

    line = order.lines.get(kind="fee")
    assert (line.title, line.total, line.zone, line.hold) == ("Delivery: Bristol", Decimal("3.50"), zone, None)
    share = line.allocations.get()
    assert (share.stall, share.amount, share.tax) == (Stall.objects.house(), Decimal("3.50"), Decimal("0.58"))
    address = order.address
    assert (address.street, address.town, address.postcode) == ("1 High Street", "Bristol", "BS1 3AB")
    assert address.instructions == "Ring twice"
    elsewhere = {label: rows for label, rows in all_rows().items() if label != "orders.DeliveryAddress"}
    assert "BS1 3AB" not in str(elsewhere)
    assert "High Street" not in str(elsewhere)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (Address("1 High Street", "Leeds", "LS1 4AP"), [("postcode", "We do not deliver to LS1 4AP.")]),
        (Address("1 High Street", "Bristol", "bs134ap"), [("postcode", "We do not deliver to BS13 4AP.")]),
        (
            Address("", "", "BS1 3AB"),
            [
                ("street", "Please tell us the street and the number of the house."),
                ("town", "Please tell us the town."),
            ],
        ),
        (
            Address("1 High Street", "Bristol", " "),
            [
                (
                    "postcode",
                    "Please tell us the postcode, so that we know whether and for how much we deliver there.",
                )
            ],
        ),
    ],
    ids=["elsewhere", "a longer number", "no street", "no postcode"],
)
def test_where_we_cannot_deliver_is_said_beside_its_field(
    fill_cart: FillCart, honey: Product, address: Address, said: list[tuple[str, str]]
) -> None:
    DeliveryZoneFactory()
    cart, token = fill_cart((honey, 1))
    chosen = Choices("delivery", address)
    Stall.objects.house()
    before = all_rows()

    with pytest.raises(CannotPlace) as refusal:
        place_cart(cart, token, chosen=chosen)

    assert said_of(cart, chosen) == said
    assert list(refusal.value.reasons) == [sentence for _about, sentence in said]
    assert all_rows() == before


@pytest.mark.parametrize(
    ("postcode", "name"),
    [("BS1 3AB", "city"), ("bs13ab", "city"), ("BS16 1AA", "suburb"), ("BS99 1AA", "far"), ("BA2 4XX", "hill")],
)
def test_the_longest_beginning_wins(fill_cart: FillCart, honey: Product, postcode: str, name: str) -> None:
    for zone, postcodes in (("far", "BS BA"), ("city", "BS1 BS2"), ("suburb", "BS16"), ("hill", "BA2 4")):
        DeliveryZoneFactory(name=zone, postcodes=postcodes)
    cart, _token = fill_cart((honey, 1))

    fee = quote_of(cart, brought(postcode)).lines[-1]

    assert fee.title == f"Delivery: {name}"


def test_beginnings_mean_districts_not_letters(fill_cart: FillCart, honey: Product) -> None:
    DeliveryZoneFactory(postcodes="B, EC1, 10")
    cart, _token = fill_cart((honey, 1))

    reached = {code: not said_of(cart, brought(code)) for code in ("B1 1AA", "BS1 1AA", "EC1A 1BB", "EC12 1BB", "1017")}

    assert reached == {"B1 1AA": True, "BS1 1AA": False, "EC1A 1BB": True, "EC12 1BB": False, "1017": True}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("bs13ab", "BS1 3AB"),
        (" BS13  4ab ", "BS13 4AB"),
        ("ec1a1bb", "EC1A 1BB"),
        ("b 1 1 a a", "B1 1AA"),
        ("1017 ab", "1017 AB"),
        ("d02  x285", "D02 X285"),
    ],
)
def test_a_postcode_is_kept_in_capitals_with_one_space(typed: str, kept: str) -> None:
    assert normalise_postcode(typed) == kept


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BS1 BS2 BA2 4.", ["BS1", "BS2", "BA2", "4."]),
        ("bs1, ba2 4 ex36", ["BS1", "BA2 4", "EX36"]),
        ("BS1\nBS2,,BS3 ", ["BS1", "BS2", "BS3"]),
        ("1017 1018", ["1017", "1018"]),
        ("", []),
    ],
)
def test_beginnings_are_parted_by_spaces_or_commas(text: str, found: list[str]) -> None:
    assert parse_beginnings(text) == found


# --- What becomes of it -----------------------------------------------------------------------------------------------


def test_an_order_that_expires_gives_its_place_back(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory(orders=1)
    order = place_cart(*fill_cart((honey, 1)), chosen=fetched(slot))

    releasing.release(order, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)

    assert taken(slot) == 0
    assert_books_balance()


def test_a_changed_basket_gives_its_place_back_and_keeps_its_goods(fill_cart: FillCart) -> None:
    slot, jam = CollectionSlotFactory(orders=1), ProductFactory(stock=3)
    order = place_cart(*fill_cart((jam, 2)), chosen=fetched(slot))
    cart, _token = fill_cart((jam, 1))

    releasing.release(order, to=Order.Status.CANCELLED, by=Order.Closer.SHOPPER, cart=cart)

    assert taken(slot) == 0
    assert [(item.quantity, item.hold.quantity) for item in cart.items.all()] == [(2, 2)]
    assert not Hold.objects.filter(order_line__isnull=False).exists()
    assert_books_balance()


def test_late_money_claims_the_place_again_or_waits_for_a_person(fill_cart: FillCart, honey: Product) -> None:
    slot = CollectionSlotFactory(orders=1)
    first, second = (place_and_expire(fill_cart, honey, slot) for _order in range(2))

    assert services.revive(first, cause="late money")
    assert not services.revive(second, cause="late money")

    assert (first.status, second.status, taken(slot)) == ("confirmed", "expired", 1)
    assert first.lines.get(kind="fee").hold.quantity == 1


def place_and_expire(fill_cart: FillCart, thing: Product, slot: CollectionSlot) -> Order:
    order = place_cart(*fill_cart((thing, 1)), chosen=fetched(slot))
    releasing.release(order, to=Order.Status.EXPIRED, by=Order.Closer.TIMER)
    return order


def test_a_confirmed_order_that_is_called_off_gives_its_place_back(
    fill_cart: FillCart, honey: Product, staff: Any
) -> None:
    slot = CollectionSlotFactory(orders=1)
    order = place_cart(*fill_cart((honey, 1)), chosen=fetched(slot))
    services.confirm(order, cause="paid")

    assert services.cancel_confirmed(order, by=staff, cause="closed")

    assert taken(slot) == 0


def test_the_place_is_kept_until_the_last_of_the_goods_is_called_off(
    fill_cart: FillCart, honey: Product, workshop: Entry, staff: Any
) -> None:
    slot = CollectionSlotFactory(orders=1)
    order = place_cart(*fill_cart((honey, 2), (ProductFactory(), 1), (workshop, 1)), chosen=fetched(slot))
    services.confirm(order, cause="paid")
    jars, loaf, place = order.lines.exclude(kind="fee")

    services.cancel_some(jars, 2, by=staff)
    services.cancel_some(place, 1, by=staff)
    assert taken(slot) == 1
    services.cancel_some(loaf, 1, by=staff)

    order.refresh_from_db()
    assert (order.status, taken(slot)) == ("completed", 0)


# --- Until when it may be called off ----------------------------------------------------------------------------------


def test_each_lines_rule_is_written_down_as_it_was(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    calendar = workshop.calendar
    calendar.cancel_hours, calendar.kept_percent = 72, Decimal("20.00")
    calendar.save()
    begins = timezone.now() + timedelta(days=6)
    slot = CollectionSlotFactory(starts_at=begins)
    order = place_cart(*fill_cart((honey, 1), (workshop, 1)), chosen=fetched(slot))
    calendar.cancel_hours = None
    calendar.save()

    jar, place, fee = order.lines.all()
    assert (place.cancel_until, place.kept_percent) == (workshop.starts_at - timedelta(hours=72), Decimal("20.00"))
    assert (jar.cancel_until, jar.kept_percent) == (begins - timedelta(hours=24), Decimal("0.00"))
    assert (fee.cancel_until, fee.kept_percent) == (None, Decimal("0.00"))


def test_goods_that_are_brought_or_go_nobody_knows_how_may_be_called_off_for_a_day(
    fill_cart: FillCart, honey: Product
) -> None:
    unasked = place_cart(*fill_cart((honey, 1)))
    DeliveryZoneFactory()
    delivered = place_cart(*fill_cart((honey, 1)), chosen=brought())

    for order in (unasked, delivered):
        assert order.lines.get(kind="product").cancel_until == order.placed_at + timedelta(hours=24)


def test_what_its_calendar_does_not_give_back_cannot_be_called_off(fill_cart: FillCart, workshop: Entry) -> None:
    workshop.calendar.cancel_hours = None
    workshop.calendar.save()

    assert place_cart(*fill_cart((workshop, 1))).lines.get().cancel_until is None


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_choices_cost_the_same_few_statements_for_any_number_of_lines(fill_cart: FillCart) -> None:
    slot = CollectionSlotFactory(orders=9)
    VoucherFactory(code="SPRING", uses=9)
    DeliveryZoneFactory()
    chosen, counts = Choices(str(slot.uuid), voucher="SPRING"), []
    for lines in (2, 40):
        cart, token = fill_cart(*((ProductFactory(stock=2), 1) for _line in range(lines)))
        agreed = agreed_for(cart, chosen)
        with statements() as sent:
            place_cart(cart, token, agreed=agreed, chosen=chosen)
        counts.append(len(sent))

    assert counts[0] == counts[1] <= 19
    assert DeliveryZone.objects.count() == 1
