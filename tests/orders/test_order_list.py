"""A shopper's own orders: by status and day, newest first, page by page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cart.models import Product
from cartsite.models import User
from orders.models import Order, OrderLine
from orders.views import mine
from orders.views.mine import PER_PAGE
from tests.factories import EntryFactory, ProductFactory, StallFactory, UserFactory
from tests.orders.acts import HTMX, statements

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def client_of(shopper: User) -> Client:
    client = Client()
    client.force_login(shopper)
    return client


@pytest.fixture
def place_many(place_order: PlaceOrder, honey: Product, shopper: User) -> Callable[[int], list[Order]]:
    """Place so many orders, a day apart; the newest first."""

    def place(count: int) -> list[Order]:
        orders = [place_order((honey, 1), user=shopper) for _order in range(count)]
        now = timezone.now()
        for days, order in enumerate(orders):
            Order.objects.filter(pk=order.pk).update(placed_at=now - timedelta(days=days))
        return orders

    return place


def numbers(response: Any) -> list[str]:
    """The orders that a page lists."""
    return re.findall(r'href="/orders/([0-9A-Z-]+)/"', response.content.decode())


def test_who_has_not_signed_in_is_asked_to() -> None:
    response = Client().get("/orders/?status=confirmed")

    assert response.status_code == 302
    assert response["Location"] == "/sign-in/?next=/orders/%3Fstatus%3Dconfirmed"


def test_a_shopper_sees_their_own_orders_newest_first(
    client_of: Client, place_many: Any, place_order: PlaceOrder, honey: Product
) -> None:
    orders = place_many(3)
    place_order((honey, 1))
    place_order((honey, 1), user=UserFactory())

    response = client_of.get("/orders/")

    assert numbers(response) == [order.number for order in orders]
    assert response.content.decode().count('data-order-status="awaiting_payment"') == 3


def test_a_shopper_without_orders_is_shown_the_market_and_nothing_to_search(client_of: Client) -> None:
    page = client_of.get("/orders/").content.decode()

    assert "You have not ordered anything yet" in page
    assert 'role="search"' not in page


def test_a_search_that_finds_nothing_can_be_changed(client_of: Client, place_many: Any) -> None:
    place_many(1)

    page = client_of.get("/orders/?status=expired").content.decode()

    assert "No order fits." in page
    assert 'role="search"' in page


@pytest.mark.parametrize("status", Order.Status.values)
def test_orders_are_found_by_status(client_of: Client, place_many: Any, status: str) -> None:
    orders = place_many(len(Order.Status.values))
    for order, its in zip(orders, Order.Status.values, strict=True):
        Order.objects.filter(pk=order.pk).update(status=its)

    response = client_of.get(f"/orders/?status={status}&since=&until=")

    assert numbers(response) == [orders[Order.Status.values.index(status)].number]


def test_days_are_the_shops_own_first_and_last_included(client_of: Client, place_many: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/London"
    # In summer, the 2nd of July begins in London at 23:00 UTC of the 1st.
    moments = [
        datetime(2026, 7, 1, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 7, 1, 23, 0, tzinfo=UTC),
        datetime(2026, 7, 2, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 7, 2, 23, 0, tzinfo=UTC),
    ]
    orders = place_many(4)
    for order, moment in zip(orders, moments, strict=True):
        Order.objects.filter(pk=order.pk).update(placed_at=moment)

    on_the_day = numbers(client_of.get("/orders/?since=2026-07-02&until=2026-07-02"))
    since = numbers(client_of.get("/orders/?since=2026-07-02"))
    until = numbers(client_of.get("/orders/?until=2026-07-02"))

    assert on_the_day == [orders[2].number, orders[1].number]
    assert since == [orders[3].number, *on_the_day]
    assert until == [*on_the_day, orders[0].number]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=paid", "status"),
        ("since=yesterday", "since"),
        ("until=2026-02-30", "until"),
        ("since=2026-07-02&until=2026-07-01", "until"),
        ("until=9999-12-31", "until"),
        ("since=0001-01-01", "since"),
        ("since=%00", "since"),
        ("since=99999999999999", "since"),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_field(
    client_of: Client, place_many: Any, query: str, field: str
) -> None:
    (order,) = place_many(1)

    response = client_of.get(f"/orders/?{query}")

    said = response.content.decode()
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert re.search(rf'id="id_{field}".*?<ul class="errorlist"', said, re.DOTALL)
    assert order.number in said


def test_long_lists_come_page_by_page(client_of: Client, place_many: Any) -> None:
    orders = place_many(2 * PER_PAGE + 1)
    seen, path, pages = [], "/orders/", 0

    while path:
        response = client_of.get(path)
        seen += numbers(response)
        pages += 1
        after = re.search(r'href="(\?[^"]*after=[^"]*)"', response.content.decode())
        path = f"/orders/{after.group(1).replace('&amp;', '&')}" if after else ""

    assert pages == 3
    assert seen == [order.number for order in orders]


def test_the_next_page_keeps_the_filter(client_of: Client, place_many: Any) -> None:
    place_many(PER_PAGE + 1)

    said = client_of.get("/orders/?status=awaiting_payment").content.decode()

    assert re.search(r"\?status=awaiting_payment&amp;after=", said)


def test_orders_of_the_same_moment_are_neither_lost_nor_shown_twice(client_of: Client, place_many: Any) -> None:
    orders = place_many(PER_PAGE + 5)
    Order.objects.update(placed_at=timezone.now())

    first = client_of.get("/orders/")
    second = client_of.get(f"/orders/?after={first.context['page'].next}")

    listed = numbers(first) + numbers(second)
    assert sorted(listed) == sorted(order.number for order in orders)


def test_another_shoppers_cursor_shows_no_more_than_ones_own(
    client_of: Client, place_many: Any, place_order: PlaceOrder, honey: Product
) -> None:
    place_many(PER_PAGE + 1)
    cursor = client_of.get("/orders/").context["page"].next
    other = UserFactory()
    theirs = place_order((honey, 1), user=other)
    Order.objects.filter(pk=theirs.pk).update(placed_at=timezone.now() - timedelta(days=400))
    client_of.force_login(other)

    assert numbers(client_of.get(f"/orders/?after={cursor}")) == [theirs.number]


def test_htmx_gets_the_list_only(client_of: Client, place_many: Any) -> None:
    place_many(1)

    said = client_of.get("/orders/", headers=HTMX).content.decode()

    assert "<html" not in said
    assert 'data-order-status="awaiting_payment"' in said


def test_a_long_list_costs_what_a_short_one_does(client_of: Client, place_many: Any) -> None:
    place_many(1)
    client_of.get("/orders/")
    with statements() as few:
        client_of.get("/orders/")
    place_many(PER_PAGE + 5)
    with statements() as many:
        client_of.get("/orders/?status=awaiting_payment&since=2020-01-01")

    assert len(few) == len(many) <= 4
    assert [sql for sql in many if "COUNT(" in sql] == []


# --- Searching


@pytest.fixture
def three(place_order: PlaceOrder, shopper: User) -> list[Order]:
    """Orders of jam, of honey, and of a workshop at another stall."""
    jam = ProductFactory(title="Plum jam", stall=StallFactory(name="Hill Farm"))
    honey = ProductFactory(title="Heather honey", stall=StallFactory(name="Hill Bees"))
    workshop = EntryFactory(title="Bread workshop", calendar__stall=StallFactory(name="The Bakers"))
    return [place_order((thing, 1), user=shopper) for thing in (jam, honey, workshop)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("jam", [0]),
        ("HEATHER", [1]),
        ("hill", [1, 0]),
        ("the bakers", [2]),
        ("bread work", [2]),
        ("  jam  ", [0]),
        ("truffles", []),
        ("%", []),
        ("_", []),
        ("\\", []),
        ("'; DROP TABLE orders_order; --", []),
    ],
)
def test_orders_are_found_by_words_from_a_title_or_a_stall(
    client_of: Client, three: list[Order], words: str, found: list[int]
) -> None:
    response = client_of.get("/orders/", {"q": words})

    assert response.status_code == 200
    assert numbers(response) == [three[n].number for n in found]


def test_an_order_with_several_such_lines_is_found_once(
    client_of: Client, place_order: PlaceOrder, shopper: User
) -> None:
    order = place_order(*((ProductFactory(title=f"Plum jam {n}"), 1) for n in range(3)), user=shopper)

    assert numbers(client_of.get("/orders/?q=jam")) == [order.number]


@pytest.mark.parametrize("write", [str, str.lower, lambda n: n.replace("-", ""), lambda n: f" {n.replace('-', ' ')} "])
def test_an_order_is_found_by_its_number_however_it_is_written(
    client_of: Client, three: list[Order], write: Callable[[str], str]
) -> None:
    response = client_of.get("/orders/", {"q": write(three[1].number)})

    assert numbers(response) == [three[1].number]


def test_another_persons_number_or_words_find_nothing(
    client_of: Client, place_order: PlaceOrder, honey: Product
) -> None:
    theirs = place_order((honey, 1), user=UserFactory())

    for words in (theirs.number, "Heather honey"):
        response = client_of.get("/orders/", {"q": words})
        assert (response.status_code, numbers(response)) == (200, [])
        assert "No order fits." in response.content.decode()


def test_words_status_and_days_narrow_together(client_of: Client, three: list[Order]) -> None:
    Order.objects.filter(pk=three[0].pk).update(status="expired")

    assert numbers(client_of.get("/orders/?q=hill&status=expired")) == [three[0].number]
    assert numbers(client_of.get(f"/orders/?q={three[1].number}&status=expired")) == []
    assert numbers(client_of.get("/orders/?q=hill&until=2020-01-01")) == []


def test_a_search_goes_on_where_it_stopped_and_misses_nothing(
    client_of: Client, place_many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mine, "LOOK_THROUGH", 4)
    monkeypatch.setattr(mine, "PER_PAGE", 3)
    orders = place_many(14)
    wanted = [orders[n] for n in (0, 1, 2, 3, 6, 13)]
    OrderLine.objects.filter(order__in=wanted).update(title="Truffles")
    seen, path, pages = [], "/orders/?q=truffles", 0

    while path:
        response = client_of.get(path)
        seen += numbers(response)
        pages += 1
        after = re.search(r'href="(\?[^"]*after=[^"]*)"', response.content.decode())
        path = f"/orders/{after.group(1).replace('&amp;', '&')}" if after else ""

    assert seen == [order.number for order in wanted]
    assert pages == 4


def test_a_page_without_any_hit_says_that_there_are_older_orders(
    client_of: Client, place_many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mine, "LOOK_THROUGH", 2)
    place_many(3)

    said = client_of.get("/orders/?q=truffles").content.decode()

    assert "There are older ones." in said
    assert "q=truffles&amp;after=" in said


@pytest.mark.parametrize("words", ["x" * 101, "a\x00b"])
def test_words_that_cannot_be_searched_for_are_said_beside_the_field(client_of: Client, words: str) -> None:
    response = client_of.get("/orders/", {"q": words})

    said = response.content.decode()
    assert response.status_code == 422
    assert re.search(r'<input[^>]*aria-invalid="true"[^>]*id="id_q"', said)
    assert re.search(r'id="id_q".*?<ul class="errorlist" id="id_q_error"', said, re.DOTALL)


# --- What htmx gets


def test_a_search_by_htmx_gets_form_and_list_and_tells_how_many(client_of: Client, three: list[Order]) -> None:
    said = client_of.get("/orders/?q=hill", headers=HTMX).content.decode()

    assert "<html" not in said
    assert 'id="orders"' in said
    assert 'value="hill"' in said
    assert "2 orders shown" in said


def test_more_of_the_list_comes_without_the_form(client_of: Client, three: list[Order]) -> None:
    said = client_of.get("/orders/?part=1", headers=HTMX).content.decode()

    assert 'id="orders"' not in said
    assert three[0].number in said


def test_going_back_gets_the_whole_page(client_of: Client, three: list[Order]) -> None:
    said = client_of.get("/orders/?q=jam", headers=HTMX | {"HX-History-Restore-Request": "true"}).content.decode()

    assert "<html" in said
    assert 'value="jam"' in said


def test_the_search_has_an_address_of_its_own_with_and_without_htmx(client_of: Client, three: list[Order]) -> None:
    said = client_of.get("/orders/").content.decode()

    form = said.split('role="search"')[1].split(">")[0]
    assert 'method="get" action="/orders/"' in form
    assert 'hx-push-url="true"' in form
