"""One address may do only so much: a brake on bots that costs an ordinary shopper nothing."""

import ipaddress
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from time_machine import TimeMachineFixture

from cart.models import Product
from cartsite import limits
from tests.cart.baskets import cart_of, lines_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three_in_ten_minutes(settings: Any) -> None:
    settings.LIMITS = dict.fromkeys(settings.LIMITS, (3, 600))
    settings.TRUSTED_PROXIES = []
    settings.LIMITS_SPARE_LOOPBACK = False


def add(client: Client, **meta: str) -> HttpResponse:
    return client.post("/cart/items/", {"product": "HONEY", "quantity": "1"}, **meta)


def statuses_of(client: Client, count: int, **meta: str) -> list[int]:
    return [add(client, **meta).status_code for _ in range(count)]


def test_too_many_adds_from_one_address_get_a_sentence_and_the_cart_is_kept(htmx: Client, honey: Product) -> None:
    statuses_of(htmx, 3)

    answer = add(htmx)

    assert answer.status_code == 429
    assert "Please wait a few minutes and try again; nothing was lost." in answer.content.decode()
    assert lines_of(cart_of(htmx)) == {"Heather honey": 3}


def test_it_does_not_help_to_throw_the_cookies_away(honey: Product) -> None:
    assert [add(Client()).status_code for _ in range(4)] == [302, 302, 302, 429]


def test_changing_lines_counts_as_well(htmx: Client, honey: Product) -> None:
    add(htmx)
    item = cart_of(htmx).items.get().pk

    statuses = [htmx.post(f"/cart/items/{item}/", {"quantity": str(n)}).status_code for n in (2, 3, 4)]

    assert statuses == [200, 200, 429]
    assert lines_of(cart_of(htmx)) == {"Heather honey": 3}


@pytest.mark.parametrize(
    "address",
    [
        "/cart/renew/",
        "/cart/prices/",
        "/cart/together/",
        "/cart/my-own/",
        "/cart/merges/6f1d5c1e-0b0a-4c57-9a57-2f6d6a3a9a10/all-right/",
    ],
)
def test_nothing_that_writes_is_without_a_limit(htmx: Client, honey: Product, address: str) -> None:
    add(htmx)

    assert [htmx.post(address).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    "address",
    [
        "/cart/merges/6f1d5c1e-0b0a-4c57-9a57-2f6d6a3a9a10/undo/",
        "/cart/items/1/save/",
        "/cart/items/1/bring-back/",
        "/cart/items/1/",
    ],
)
def test_nor_is_what_comes_to_nothing(htmx: Client, honey: Product, address: str) -> None:
    add(htmx)

    statuses = [htmx.post(address, {"quantity": "x"}).status_code for _ in range(3)]

    assert statuses[-1] == 429
    assert 429 not in statuses[:2]


def test_reading_is_free(client: Client, honey: Product) -> None:
    assert {client.get(address).status_code for address in ("/", "/cart/", "/calendars/") for _ in range(10)} == {200}


def test_each_address_has_its_own_count(client: Client, honey: Product) -> None:
    statuses_of(client, 4, REMOTE_ADDR="192.0.2.1")

    assert add(client, REMOTE_ADDR="192.0.2.2").status_code == 302


def test_after_a_while_one_may_again(client: Client, honey: Product, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(timezone.now())
    assert statuses_of(client, 4)[-1] == 429

    time_machine.shift(601)

    assert add(client).status_code == 302


def test_each_thing_one_does_has_its_own_count(client: Client, honey: Product) -> None:
    statuses_of(client, 4)

    assert client.post("/sign-in/", {"username": "ada", "password": "x"}).status_code == 200


# --- Who is asking ----------------------------------------------------------------------------------------------------


def test_a_forwarded_address_that_no_proxy_of_ours_vouches_for_is_not_believed(client: Client, honey: Product) -> None:
    statuses = [add(client, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code for n in range(4)]

    assert statuses == [302, 302, 302, 429]


def test_behind_our_proxy_the_visitors_address_counts(client: Client, honey: Product, settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
    proxy = {"REMOTE_ADDR": "10.0.0.1"}
    statuses_of(client, 4, HTTP_X_FORWARDED_FOR="192.0.2.1", **proxy)

    assert add(client, HTTP_X_FORWARDED_FOR="192.0.2.2", **proxy).status_code == 302
    assert add(client, HTTP_X_FORWARDED_FOR="192.0.2.1", **proxy).status_code == 429


def test_behind_our_proxy_a_made_up_address_in_front_of_the_true_one_does_not_count(
    client: Client, honey: Product, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]

    statuses = [
        add(client, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}, 192.0.2.1, 10.0.0.2").status_code
        for n in range(4)
    ]

    assert statuses == [302, 302, 302, 429]


@pytest.mark.parametrize("spare", [True, False])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_spared_in_the_demo_only(
    client: Client, honey: Product, settings: Any, spare: bool, address: str
) -> None:
    settings.LIMITS_SPARE_LOOPBACK = spare

    assert statuses_of(client, 4, REMOTE_ADDR=address)[-1] == (302 if spare else 429)


def test_other_machines_are_not_spared_in_the_demo(client: Client, honey: Product, settings: Any) -> None:
    settings.LIMITS_SPARE_LOOPBACK = True

    assert statuses_of(client, 4, REMOTE_ADDR="192.0.2.1")[-1] == 429


def test_a_visitor_cannot_claim_to_be_this_machine(client: Client, honey: Product, settings: Any) -> None:
    settings.LIMITS_SPARE_LOOPBACK = True

    statuses = statuses_of(client, 4, REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="127.0.0.1")

    assert statuses[-1] == 429


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "192.0.2.1", False),
    ],
)
def test_a_household_counts_as_one(one: str, other: str, shared: bool) -> None:
    def ask(address: str) -> bool:
        return limits.is_within(RequestFactory().post("/", REMOTE_ADDR=address), "hold")

    for _ in range(3):
        ask(one)

    assert ask(other) != shared
