"""Several prices for places at one entry: a line for each, one pool for all, and each price is kept as it was seen."""

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from bookings import capacity
from bookings.models import Entry, Hold, PriceKind
from cart import services
from cart.models import Cart, CartItem, Product
from cart.services import Unavailable
from cartsite.models import User
from orders.models import Order, OrderLine
from orders.placing import CannotPlace
from orders.services import let_go
from tests.cart.baskets import cart_of, taken
from tests.factories import EntryFactory, SeriesFactory
from tests.orders.acts import holder_of, place_cart, visitor

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def pizza(db: None) -> Entry:
    """A pizza evening with six places, for £15.00."""
    return EntryFactory.create(title="Pizza evening", price=Decimal("15.00"), places=6)


@pytest.fixture
def child(pizza: Entry) -> PriceKind:
    """What children pay for it: £5.00."""
    return PriceKind.objects.create(entry=pizza, name="Child", price=Decimal("5.00"))


@pytest.fixture
def family(fill_cart: Fill, pizza: Entry, child: PriceKind) -> tuple[Cart, str]:
    """A cart with two places at the entry's own price and one for a child."""
    return fill_with(fill_cart, pizza, child)


def fill_with(fill_cart: Fill, entry: Entry, kind: PriceKind, user: User | None = None) -> tuple[Cart, str]:
    cart, token = fill_cart((entry, 2), user=user)
    services.add(cart, entry, 1, kind)
    return cart, token


def lines(cart: Cart, *, saved: bool = False) -> dict[str, int]:
    """How many of each title and price are in a cart."""
    items = CartItem.objects.loaded().filter(cart=cart, saved_at__isnull=not saved)
    return {item.title: item.quantity for item in items}


def line(cart: Cart, kind: PriceKind | None) -> CartItem:
    return CartItem.objects.loaded().get(cart=cart, price_kind=kind)


BOTH = {"Pizza evening": 2, "Pizza evening (Child)": 1}


# --- In the basket ----------------------------------------------------------------------------------------------------


def test_each_price_has_a_line_and_all_share_the_places(family: tuple[Cart, str], pizza: Entry) -> None:
    cart, token = family

    assert lines(cart) == BOTH
    assert services.basket_of(token, None).total == Decimal("35.00")
    assert taken(pizza) == 3


def test_the_same_price_again_joins_its_line(family: tuple[Cart, str], pizza: Entry, child: PriceKind) -> None:
    cart, _token = family

    services.add(cart, pizza, 2, child)

    assert lines(cart) == {"Pizza evening": 2, "Pizza evening (Child)": 3}


def test_no_price_is_sold_beyond_the_places_there_are(family: tuple[Cart, str], pizza: Entry, child: PriceKind) -> None:
    cart, _token = family

    with pytest.raises(Unavailable, match=r"Only 3 more of Pizza evening are left\."):
        services.add(cart, pizza, 4, child)

    assert (lines(cart), taken(pizza)) == (BOTH, 3)


def test_the_form_names_the_price(client: Client, pizza: Entry, child: PriceKind) -> None:
    client.post("/cart/items/", {"entry": pizza.pk, "price_kind": str(child.uuid), "quantity": "2"})

    assert lines(cart_of(client)) == {"Pizza evening (Child)": 2}


@pytest.mark.parametrize("named", ["another's", "nobody's", "nonsense"])
def test_a_price_that_is_not_the_entrys_is_not_found(
    client: Client, pizza: Entry, child: PriceKind, workshop: Entry, named: str
) -> None:
    other = PriceKind.objects.create(entry=workshop, name="Member", price=Decimal("1.00"))
    kinds = {"another's": str(other.uuid), "nobody's": str(uuid4()), "nonsense": "x"}

    answer = client.post("/cart/items/", {"entry": pizza.pk, "price_kind": kinds[named], "quantity": "1"})

    assert answer.status_code == 404
    assert not Cart.objects.exists()


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_price_that_was_withdrawn_since_the_page_was_shown_is_said_to_be_gone(
    pizza: Entry, headers: dict[str, str]
) -> None:
    gone = PriceKind.objects.create(entry=pizza, name="Member", price=Decimal("1.00"), archived_at=timezone.now())

    answer = Client(headers=headers).post(
        "/cart/items/", {"entry": pizza.pk, "price_kind": str(gone.uuid), "quantity": "1"}
    )

    assert answer.status_code == 422
    assert "Pizza evening is no longer on sale at that price." in answer.content.decode()
    assert not Cart.objects.exists()


def test_a_product_has_no_such_price(client: Client, honey: Product, child: PriceKind) -> None:
    answer = client.post("/cart/items/", {"product": "HONEY", "price_kind": str(child.uuid), "quantity": "1"})

    assert answer.status_code == 404
    assert not Cart.objects.exists()


