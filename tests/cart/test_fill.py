"""Filling a cart: what is scarce is held, what cannot be had is refused, and a refusal moves nothing."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, Product
from cart.services import Unavailable
from tests.cart.baskets import held_by, lines_of, only_item, taken
from tests.factories import EntryFactory, ProductFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


# --- Adding -----------------------------------------------------------------------------------------------------------


def test_what_is_not_counted_is_not_held(fill_cart: Fill, honey: Product) -> None:
    cart, _token = fill_cart((honey, 2))

    assert lines_of(cart) == {"Heather honey": 2}
    assert not Hold.objects.exists()


def test_what_is_scarce_is_held_for_15_minutes(fill_cart: Fill, workshop: Entry) -> None:
    before = timezone.now()

    cart, _token = fill_cart((workshop, 3))

    hold = only_item(cart).hold
    assert hold is not None
    assert hold.until is not None
    assert before + timedelta(minutes=15) <= hold.until <= timezone.now() + timedelta(minutes=15)
    assert (hold.quantity, taken(workshop)) == (3, 3)


def test_adding_the_same_thing_again_makes_one_line_of_both(fill_cart: Fill, loaf: Product, workshop: Entry) -> None:
    cart, _token = fill_cart((loaf, 1), (workshop, 2), (loaf, 3), (workshop, 1))

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 4, "Bread workshop": 3}


def test_a_product_and_an_entry_of_the_same_number_are_two_lines(fill_cart: Fill) -> None:
    product = ProductFactory.create(pk=77_000, title="A thing")
    entry = EntryFactory.create(pk=77_000, title="A dated thing")

    cart, _token = fill_cart((product, 1), (entry, 2))

    assert lines_of(cart) == {"A thing": 1, "A dated thing": 2}


def test_more_than_there_is_is_refused_with_what_is_left(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 2))

    with pytest.raises(Unavailable, match=r"Only 3 more of Rye loaf are left\."):
        services.add(cart, loaf, 4)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}
    assert taken(loaf) == 2


def test_one_left_is_said_in_the_singular(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 4))

    with pytest.raises(Unavailable, match=r"Only 1 more of Rye loaf is left\."):
        services.add(cart, loaf, 2)


def test_sold_out_is_said_and_leaves_no_line(fill_cart: Fill, loaf: Product) -> None:
    capacity.claim(loaf.pool_id or 0, 5, until=None)
    cart, _token = fill_cart()

    with pytest.raises(Unavailable, match=r"Rye loaf is sold out\."):
        services.add(cart, loaf, 1)

    assert lines_of(cart) == {}
    assert taken(loaf) == 5


def test_adding_takes_over_what_expired_carts_held(fill_cart: Fill, loaf: Product) -> None:
    first, _token = fill_cart((loaf, 5))
    Hold.objects.update(until=timezone.now())

    second, _token = fill_cart((loaf, 2))

    assert (held_by(first), held_by(second)) == ({"Rye loaf": 0}, {"Rye loaf": 2})
    assert only_item(first).hold_expired


def test_a_line_whose_hold_was_given_back_claims_all_of_it_again(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 2))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))

    services.add(cart, loaf, 1)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 3}


def test_a_line_whose_own_hold_expired_never_takes_more_than_there_is(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 2))
    Hold.objects.update(until=timezone.now())
    capacity.claim(loaf.pool_id or 0, 3, until=None)

    with pytest.raises(Unavailable):
        services.add(cart, loaf, 1)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}
    assert taken(loaf) == 5


@pytest.mark.parametrize("quantity", [0, -1, 1000, 10**9])
def test_a_line_is_from_1_to_999(fill_cart: Fill, honey: Product, quantity: int) -> None:
    cart, _token = fill_cart()

    with pytest.raises(Unavailable, match="from 1 to 999"):
        services.add(cart, honey, quantity)

    assert lines_of(cart) == {}


def test_a_line_is_at_most_999_in_all(fill_cart: Fill, honey: Product) -> None:
    cart, _token = fill_cart((honey, 999))

    with pytest.raises(Unavailable, match="from 1 to 999"):
        services.add(cart, honey, 1)

    assert lines_of(cart) == {"Heather honey": 999}


# --- What is not on sale ----------------------------------------------------------------------------------------------


def in_days(days: float) -> object:
    return timezone.now() + timedelta(days=days)


@pytest.mark.parametrize(
    "state",
    [
        {"starts_at": in_days(-1), "ends_at": in_days(1)},
        {"booking_opens_at": in_days(1)},
        {"booking_closes_at": in_days(-1)},
        {"cancelled_at": in_days(-1)},
        {"archived_at": in_days(-1)},
    ],
    ids=["begun", "not open yet", "closed", "cancelled", "archived"],
)
def test_places_outside_their_booking_window_cannot_be_added(fill_cart: Fill, state: dict[str, object]) -> None:
    entry = EntryFactory.create(title="Walk", **state)
    cart, _token = fill_cart()

    with pytest.raises(Unavailable, match=r"Walk is no longer on sale\."):
        services.add(cart, entry, 1)

    assert lines_of(cart) == {}
    assert taken(entry) == 0


@pytest.mark.parametrize("archived", ["product", "stall"])
def test_what_was_archived_cannot_be_added(fill_cart: Fill, loaf: Product, archived: str) -> None:
    row = loaf if archived == "product" else loaf.stall
    row.archived_at = timezone.now()
    row.save()
    cart, _token = fill_cart()

    with pytest.raises(Unavailable, match="no longer on sale"):
        services.add(cart, loaf, 1)

    assert lines_of(cart) == {}
    assert taken(loaf) == 0


# --- Changing ---------------------------------------------------------------------------------------------------------


def test_more_of_a_line_claims_more(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 2))

    services.set_quantity(cart, only_item(cart).pk, 5)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 5}
    assert taken(loaf) == 5


def test_fewer_of_a_line_gives_the_rest_back(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 4))

    services.set_quantity(cart, only_item(cart).pk, 1)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 1}
    assert taken(loaf) == 1


def test_more_than_there_is_changes_nothing(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 4))

    with pytest.raises(Unavailable, match="Only 1 more"):
        services.set_quantity(cart, only_item(cart).pk, 6)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 4}
    assert taken(loaf) == 4


def test_none_of_a_line_removes_it_and_frees_what_it_held(fill_cart: Fill, loaf: Product, honey: Product) -> None:
    cart, _token = fill_cart((loaf, 4), (honey, 1))
    item = CartItem.objects.get(product=loaf)

    basket = services.set_quantity(cart, item.pk, 0)

    assert [left.thing for left in basket.items] == [honey]
    assert lines_of(cart) == {"Heather honey": 1}
    assert taken(loaf) == 0


@pytest.mark.parametrize("quantity", [0, 1])
def test_what_is_no_longer_on_sale_can_be_removed_and_reduced(fill_cart: Fill, loaf: Product, quantity: int) -> None:
    cart, _token = fill_cart((loaf, 3))
    Product.objects.update(archived_at=timezone.now())

    services.set_quantity(cart, only_item(cart).pk, quantity)

    assert sum(lines_of(cart).values()) == taken(loaf) == quantity


def test_what_is_no_longer_on_sale_cannot_be_increased(fill_cart: Fill, loaf: Product) -> None:
    cart, _token = fill_cart((loaf, 3))
    Product.objects.update(archived_at=timezone.now())

    with pytest.raises(Unavailable, match="no longer on sale"):
        services.set_quantity(cart, only_item(cart).pk, 4)

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 3}


def test_a_line_cannot_be_increased_beyond_999(fill_cart: Fill, honey: Product) -> None:
    cart, _token = fill_cart((honey, 3))

    with pytest.raises(Unavailable, match="from 1 to 999"):
        services.set_quantity(cart, only_item(cart).pk, 1000)

    assert lines_of(cart) == {"Heather honey": 3}


def test_another_carts_line_cannot_be_changed(fill_cart: Fill, loaf: Product) -> None:
    theirs, _token = fill_cart((loaf, 2))
    mine, _token = fill_cart((loaf, 1))

    with pytest.raises(CartItem.DoesNotExist):
        services.set_quantity(mine, only_item(theirs).pk, 0)

    assert (lines_of(theirs), lines_of(mine)) == ({"Rye loaf": 2}, {"Rye loaf": 1})


# --- What the database promises ---------------------------------------------------------------------------------------


def test_a_line_is_either_a_product_or_an_entry(fill_cart: Fill, honey: Product, workshop: Entry) -> None:
    cart, _token = fill_cart()

    for product, entry in [(None, None), (honey, workshop)]:
        with pytest.raises(IntegrityError, match="cartitem_either_product_or_entry"), transaction.atomic():
            CartItem.objects.create(cart=cart, product=product, entry=entry, quantity=1, seen_price=Decimal(1))


def test_a_thing_is_in_a_cart_once(fill_cart: Fill, honey: Product, workshop: Entry) -> None:
    cart, _token = fill_cart((honey, 1), (workshop, 1))

    for thing in ({"product": honey}, {"entry": workshop}):
        with pytest.raises(IntegrityError, match="cartitem_one_line_per"), transaction.atomic():
            CartItem.objects.create(cart=cart, quantity=1, seen_price=Decimal(1), **thing)


# --- What a basket says -----------------------------------------------------------------------------------------------


def test_a_basket_adds_up(fill_cart: Fill, honey: Product, workshop: Entry) -> None:
    _cart, token = fill_cart((honey, 3), (workshop, 2))

    basket = services.basket_of(token, None)

    assert (basket.count, basket.total) == (5, Decimal("89.50"))


def test_a_basket_knows_the_first_hold_that_ends(fill_cart: Fill, loaf: Product, workshop: Entry) -> None:
    _cart, token = fill_cart((loaf, 1), (workshop, 1))
    sooner = timezone.now() + timedelta(minutes=3)
    Hold.objects.filter(cart_item__product=loaf).update(until=sooner)

    assert services.basket_of(token, None).holds_until == sooner


def test_the_fingerprint_changes_with_quantity_price_and_lines(fill_cart: Fill, honey: Product, loaf: Product) -> None:
    cart, token = fill_cart((honey, 1))

    seen = [services.basket_of(token, None).fingerprint]
    services.set_quantity(cart, only_item(cart).pk, 2)
    seen.append(services.basket_of(token, None).fingerprint)
    Product.objects.filter(pk=honey.pk).update(price=Decimal("6.51"))
    seen.append(services.basket_of(token, None).fingerprint)
    services.add(cart, loaf, 1)
    seen.append(services.basket_of(token, None).fingerprint)

    assert len(set(seen)) == 4
    assert services.basket_of(token, None).fingerprint == seen[-1]
