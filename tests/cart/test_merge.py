"""Two carts become one: of each thing the larger quantity, and no more held than that."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, Product
from cartsite.models import User
from tests.cart.baskets import held_by, lines_of, only_item, taken
from tests.factories import EntryFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def meet(fill_cart: Fill, shopper: User) -> Callable[..., Cart]:
    """The shopper's own cart with some things, joined with an anonymous one: `meet(mine=[...], found=[...])`."""

    def join(mine: list[tuple[Product | Entry, int]], found: list[tuple[Product | Entry, int]]) -> Cart:
        fill_cart(*mine, user=shopper)
        _cart, token = fill_cart(*found)
        cart, _token = services.adopt(token, shopper)
        return cart

    return join


Meet = Callable[..., Cart]


def test_what_only_one_of_them_has_is_kept(meet: Meet, honey: Product, loaf: Product, workshop: Entry) -> None:
    cart = meet(mine=[(honey, 1)], found=[(loaf, 2), (workshop, 3)])

    assert lines_of(cart) == {"Heather honey": 1, "Rye loaf": 2, "Bread workshop": 3}
    assert held_by(cart) == {"Rye loaf": 2, "Bread workshop": 3}


@pytest.mark.parametrize(("mine", "found"), [(1, 4), (4, 1), (4, 4)])
def test_of_each_thing_the_larger_quantity_counts_and_not_the_sum(
    meet: Meet, honey: Product, mine: int, found: int
) -> None:
    cart = meet(mine=[(honey, mine)], found=[(honey, found)])

    assert lines_of(cart) == {"Heather honey": 4}


@pytest.mark.parametrize(("mine", "found"), [(1, 3), (3, 1), (2, 3)])
def test_holds_join_and_what_is_too_much_is_given_back(meet: Meet, loaf: Product, mine: int, found: int) -> None:
    cart = meet(mine=[(loaf, mine)], found=[(loaf, found)])

    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 3}
    assert taken(loaf) == 3


def test_what_is_missing_is_claimed(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    found, token = fill_cart((loaf, 4))
    capacity.give_back([only_item(found).hold_id or 0])

    services.adopt(token, shopper)

    assert lines_of(mine) == held_by(mine) == {"Rye loaf": 4}
    assert taken(loaf) == 4


def test_where_there_is_no_room_the_quantity_falls_to_what_is_held(
    fill_cart: Fill, shopper: User, loaf: Product
) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    found, token = fill_cart((loaf, 4))
    capacity.give_back([only_item(found).hold_id or 0])
    capacity.claim(loaf.pool_id or 0, 3, until=None)

    services.adopt(token, shopper)

    assert lines_of(mine) == held_by(mine) == {"Rye loaf": 1}
    assert taken(loaf) == 4


def test_a_line_that_holds_nothing_stays_visible(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    _found, token = fill_cart((loaf, 4))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))
    capacity.claim(loaf.pool_id or 0, 5, until=None)

    services.adopt(token, shopper)

    assert (lines_of(mine), held_by(mine)) == ({"Rye loaf": 4}, {"Rye loaf": 0})
    assert only_item(mine).hold_expired


@pytest.mark.parametrize(("mine", "found"), [("6.50", "7.00"), ("7.00", "6.50")])
def test_of_two_prices_seen_the_lower_one_counts(
    fill_cart: Fill, shopper: User, honey: Product, mine: str, found: str
) -> None:
    cart, _token = fill_cart((honey, 1), user=shopper)
    other, token = fill_cart((honey, 1))
    Product.objects.update(price=Decimal("7.00"))
    cart.items.update(seen_price=Decimal(mine))
    other.items.update(seen_price=Decimal(found))

    services.adopt(token, shopper)

    assert services.Basket([only_item(cart)]).prices_rose


def test_joining_does_not_stretch_a_hold_beyond_an_hour(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    claimed = timezone.now() - timedelta(minutes=50)
    Hold.objects.update(claimed_at=claimed)
    _found, token = fill_cart((loaf, 1))

    services.adopt(token, shopper)

    hold = only_item(mine).hold
    assert hold is not None
    assert hold.until == claimed + timedelta(hours=1)


def test_the_cart_that_was_merged_is_left_empty_and_names_the_other(
    fill_cart: Fill, shopper: User, loaf: Product
) -> None:
    mine, _token = fill_cart(user=shopper)
    found, token = fill_cart((loaf, 1))

    services.adopt(token, shopper)

    found.refresh_from_db()
    assert found.merged_into == mine
    assert not found.items.exists()


def test_lines_that_share_one_pool_and_whose_holds_expired_are_counted_once(fill_cart: Fill, shopper: User) -> None:
    morning = EntryFactory.create(title="Morning", places=6)
    evening = EntryFactory.create(title="Evening", calendar=morning.calendar, pool=morning.pool)
    mine, _token = fill_cart((morning, 1), (evening, 1), user=shopper)
    found, token = fill_cart((morning, 2), (evening, 2))
    capacity.give_back([CartItem.objects.get(cart=found, entry=morning).hold_id or 0])
    capacity.claim(morning.pool_id, 2, until=None)
    Hold.objects.filter(until__isnull=False).update(until=timezone.now())

    services.adopt(token, shopper)

    assert taken(morning) <= 6
    assert set(lines_of(mine)) == {"Morning", "Evening"}