def test_nor_may_a_service_put_another_entrys_price_on_a_line(
    fill_cart: Fill, workshop: Entry, child: PriceKind
) -> None:
    cart, _token = fill_cart()

    with pytest.raises(Unavailable, match="Bread workshop is no longer on sale at that price"):
        services.add(cart, workshop, 1, child)

    assert lines(cart) == {}


def test_the_page_names_the_price_of_each_line(family: tuple[Cart, str], pizza: Entry) -> None:
    _cart, token = family
    Entry.objects.filter(pk=pizza.pk).update(price_name="Adult")

    page = visitor(token).get("/cart/").content.decode()

    assert "Pizza evening (Child)" in page
    assert ">Adult</span>" in page
    assert ">Child</span>" not in page  # its title says it already


def test_siblings_count_all_prices_together(family: tuple[Cart, str], settings: pytest.FixtureRequest) -> None:
    settings.INTERNAL_API_TOKENS = {"market": "a-token-of-16-characters"}  # type: ignore[attr-defined]
    _cart, token = family

    bearer = {"Authorization": "Bearer a-token-of-16-characters"}
    summary = Client(headers=bearer).get("/internal/cart/summary", {"cart": token}).json()

    assert (summary["count"], summary["lines"], summary["total"]) == (3, 2, "35.00")


# --- The price that was seen ------------------------------------------------------------------------------------------


def test_a_price_that_rises_is_said_of_its_line_alone(family: tuple[Cart, str], child: PriceKind) -> None:
    cart, token = family
    PriceKind.objects.update(price=Decimal("6.00"))

    rose = {item.title: item.price_rose for item in services.basket_of(token, None).items}
    with pytest.raises(CannotPlace, match="Some prices have gone up"):
        place_cart(cart, token)
    services.accept_prices(cart, item_id=line(cart, child).pk)

    assert rose == {"Pizza evening": False, "Pizza evening (Child)": True}
    assert place_cart(cart, token).total == Decimal("36.00")


def test_a_price_that_is_withdrawn_meanwhile_blocks_the_checkout_and_stays_visible(
    family: tuple[Cart, str], child: PriceKind
) -> None:
    cart, token = family
    PriceKind.objects.update(archived_at=timezone.now())

    with pytest.raises(CannotPlace, match="Pizza evening is no longer on sale at that price"):
        place_cart(cart, token)
    page = visitor(token).get("/checkout/").content.decode()
    basket = visitor(token).get("/cart/").content.decode()

    assert "Pizza evening is no longer on sale at that price." in page
    assert (page + basket).count("It is no longer on sale at this price.") == 2
    assert lines(cart) == BOTH


def test_of_a_withdrawn_price_one_may_take_fewer_but_not_more(
    family: tuple[Cart, str], pizza: Entry, child: PriceKind
) -> None:
    cart, _token = family
    services.add(cart, pizza, 1, child)
    PriceKind.objects.update(archived_at=timezone.now())
    item = line(cart, child).pk

    services.set_quantity(cart, item, 1)
    with pytest.raises(Unavailable, match="no longer on sale at that price"):
        services.set_quantity(cart, item, 2)

    assert lines(cart) == BOTH


# --- Two baskets ------------------------------------------------------------------------------------------------------


def test_two_baskets_meet_price_by_price(
    fill_cart: Fill, family: tuple[Cart, str], pizza: Entry, child: PriceKind, shopper: User
) -> None:
    mine, _token = fill_cart(user=shopper)
    services.add(mine, pizza, 3, child)

    services.adopt(family[1], shopper)

    assert lines(mine) == {"Pizza evening (Child)": 3, "Pizza evening": 2}
    assert taken(pizza) == 5


def test_what_their_meeting_changed_is_said_with_the_price(
    fill_cart: Fill, family: tuple[Cart, str], pizza: Entry, child: PriceKind, shopper: User
) -> None:
    mine, _token = fill_cart(user=shopper)
    services.add(mine, pizza, 3, child)

    cart, _fresh = services.adopt(family[1], shopper)

    assert cart.last_merge is not None
    assert cart.last_merge.news == [
        "Of Pizza evening (Child) there are 3 now, as many as in the basket of your account."
    ]


@pytest.mark.parametrize("keep_presented", [False, True])
def test_their_meeting_is_undone_price_by_price(
    fill_cart: Fill, family: tuple[Cart, str], child: PriceKind, shopper: User, keep_presented: bool
) -> None:
    pizza = child.entry
    assert pizza is not None
    mine, _token = fill_cart(user=shopper)
    services.add(mine, pizza, 3, child)
    cart, token = services.adopt(family[1], shopper, keep_presented=keep_presented)
    assert cart.last_merge is not None

    fresh = services.undo_merge(token, shopper, cart.last_merge.uuid)

    presented = services.basket_of(fresh, None)
    assert {item.title: item.quantity for item in presented.items} == BOTH
    assert lines(mine) == {"Pizza evening (Child)": 3}
    assert taken(pizza) == 6


# --- Saved, and once more ---------------------------------------------------------------------------------------------


