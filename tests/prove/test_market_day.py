"""A market day: many shoppers at once for few places, over the site's own pages and a SumUp that speaks HTTP."""

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from bookings.models import Booking, Entry
from orders.models import Order
from payments import releasing, sweeping
from payments.models import Payment
from payments.simulator import Simulator
from tests.factories import EntryFactory, ProductFactory
from tests.invariants import assert_books_balance

pytestmark = pytest.mark.django_db(transaction=True)

SHOPPERS, AT_ONCE, PLACES = 300, 16, 20


def shop(sumup: Simulator, entry: Entry, chance: random.Random) -> str:
    """One visitor's day: a place, sometimes honey; pays, declines first, walks away, or changes their mind."""
    visitor = Client()
    try:
        if visitor.post("/cart/items/", {"entry": entry.pk, "quantity": 1}).status_code == 422:
            return "sold out"
        visitor.post("/cart/items/", {"product": "HONEY", "quantity": chance.randint(1, 3)})
        review = visitor.get("/checkout/")
        hidden = dict(re.findall(r'name="(cart|agreed)" value="([^"]+)"', review.content.decode()))
        answer = visitor.post("/checkout/", {"name": "Ada", "email": "ada@example.org", "terms": "on", **hidden})
        assert answer.status_code == 302, answer.content
        payment = Payment.objects.get(checkout_url=answer["Location"])
        return act(sumup, visitor, payment, chance)
    finally:
        connections.close_all()


def act(sumup: Simulator, visitor: Client, payment: Payment, chance: random.Random) -> str:
    number = payment.order.number
    mood = chance.choice(["pay", "pay", "pay", "decline, then pay", "walk away", "change the basket"])
    if mood == "change the basket":
        visitor.post(f"/orders/{number}/change-basket/")
    if mood == "decline, then pay":
        sumup.decline(payment.checkout_id)
    if "pay" in mood:
        sumup.pay(payment.checkout_id)
        visitor.get(f"/orders/{number}/return/")
    return mood


def test_of_many_shoppers_at_once_only_as_many_get_a_place_as_there_are(sumup: Simulator, settings: Any) -> None:
    settings.LIMITS_SPARE_LOOPBACK = True  # one machine plays them all
    entry = EntryFactory(places=PLACES)
    ProductFactory(sku="HONEY")
    seeds = range(SHOPPERS)

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        moods = Counter(crowd.map(lambda seed: shop(sumup, entry, random.Random(seed)), seeds))
    sweeping.sweep()
    releasing.sweep()

    paid = moods["pay"] + moods["decline, then pay"]
    assert moods.total() == SHOPPERS
    assert Order.objects.filter(status=Order.Status.CONFIRMED).count() <= paid <= PLACES
    assert Booking.objects.count() <= PLACES
    assert_books_balance()
