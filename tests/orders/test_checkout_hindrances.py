"""What stands in the way of an order is said at the top of the checkout before anything is typed, with the way out."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings import capacity
from bookings.models import Entry, Hold
from cart.models import Cart, CartItem, Product
from orders.models import Order
from payments.simulator import Simulator
from tests.bookings.lines import join
from tests.factories import ProductFactory
from tests.orders.acts import statements, typed, visitor

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def top_of(answer: Any) -> str:
    """What the page says above its form."""
    return text_of(answer).partition('id="checkout-form"')[0]


def lapse(*, left: int, of: Entry) -> None:
    """All holds are over, and others take all places but so many."""
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))
    capacity.give_expired_back()
    capacity.claim(of.pool_id or 0, 10 - left, until=None)


@pytest.fixture
def five(fill_cart: FillCart, workshop: Entry, honey: Product) -> tuple[Cart, str]:
    """Five places at a workshop of ten, and a jar."""
    return fill_cart((workshop, 5), (honey, 1))


def test_the_basket_says_how_many_are_left_and_offers_to_take_these(five: tuple[Cart, str], workshop: Entry) -> None:
    lapse(left=4, of=workshop)
    client = visitor(five[1])

    said = text_of(client.get("/cart/"))
    item = CartItem.objects.get(entry=workshop)
    taken = client.post(f"/cart/items/{item.pk}/", {"quantity": 4})

    assert "Only 4 places left." in said
    assert f'id="take-{item.pk}"' in said
    assert "Take 4" in said
    item.refresh_from_db()
    assert (taken.status_code, item.quantity, item.hold.quantity if item.hold else 0) == (302, 4, 4)


def test_the_checkout_says_so_at_its_top_and_one_press_takes_what_is_left(
    five: tuple[Cart, str], workshop: Entry
) -> None:
    lapse(left=4, of=workshop)
    client = visitor(five[1])
    item = CartItem.objects.get(entry=workshop)

    first = client.get("/checkout/")
    taken = client.post("/checkout/", typed(five[0]) | {"take": f"{item.pk}-4", "name": "Grace"})

    assert "Only 4 places left." in top_of(first)
    assert f'name="take" value="{item.pk}-4"' in top_of(first)
    assert taken.status_code == 200
    assert 'id="in-the-way"' not in text_of(taken)
    assert 'value="Grace"' in text_of(taken)
    assert "4 × Bread workshop" in text_of(taken)  # noqa: RUF001


def test_none_left_offers_nothing_to_take(five: tuple[Cart, str], workshop: Entry) -> None:
    lapse(left=0, of=workshop)

    said = top_of(visitor(five[1]).get("/checkout/"))

    assert "there is none left" in said
    assert 'name="take"' not in said


def test_what_others_wait_for_is_not_offered(five: tuple[Cart, str], workshop: Entry) -> None:
    lapse(left=0, of=workshop)
    join(workshop, "bob")
    Hold.objects.filter(cart_item=None).update(quantity=6)
    workshop.pool.__class__.objects.update(taken=6)

    said = top_of(visitor(five[1]).get("/checkout/"))

    assert "there is none left" in said
    assert 'name="take"' not in said


def test_a_refusal_to_place_names_how_many_are_left(five: tuple[Cart, str], workshop: Entry, sumup: Simulator) -> None:
    lapse(left=4, of=workshop)

    answer = visitor(five[1]).post("/checkout/", typed(five[0]))

    assert answer.status_code == 422
    assert "There is not enough left of Bread workshop: only 4." in text_of(answer)
    assert "Take 4" in top_of(answer)
    assert not Order.objects.exists()


@pytest.mark.parametrize("free_again", ["free", "expired"])
def test_what_lapsed_and_can_be_had_is_in_nobodys_way(
    five: tuple[Cart, str], fill_cart: FillCart, workshop: Entry, free_again: str
) -> None:
    if free_again == "expired":
        fill_cart((workshop, 5))
    Hold.objects.update(until=timezone.now() - timedelta(seconds=1))

    said = text_of(visitor(five[1]).get("/checkout/"))

    assert 'id="in-the-way"' not in said
    assert "it may still be free" in said


@pytest.mark.parametrize("take", ["", "-", "x-4", "4", "999999999999999999-4", "1--1", "1-0", "1-1000"])
def test_a_take_that_is_none_changes_nothing(five: tuple[Cart, str], take: str) -> None:
    answer = visitor(five[1]).post("/checkout/", {"take": take})

    assert answer.status_code == 200
    assert sorted(five[0].items.values_list("quantity", flat=True)) == [1, 5]


def test_many_lapsed_lines_cost_no_more_than_a_few(fill_cart: FillCart) -> None:
    counts = []
    for lines in (2, 12):
        things = [ProductFactory.create(stock=3) for _line in range(lines)]
        _cart, token = fill_cart(*((thing, 2) for thing in things))
        Hold.objects.update(until=timezone.now() - timedelta(seconds=1))
        with statements() as sent:
            visitor(token).get("/cart/")
        counts.append(len(sent))

    assert counts[0] == counts[1]


# --- Prices that rose -------------------------------------------------------------------------------------------------


def test_a_price_that_rose_is_accepted_at_the_checkout_with_all_that_was_typed(
    five: tuple[Cart, str], honey: Product
) -> None:
    Product.objects.update(price=Decimal("8.00"))
    client = visitor(five[1])
    shown = client.get("/checkout/")
    agreed = shown.context["basket"].fingerprint

    answer = client.post("/checkout/", {"accept": agreed, "name": "Grace", "email": "gr"})

    assert "Heather honey: was £6.50, now £8.00 each" in top_of(shown)
    assert "Accept the new price</button>" in top_of(shown)
    assert 'id="in-the-way"' not in text_of(answer)
    assert 'value="Grace"' in text_of(answer)
    assert CartItem.objects.get(product=honey).seen_price == Decimal("8.00")


@pytest.mark.parametrize("accept", ["", "0123456789abcdef"])
def test_other_prices_than_were_shown_are_not_accepted(five: tuple[Cart, str], honey: Product, accept: str) -> None:
    Product.objects.update(price=Decimal("8.00"))

    answer = visitor(five[1]).post("/checkout/", {"accept": accept})

    assert "Some prices have gone up." in top_of(answer)
    assert CartItem.objects.get(product=honey).seen_price == Decimal("6.50")


@pytest.mark.parametrize(("lines", "buttons"), [(1, 0), (2, 1)])
def test_one_line_that_rose_has_one_button(fill_cart: FillCart, client: Client, lines: int, buttons: int) -> None:
    _cart, token = fill_cart(*((ProductFactory.create(), 1) for _line in range(lines)))
    Product.objects.update(price=Decimal("8.00"))

    said = text_of(visitor(token).get("/cart/"))

    assert said.count("Accept the new prices") == buttons
    assert said.count("Accept £8.00") == lines