def test_one_price_is_saved_and_brought_back_alone(family: tuple[Cart, str], pizza: Entry, child: PriceKind) -> None:
    cart, _token = family
    item = line(cart, child).pk

    services.save_for_later(cart, item)
    saved = (lines(cart), lines(cart, saved=True), taken(pizza))
    services.bring_back(cart, item)

    assert saved == ({"Pizza evening": 2}, {"Pizza evening (Child)": 1}, 2)
    assert (lines(cart), taken(pizza)) == (BOTH, 3)


def test_adding_brings_the_saved_line_of_that_price_back_and_no_other(
    family: tuple[Cart, str], pizza: Entry, child: PriceKind
) -> None:
    cart, _token = family
    for kind in (None, child):
        services.save_for_later(cart, line(cart, kind).pk)

    services.add(cart, pizza, 1, child)

    assert (lines(cart), lines(cart, saved=True)) == ({"Pizza evening (Child)": 1}, {"Pizza evening": 2})


def test_a_withdrawn_price_stays_saved(family: tuple[Cart, str], child: PriceKind) -> None:
    cart, token = family
    item = line(cart, child).pk
    services.save_for_later(cart, item)
    PriceKind.objects.update(archived_at=timezone.now())

    with pytest.raises(Unavailable, match="no longer on sale at that price"):
        services.bring_back(cart, item)

    assert lines(cart, saved=True) == {"Pizza evening (Child)": 1}
    assert "It is no longer on sale." in visitor(token).get("/cart/").content.decode()


def test_ordering_again_asks_for_the_same_prices(client: Client, family: tuple[Cart, str], pizza: Entry) -> None:
    order = place_cart(*family)
    browser = holder_of(order)

    browser.post(f"/orders/{order.number}/again/")

    assert lines(cart_of(browser)) == BOTH
    assert taken(pizza) == 6


def test_ordering_again_at_a_price_that_was_withdrawn_is_said(fill_cart: Fill, pizza: Entry, child: PriceKind) -> None:
    cart, _token = fill_cart()
    PriceKind.objects.update(archived_at=timezone.now())
    child.refresh_from_db()

    said = services.add_again(cart, [(pizza, 2, None), (pizza, 1, child)])

    assert said == ["Pizza evening is no longer on sale at that price."]
    assert lines(cart) == {"Pizza evening": 2}


def test_a_series_price_stays_good_in_a_basket_but_is_not_had_again_where_the_entry_has_its_own(
    fill_cart: Fill,
) -> None:
    series = SeriesFactory.create()
    entry = EntryFactory.create(
        title="Pizza evening", calendar=series.calendar, series=series, series_day=series.first_day
    )
    member = PriceKind.objects.create(series=series, name="Member", price=Decimal("5.00"))
    cart, token = fill_cart()
    services.add(cart, entry, 1, member)
    PriceKind.objects.create(entry=entry, name="Child", price=Decimal("9.00"))
    other, _token = fill_cart()

    said = services.add_again(other, [(Entry.objects.get(pk=entry.pk), 1, member)])

    assert (said, lines(other)) == (["Pizza evening is no longer on sale at that price."], {})
    assert place_cart(cart, token).total == Decimal("5.00")


# --- Ordered ----------------------------------------------------------------------------------------------------------


def test_an_orders_lines_name_their_price_for_good(family: tuple[Cart, str], pizza: Entry, child: PriceKind) -> None:
    order = place_cart(*family)
    PriceKind.objects.update(name="Under 12", price=Decimal("7.00"))

    said = [(line.title, line.unit_price, line.quantity, line.price_kind) for line in order.lines.all()]
    assert said == [
        ("Pizza evening", Decimal("15.00"), 2, None),
        ("Pizza evening (Child)", Decimal("5.00"), 1, child),
    ]
    assert order.total == Decimal("35.00")
    assert taken(pizza) == 3


def test_a_changed_basket_gets_each_price_back_with_its_hold(
    family: tuple[Cart, str], fill_cart: Fill, pizza: Entry, child: PriceKind
) -> None:
    order = place_cart(*family)
    Order.objects.filter(pk=order.pk).update(
        closing_since=timezone.now(), closing_to=Order.Status.CANCELLED, closing_by=Order.Closer.SHOPPER
    )
    order.refresh_from_db()
    cart, _token = fill_cart()

    let_go(order, cart)

    assert lines(cart) == BOTH
    assert line(cart, child).seen_price == Decimal("5.00")
    assert (taken(pizza), OrderLine.objects.filter(hold__isnull=False).count()) == (3, 0)


def test_a_price_that_lost_its_hold_is_claimed_when_it_is_ordered(
    family: tuple[Cart, str], pizza: Entry, child: PriceKind
) -> None:
    cart, token = family
    capacity.give_back(Hold.objects.values_list("pk", flat=True))

    order = place_cart(cart, token)

    assert [line.hold.quantity for line in order.lines.all() if line.hold] == [2, 1]
    assert taken(pizza) == 3
