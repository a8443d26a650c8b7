"""How many places at an entry one person may have, over all orders, however they order and however fast."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Cart, Product
from cartsite.models import User
from orders import services
from orders.models import Order
from orders.placing import CannotPlace
from tests.concurrency import run_at_once
from tests.factories import EntryFactory, UserFactory
from tests.orders.acts import agreed_for, all_rows, place_cart, statements, typed, visitor

Fill = Callable[..., tuple[Cart, str]]
TOO_MANY = "One person can have 3 places at Kiln day at most, over all their orders."
ADA = "ada@example.org"


@pytest.fixture
def kiln(db: None) -> Entry:
    """A day at the kiln with ten places, of which one person may have three."""
    return EntryFactory.create(title="Kiln day", max_per_person=3)


def order(fill_cart: Fill, entry: Entry, quantity: int, email: str = ADA, user: User | None = None) -> Order:
    """An order of so many places, not paid yet."""
    return place_cart(*fill_cart((entry, quantity), user=user), email=email, user=user)


def assert_refused(fill_cart: Fill, entry: Entry, quantity: int, email: str = ADA, user: User | None = None) -> None:
    cart, token = fill_cart((entry, quantity), user=user)
    before = all_rows()

    with pytest.raises(CannotPlace) as refusal:
        place_cart(cart, token, email=email, user=user)

    assert refusal.value.reasons == (TOO_MANY,)
    assert all_rows() == before


@pytest.mark.django_db
def test_as_many_as_one_may_have_can_be_ordered_in_parts(fill_cart: Fill, kiln: Entry) -> None:
    order(fill_cart, kiln, 1)

    assert order(fill_cart, kiln, 2).lines.get().quantity == 2


@pytest.mark.django_db
@pytest.mark.parametrize("paid", [False, True])
def test_an_order_that_awaits_payment_counts_and_one_that_stands(fill_cart: Fill, kiln: Entry, paid: bool) -> None:
    first = order(fill_cart, kiln, 2)
    if paid:
        services.confirm(first, cause="paid")

    assert_refused(fill_cart, kiln, 2)


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["ADA@example.org", "Ada@Example.ORG"])
def test_an_address_is_the_same_in_capitals(fill_cart: Fill, kiln: Entry, email: str) -> None:
    order(fill_cart, kiln, 2)

    assert_refused(fill_cart, kiln, 2, email)


@pytest.mark.django_db
def test_a_dotless_i_is_another_mailbox(fill_cart: Fill, kiln: Entry) -> None:
    order(fill_cart, kiln, 3, "mira@example.org")

    assert order(fill_cart, kiln, 3, "m\N{LATIN SMALL LETTER DOTLESS I}ra@example.org").lines.get().quantity == 3


@pytest.mark.django_db
def test_another_address_in_the_same_account_does_not_help(fill_cart: Fill, kiln: Entry, shopper: User) -> None:
    order(fill_cart, kiln, 2, user=shopper)

    assert_refused(fill_cart, kiln, 2, "else@example.org", shopper)


@pytest.mark.django_db
def test_nor_does_the_same_address_without_the_account(fill_cart: Fill, kiln: Entry, shopper: User) -> None:
    order(fill_cart, kiln, 2, user=shopper)

    assert_refused(fill_cart, kiln, 2)


@pytest.mark.django_db
def test_other_people_and_other_entries_do_not_count(fill_cart: Fill, kiln: Entry, workshop: Entry) -> None:
    order(fill_cart, kiln, 3, user=UserFactory.create())
    order(fill_cart, workshop, 9, "grace@example.org")

    assert order(fill_cart, kiln, 3, "grace@example.org").lines.get().quantity == 3


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Order.Status.EXPIRED, Order.Status.CANCELLED])
def test_an_order_that_ended_unsold_does_not_count(fill_cart: Fill, kiln: Entry, status: str) -> None:
    first = order(fill_cart, kiln, 3)
    Order.objects.filter(pk=first.pk).update(closing_since=timezone.now(), closing_to=status, closing_by="timer")
    first.refresh_from_db()
    services.let_go(first, None)

    assert order(fill_cart, kiln, 3).lines.get().quantity == 3


@pytest.mark.django_db
def test_places_that_were_cancelled_do_not_count(fill_cart: Fill, kiln: Entry) -> None:
    first = order(fill_cart, kiln, 3)
    services.confirm(first, cause="paid")
    services.cancel_some(first.lines.get(), 2, by=None)

    assert order(fill_cart, kiln, 2).lines.get().quantity == 2
    assert_refused(fill_cart, kiln, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Booking.Status.ATTENDED, Booking.Status.NO_SHOW])
def test_places_that_were_used_count(fill_cart: Fill, kiln: Entry, status: str) -> None:
    services.confirm(order(fill_cart, kiln, 3), cause="paid")
    Booking.objects.update(status=status)

    assert_refused(fill_cart, kiln, 1)


@pytest.mark.django_db
def test_a_place_counts_where_it_was_moved_to_and_not_where_it_was_bought(
    fill_cart: Fill, kiln: Entry, workshop: Entry
) -> None:
    services.confirm(order(fill_cart, workshop, 3), cause="paid")
    Booking.objects.update(entry=kiln)
    Entry.objects.filter(pk=workshop.pk).update(max_per_person=3)
    workshop.refresh_from_db()

    assert_refused(fill_cart, kiln, 1)
    assert order(fill_cart, workshop, 3).lines.get().quantity == 3


@pytest.mark.django_db
def test_a_limit_that_was_lowered_never_stands_in_the_way_of_what_was_placed(fill_cart: Fill, kiln: Entry) -> None:
    first = order(fill_cart, kiln, 3)
    Entry.objects.update(max_per_person=1)

    services.confirm(first, cause="paid")

    assert Booking.objects.count() == 3


@pytest.mark.django_db
def test_the_checkout_says_so(fill_cart: Fill, kiln: Entry) -> None:
    order(fill_cart, kiln, 2)
    cart, token = fill_cart((kiln, 2))

    answer = visitor(token).post("/checkout/", typed(cart, email=ADA))

    assert answer.status_code == 422
    assert TOO_MANY in answer.content.decode()


@pytest.mark.django_db
def test_placing_the_same_basket_again_gives_its_order(fill_cart: Fill, kiln: Entry) -> None:
    cart, token = fill_cart((kiln, 2))
    agreed = agreed_for(cart)

    assert place_cart(cart, token, agreed=agreed, email=ADA) == place_cart(cart, token, agreed=agreed, email=ADA)


@pytest.mark.django_db
def test_nobody_waits_where_there_is_no_such_limit(fill_cart: Fill, honey: Product, workshop: Entry) -> None:
    with statements() as sent:
        place_cart(*fill_cart((honey, 1), (workshop, 2)))

    assert not [statement for statement in sent if "advisory" in statement]


# --- At once ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", ["address", "account", "both"])
def test_of_two_orders_at_once_only_one_passes(fill_cart: Fill, kiln: Entry, shopper: User, by: str) -> None:
    other = EntryFactory.create(title="Another", max_per_person=3, calendar=kiln.calendar)
    orders: list[Callable[[], Any]] = []
    for number in range(2):
        things = [(kiln, 2), (other, 1)] if number else [(other, 1), (kiln, 2)]
        cart, token = fill_cart(*things)
        user = shopper if by == "account" or (by == "both" and number) else None
        email = f"{number}@example.org" if by == "account" else ADA.upper() if number else ADA
        agreed = agreed_for(cart)
        orders.append(partial(place_cart, cart, token, user=user, agreed=agreed, email=email))

    outcomes = run_at_once(*orders)

    assert [type(outcome.error) for outcome in outcomes if outcome.error] == [CannotPlace]
    assert Order.objects.count() == 1
