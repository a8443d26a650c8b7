"""A cart becomes a commitment, once, exactly as it was shown."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings import capacity
from bookings.models import Booking, Entry, Hold, Pool
from cart import services as carts
from cart.models import Cart, CartItem, Product, hash_token
from cartsite.models import Message, User
from orders.models import NUMBER_ALPHABET, LineAllocation, Order, OrderContact, OrderEvent, OrderLine, new_number
from orders.placing import CannotPlace, CartChanged, place
from tests.factories import ProductFactory, StallFactory
from tests.orders.acts import EMAIL, NAME, agreed_for, all_rows, place_cart

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]


# --- What an order is made of


def test_an_order_copies_what_was_bought(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    cart, token = fill_cart((honey, 3), (workshop, 2))

    order = place_cart(cart, token)

    jars, places = order.lines.all()
    assert (jars.kind, jars.title, jars.unit_price, jars.quantity) == ("product", "Heather honey", Decimal("6.50"), 3)
    assert (jars.product, jars.entry, jars.stall, jars.total) == (honey, None, honey.stall, Decimal("19.50"))
    assert (places.kind, places.title, places.quantity) == ("entry", "Bread workshop", 2)
    assert (places.entry, places.stall, places.total) == (workshop, workshop.calendar.stall, Decimal("70.00"))
    assert (order.total, order.currency, order.status) == (Decimal("89.50"), "GBP", "awaiting_payment")


def test_an_order_stays_as_it_was_when_the_shop_changes(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    cart, token = fill_cart((honey, 3), (workshop, 2))
    order = place_cart(cart, token)
    lines, shares = list(order.lines.values()), list(LineAllocation.objects.values())

    Product.objects.update(title="Clover", price="9.99", tax_rate="5.00", stall=StallFactory())
    Entry.objects.update(title="Cake", price="1.00", tax_rate="0.00")

    order.refresh_from_db()
    assert order.total == Decimal("89.50")
    assert (list(order.lines.values()), list(LineAllocation.objects.values())) == (lines, shares)


def test_tax_is_rounded_half_up_once_per_line(fill_cart: FillCart) -> None:
    # Net of 3 x 0.35 at 20%: 0.875, so 0.88 and 0.17 of tax; each jar by itself would give 3 x 0.06 = 0.18.
    # Net of 0.03 at 20%: 0.025, so 0.03 and no tax; rounding to even would give a penny.
    threefold = ProductFactory(price=Decimal("0.35"), tax_rate=Decimal("20.00"))
    tiny = ProductFactory(price=Decimal("0.03"), tax_rate=Decimal("20.00"))
    cart, token = fill_cart((threefold, 3), (tiny, 1))

    order = place_cart(cart, token)

    taxes = LineAllocation.objects.filter(line__order=order).order_by("pk").values_list("amount", "tax")
    assert list(taxes) == [(Decimal("1.05"), Decimal("0.17")), (Decimal("0.03"), Decimal("0.00"))]


def test_what_a_line_costs_is_allocated_to_the_penny(fill_cart: FillCart) -> None:
    things = [
        ProductFactory(price=Decimal(price), tax_rate=Decimal(rate))
        for price, rate in [("0.01", "20"), ("3.33", "5"), ("19.99", "12.5"), ("7.77", "0"), ("0.00", "20")]
    ]
    cart, token = fill_cart(*((thing, 7) for thing in things))

    order = place_cart(cart, token)

    for line in order.lines.all():
        shares = list(line.allocations.all())
        assert sum(share.amount for share in shares) == line.total == line.unit_price * line.quantity
        assert {(share.stall_id, share.tax_rate) for share in shares} == {(line.stall_id, line.tax_rate)}
        assert all(0 <= share.tax <= share.amount for share in shares)
    assert sum(line.total for line in order.lines.all()) == order.total


def test_an_order_is_its_shoppers_own(fill_cart: FillCart, honey: Product, shopper: User) -> None:
    cart, token = fill_cart((honey, 1), user=shopper)

    order = place_cart(cart, token, user=shopper)

    assert order.user == shopper


def test_the_order_of_an_anonymous_cart_is_its_placers(fill_cart: FillCart, honey: Product, shopper: User) -> None:
    cart, token = fill_cart((honey, 1))

    order = place_cart(cart, token, user=shopper)

    assert order.user == shopper


def test_the_order_of_ones_own_cart_is_ones_own_even_where_one_is_not_signed_in(
    fill_cart: FillCart, honey: Product, shopper: User
) -> None:
    cart, token = fill_cart((honey, 1), user=shopper)

    order = place_cart(cart, token)

    assert order.user == shopper


def test_placing_is_written_down(order: Order) -> None:
    event = OrderEvent.objects.get(order=order)

    assert (event.kind, event.data) == ("placed", {"total": "76.50"})
    assert not Message.objects.exists()


def test_an_order_waits_three_quarters_of_an_hour(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    now = timezone.now()

    with time_machine.travel(now, tick=False):
        order = place_cart(cart, token)

    assert order.placed_at == now
    assert order.deadline == order.next_step_at == now + timedelta(minutes=45)


# --- Numbers


def test_an_orders_number_can_be_read_aloud(order: Order) -> None:
    assert re.fullmatch(f"[{NUMBER_ALPHABET}]{{4}}-[{NUMBER_ALPHABET}]{{4}}-[{NUMBER_ALPHABET}]{{2}}", order.number)
    assert not set(NUMBER_ALPHABET) & set("AEIOU01LBDNSZ5")
    assert len(set(NUMBER_ALPHABET)) == len(NUMBER_ALPHABET)


def test_orders_numbers_tell_nothing_of_one_another() -> None:
    numbers = [new_number() for _ in range(2000)]

    assert len(set(numbers)) == 2000
    for position in (0, 1, 2, 3, 5, 6, 7, 8, 10, 11):
        assert {number[position] for number in numbers} == set(NUMBER_ALPHABET)


# --- Personal data


def test_who_ordered_stands_in_the_contact_alone(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    cart, token = fill_cart((honey, 1), (workshop, 1))

    order = place_cart(cart, token)

    contact = OrderContact.objects.get()
    assert (contact.order, contact.name, contact.email) == (order, NAME, EMAIL)
    elsewhere = {label: rows for label, rows in all_rows().items() if label != "orders.OrderContact"}
    assert [label for label, rows in elsewhere.items() if NAME in str(rows) or EMAIL in str(rows)] == []


# --- Scarce things


def test_placing_takes_the_carts_holds_and_claims_nothing_anew(fill_cart: FillCart, workshop: Entry) -> None:
    counted = ProductFactory(stock=5)
    cart, token = fill_cart((workshop, 2), (counted, 3))
    before = list(Hold.objects.order_by("pk").values_list("pk", "quantity", "claimed_at"))

    order = place_cart(cart, token)

    assert list(Hold.objects.order_by("pk").values_list("pk", "quantity", "claimed_at")) == before
    assert list(Pool.objects.order_by("pk").values_list("taken", flat=True)) == [2, 3]
    assert [line.hold_id for line in order.lines.all()] == [hold for hold, _quantity, _claimed in before]
    assert not Hold.objects.exclude(until=None).exists()
    assert not CartItem.objects.filter(hold__isnull=False).exists()


def test_an_orders_holds_never_lapse(order: Order) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        assert capacity.give_expired_back() == 0

    assert Pool.objects.get().taken == 2


def test_a_hold_whose_time_is_over_is_still_the_carts_own(fill_cart: FillCart, workshop: Entry) -> None:
    cart, token = fill_cart((workshop, 10))

    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        order = place_cart(cart, token)

    assert order.lines.get().hold == Hold.objects.get()
    assert Pool.objects.get().taken == 10


def test_a_hold_that_was_given_back_is_claimed_again(fill_cart: FillCart, workshop: Entry) -> None:
    cart, token = fill_cart((workshop, 2))
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        capacity.give_expired_back()

    order = place_cart(cart, token)

    hold = order.lines.get().hold
    assert hold is not None
    assert (hold.quantity, hold.until) == (2, None)
    assert Pool.objects.get().taken == 2


def test_what_was_sold_to_others_meanwhile_is_refused(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    counted = ProductFactory(stock=5)
    cart, token = fill_cart((honey, 1), (counted, 2), (workshop, 2))
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))
    fill_cart((workshop, 9))
    before = all_rows()

    with pytest.raises(CannotPlace, match="There is not enough left of Bread workshop") as refusal:
        place_cart(cart, token)

    assert len(refusal.value.reasons) == 1
    assert all_rows() == before


def test_other_peoples_expired_holds_make_room(fill_cart: FillCart, workshop: Entry) -> None:
    cart, token = fill_cart((workshop, 10))
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))
    fill_cart((workshop, 10))
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))

    order = place_cart(cart, token)

    assert order.lines.get().quantity == 10
    assert Pool.objects.get().taken == 10


def test_things_that_became_scarce_in_the_cart_are_claimed(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    honey.pool = capacity.new_pool("Honey", 2)
    honey.save()

    order = place_cart(cart, token)

    assert order.lines.get().hold is not None
    assert Pool.objects.get().taken == 2


# --- Prices


def test_a_price_that_rose_must_be_accepted_first(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    Product.objects.update(price="6.51")
    before = all_rows()

    with pytest.raises(CannotPlace, match="prices have gone up"):
        place_cart(cart, token)

    assert all_rows() == before


def test_a_price_that_was_accepted_is_charged(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    Product.objects.update(price="6.51")
    carts.accept_prices(cart)

    assert place_cart(cart, token).total == Decimal("13.02")


def test_a_price_that_fell_is_charged_as_it_is_now(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    Product.objects.update(price="5.00")

    assert place_cart(cart, token).total == Decimal("10.00")


# --- A cart that changed in another tab


@pytest.mark.parametrize("change", ["more", "fewer", "another thing", "a lower price"])
def test_a_cart_that_changed_since_it_was_shown_is_shown_again(
    fill_cart: FillCart, honey: Product, change: str
) -> None:
    cart, token = fill_cart((honey, 2), (ProductFactory(), 1))
    seen = agreed_for(cart)
    match change:
        case "more":
            carts.add(cart, honey, 1)
        case "fewer":
            carts.set_quantity(cart, cart.items.first().pk, 1)  # type: ignore[union-attr]
        case "another thing":
            carts.add(cart, ProductFactory(), 1)
        case "a lower price":
            Product.objects.filter(pk=honey.pk).update(price="6.00")
    before = all_rows()

    with pytest.raises(CartChanged):
        place_cart(cart, token, agreed=seen)

    assert all_rows() == before


def test_a_thing_that_was_taken_out_and_put_in_again_is_shown_again(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    seen = agreed_for(cart)
    carts.set_quantity(cart, cart.items.get().pk, 0)

    with pytest.raises(CannotPlace, match="empty"):
        place_cart(cart, token, agreed=seen)

    assert not Order.objects.exists()


# --- Refusals


def test_an_empty_cart_cannot_be_placed(fill_cart: FillCart) -> None:
    cart, token = fill_cart()
    before = all_rows()

    with pytest.raises(CannotPlace, match="Your basket is empty"):
        place_cart(cart, token)

    assert all_rows() == before


@pytest.mark.parametrize(
    "change",
    [
        {"starts_at": timezone.now() - timedelta(minutes=1)},
        {"booking_closes_at": timezone.now() - timedelta(minutes=1)},
        {"booking_opens_at": timezone.now() + timedelta(days=1)},
        {"cancelled_at": timezone.now()},
        {"archived_at": timezone.now()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_that_is_no_longer_on_sale_is_refused(
    fill_cart: FillCart, workshop: Entry, change: dict[str, object]
) -> None:
    cart, token = fill_cart((workshop, 2))
    Entry.objects.update(**change)
    before = all_rows()

    with pytest.raises(CannotPlace, match="Bread workshop is no longer on sale"):
        place_cart(cart, token)

    assert all_rows() == before


@pytest.mark.parametrize("archived", ["product", "stall"])
def test_a_product_that_is_no_longer_on_sale_is_refused(fill_cart: FillCart, honey: Product, archived: str) -> None:
    cart, token = fill_cart((honey, 2))
    gone = honey if archived == "product" else honey.stall
    gone.archived_at = timezone.now()
    gone.save()
    before = all_rows()

    with pytest.raises(CannotPlace, match="Heather honey is no longer on sale"):
        place_cart(cart, token)

    assert all_rows() == before


def test_every_reason_is_told_at_once(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    dearer = ProductFactory()
    cart, token = fill_cart((honey, 2), (workshop, 1), (dearer, 1))
    Product.objects.filter(pk=honey.pk).update(archived_at=timezone.now())
    Product.objects.filter(pk=dearer.pk).update(price="7.00")
    Entry.objects.update(cancelled_at=timezone.now())

    with pytest.raises(CannotPlace) as refusal:
        place_cart(cart, token)

    honey_gone, workshop_gone, price_rose = refusal.value.reasons
    assert ("Heather honey" in honey_gone, "Bread workshop" in workshop_gone, "prices" in price_rose) == (True,) * 3


@pytest.mark.parametrize("token", ["", "made-up", "another's"])
def test_a_visitor_without_the_carts_token_gets_nowhere(fill_cart: FillCart, honey: Product, token: str) -> None:
    cart, _token = fill_cart((honey, 2))
    _other, others = fill_cart((honey, 1))
    before = all_rows()

    with pytest.raises(CartChanged):
        place_cart(cart, others if token == "another's" else token)

    assert all_rows() == before


def test_another_users_cart_cannot_be_placed_even_with_its_token(
    fill_cart: FillCart, honey: Product, shopper: User, staff: User
) -> None:
    cart, token = fill_cart((honey, 2), user=staff)
    before = all_rows()

    with pytest.raises(CartChanged):
        place_cart(cart, token, user=shopper)

    assert all_rows() == before


def test_a_cart_that_does_not_exist_gets_the_same_answer(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    with pytest.raises(CartChanged) as of_another:
        place_cart(cart, "made-up")

    with pytest.raises(CartChanged) as of_none:
        place(uuid4(), token=token, user=None, agreed="", name=NAME, email=EMAIL)

    assert of_none.value.reasons == of_another.value.reasons


def test_a_cart_that_was_merged_into_another_cannot_be_placed(
    fill_cart: FillCart, honey: Product, shopper: User
) -> None:
    fill_cart((honey, 1), user=shopper)
    cart, token = fill_cart((honey, 2))
    carts.adopt(token, shopper)

    with pytest.raises(CannotPlace):
        place_cart(cart, token)
    with pytest.raises(CannotPlace):
        place_cart(cart, token, user=shopper)

    assert not Order.objects.exists()


# --- Once


def test_placing_a_cart_again_gives_the_first_order(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    cart, token = fill_cart((honey, 1), (workshop, 2))
    agreed = agreed_for(cart)
    first = place_cart(cart, token, agreed=agreed)
    before = all_rows()

    again, is_new = place(cart.uuid, token=token, user=None, agreed="stale", name="Other", email="other@example.org")

    assert (again, is_new) == (first, False)
    assert all_rows() == before


def test_a_placed_cart_is_over(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    place_cart(cart, token)

    assert carts.basket_of(token, None).items == []
    fresh, _token = carts.open_cart(token, None)

    assert fresh != cart
    assert Cart.objects.get(token_hash=hash_token(token)).ordered_at is not None


def test_the_database_gives_a_cart_one_order(order: Order) -> None:
    with pytest.raises(IntegrityError, match="orders_order_cart_id"), transaction.atomic():
        Order.objects.create(cart=order.cart, total=1, currency="GBP")

    assert Order.objects.get() == order


# --- Nothing to pay


def test_an_order_of_nothing_to_pay_is_confirmed_at_once(fill_cart: FillCart, workshop: Entry) -> None:
    Entry.objects.update(price=0)
    cart, token = fill_cart((Entry.objects.get(), 2))

    order = place_cart(cart, token)

    order.refresh_from_db()
    assert (order.status, order.total) == ("confirmed", 0)
    assert Booking.objects.filter(order_line__order=order).count() == 2
    assert Message.objects.get().kind == "confirmation"
    assert [event.kind for event in order.events.all()] == ["placed", "confirmed"]


# --- What the database promises


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"total": Decimal("6.49")}, "orderline_total_is_price_times_quantity"),
        ({"quantity": 0, "total": 0}, "orderline_quantity_positive"),
        ({"unit_price": Decimal("-6.50"), "total": Decimal("-6.50")}, "orderline_only_discounts_are_negative"),
        ({"product": None}, "orderline_kind_fits_its_thing"),
        ({"kind": "fee"}, "orderline_kind_fits_its_thing"),
        ({"kind": "discount", "product": None}, "orderline_only_discounts_are_negative"),
        ({"position": 1}, "orderline_one_per_position"),
    ],
)
def test_the_database_refuses_a_line_that_does_not_add_up(
    order: Order, change: dict[str, object], constraint: str
) -> None:
    line = OrderLine.objects.filter(order=order).order_by("position")[:1]

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        OrderLine.objects.filter(pk__in=line.values("pk")).update(**change)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"total": -1}, "order_total_not_negative"),
        ({"closing_to": "expired"}, "order_closing_names_where_to"),
        ({"closing_since": timezone.now()}, "order_closing_names_where_to"),
        ({"closing_since": timezone.now(), "closing_to": "confirmed"}, "order_closing_names_where_to"),
        (
            {"closing_since": timezone.now(), "closing_to": "expired", "status": "confirmed"},
            "order_closing_only_while_awaiting_payment",
        ),
    ],
)
def test_the_database_refuses_an_order_that_makes_no_sense(
    order: Order, change: dict[str, object], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**change)
