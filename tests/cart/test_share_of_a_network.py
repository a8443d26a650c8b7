"""One network holds at most a share of an entry's places without having paid, so that nobody empties a market."""

import logging
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from time_machine import TimeMachineFixture

from bookings import capacity
from bookings.models import Calendar, Entry, Hold, Pool
from cart import services as carts
from cart.models import Cart
from cartsite import limits
from cartsite.models import User
from orders import services
from orders.models import Order
from orders.placing import CannotPlace
from tests.cart.baskets import cart_of, held_by, item_of, token_in
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, ProductFactory
from tests.invariants import assert_pool_balances
from tests.orders.acts import place_cart
from tests.orders.late import expire
from tests.support.rows_visited import explained

pytestmark = pytest.mark.django_db

HERE, THERE = "198.51.100.7", "203.0.113.9"
WORDS = "We keep at most 20 unpaid places at Bread workshop for one internet connection."


@pytest.fixture(autouse=True)
def _no_other_limit(settings: Any) -> None:
    settings.LIMITS = dict.fromkeys(settings.LIMITS, (100_000, 600))
    settings.TRUSTED_PROXIES = []
    settings.LIMITS_SPARE_LOOPBACK = False
    limits._warned.clear()


@pytest.fixture
def market(db: None) -> Entry:
    """A workshop with 40 places, in a calendar that lets a basket have many."""
    entry = EntryFactory.create(title="Bread workshop", places=40)
    Calendar.objects.update(most_held=1000)
    return Entry.objects.get(pk=entry.pk)


def add(entry: Entry, quantity: int, address: str, client: Client | None = None) -> HttpResponse:
    """Put places into a basket, a fresh one unless told."""
    client = client or Client()
    return client.post("/cart/items/", {"entry": entry.pk, "quantity": quantity}, REMOTE_ADDR=address)


def statuses(entry: Entry, *addresses: str, quantity: int = 5) -> list[int]:
    return [add(entry, quantity, address).status_code for address in addresses]


def taken(entry: Entry) -> int:
    pool = Pool.objects.get(pk=entry.pool_id or 0)
    assert_pool_balances(pool)
    return pool.taken


def visit(entry: Entry, quantity: int, address: str = HERE) -> tuple[Client, Cart]:
    """A visitor with that many places in a basket."""
    client = Client()
    assert add(entry, quantity, address, client).status_code == 302
    return client, cart_of(client)


# --- How much that is


def test_it_does_not_help_to_throw_the_cookies_away(market: Entry) -> None:
    assert statuses(market, *[HERE] * 5) == [302, 302, 302, 302, 422]

    answer = add(market, 1, HERE)

    assert WORDS in answer.content.decode()
    assert answer.cookies.get("cart") is None
    assert taken(market) == 20
    assert statuses(market, THERE) == [302]


def test_an_entry_may_be_small(db: None) -> None:
    entry = EntryFactory.create(places=12)
    Calendar.objects.update(most_held=1000)

    assert statuses(entry, HERE, HERE, HERE) == [302, 302, 422]


def test_the_share_is_a_setting(market: Entry, settings: Any) -> None:
    settings.UNPAID_PERCENT, settings.UNPAID_ALWAYS = 25, 1

    assert statuses(market, HERE, HERE, HERE) == [302, 302, 422]


def test_of_ipv6_a_household_is_one_network_and_what_is_around_it_has_a_wider_share(market: Entry) -> None:
    assert statuses(market, *(f"2001:db8:5:1::{n}" for n in range(1, 6))) == [302, 302, 302, 302, 422]
    assert statuses(market, *(f"2001:db8:5:{n}::1" for n in range(2, 6))) == [302, 302, 422, 422]
    assert statuses(market, "2001:db8:6::1") == [302]
    assert taken(market) == 35


def test_what_has_no_limit_cannot_be_emptied(db: None) -> None:
    entry = EntryFactory.create(places=None)
    Calendar.objects.update(most_held=1000)

    assert statuses(entry, HERE, HERE, HERE, quantity=50) == [302, 302, 302]


