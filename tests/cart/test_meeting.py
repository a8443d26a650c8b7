"""Two baskets meet when their shopper signs in: they are told what changed, and may take it back for a day."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from time_machine import travel

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, CartMerge, Product, hash_token
from cart.services import CannotUndo, UnknownCart
from cartsite.models import User
from tests.cart.baskets import held_by, item_of, lines_of, saved_in, taken, token_in

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
Things = list[tuple[Product | Entry, int]]
Meet = Callable[..., Cart]


@pytest.fixture
def meet(fill_cart: Fill, shopper: User) -> Meet:
    """The shopper's own cart meets an anonymous one: `meet(mine=[...], found=[...], keep_presented=False)`."""

    def join(mine: Things, found: Things, *, keep_presented: bool = False) -> Cart:
        fill_cart(*mine, user=shopper)
        _cart, token = fill_cart(*found)
        return services.adopt(token, shopper, keep_presented=keep_presented)[0]

    return join


def news_of(cart: Cart) -> list[str]:
    cart.refresh_from_db()
    return cart.last_merge.news if cart.last_merge else []


def undo(cart: Cart) -> Cart:
    """Part the carts again; the one that was presented."""
    assert cart.user is not None
    assert cart.last_merge is not None
    token = services.undo_merge("", cart.user, cart.last_merge.uuid)
    return Cart.objects.get(token_hash=hash_token(token))


# --- What is said -----------------------------------------------------------------------------------------------------


