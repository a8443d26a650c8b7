"""A price that rose is accepted once; what is held can be held a little longer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from time_machine import travel

from bookings import capacity
from bookings.models import Entry, Hold, PriceKind
from cart import services
from cart.models import Cart, Product
from cart.services import Unavailable
from orders.placing import CannotPlace, place
from tests.cart.baskets import held_by, item_of, lines_of, only_item, taken
from tests.factories import EntryFactory
from tests.orders.acts import place_cart, visitor

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def cost(product: Product, price: str) -> None:
    """The market changes its price."""
    Product.objects.filter(pk=product.pk).update(price=Decimal(price))


def test_a_basket_costs_what_the_database_says_now(fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 2))

    cost(honey, "7.00")

    assert services.basket_of(token, None).total == Decimal("14.00")


def test_a_price_that_rose_must_be_accepted_once(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    cost(honey, "7.00")
    rose = services.basket_of(token, None).prices_rose

    services.accept_prices(cart)

    assert rose
    assert not services.basket_of(token, None).prices_rose


def test_a_price_that_rises_again_must_be_accepted_again(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 2))
    cost(honey, "7.00")
    services.accept_prices(cart)

    cost(honey, "7.50")

    assert services.basket_of(token, None).prices_rose


def test_a_price_that_fell_needs_no_yes(fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 2))

    cost(honey, "5.00")

    assert not services.basket_of(token, None).prices_rose


def test_adding_more_of_a_thing_is_no_yes_to_its_new_price(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    cost(honey, "7.00")

    services.add(cart, Product.objects.get(pk=honey.pk), 1)

    assert services.basket_of(token, None).prices_rose


def test_one_line_alone_may_be_accepted(fill_cart: Fill, honey: Product, loaf: Product) -> None:
    cart, token = fill_cart((honey, 1), (loaf, 1))
    cost(honey, "7.00")
    cost(loaf, "7.00")

    services.accept_prices(cart, item_id=item_of(cart, loaf).pk)

    assert [item.price_rose for item in services.basket_of(token, None).items] == [True, False]


def test_a_yes_to_prices_that_changed_again_meanwhile_is_none(fill_cart: Fill, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    cost(honey, "7.00")
    agreed = services.basket_of(token, None).fingerprint
    cost(honey, "9.00")

    with pytest.raises(Unavailable, match="look at the prices again"):
        services.accept_prices(cart, agreed)

    assert services.basket_of(token, None).prices_rose


def test_placing_refuses_until_the_line_is_accepted_or_removed(
    fill_cart: Fill, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart, token = fill_cart((honey, 1), (loaf, 1), (workshop, 1))
    cost(honey, "7.00")
    cost(loaf, "7.00")
    refused = []

    for step in (
        lambda: services.accept_prices(cart, item_id=item_of(cart, honey).pk),
        lambda: services.set_quantity(cart, item_of(cart, loaf).pk, 0),
    ):
        basket = services.basket_of(token, None)
        with pytest.raises(CannotPlace, match="Some prices have gone up"):
            place(cart.uuid, token=token, user=None, agreed=basket.fingerprint, name="Ada", email="ada@example.org")
        refused.append(basket.prices_rose)
        step()

    assert refused == [True, True]
    assert not services.basket_of(token, None).prices_rose


# --- Kept longer ------------------------------------------------------------------------------------------------------


def test_one_press_keeps_what_is_held_for_the_full_hour(fill_cart: Fill, loaf: Product) -> None:
    with travel(NOON, tick=False) as clock:
        cart, token = fill_cart((loaf, 2))
        could = services.basket_of(token, None).can_be_kept
        clock.shift(10 * MINUTE)

        services.renew(cart)

        basket = services.basket_of(token, None)
    assert basket.holds_until == NOON + 60 * MINUTE
    assert (could, basket.can_be_kept) == (True, False)


def test_a_change_afterwards_does_not_shorten_it(fill_cart: Fill, loaf: Product) -> None:
    with travel(NOON, tick=False):
        cart, token = fill_cart((loaf, 2))
        services.renew(cart)

        services.set_quantity(cart, only_item(cart).pk, 3)

        assert services.basket_of(token, None).next_end == NOON + 60 * MINUTE


@pytest.mark.parametrize("given_back", [False, True])
@pytest.mark.parametrize("minutes", [16, 70])
def test_what_lapsed_is_claimed_anew_if_it_is_still_free(
    fill_cart: Fill, loaf: Product, minutes: int, given_back: bool
) -> None:
    with travel(NOON, tick=False) as clock:
        cart, token = fill_cart((loaf, 2))
        clock.shift(minutes * MINUTE)
        if given_back:
            capacity.give_expired_back()
        lapsed = services.basket_of(token, None).has_lapsed

        basket = services.renew(cart)

        assert services.basket_of(token, None).next_end == NOON + (minutes + 15) * MINUTE
        assert (lapsed, basket.has_lapsed, basket.gone) == (True, False, [])
    assert (held_by(cart), taken(loaf)) == ({"Rye loaf": 2}, 2)


def test_what_others_took_meanwhile_is_named_and_its_line_stays(
    fill_cart: Fill, loaf: Product, workshop: Entry
) -> None:
    cart, _token = fill_cart((loaf, 2), (workshop, 1))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))
    capacity.claim(loaf.pool_id or 0, 4, until=None)

    basket = services.renew(cart)

    assert basket.gone == ["There is not enough left of Rye loaf to hold it again."]
    assert lines_of(cart) == {"Rye loaf": 2, "Bread workshop": 1}
    assert held_by(cart) == {"Rye loaf": 0, "Bread workshop": 1}
    assert not item_of(cart, loaf).can_be_had


def test_what_is_no_longer_on_sale_is_not_held_again(fill_cart: Fill, workshop: Entry) -> None:
    cart, _token = fill_cart((workshop, 1))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))
    Entry.objects.update(cancelled_at=NOON)

    basket = services.renew(cart)

    assert basket.gone == ["Bread workshop is no longer on sale."]
    assert (held_by(cart), taken(workshop)) == ({"Bread workshop": 0}, 0)


def test_renewing_another_cart_renews_only_that(fill_cart: Fill, loaf: Product) -> None:
    with travel(NOON, tick=False):
        _mine, token = fill_cart((loaf, 1))
        other, _token = fill_cart((loaf, 1))

        services.renew(other)

        assert services.basket_of(token, None).next_end == NOON + 15 * MINUTE


def test_the_first_of_several_ends_counts_and_what_is_over_does_not(
    fill_cart: Fill, loaf: Product, workshop: Entry
) -> None:
    with travel(NOON, tick=False) as clock:
        cart, token = fill_cart((loaf, 1))
        clock.shift(10 * MINUTE)
        services.add(cart, workshop, 1)
        before = services.basket_of(token, None).next_end
        clock.shift(6 * MINUTE)

        after = services.basket_of(token, None)

        assert (before, after.next_end) == (NOON + 15 * MINUTE, NOON + 25 * MINUTE)
        assert after.has_lapsed


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59, "less than a minute left"),
        (60, "1 minute left"),
        (899, "14 minutes left"),
        (7199, "119 minutes left"),
        (86400, "24 hours left"),
    ],
)
def test_what_is_left_is_said_in_words(fill_cart: Fill, loaf: Product, seconds: int, words: str) -> None:
    with travel(NOON, tick=False):
        _cart, token = fill_cart((loaf, 1))
        Hold.objects.update(until=NOON + timedelta(seconds=seconds))

        assert services.basket_of(token, None).time_left == words


# --- An own hold never blocks the own purchase ------------------------------------------------------------------------


def test_the_last_place_that_i_held_too_long_is_still_mine_to_buy(fill_cart: Fill) -> None:
    entry = EntryFactory.create(places=1)
    cart, token = fill_cart((entry, 1))
    Hold.objects.update(until=NOON)

    order = place_cart(cart, token)

    assert order.lines.get().hold == Hold.objects.get()
    assert taken(entry) == 1


def test_the_last_place_that_i_held_too_long_is_still_mine_to_change_and_to_hold_again(fill_cart: Fill) -> None:
    entry = EntryFactory.create(places=2)
    cart, _token = fill_cart((entry, 2))
    Hold.objects.update(until=NOON)
    line = only_item(cart)
    could = line.can_be_had

    services.set_quantity(cart, line.pk, 1)
    services.set_quantity(cart, line.pk, 2)
    basket = services.renew(cart)

    assert could
    assert (held_by(cart), basket.gone) == ({entry.title: 2}, [])


def test_somebody_else_may_take_what_i_held_too_long_and_my_line_says_so(fill_cart: Fill) -> None:
    entry = EntryFactory.create(title="Pizza evening", places=1)
    mine, token = fill_cart((entry, 1))
    Hold.objects.update(until=NOON)

    theirs, _token = fill_cart((entry, 1))

    assert (held_by(mine), held_by(theirs)) == ({"Pizza evening": 0}, {"Pizza evening": 1})
    for address in ("/cart/", "/checkout/"):
        page = visitor(token).get(address).content.decode()
        assert "We no longer hold this for you, and there is none left. Please remove it." in page
    with pytest.raises(CannotPlace, match="There is not enough left of Pizza evening"):
        place_cart(mine, token)
    assert lines_of(mine) == {"Pizza evening": 1}


def test_two_prices_of_the_last_places_are_bought_together_though_both_holds_are_over(fill_cart: Fill) -> None:
    entry = EntryFactory.create(places=2)
    child = PriceKind.objects.create(entry=entry, name="Child", price=Decimal("5.00"))
    cart, token = fill_cart((entry, 1))
    services.add(cart, entry, 1, child)
    Hold.objects.update(until=NOON)

    order = place_cart(cart, token)

    assert [line.hold.quantity for line in order.lines.all() if line.hold] == [1, 1]
    assert taken(entry) == 2


def test_at_the_checkout_the_hold_outlives_the_page_of_sumup(fill_cart: Fill, workshop: Entry) -> None:
    cart, token = fill_cart((workshop, 2))
    place_cart(cart, token)

    with travel(timezone.now() + timedelta(hours=2)):
        assert capacity.give_expired_back() == 0

    assert taken(workshop) == 2