def test_goods_are_not_shared_out_like_places(db: None) -> None:
    ProductFactory.create(sku="HONEY", stock=12)

    answer = Client().post("/cart/items/", {"product": "HONEY", "quantity": 12}, REMOTE_ADDR=HERE)

    assert answer.status_code == 302
    assert Hold.objects.get().network == ""


# --- What counts


def test_a_basket_that_grows_counts_as_one_that_is_new(market: Entry) -> None:
    visit(market, 12)
    client, cart = visit(market, 5)
    item = item_of(cart, market)

    answer = client.post(f"/cart/items/{item.pk}/", {"quantity": "9"}, REMOTE_ADDR=HERE)

    assert answer.status_code == 422
    assert WORDS in answer.content.decode()
    assert held_by(cart) == {"Bread workshop": 5}
    assert client.post(f"/cart/items/{item.pk}/", {"quantity": "8"}, REMOTE_ADDR=HERE).status_code == 302


def test_taking_fewer_is_always_allowed(market: Entry, settings: Any) -> None:
    client, cart = visit(market, 20)
    settings.UNPAID_PERCENT, settings.UNPAID_ALWAYS = 1, 1

    address = f"/cart/items/{item_of(cart, market).pk}/"

    assert client.post(address, {"quantity": "19"}, REMOTE_ADDR=HERE).status_code == 302
    assert taken(market) == 19


def test_an_unpaid_order_counts_until_it_is_paid(market: Entry) -> None:
    client, cart = visit(market, 20)
    order = place_cart(cart, token_in(client))
    assert statuses(market, HERE) == [422]

    services.confirm(order, cause="paid")

    assert statuses(market, HERE) == [302]
    assert set(Hold.objects.filter(booking__isnull=False).values_list("network", flat=True)) == {""}


def test_or_until_it_has_expired(market: Entry) -> None:
    client, cart = visit(market, 20)
    order = place_cart(cart, token_in(client))

    expire(order)

    assert statuses(market, HERE) == [302]


def test_a_basket_counts_until_its_time_is_over(market: Entry, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(timezone.now())
    visit(market, 20)
    assert statuses(market, HERE) == [422]

    time_machine.shift(timedelta(minutes=16))

    assert statuses(market, HERE) == [302]


def test_what_lapsed_is_not_claimed_beyond_the_share_by_keeping_it(
    market: Entry, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(timezone.now())
    client, cart = visit(market, 15)
    time_machine.shift(timedelta(minutes=16))
    capacity.give_expired_back()
    visit(market, 10)

    page = client.post("/cart/renew/", REMOTE_ADDR=HERE, headers={"HX-Request": "true"}).content.decode()

    assert WORDS in page
    assert held_by(cart) == {"Bread workshop": 0}


def test_nor_by_ordering_it(market: Entry, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(timezone.now())
    client, cart = visit(market, 15)
    time_machine.shift(timedelta(minutes=16))
    capacity.give_expired_back()
    visit(market, 10)

    with pytest.raises(CannotPlace, match="We keep at most 20 unpaid places"):
        place_cart(cart, token_in(client))

    assert not Order.objects.exists()
    assert taken(market) == 10


def test_nor_by_ordering_it_before_anybody_has_taken_it_back(market: Entry, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(timezone.now())
    client, cart = visit(market, 15)
    time_machine.shift(timedelta(minutes=16))
    visit(market, 10)

    with pytest.raises(CannotPlace, match="We keep at most 20 unpaid places"):
        place_cart(cart, token_in(client))


@pytest.mark.django_db(transaction=True)
def test_of_baskets_that_lapsed_no_more_are_kept_at_once_than_the_share_has(market: Entry) -> None:
    visitors = [visit(market, 5) for _ in range(4)]
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))
    visitors += [visit(market, 5) for _ in range(4)]
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))

    results_of(run_at_once(*[partial(client.post, "/cart/renew/", REMOTE_ADDR=HERE) for client, _cart in visitors]))

    lasting = Hold.objects.filter(until__gt=timezone.now()).aggregate(sum=Sum("quantity"))
    assert lasting["sum"] == 20