def test_what_came_from_the_account_and_what_rose_is_said(
    meet: Meet, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart = meet(mine=[(honey, 3), (workshop, 2)], found=[(honey, 1), (loaf, 2)])

    assert news_of(cart) == [
        "From the basket in your account came: 2 x Bread workshop.",
        "Of Heather honey there are 3 now, as many as in the basket of your account.",
    ]


def test_what_fell_because_there_is_no_room_is_said(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    found, token = fill_cart((loaf, 4))
    capacity.give_back([item_of(found, loaf).hold_id or 0])
    capacity.claim(loaf.pool_id or 0, 3, until=None)

    services.adopt(token, shopper)

    assert news_of(mine) == ["Of Rye loaf there is only 1 for you now, not 4: there is not enough left."]


def test_what_cannot_be_held_at_all_is_said(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    mine, _token = fill_cart((loaf, 1), user=shopper)
    _found, token = fill_cart((loaf, 4))
    capacity.give_back(Hold.objects.values_list("pk", flat=True))
    capacity.claim(loaf.pool_id or 0, 5, until=None)

    services.adopt(token, shopper)

    assert news_of(mine) == ["We cannot hold Rye loaf for you at the moment: there is not enough left."]
    assert lines_of(mine) == {"Rye loaf": 4}


@pytest.mark.parametrize("which", ["own", "presented"])
def test_a_basket_that_met_an_empty_one_is_no_news(meet: Meet, honey: Product, which: str) -> None:
    cart = meet(mine=[(honey, 1)] if which == "own" else [], found=[(honey, 1)] if which == "presented" else [])

    assert not CartMerge.objects.exists()
    assert lines_of(cart) == {"Heather honey": 1}


def test_what_both_had_saved_stays_saved_with_the_larger_quantity(
    fill_cart: Fill, shopper: User, honey: Product, loaf: Product
) -> None:
    mine, _token = fill_cart((loaf, 1), (honey, 3), user=shopper)
    found, token = fill_cart((loaf, 4), (honey, 1))
    for cart in (mine, found):
        services.save_for_later(cart, item_of(cart, loaf).pk)

    services.adopt(token, shopper)

    assert (lines_of(mine), saved_in(mine), taken(loaf)) == ({"Heather honey": 3}, {"Rye loaf": 4}, 0)


# --- On the way to the checkout ---------------------------------------------------------------------------------------


def test_on_the_way_to_the_checkout_the_basket_that_was_looked_at_stays(
    meet: Meet, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart = meet(mine=[(honey, 3), (loaf, 2), (workshop, 1)], found=[(honey, 1), (loaf, 3)], keep_presented=True)

    assert (lines_of(cart), held_by(cart)) == ({"Heather honey": 1, "Rye loaf": 3}, {"Rye loaf": 3})
    assert saved_in(cart) == {"Heather honey": 3, "Rye loaf": 2, "Bread workshop": 1}
    assert (taken(loaf), taken(workshop)) == (3, 0)
    aside = "3 x Heather honey, 2 x Rye loaf, 1 x Bread workshop"
    assert news_of(cart) == [f"What was in the basket of your account is saved for later: {aside}."]


def test_with_nothing_in_hand_on_the_way_to_the_checkout_ones_own_basket_stays(meet: Meet, honey: Product) -> None:
    cart = meet(mine=[(honey, 3)], found=[], keep_presented=True)

    assert (lines_of(cart), saved_in(cart)) == ({"Heather honey": 3}, {})


def test_what_is_saved_already_is_joined_by_what_is_set_aside(
    fill_cart: Fill, shopper: User, honey: Product, loaf: Product
) -> None:
    mine, _token = fill_cart((honey, 5), user=shopper)
    services.save_for_later(mine, item_of(mine, honey).pk)
    services.merge(mine, [services.Line(honey.pk, None, None, 2, None, honey.price)])
    _found, token = fill_cart((loaf, 1))

    services.adopt(token, shopper, keep_presented=True)

    assert (lines_of(mine), saved_in(mine)) == ({"Rye loaf": 1}, {"Heather honey": 5})


# --- Undoing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_presented", [False, True])
def test_undoing_gives_both_baskets_back_what_they_had(
    meet: Meet, honey: Product, loaf: Product, workshop: Entry, keep_presented: bool
) -> None:
    cart = meet(
        mine=[(honey, 3), (loaf, 2), (workshop, 1)], found=[(honey, 1), (loaf, 3)], keep_presented=keep_presented
    )

    presented = undo(cart)

    assert (lines_of(presented), held_by(presented)) == ({"Heather honey": 1, "Rye loaf": 3}, {"Rye loaf": 3})
    assert lines_of(cart) == {"Heather honey": 3, "Rye loaf": 2, "Bread workshop": 1}
    assert held_by(cart) == {"Rye loaf": 2, "Bread workshop": 1}
    assert (presented.user, saved_in(presented), saved_in(cart)) == (None, {}, {})


def test_what_was_saved_is_saved_again_in_the_basket_it_was_in(
    fill_cart: Fill, shopper: User, honey: Product, loaf: Product
) -> None:
    mine, _token = fill_cart((loaf, 1), (honey, 3), user=shopper)
    services.save_for_later(mine, item_of(mine, loaf).pk)
    _found, token = fill_cart((loaf, 4))
    cart, _token = services.adopt(token, shopper)
    services.bring_back(cart, cart.items.get(saved_at__isnull=False).pk)

    presented = undo(cart)

    assert (lines_of(mine), saved_in(mine)) == ({"Heather honey": 3}, {"Rye loaf": 1})
    assert (lines_of(presented), held_by(presented), saved_in(presented)) == ({"Rye loaf": 4}, {"Rye loaf": 4}, {})


def test_what_was_brought_back_since_is_saved_again_and_gives_back_its_hold(
    fill_cart: Fill, shopper: User, honey: Product, loaf: Product
) -> None:
    mine, _token = fill_cart((loaf, 1), (honey, 3), user=shopper)
    services.save_for_later(mine, item_of(mine, loaf).pk)
    cart, _token = services.adopt(fill_cart((honey, 1))[1], shopper)
    services.bring_back(cart, item_of(cart, loaf).pk)

    undo(cart)

    assert (saved_in(mine), taken(loaf)) == ({"Rye loaf": 1}, 0)


def test_what_was_added_since_stays_in_the_basket_that_is_looked_at(
    meet: Meet, honey: Product, loaf: Product, workshop: Entry
) -> None:
    cart = meet(mine=[(honey, 1)], found=[(honey, 2)])
    services.add(cart, loaf, 3)
    services.add(cart, workshop, 1)
    services.save_for_later(cart, item_of(cart, workshop).pk)

    presented = undo(cart)

    assert (lines_of(presented), held_by(presented)) == ({"Heather honey": 2, "Rye loaf": 3}, {"Rye loaf": 3})
    assert saved_in(presented) == {"Bread workshop": 1}
    assert (lines_of(cart), saved_in(cart)) == ({"Heather honey": 1}, {})


def test_what_was_removed_since_is_there_again(meet: Meet, loaf: Product) -> None:
    cart = meet(mine=[(loaf, 1)], found=[(loaf, 2)])
    services.set_quantity(cart, item_of(cart, loaf).pk, 0)

    presented = undo(cart)

    assert lines_of(presented) == held_by(presented) == {"Rye loaf": 2}
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 1}


def test_where_there_is_no_room_the_presented_lines_are_held_first_and_the_others_stay_visible(
    meet: Meet, loaf: Product
) -> None:
    cart = meet(mine=[(loaf, 2)], found=[(loaf, 3)])
    capacity.claim(loaf.pool_id or 0, 2, until=None)

    presented = undo(cart)

    assert lines_of(presented) == held_by(presented) == {"Rye loaf": 3}
    assert (lines_of(cart), held_by(cart)) == ({"Rye loaf": 2}, {})
    assert item_of(cart, loaf).hold_expired


def test_neither_meeting_nor_parting_stretches_the_hour(fill_cart: Fill, shopper: User, loaf: Product) -> None:
    start = timezone.now()
    with travel(start, tick=False) as clock:
        mine, _token = fill_cart((loaf, 2), user=shopper)
        for _ in range(4):
            clock.shift(timedelta(minutes=12))
            services.renew(mine)
        _found, token = fill_cart((loaf, 1))
        cart, _token = services.adopt(token, shopper)
        clock.shift(timedelta(minutes=10))

        presented = undo(cart)

        holds = Hold.objects.live()
        assert held_by(presented) == {"Rye loaf": 1}
        assert held_by(cart) == {"Rye loaf": 2}
        assert sorted((hold.quantity, hold.claimed_at) for hold in holds.filter(until__lte=start + hour())) == [
            (1, start),
            (2, holds.get(quantity=2).claimed_at),
        ]


def hour() -> timedelta:
    return timedelta(hours=1)


def test_a_join_that_finds_no_more_room_does_not_stretch_the_hour_of_what_it_joins(
    fill_cart: Fill, shopper: User, loaf: Product
) -> None:
    start = timezone.now()
    with travel(start, tick=False) as clock:
        found, token = fill_cart((loaf, 1))
        for _ in range(4):
            clock.shift(timedelta(minutes=14))
            services.renew(found)
        mine, _token = fill_cart((loaf, 2), user=shopper)
        CartItem.objects.filter(cart=mine).update(quantity=4)
        capacity.claim(loaf.pool_id or 0, 2, until=None)

        services.adopt(token, shopper)

        hold = Hold.objects.live().get(until__isnull=False)
    assert (hold.quantity, hold.claimed_at, hold.until) == (3, start, start + hour())
    assert lines_of(mine) == {"Rye loaf": 3}


def test_prices_that_were_seen_come_back_as_well(fill_cart: Fill, shopper: User, honey: Product) -> None:
    mine, _token = fill_cart((honey, 1), user=shopper)
    CartItem.objects.update(seen_price=Decimal("6.00"))
    _found, token = fill_cart((honey, 1))
    cart, _token = services.adopt(token, shopper)
    joined = item_of(cart, honey).seen_price

    presented = undo(cart)

    assert joined == Decimal("6.00")
    assert [item_of(each, honey).seen_price for each in (mine, presented)] == [Decimal("6.00"), Decimal("6.50")]


# --- What cannot be undone --------------------------------------------------------------------------------------------


def everything() -> list[object]:
    return [list(model._default_manager.order_by("pk").values()) for model in (Cart, CartItem, CartMerge, Hold)]


@pytest.mark.parametrize(("hours", "possible"), [(23.9, True), (24, False)])
def test_it_can_be_undone_for_24_hours(meet: Meet, honey: Product, hours: float, possible: bool) -> None:
    start = timezone.now()
    with travel(start, tick=False) as clock:
        cart = meet(mine=[(honey, 1)], found=[(honey, 2)])
        clock.shift(timedelta(hours=hours))
        before = everything()

        if possible:
            undo(cart)
        else:
            with pytest.raises(CannotUndo):
                undo(cart)

        assert (everything() == before) == (not possible)


def test_what_was_put_away_is_not_undone(meet: Meet, honey: Product, shopper: User) -> None:
    cart = meet(mine=[(honey, 1)], found=[(honey, 2)])
    services.put_away("", shopper, CartMerge.objects.get().uuid)
    before = everything()

    with pytest.raises(CannotUndo):
        undo(cart)

    assert everything() == before


def test_an_ordered_basket_is_not_undone(meet: Meet, honey: Product, shopper: User) -> None:
    cart = meet(mine=[(honey, 1)], found=[(honey, 2)])
    Cart.objects.filter(pk=cart.pk).update(ordered_at=timezone.now())
    services.open_cart("", shopper)
    before = everything()

    with pytest.raises(CannotUndo):
        undo(cart)

    assert everything() == before


def test_only_the_last_meeting_is_undone(fill_cart: Fill, meet: Meet, honey: Product, shopper: User) -> None:
    cart = meet(mine=[(honey, 1)], found=[(honey, 2)])
    first = CartMerge.objects.get().uuid
    services.adopt(fill_cart((honey, 3))[1], shopper)
    before = everything()

    with pytest.raises(CannotUndo):
        services.undo_merge("", shopper, first)

    assert everything() == before
    cart.refresh_from_db()
    assert lines_of(undo(cart)) == {"Heather honey": 3}
    assert lines_of(cart) == {"Heather honey": 2}


def test_undoing_twice_gives_the_same_basket(meet: Meet, honey: Product, shopper: User) -> None:
    cart = meet(mine=[(honey, 1)], found=[(honey, 2)])
    merge = CartMerge.objects.get().uuid
    token = services.undo_merge("", shopper, merge)
    before = everything()

    assert services.undo_merge("", shopper, merge) == services.undo_merge(token, shopper, merge) == token

    assert everything() == before
    assert lines_of(cart) == {"Heather honey": 1}


def test_nobody_undoes_for_somebody_else(meet: Meet, fill_cart: Fill, honey: Product, staff: User) -> None:
    meet(mine=[(honey, 1)], found=[(honey, 2)])
    merge = CartMerge.objects.get().uuid
    _theirs, token = fill_cart((honey, 1), user=staff)
    before = everything()

    for name, user, which in (("", staff, merge), (token, None, merge), ("", None, merge), ("", staff, uuid4())):
        with pytest.raises(CannotUndo):
            services.undo_merge(name, user, which)
        services.put_away(name, user, which)

    assert everything() == before


# --- Two baskets at hand ----------------------------------------------------------------------------------------------


def test_after_the_undoing_they_can_be_put_together_again(meet: Meet, honey: Product, loaf: Product) -> None:
    cart = meet(mine=[(honey, 1)], found=[(loaf, 2)])
    assert cart.user is not None
    assert cart.last_merge is not None
    token = services.undo_merge("", cart.user, cart.last_merge.uuid)

    services.adopt(token, cart.user)

    assert lines_of(cart) == {"Heather honey": 1, "Rye loaf": 2}
    assert held_by(cart) == {"Rye loaf": 2}


def test_going_on_with_ones_own_saves_the_other_for_later(
    fill_cart: Fill, shopper: User, honey: Product, loaf: Product
) -> None:
    mine, _token = fill_cart((honey, 1), user=shopper)
    found, token = fill_cart((loaf, 2), (honey, 4))
    services.save_for_later(found, item_of(found, honey).pk)
    services.add(found, honey, 1)
    CartItem.objects.create(cart=found, product=honey, quantity=3, seen_price=honey.price, saved_at=timezone.now())

    cart, _fresh = services.leave(token, shopper)

    assert (cart, lines_of(mine), saved_in(mine)) == (mine, {"Heather honey": 1}, {"Rye loaf": 2, "Heather honey": 3})
    assert taken(loaf) == 0
    found.refresh_from_db()
    assert found.merged_into == mine


def test_another_users_basket_is_not_left(fill_cart: Fill, shopper: User, staff: User, honey: Product) -> None:
    theirs, token = fill_cart((honey, 1), user=staff)

    with pytest.raises(UnknownCart):
        services.leave(token, shopper)

    assert lines_of(theirs) == {"Heather honey": 1}


def test_of_two_baskets_an_empty_one_is_not_the_one_in_hand(fill_cart: Fill, shopper: User, honey: Product) -> None:
    mine, _token = fill_cart((honey, 1), user=shopper)
    _empty, token = fill_cart()
    client = Client()
    client.force_login(shopper)
    client.cookies["cart"] = token
    item = item_of(mine, honey).pk

    answer = client.post(f"/cart/items/{item}/", {"quantity": "3"})

    assert f'data-item="{item}"' in client.get("/cart/").content.decode()
    assert answer.status_code == 302
    assert lines_of(mine) == {"Heather honey": 3}


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ada(shopper: User) -> Client:
    """The shopper's browser, signed in."""
    client = Client()
    client.force_login(shopper)
    return client


def show(client: Client) -> str:
    return client.get("/cart/").content.decode()


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_the_page_says_what_changed_until_it_is_put_away(
    meet: Meet, honey: Product, ada: Client, headers: dict[str, str]
) -> None:
    meet(mine=[(honey, 3)], found=[(honey, 1)])
    merge = CartMerge.objects.get().uuid
    before = show(ada)

    answer = ada.post(f"/cart/merges/{merge}/all-right/", headers=headers)

    assert "Of Heather honey there are 3 now, as many as in the basket of your account." in before
    assert answer.status_code == (200 if headers else 302)
    assert "Your two baskets are one now" not in show(ada) + answer.content.decode()
    assert "3 now" not in show(ada)


def test_the_page_says_nothing_of_it_a_day_later(meet: Meet, honey: Product, ada: Client) -> None:
    meet(mine=[(honey, 3)], found=[(honey, 1)])
    CartMerge.objects.update(made_at=timezone.now() - timedelta(hours=24))

    assert "Undo" not in show(ada)


def test_the_page_offers_to_undo_even_when_the_basket_was_emptied(meet: Meet, honey: Product, ada: Client) -> None:
    cart = meet(mine=[(honey, 3)], found=[(honey, 1)])
    cart.items.all().delete()

    assert "Your two baskets are one now" in show(ada)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_undoing_on_the_page_shows_the_basket_that_was_looked_at_and_names_the_other(
    meet: Meet, honey: Product, loaf: Product, ada: Client, headers: dict[str, str]
) -> None:
    cart = meet(mine=[(honey, 1)], found=[(loaf, 2)])
    merge = CartMerge.objects.get().uuid

    answer = ada.post(f"/cart/merges/{merge}/undo/", headers=headers)

    page = show(ada)
    assert answer.status_code == (200 if headers else 302)
    for shown in [page, *([answer.content.decode()] if headers else [])]:
        assert "There is another basket in your account" in shown
        assert "Rye loaf" in shown
        assert "Heather honey" not in shown
    assert lines_of(cart) == {"Heather honey": 1}


@pytest.fixture
def parted(meet: Meet, honey: Product, loaf: Product, ada: Client) -> Cart:
    """The shopper's own cart, with honey; their browser has the other one again, with two loaves."""
    cart = meet(mine=[(honey, 1)], found=[(loaf, 2)])
    ada.post(f"/cart/merges/{CartMerge.objects.get().uuid}/undo/")
    return cart


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
@pytest.mark.parametrize(("address", "saved"), [("/cart/together/", {}), ("/cart/my-own/", {"Rye loaf": 2})])
def test_one_of_two_baskets_is_chosen_on_the_page(
    parted: Cart, ada: Client, headers: dict[str, str], address: str, saved: dict[str, int]
) -> None:
    answer = ada.post(address, headers=headers)

    assert answer.status_code == (200 if headers else 302)
    assert saved_in(parted) == saved
    assert lines_of(parted) == {"Heather honey": 1} | ({} if saved else {"Rye loaf": 2})
    parted.refresh_from_db()
    assert parted.token_hash == hash_token(token_in(ada))
    assert "There is another basket" not in show(ada)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_why_it_cannot_be_undone_is_said(meet: Meet, honey: Product, ada: Client, headers: dict[str, str]) -> None:
    meet(mine=[(honey, 1)], found=[(honey, 2)])
    CartMerge.objects.update(made_at=timezone.now() - timedelta(hours=24))

    answer = ada.post(f"/cart/merges/{CartMerge.objects.get().uuid}/undo/", headers=headers)

    assert answer.status_code == 422
    assert "This can no longer be undone." in answer.content.decode()


@pytest.mark.parametrize("address", ["/cart/together/", "/cart/my-own/"])
def test_a_visitor_who_has_not_signed_in_has_no_other_basket(
    client: Client, fill_cart: Fill, honey: Product, address: str
) -> None:
    cart, token = fill_cart((honey, 1))
    client.cookies["cart"] = token

    assert client.post(address).status_code == 302

    assert (lines_of(cart), token_in(client)) == ({"Heather honey": 1}, token)


@pytest.mark.parametrize("address", ["/cart/together/", "/cart/my-own/"])
def test_a_user_with_a_made_up_cookie_keeps_their_basket(
    ada: Client, fill_cart: Fill, shopper: User, honey: Product, address: str
) -> None:
    cart, _token = fill_cart((honey, 1), user=shopper)
    ada.cookies["cart"] = "made-up"

    assert ada.post(address).status_code == 302

    assert lines_of(cart) == {"Heather honey": 1}


def test_nobody_asks_for_it_by_reading(ada: Client) -> None:
    addresses = ["/cart/together/", "/cart/my-own/", f"/cart/merges/{uuid4()}/undo/", "/cart/items/1/save/"]

    assert {ada.get(address).status_code for address in addresses} == {405}
