"""How much a page asks of the database: little, the same for many rows, and never how many there are."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from bookings import capacity
from bookings.models import Calendar, Entry, PriceKind, Waiter
from cart import services
from cart.models import Cart, Product
from cartsite.models import User
from tests.cart.queries import asked
from tests.factories import CalendarFactory, EntryFactory, ProductFactory, SeriesFactory, StallFactory, UserFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
BEARER = {"HTTP_AUTHORIZATION": "Bearer a-token-of-16-characters"}


@pytest.fixture(autouse=True)
def _market_may_ask(settings: pytest.FixtureRequest) -> None:
    settings.INTERNAL_API_TOKENS = {"market": "a-token-of-16-characters"}  # type: ignore[attr-defined]


def many_things(count: int) -> list[Product | Entry]:
    """Products, counted and not, and entries, from many stalls."""
    return [
        ProductFactory.create()
        if n % 3 == 0
        else ProductFactory.create(stock=9)
        if n % 3 == 1
        else EntryFactory.create()
        for n in range(count)
    ]


def visitor_with(token: str) -> Client:
    client = Client(headers={"HX-Request": "true"})
    client.cookies["cart"] = token
    return client


# --- The cart ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [0, 1, 30])
def test_the_summary_for_siblings_asks_once(client: Client, fill_cart: Fill, lines: int) -> None:
    _cart, token = fill_cart(*((thing, 1) for thing in many_things(lines)))

    with asked() as statements:
        answer = client.get("/internal/cart/summary", {"cart": token}, **BEARER)

    assert answer.json()["count"] == lines
    assert len(statements) == 1


@pytest.mark.parametrize("with_token", [False, True])
def test_the_summary_of_a_user_asks_once(
    client: Client, fill_cart: Fill, honey: Product, shopper: User, with_token: bool
) -> None:
    _cart, token = fill_cart((honey, 1), user=shopper)
    uuid: UUID = shopper.uuid

    with asked() as statements:
        answer = client.get("/internal/cart/summary", {"user": uuid, "cart": token if with_token else ""}, **BEARER)

    assert answer.json()["count"] == 1
    assert len(statements) == 1


def test_the_cart_page_asks_once_for_5_lines_and_for_100(fill_cart: Fill) -> None:
    counts = []
    for lines in (5, 100):
        _cart, token = fill_cart(*((thing, 1) for thing in many_things(lines)))
        with asked() as statements:
            page = visitor_with(token).get("/cart/", headers={"HX-Request": ""})
        assert page.content.count(b"data-item=") == lines
        counts.append(len(statements))

    assert counts == [1, 1]


def test_the_cart_page_asks_no_more_for_saved_lines_news_and_another_basket(fill_cart: Fill, shopper: User) -> None:
    things = many_things(9)
    fill_cart(*((thing, 2) for thing in things[:6]), user=shopper)
    _found, token = fill_cart(*((thing, 1) for thing in things[3:]))
    cart, token = services.adopt(token, shopper, keep_presented=True)
    assert cart.last_merge is not None
    client = visitor_with(token)
    client.force_login(shopper)
    pages, counts = [], []

    for _ in range(2):
        with asked() as statements:
            pages.append(client.get("/cart/", headers={"HX-Request": ""}).content.decode())
        counts.append(len([statement for statement in statements if 'FROM "cart_' in statement]))
        client.cookies["cart"] = services.undo_merge(token, shopper, cart.last_merge.uuid)

    assert (pages[0].count("data-item="), pages[0].count("data-saved=")) == (6, 6)
    assert ("Undo" in pages[0], "There is another basket" in pages[1]) == (True, True)
    assert counts == [1, 1]


def test_meeting_a_large_cart_asks_no_more_than_meeting_a_small_one(fill_cart: Fill) -> None:
    counts = []
    for lines in (3, 30):
        user = UserFactory.create()
        fill_cart(*((thing, 2) for thing in many_things(lines)), user=user)
        _found, token = fill_cart(*((thing, 1) for thing in many_things(3)))
        with asked() as statements:
            cart, _fresh = services.adopt(token, user)
        counts.append(len(statements))
        assert cart.last_merge is not None

    assert counts[0] == counts[1] <= 25


def test_the_cart_page_of_a_visitor_without_a_cart_asks_nothing(client: Client) -> None:
    with asked() as statements:
        client.get("/cart/")

    assert statements == []


# --- Adding -----------------------------------------------------------------------------------------------------------


def add(client: Client, thing: Product | Entry, quantity: int = 1) -> list[str]:
    """The statements of one click on the add button."""
    named = {"product": thing.sku} if isinstance(thing, Product) else {"entry": thing.pk}
    with asked() as statements:
        answer = client.post("/cart/items/", named | {"quantity": quantity})
    assert answer.status_code in {200, 302}, answer.content
    return statements


def test_adding_what_is_not_counted_asks_4_times_at_most(honey: Product, htmx: Client) -> None:
    without_a_cart = add(htmx, honey)
    once_more = add(htmx, honey)
    another = add(htmx, ProductFactory.create())

    assert [len(without_a_cart), len(once_more), len(another)] == [4, 4, 4]


def test_adding_what_is_scarce_asks_7_times_at_most(htmx: Client, loaf: Product) -> None:
    without_a_cart = add(htmx, loaf)
    once_more = add(htmx, loaf)

    assert max(len(without_a_cart), len(once_more)) <= 7


def test_adding_places_asks_3_times_more_for_prices_who_waits_and_their_pool(htmx: Client, workshop: Entry) -> None:
    without_a_cart = add(htmx, workshop)
    once_more = add(htmx, workshop)

    assert max(len(without_a_cart), len(once_more)) <= 10


def test_adding_to_a_full_cart_asks_no_more(fill_cart: Fill, honey: Product, loaf: Product) -> None:
    _cart, token = fill_cart(*((thing, 1) for thing in many_things(50)))
    client = visitor_with(token)

    assert len(add(client, honey)) <= 4
    assert len(add(client, loaf)) <= 7


def test_changing_and_removing_a_line_asks_6_times_at_most(fill_cart: Fill, loaf: Product) -> None:
    cart, token = fill_cart((loaf, 1), *((thing, 1) for thing in many_things(20)))
    item = cart.items.get(product=loaf).pk

    counts = []
    for quantity in (3, 2, 0):
        with asked() as statements:
            assert visitor_with(token).post(f"/cart/items/{item}/", {"quantity": quantity}).status_code == 200
        counts.append(len(statements))

    assert max(counts) <= 6


# --- Lists ------------------------------------------------------------------------------------------------------------


def ask_for_page(address: str, **query: str) -> tuple[int, bytes]:
    """How many statements a page takes, none of which counts; and the page."""
    with asked() as statements:
        page = Client().get(address, query)
    assert page.status_code == 200
    assert not [statement for statement in statements if "COUNT(" in statement.upper()]
    return len(statements), page.content


@pytest.mark.parametrize("query", [{}, {"q": "honey"}], ids=["all", "search"])
def test_the_market_asks_once_for_few_products_and_for_many(query: dict[str, str]) -> None:
    ProductFactory.create_batch(2)
    few, few_rows = ask_for_page("/", **query)
    for _ in range(8):
        ProductFactory.create_batch(7, stall=StallFactory.create(), stock=3)

    many, many_rows = ask_for_page("/", **query)

    assert (few, many) == (1, 1)
    assert (few_rows.count(b"data-sku="), many_rows.count(b"data-sku=")) == (2, 58)


def test_the_calendars_ask_once_for_few_and_for_many() -> None:
    CalendarFactory.create()
    few, _page = ask_for_page("/calendars/")
    CalendarFactory.create_batch(20)

    many, page = ask_for_page("/calendars/")

    assert (few, many) == (1, 1)
    assert page.count(b"/calendars/bakehouse-") == 21


# The calendar, its entries, their other prices, what is held of them, and who waits; the stalls, in place of the one
# calendar, where there are all.
@pytest.mark.parametrize(("view", "count"), [("agenda", 5), ("week", 4), ("month", 4)])
@pytest.mark.parametrize("address", ["/calendars/bakehouse/", "/whats-on/"])
def test_what_is_on_asks_as_much_for_few_entries_as_for_many(address: str, view: str, count: int) -> None:
    calendar = CalendarFactory.create(slug="bakehouse")
    add_entry(calendar)
    day = f"{timezone.localdate() + timedelta(days=7)}"
    few, _page = ask_for_page(address, view=view, **{"from": day})
    for _ in range(25):
        add_entry(calendar)

    many, page = ask_for_page(address, view=view, **{"from": day})

    assert (few, many) == (count, count)
    assert page.count(b"data-entry=") == 26


def add_entry(calendar: Calendar) -> None:
    """An entry with another price, of which somebody holds a place and another waits."""
    entry = EntryFactory.create(calendar=calendar)
    PriceKind.objects.create(entry=entry, name="Child", price=5)
    capacity.claim(entry.pool_id, 1, until=timezone.now() + timedelta(minutes=5))
    Waiter.objects.create(entry=entry, email="grace@mail.example", quantity=1)


def test_an_entry_asks_five_times_and_once_more_for_the_other_dates_of_its_series(workshop: Entry) -> None:
    """For itself, its other prices, what is held of it, who waits, and what is asked about those who come."""
    alone, _page = ask_for_page(workshop.get_absolute_url())
    series, counts = SeriesFactory.create(calendar=workshop.calendar), []
    for n in range(6):
        entry = EntryFactory.create(
            calendar=workshop.calendar, series=series, series_day=series.first_day + timedelta(days=n)
        )
        counts.append(ask_for_page(entry.get_absolute_url())[0])

    assert alone == 5
    assert counts == [6] * 6


def test_the_badge_of_a_page_asks_once_more(fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 3))
    client = Client()
    client.cookies["cart"] = token

    with asked() as statements:
        page = client.get("/")

    assert b'data-count="3"' in page.content
    assert len(statements) == 2


# --- Sessions ---------------------------------------------------------------------------------------------------------


def test_anonymous_shoppers_have_no_session_and_ask_for_none(htmx: Client, loaf: Product, workshop: Entry) -> None:
    item = None
    with asked() as statements:
        htmx.post("/cart/items/", {"product": "LOAF", "quantity": "1"})
        item = services.basket_of(htmx.cookies["cart"].value, None).items[0].pk
        for address in ("/", "/cart/", "/calendars/", workshop.get_absolute_url()):
            htmx.get(address)
        htmx.post(f"/cart/items/{item}/", {"quantity": "2"})
        htmx.post("/cart/renew/")

    assert "sessionid" not in htmx.cookies
    assert not [statement for statement in statements if "session" in statement]
