"""Saved for later: a line that holds nothing, costs nothing and is not ordered, until it is brought back."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings import capacity
from bookings.models import Entry
from cart import services
from cart.models import Cart, CartItem, Product
from cart.services import Unavailable
from cartsite.models import User
from orders.models import Order
from tests.cart.baskets import held_by, item_of, lines_of, saved_in, taken, token_in

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
Save = Callable[..., tuple[Cart, str]]


@pytest.fixture
def save(fill_cart: Fill) -> Save:
    """Fill a fresh cart, and save all of it for later: `save((honey, 1), (workshop, 2), user=None)`."""

    def fill_and_save(*things: tuple[Product | Entry, int], user: User | None = None) -> tuple[Cart, str]:
        cart, token = fill_cart(*things, user=user)
        for thing, _quantity in things:
            services.save_for_later(cart, item_of(cart, thing).pk)
        return cart, token

    return fill_and_save


def visitor_with(token: str, **headers: str) -> Client:
    client = Client(headers=headers)
    client.cookies["cart"] = token
    return client


# --- Saving -----------------------------------------------------------------------------------------------------------


def test_what_is_saved_gives_back_its_hold_and_is_neither_counted_nor_paid(
    fill_cart: Fill, loaf: Product, honey: Product
) -> None:
    cart, token = fill_cart((loaf, 3), (honey, 1))

    basket = services.save_for_later(cart, item_of(cart, loaf).pk)

    for shown in (basket, services.basket_of(token, None)):
        assert (shown.count, shown.total, shown.holds_until) == (1, Decimal("6.50"), None)
        assert [line.quantity for line in shown.saved] == [3]
    assert (lines_of(cart), saved_in(cart), taken(loaf)) == ({"Heather honey": 1}, {"Rye loaf": 3}, 0)


def test_saving_what_is_saved_already_keeps_the_larger_quantity_and_the_lower_price(save: Save, honey: Product) -> None:
    for first, second in ((2, 5), (5, 2)):
        cart, _token = save((honey, first))
        CartItem.objects.update(seen_price=Decimal("6.00"))
        CartItem.objects.create(cart=cart, product=honey, quantity=second, seen_price=Decimal("6.50"))

        services.save_for_later(cart, cart.items.get(saved_at=None).pk)

        assert (lines_of(cart), saved_in(cart)) == ({}, {"Heather honey": 5})
        assert cart.items.get().seen_price == Decimal("6.00")


def test_saving_twice_is_saving_once(save: Save, loaf: Product) -> None:
    cart, _token = save((loaf, 3))

    services.save_for_later(cart, cart.items.get().pk)

    assert saved_in(cart) == {"Rye loaf": 3}


def test_adding_what_is_saved_makes_it_active_at_the_price_that_was_seen(save: Save, loaf: Product) -> None:
    cart, token = save((loaf, 3))
    Product.objects.update(price=Decimal("7.00"))

    services.add(cart, Product.objects.select_related("pool", "stall").get(), 1)

    assert (lines_of(cart), held_by(cart), saved_in(cart)) == ({"Rye loaf": 1}, {"Rye loaf": 1}, {})
    assert services.basket_of(token, None).prices_rose


def test_adding_to_a_line_drops_the_saved_one_of_the_same_thing(save: Save, loaf: Product) -> None:
    cart, _token = save((loaf, 3))
    CartItem.objects.create(cart=cart, product=loaf, quantity=1, seen_price=loaf.price)

    services.add(cart, loaf, 1)

    assert (lines_of(cart), held_by(cart), saved_in(cart)) == ({"Rye loaf": 2}, {"Rye loaf": 2}, {})


def test_what_cannot_be_added_stays_saved(save: Save, loaf: Product) -> None:
    cart, _token = save((loaf, 3))

    with pytest.raises(Unavailable):
        services.add(cart, loaf, 6)

    assert (lines_of(cart), saved_in(cart), taken(loaf)) == ({}, {"Rye loaf": 3}, 0)


# --- Bringing back ----------------------------------------------------------------------------------------------------


def test_what_is_brought_back_is_claimed_again(save: Save, loaf: Product) -> None:
    cart, _token = save((loaf, 3))

    basket = services.bring_back(cart, item_of(cart, loaf).pk)

    assert (basket.count, basket.saved) == (3, [])
    assert (lines_of(cart), held_by(cart), saved_in(cart)) == ({"Rye loaf": 3}, {"Rye loaf": 3}, {})


@pytest.mark.parametrize(("active", "saved"), [(1, 4), (4, 1)])
def test_it_joins_the_line_that_is_there_with_the_larger_quantity(
    save: Save, loaf: Product, active: int, saved: int
) -> None:
    cart, _token = save((loaf, saved))
    CartItem.objects.create(
        cart=cart,
        product=loaf,
        quantity=active,
        seen_price=loaf.price,
        hold=capacity.claim(loaf.pool_id or 0, active, capacity.cart_hold_ends()),
    )

    services.bring_back(cart, cart.items.get(saved_at__isnull=False).pk)

    assert (lines_of(cart), held_by(cart), saved_in(cart)) == ({"Rye loaf": 4}, {"Rye loaf": 4}, {})
    assert taken(loaf) == 4


def test_what_is_sold_out_meanwhile_stays_saved(save: Save, loaf: Product) -> None:
    cart, _token = save((loaf, 3))
    capacity.claim(loaf.pool_id or 0, 3, until=None)

    with pytest.raises(Unavailable, match="Only 2 more of Rye loaf are left"):
        services.bring_back(cart, item_of(cart, loaf).pk)

    assert (lines_of(cart), saved_in(cart), taken(loaf)) == ({}, {"Rye loaf": 3}, 3)


def test_what_is_no_longer_on_sale_stays_saved(save: Save, honey: Product) -> None:
    cart, _token = save((honey, 3))
    Product.objects.update(archived_at=timezone.now())

    with pytest.raises(Unavailable, match="no longer on sale"):
        services.bring_back(cart, item_of(cart, honey).pk)

    assert saved_in(cart) == {"Heather honey": 3}


def test_a_price_that_rose_meanwhile_is_named(save: Save, honey: Product) -> None:
    cart, token = save((honey, 1))
    Product.objects.update(price=Decimal("7.00"))

    services.bring_back(cart, item_of(cart, honey).pk)

    assert services.basket_of(token, None).prices_rose


def test_a_price_that_rose_on_a_saved_line_stops_nobody(save: Save, honey: Product) -> None:
    _cart, token = save((honey, 1))

    Product.objects.update(price=Decimal("7.00"))

    assert not services.basket_of(token, None).prices_rose


def test_another_carts_line_is_not_there(save: Save, honey: Product, fill_cart: Fill) -> None:
    theirs, _token = save((honey, 1))
    mine, _token = fill_cart()

    for verb in (services.bring_back, services.save_for_later):
        with pytest.raises(CartItem.DoesNotExist):
            verb(mine, item_of(theirs, honey).pk)

    assert saved_in(theirs) == {"Heather honey": 1}


def test_a_saved_line_can_be_removed_but_its_quantity_is_no_matter(save: Save, loaf: Product) -> None:
    cart, _token = save((loaf, 3))
    item = item_of(cart, loaf).pk

    with pytest.raises(CartItem.DoesNotExist):
        services.set_quantity(cart, item, 5)
    services.set_quantity(cart, item, 0)

    assert (lines_of(cart), saved_in(cart), taken(loaf)) == ({}, {}, 0)


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_line_is_saved_and_brought_back_on_the_page(fill_cart: Fill, loaf: Product, headers: dict[str, str]) -> None:
    cart, token = fill_cart((loaf, 3))
    item = item_of(cart, loaf).pk
    client = visitor_with(token, **headers)

    saved = client.post(f"/cart/items/{item}/save/")
    page = client.get("/cart/").content.decode()
    held_then = taken(loaf)
    back = client.post(f"/cart/items/{item}/bring-back/")

    assert [answer.status_code for answer in (saved, back)] == [200 if headers else 302] * 2
    assert f'data-saved="{item}"' in page
    assert "There is nothing in your basket yet." in page
    assert held_then == 0
    assert held_by(cart) == {"Rye loaf": 3}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_why_it_cannot_be_brought_back_is_said_beside_the_line(
    save: Save, loaf: Product, headers: dict[str, str]
) -> None:
    cart, token = save((loaf, 3))
    capacity.claim(loaf.pool_id or 0, 5, until=None)
    item = item_of(cart, loaf).pk

    answer = visitor_with(token, **headers).post(f"/cart/items/{item}/bring-back/")

    assert answer.status_code == 422
    assert f'id="error-{item}"' in answer.content.decode()
    assert "Rye loaf is sold out." in answer.content.decode()
    assert saved_in(cart) == {"Rye loaf": 3}


@pytest.mark.parametrize("verb", ["save", "bring-back"])
def test_another_shoppers_line_is_not_found(fill_cart: Fill, loaf: Product, honey: Product, verb: str) -> None:
    theirs, _token = fill_cart((loaf, 2))
    _mine, token = fill_cart((honey, 1))

    answers = [visitor_with(value).post(f"/cart/items/{item_of(theirs, loaf).pk}/{verb}/") for value in (token, "")]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert (lines_of(theirs), saved_in(theirs)) == ({"Rye loaf": 2}, {})


def test_siblings_are_told_nothing_of_what_is_saved(sibling: Client, save: Save, loaf: Product) -> None:
    _cart, token = save((loaf, 3))

    answer = sibling.get("/internal/cart/summary", {"cart": token}).json()

    assert (answer["count"], answer["lines"], answer["total"], answer["holds_until"]) == (0, 0, "0.00", None)


# --- Ordering ---------------------------------------------------------------------------------------------------------


def check_out(client: Client, **changes: Any) -> Any:
    """Order what the checkout page shows."""
    page = client.get("/checkout/")
    hidden = {name: page.context["form"][name].value() for name in ("cart", "agreed")}
    typed = {"name": "Ada Shopper", "email": "ada@example.org", "terms": "on"}
    return client.post("/checkout/", hidden | typed | changes)


@pytest.fixture
def free_honey(honey: Product) -> Product:
    """Honey that costs nothing, so that nobody has to pay."""
    Product.objects.update(price=Decimal("0.00"))
    honey.refresh_from_db()
    return honey


def test_what_is_saved_is_not_ordered_and_waits_in_the_next_basket(
    fill_cart: Fill, free_honey: Product, loaf: Product
) -> None:
    cart, token = fill_cart((free_honey, 1), (loaf, 2))
    services.save_for_later(cart, item_of(cart, loaf).pk)
    client = visitor_with(token)

    check_out(client)

    order = Order.objects.get()
    assert [line.title for line in order.lines.filter(kind="product")] == ["Heather honey"]
    assert (lines_of(cart), saved_in(cart)) == ({"Heather honey": 1}, {})
    assert token_in(client) not in {"", token}
    assert [str(line) for line in services.basket_of(token_in(client), None).saved] == ["2 x Rye loaf"]
    assert "Rye loaf" in client.get("/cart/").content.decode()
    assert taken(loaf) == 0


def test_a_second_click_gets_the_same_next_basket(fill_cart: Fill, free_honey: Product, loaf: Product) -> None:
    cart, token = fill_cart((free_honey, 1), (loaf, 2))
    services.save_for_later(cart, item_of(cart, loaf).pk)
    agreed = {name: visitor_with(token).get("/checkout/").context["form"][name].value() for name in ("cart", "agreed")}
    clients = [visitor_with(token), visitor_with(token)]
    typed = {"name": "Ada Shopper", "email": "ada@example.org", "terms": "on"}

    for client in clients:
        client.post("/checkout/", agreed | typed)

    assert token_in(clients[0]) == token_in(clients[1]) != token
    assert Order.objects.count() == 1
    assert Cart.objects.count() == 2


def test_a_user_finds_it_in_their_next_basket_without_a_cookie(
    fill_cart: Fill, free_honey: Product, loaf: Product, shopper: User
) -> None:
    cart, _token = fill_cart((free_honey, 1), (loaf, 2), user=shopper)
    services.save_for_later(cart, item_of(cart, loaf).pk)
    client = Client()
    client.force_login(shopper)

    check_out(client)

    assert Order.objects.get().user == shopper
    assert saved_in(Cart.objects.open().get(user=shopper)) == {"Rye loaf": 2}
    assert [str(line) for line in services.basket_of("", shopper).saved] == ["2 x Rye loaf"]


def test_an_order_with_nothing_saved_leaves_no_next_basket_behind(fill_cart: Fill, free_honey: Product) -> None:
    _cart, token = fill_cart((free_honey, 1))
    client = visitor_with(token)

    check_out(client)

    assert Order.objects.count() == Cart.objects.count() == 1
    assert token_in(client) == token


def test_a_refused_order_carries_nothing_over(fill_cart: Fill, free_honey: Product, loaf: Product) -> None:
    cart, token = fill_cart((free_honey, 1), (loaf, 2))
    services.save_for_later(cart, item_of(cart, loaf).pk)
    client = visitor_with(token)

    answer = check_out(client, agreed="something else")

    assert answer.status_code == 422
    assert (lines_of(cart), saved_in(cart)) == ({"Heather honey": 1}, {"Rye loaf": 2})
    assert token_in(client) == token
    assert not Order.objects.exists()
