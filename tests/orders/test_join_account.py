"""What was ordered as a guest comes into the account whose confirmed address it was ordered with, and into no other."""

from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.test import Client

from cart.models import Product
from cartsite.models import User
from orders.models import Order, OrderContact
from orders.services import take_over_guest_orders
from tests.cartsite.accounts import code_in_mail, sign_in_by_code, sign_up
from tests.factories import UserFactory
from tests.orders.acts import all_rows, statements

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def guest_order(place_order: PlaceOrder, honey: Product) -> Order:
    """Ordered without an account, with ada@example.org as its address."""
    return place_order((honey, 1))


def user_of(order: Order) -> User | None:
    order.refresh_from_db()
    return order.user


def test_a_guests_order_is_in_the_account_they_make_later(guest_order: Order, client: Client) -> None:
    OrderContact.objects.update(email="Ada@Example.ORG")

    sign_up(client, "ada@example.org")

    assert user_of(guest_order) == User.objects.get()
    assert guest_order.number in client.get("/orders/").content.decode()
    assert client.get(guest_order.get_absolute_url()).status_code == 200


def test_signing_in_with_a_code_brings_what_was_ordered_meanwhile(
    guest_order: Order, client: Client, shopper: User
) -> None:
    sign_in_by_code(client)

    assert user_of(guest_order) == shopper


@pytest.mark.parametrize("confirmed", [True, False])
def test_signing_in_with_a_password_brings_it_only_if_the_address_is_confirmed(
    guest_order: Order, client: Client, shopper: User, confirmed: bool
) -> None:
    EmailAddress.objects.create(user=shopper, email="ada@example.org", verified=confirmed)

    client.post("/sign-in/", {"username": "ada", "password": "correct horse"})

    assert user_of(guest_order) == (shopper if confirmed else None)


def test_a_new_address_brings_what_was_ordered_with_it(guest_order: Order, client: Client) -> None:
    grace = UserFactory.create(email="grace@example.org")
    sign_in_by_code(client, "grace@example.org")
    before = user_of(guest_order)

    client.post("/account/email/", {"email": "ada@example.org"})
    unproved = user_of(guest_order)
    client.post("/account/email/confirm/", {"code": code_in_mail()})

    assert (before, unproved, user_of(guest_order)) == (None, None, grace)


def test_what_has_a_user_stays_theirs_whoever_confirms_its_address(
    place_order: PlaceOrder, honey: Product, client: Client, shopper: User
) -> None:
    grace = UserFactory.create(email="grace@example.org")
    theirs = place_order((honey, 1), user=grace)  # she ordered for Ada, with Ada's address

    sign_in_by_code(client)

    assert user_of(theirs) == grace
    assert not theirs.events.filter(kind="joined_account").exists()


def test_only_the_same_address_counts(guest_order: Order, shopper: User) -> None:
    before = all_rows()

    joined = take_over_guest_orders(shopper, ["ada@example.com", "da@example.org", "ada_example.org", "%@example.org"])

    assert joined == 0
    assert all_rows() == before


def test_an_address_that_only_looks_the_same_does_not_count(guest_order: Order, shopper: User) -> None:
    """In capitals the database takes a dotless i for an I: whoever owns such an address is somebody else."""
    OrderContact.objects.update(email="mike@mail.example")
    before = all_rows()

    joined = take_over_guest_orders(shopper, ["m\u0131ke@mail.example", "mike@ma\u0131l.example"])

    assert joined == 0
    assert all_rows() == before


def test_it_is_written_down_once(guest_order: Order, shopper: User) -> None:
    again = [take_over_guest_orders(shopper, ["ADA@example.org", "ada@example.org"]) for _ in range(2)]

    event = guest_order.events.get(kind="joined_account")
    assert again == [1, 0]
    assert (event.by, event.data) == (shopper, {})


@pytest.mark.parametrize("emails", [[], ["grace@example.org"], ["grace@example.org", "hopper@example.org"]])
def test_when_there_is_nothing_it_asks_at_most_once(guest_order: Order, shopper: User, emails: list[str]) -> None:
    with statements() as sent:
        take_over_guest_orders(shopper, emails)

    assert len(sent) == min(len(emails), 1)


def test_orders_are_found_by_the_index_on_their_address(guest_order: Order) -> None:
    found = Order.objects.filter(contact__email__iexact="ada@example.org", user=None)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    assert "ordercontact_by_email_any_case" in found.explain()
