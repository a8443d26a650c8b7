"""Buying among ten thousand foreign rows of everything: no step of a shopper's way looks at them.

A count of statements does not see what one statement costs; the database's own account does.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.test import Client

from bookings.models import Entry
from cart.models import Cart, Product
from cartsite.models import Case
from orders.models import Order
from payments import settling, starting
from payments.models import Payment
from payments.simulator import Simulator
from tests.factories import EntryFactory, ProductFactory, UserFactory
from tests.orders.acts import EMAIL, NAME, place_cart
from tests.support.foreign_rows import copy_everything
from tests.support.rows_visited import Visits, explained

pytestmark = pytest.mark.django_db

Later = Callable[..., AbstractContextManager[list[Callable[[], None]]]]

MANY = 5_000  # times two or more of everything
FEW = 100  # rows of one table that a statement about one basket may look at, generously


@pytest.fixture
def full_shop(fill_cart: Callable[..., tuple[Cart, str]], sumup: Simulator) -> None:
    """Thousands of open baskets, and of orders paid and not, for things that are counted and things that are not."""
    jam, talk = ProductFactory(stock=8), EntryFactory(max_per_person=4)
    for _time in range(2):
        fill_cart((jam, 1), (talk, 1), (ProductFactory(), 2))
    paid, unpaid = (place_cart(*fill_cart((jam, 2), (talk, 2)), email=f"{n}@mail.example") for n in "ab")
    payment = starting.start(paid)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    Case.open(Case.Kind.OVERPAID, paid, "Too much.")
    starting.start(unpaid)
    copy_everything(MANY)


@pytest.fixture
def things(full_shop: None) -> list[Product | Entry]:
    """What the shopper is about to buy, of which much was sold before."""
    return [
        ProductFactory.create(stock=8, title="Damson jam"),
        EntryFactory.create(title="Bread workshop", max_per_person=4),
    ]


def add(browser: Client, thing: Product | Entry, quantity: int = 1) -> None:
    kind = "entry" if isinstance(thing, Entry) else "product"
    name = thing.pk if isinstance(thing, Entry) else thing.sku
    answer = browser.post("/cart/items/", {kind: str(name), "quantity": str(quantity)})
    assert answer.status_code == 302, answer.content


def read_agreement(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(cart|agreed)" value="([^"]+)"', page))


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_the_way_from_the_shelf_to_the_order_looks_at_no_foreign_row(
    things: list[Product | Entry], sumup: Simulator, is_signed_in: bool, django_capture_on_commit_callbacks: Later
) -> None:
    browser = Client()
    if is_signed_in:
        browser.force_login(UserFactory(email=EMAIL))
    seen: dict[str, Visits] = {}

    with explained() as seen["adding"]:
        for thing in things:
            add(browser, thing)
    with explained() as seen["the basket"]:
        assert browser.get("/cart/").status_code == 200
    with explained() as seen["the checkout"]:
        page = browser.get("/checkout/").content.decode()
    with explained() as seen["placing and paying"]:
        typed = {"name": NAME, "email": EMAIL, "terms": "on", **read_agreement(page)}
        answer = browser.post("/checkout/", typed)
    order = Order.objects.get(contact__email=EMAIL)
    payment = Payment.objects.get(order=order)
    sumup.pay(payment.checkout_id or "")
    with explained() as seen["settling"], django_capture_on_commit_callbacks(execute=True):
        settling.settle(payment)
    with explained() as seen["the order"]:
        assert browser.get(order.get_absolute_url()).status_code == 200

    assert answer.status_code in (302, 303)
    assert {step: visits.over(FEW) for step, visits in seen.items()} == {step: [] for step in seen}
    assert all(visits.seen for visits in seen.values())