def test_what_an_order_claims_anew_counts(market: Entry, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(timezone.now())
    client, cart = visit(market, 15)
    time_machine.shift(timedelta(minutes=16))
    capacity.give_expired_back()

    place_cart(cart, token_in(client))

    assert statuses(market, HERE, HERE) == [302, 422]


def test_a_basket_stays_its_networks_when_its_shopper_signs_in(market: Entry, shopper: User) -> None:
    with_account = Client()
    with_account.force_login(shopper)
    add(market, 5, THERE, with_account)
    client, _cart = visit(market, 15)

    carts.adopt(token_in(client), shopper)

    assert taken(market) == 15
    assert statuses(market, HERE, HERE) == [302, 422]


def test_ordering_again_says_why_it_brings_nothing(market: Entry) -> None:
    visit(market, 20)
    client, cart = visit(market, 1, THERE)
    Cart.objects.filter(pk=cart.pk).update(network=Hold.objects.earliest("pk").network)
    carts.set_quantity(cart, item_of(cart, market).pk, 0)
    cart.refresh_from_db()

    assert [WORDS in said for said in carts.add_again(cart, [(market, 2, None)])] == [True]
    assert held_by(cart_of(client)) == {}


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_get_places_than_the_share_has(market: Entry) -> None:
    results = results_of(run_at_once(*[lambda: add(market, 4, HERE).status_code] * 8))

    assert sorted(results) == [302] * 5 + [422] * 3
    assert taken(market) == 20


# --- Whose network it is


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1", ""],
)
def test_where_all_shoppers_may_share_an_address_nobody_is_held_to_it_and_the_log_says_so(
    market: Entry, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    with caplog.at_level(logging.WARNING):
        assert statuses(market, *[address] * 6) == [302] * 6

    (said,) = [record for record in caplog.records if record.name == "cartsite.limits"]
    assert "TRUSTED_PROXIES" in said.getMessage()


def test_the_log_is_not_filled_with_addresses(market: Entry, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        statuses(market, *(f"10.0.0.{n}" for n in range(20)), quantity=1)

    assert len([record for record in caplog.records if record.name == "cartsite.limits"]) == limits.MOST_WARNED


def test_in_the_demo_this_machine_is_spared_without_a_word(
    market: Entry, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIMITS_SPARE_LOOPBACK = True

    assert statuses(market, *["127.0.0.1"] * 6) == [302] * 6

    assert not [record for record in caplog.records if record.name == "cartsite.limits"]


def test_behind_our_proxy_the_visitors_own_network_counts(market: Entry, settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]

    answers = [
        Client().post(
            "/cart/items/",
            {"entry": market.pk, "quantity": 20},
            REMOTE_ADDR="10.0.0.1",
            HTTP_X_FORWARDED_FOR=visitor,
        )
        for visitor in (HERE, HERE, THERE)
    ]

    assert [answer.status_code for answer in answers] == [302, 422, 302]


def test_the_address_is_not_kept_and_its_pseudonym_goes_with_the_hold(market: Entry) -> None:
    client, cart = visit(market, 2)
    hold = Hold.objects.get()
    assert len(hold.network) == 41
    assert HERE not in hold.network

    client.post(f"/cart/items/{item_of(cart, market).pk}/", {"quantity": "0"}, REMOTE_ADDR=HERE)

    hold.refresh_from_db()
    assert (hold.quantity, hold.network) == (0, "")


def test_a_basket_that_was_ordered_does_not_know_where_it_was_filled(market: Entry) -> None:
    client, cart = visit(market, 2)
    assert cart.network

    place_cart(cart, token_in(client))

    cart.refresh_from_db()
    assert cart.network == ""


def test_only_the_networks_own_holds_are_read_however_many_others_there_are(market: Entry) -> None:
    pool = market.pool_id or 0
    mine = "a" * 20 + "." + "b" * 20
    capacity.set_capacity(Pool.objects.get(pk=pool), 5000)
    capacity.claim_all([(pool, 1)] * 1000, None)
    for hold in capacity.claim_all([(pool, 1)] * 1000, None):
        Hold.objects.filter(pk=hold.pk).update(network=f"{hold.pk:020}.{hold.pk:020}")
    capacity.claim_all([(pool, 1)] * 3, None, network=mine)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bookings_hold")

    with explained() as visits:
        capacity.check_network(pool, mine)

    assert len(visits.seen) == 2
    assert visits.over(5) == []
