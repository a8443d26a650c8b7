"""How many places one shopper may have in a basket; and that nothing is taken from what two baskets brought."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from bookings import capacity
from bookings.models import Calendar, Entry, Hold, PriceKind
from cart import services
from cart.models import Cart, Product
from cart.services import Unavailable
from cartsite.models import User
from orders.placing import CannotPlace
from tests.cart.baskets import cart_of, held_by, item_of, lines_of, only_item, saved_in, taken
from tests.factories import EntryFactory
from tests.orders.acts import all_rows, place_cart, visitor

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
AT_MOST_4 = "You can order 4 places at Pizza evening at most, over all prices."


@pytest.fixture
def pizza(db: None) -> Entry:
    """A pizza evening with ten places, of which one order may have four."""
    return EntryFactory.create(title="Pizza evening", max_per_order=4)


@pytest.fixture
def child(pizza: Entry) -> PriceKind:
    return PriceKind.objects.create(entry=pizza, name="Child", price=Decimal("5.00"))


@pytest.fixture
def too_full(fill_cart: Fill, pizza: Entry, child: PriceKind, shopper: User) -> tuple[Cart, str]:
    """Two baskets met: six places, where four are allowed. The cart and its token."""
    fill_cart((pizza, 3), user=shopper)
    found, token = fill_cart()
    services.add(found, pizza, 3, child)
    return services.adopt(token, shopper)


# --- Of one entry -----------------------------------------------------------------------------------------------------


def test_as_many_as_allowed_can_be_had(fill_cart: Fill, pizza: Entry) -> None:
    cart, _token = fill_cart((pizza, 4))

    assert held_by(cart) == {"Pizza evening": 4}


def test_more_is_refused_and_nothing_moves(fill_cart: Fill, pizza: Entry) -> None:
    cart, _token = fill_cart((pizza, 3))

    for attempt in (lambda: services.add(cart, pizza, 2), lambda: services.set_quantity(cart, only_item(cart).pk, 5)):
        with pytest.raises(Unavailable) as refusal:
            attempt()

        assert str(refusal.value) == AT_MOST_4
        assert (lines_of(cart), taken(pizza)) == ({"Pizza evening": 3}, 3)


def test_all_prices_of_an_entry_count_together(fill_cart: Fill, pizza: Entry, child: PriceKind) -> None:
    cart, _token = fill_cart((pizza, 3))

    with pytest.raises(Unavailable, match="4 places at Pizza evening"):
        services.add(cart, pizza, 2, child)
    services.add(cart, pizza, 1, child)

    assert taken(pizza) == 4


def test_other_entries_do_not_count(fill_cart: Fill, pizza: Entry) -> None:
    other = EntryFactory.create(title="Another", max_per_order=4, calendar=pizza.calendar, pool=pizza.pool)

    cart, _token = fill_cart((pizza, 4), (other, 4))

    assert held_by(cart) == {"Pizza evening": 4, "Another": 4}


def test_what_one_person_may_have_in_all_caps_an_order_too(fill_cart: Fill, pizza: Entry) -> None:
    Entry.objects.update(max_per_person=2)
    pizza.refresh_from_db()
    cart, _token = fill_cart((pizza, 2))

    with pytest.raises(Unavailable, match="2 places at Pizza evening"):
        services.add(cart, pizza, 1)

    assert taken(pizza) == 2


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_the_refusal_is_said_beside_the_line(fill_cart: Fill, pizza: Entry, headers: dict[str, str]) -> None:
    cart, token = fill_cart((pizza, 3))
    client = Client(headers=headers)
    client.cookies["cart"] = token
    item = only_item(cart).pk

    answer = client.post(f"/cart/items/{item}/", {"quantity": "5"})

    assert answer.status_code == 422
    assert f'id="error-{item}" class="error" role="alert">{AT_MOST_4}' in answer.content.decode()


def test_a_saved_line_that_would_be_too_many_stays_saved(fill_cart: Fill, pizza: Entry, child: PriceKind) -> None:
    cart, _token = fill_cart((pizza, 3))
    services.save_for_later(cart, only_item(cart).pk)
    services.add(cart, pizza, 2, child)
    saved = cart.items.get(saved_at__isnull=False).pk

    with pytest.raises(Unavailable, match="4 places at Pizza evening"):
        services.bring_back(cart, saved)

    assert (saved_in(cart), taken(pizza)) == ({"Pizza evening": 3}, 2)


def test_ordering_again_puts_in_as_many_as_allowed_and_says_so(fill_cart: Fill, pizza: Entry, honey: Product) -> None:
    cart, _token = fill_cart()

    said = services.add_again(cart, [(pizza, 6, None), (honey, 1, None)])

    assert said == [AT_MOST_4]
    assert lines_of(cart) == {"Pizza evening": 4, "Heather honey": 1}


def test_ordering_again_with_fewer_left_than_allowed_says_how_many_there_are(fill_cart: Fill, pizza: Entry) -> None:
    cart, _token = fill_cart()
    capacity.claim(pizza.pool_id, 8, until=None)

    said = services.add_again(cart, [(pizza, 6, None)])

    assert said == ["There are only 2 of Pizza evening: those are in your basket."]
    assert held_by(cart) == {"Pizza evening": 2}


def test_ordering_again_where_the_basket_is_full_adds_nothing(fill_cart: Fill, pizza: Entry, child: PriceKind) -> None:
    cart, _token = fill_cart((pizza, 4))

    said = services.add_again(cart, [(pizza, 1, child)])

    assert said == [AT_MOST_4]
    assert held_by(cart) == {"Pizza evening": 4}


# --- Of one calendar --------------------------------------------------------------------------------------------------


def test_one_basket_cannot_empty_a_calendar(fill_cart: Fill, workshop: Entry) -> None:
    Calendar.objects.update(most_held=5)
    other = EntryFactory.create(title="Another", calendar=workshop.calendar)
    cart, _token = fill_cart((Entry.objects.get(pk=workshop.pk), 3))
    elsewhere = EntryFactory.create(title="Elsewhere")

    with pytest.raises(Unavailable, match=r"You can have 5 places of .+ at most in one basket\."):
        services.add(cart, Entry.objects.get(pk=other.pk), 3)
    services.add(cart, Entry.objects.get(pk=other.pk), 2)
    services.add(cart, elsewhere, 6)

    assert held_by(cart) == {"Bread workshop": 3, "Another": 2, "Elsewhere": 6}


def test_goods_have_no_such_cap(fill_cart: Fill, honey: Product, workshop: Entry) -> None:
    Calendar.objects.update(most_held=1)

    cart, _token = fill_cart((honey, 50))

    assert lines_of(cart) == {"Heather honey": 50}


# --- What two baskets brought -----------------------------------------------------------------------------------------


def test_what_two_baskets_brought_beyond_a_cap_stays_and_is_told(
    too_full: tuple[Cart, str], shopper: User, pizza: Entry
) -> None:
    cart, token = too_full
    client = visitor(token)
    client.force_login(shopper)

    page = client.get("/cart/").content.decode()

    assert sum(cart.items.values_list("quantity", flat=True)) == taken(pizza) == 6
    assert AT_MOST_4 in page
    assert "Nothing was taken away, but you cannot order this much" in page


def test_it_blocks_the_checkout_with_a_clear_sentence_and_nothing_moves(
    too_full: tuple[Cart, str], shopper: User
) -> None:
    cart, token = too_full
    client = visitor(token)
    client.force_login(shopper)
    before = all_rows()

    page = client.get("/checkout/").content.decode()
    with pytest.raises(CannotPlace) as refusal:
        place_cart(cart, token, user=shopper)

    assert f"{AT_MOST_4} Please take fewer." in page
    assert refusal.value.reasons == (f"{AT_MOST_4} Please take fewer.",)
    assert {k: v for k, v in all_rows().items() if "Session" not in k} == before


def test_fewer_may_always_be_taken_until_it_is_no_more_than_allowed(
    too_full: tuple[Cart, str], shopper: User, child: PriceKind, pizza: Entry
) -> None:
    cart, token = too_full
    first, second = cart.items.order_by("pk").values_list("pk", flat=True)

    services.set_quantity(cart, first, 2)
    with pytest.raises(Unavailable, match="4 places"):
        services.set_quantity(cart, first, 3)
    services.set_quantity(cart, second, 2)

    assert services.basket_of(token, shopper).beyond_caps == []
    assert place_cart(cart, token, user=shopper).lines.count() == 2
    assert taken(pizza) == 4


def test_what_is_too_much_can_be_saved_for_later(too_full: tuple[Cart, str], shopper: User, pizza: Entry) -> None:
    cart, token = too_full

    services.save_for_later(cart, cart.items.order_by("pk").first().pk)  # type: ignore[union-attr]

    assert services.basket_of(token, shopper).beyond_caps == []
    assert taken(pizza) == 3


def test_a_cap_that_was_lowered_meanwhile_is_told_too(fill_cart: Fill, pizza: Entry) -> None:
    cart, token = fill_cart((pizza, 4))
    Entry.objects.update(max_per_order=1)

    with pytest.raises(CannotPlace, match="You can order 1 place at Pizza evening at most"):
        place_cart(cart, token)

    assert held_by(cart) == {"Pizza evening": 4}


# --- Many fresh baskets -----------------------------------------------------------------------------------------------


@pytest.fixture
def _ten_places_an_hour(settings: pytest.FixtureRequest) -> None:
    settings.LIMITS = settings.LIMITS | {"places": (10, 3600)}  # type: ignore[attr-defined]
    settings.LIMITS_SPARE_LOOPBACK = False  # type: ignore[attr-defined]


def statuses_of(entry: Entry, *quantities: int) -> list[int]:
    """What fresh visitors from one address get who ask for so many places."""
    return [
        Client().post("/cart/items/", {"entry": entry.pk, "quantity": str(quantity)}).status_code
        for quantity in quantities
    ]


@pytest.mark.usefixtures("_ten_places_an_hour")
def test_fresh_baskets_of_one_address_cannot_empty_a_calendar(client: Client) -> None:
    entry = EntryFactory.create(places=30)

    assert statuses_of(entry, 6, 6, 4, 1) == [302, 429, 302, 429]
    assert taken(entry) == 10
    assert Cart.objects.count() == 2


@pytest.mark.usefixtures("_ten_places_an_hour")
def test_only_places_that_were_newly_claimed_are_counted(htmx: Client, workshop: Entry, loaf: Product) -> None:
    htmx.post("/cart/items/", {"product": "LOAF", "quantity": "5"})
    htmx.post("/cart/items/", {"entry": workshop.pk, "quantity": "6"})
    item = item_of(cart_of(htmx), workshop).pk

    statuses = [htmx.post(f"/cart/items/{item}/", {"quantity": n}).status_code for n in ("2", "5", "7")]

    assert statuses == [200, 200, 429]
    assert held_by(cart_of(htmx)) == {"Rye loaf": 5, "Bread workshop": 5}


@pytest.mark.usefixtures("_ten_places_an_hour")
@pytest.mark.parametrize("way", ["/cart/renew/", "/cart/items/{item}/bring-back/", "checkout", "again"])
def test_every_way_to_claim_places_counts(htmx: Client, workshop: Entry, way: str) -> None:
    htmx.post("/cart/items/", {"entry": workshop.pk, "quantity": "6"})
    item = only_item(cart_of(htmx)).pk
    address, data = way.format(item=item), {}
    if "bring" in way:
        htmx.post(f"/cart/items/{item}/save/")
    elif way == "checkout":
        address, data = "/checkout/", {"keep": "1"}
    elif way == "again":
        order = place_cart(cart_of(htmx), htmx.cookies["cart"].value)
        htmx.get(order.secret_link)
        address = f"/orders/{order.number}/again/"
    if way != "again":
        capacity.give_back(Hold.objects.values_list("pk", flat=True))
    before = taken(workshop)

    assert htmx.post(address, data).status_code == 429

    assert taken(workshop) == before


def test_the_limit_in_earnest_lets_a_hundred_places_pass_in_an_hour(settings: pytest.FixtureRequest) -> None:
    settings.LIMITS_SPARE_LOOPBACK = False  # type: ignore[attr-defined]
    entry = EntryFactory.create(places=3000)

    statuses = statuses_of(entry, *[20] * 8)

    assert statuses == [302] * 5 + [429] * 3
    assert taken(entry) == 100
