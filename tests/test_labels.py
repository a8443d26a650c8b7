"""What a screen reader calls a link or a button has the words that are seen on it.

Whoever speaks to their computer says those (WCAG 2.5.3).
"""

import re

import pytest
from django.test import Client
from django.urls import reverse

from bookings.models import Entry
from cart.models import Product
from cartsite.models import User

pytestmark = pytest.mark.django_db

NAMED = re.compile(r'<(a|button)\b[^>]*\baria-label="([^"]*)"[^>]*>(.*?)</\1>', re.DOTALL)
PAGES = ["cart:market", "cart:detail", "bookings:calendars", "bookings:whats_on", "orders:mine", "account"]


def words_of(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split()).casefold()


@pytest.mark.parametrize("name", PAGES)
def test_a_label_has_the_words_that_are_seen(
    client: Client, shopper: User, honey: Product, workshop: Entry, name: str
) -> None:
    client.force_login(shopper)  # without a password

    page = client.get(reverse(name)).content.decode()

    assert [label for _tag, label, seen in NAMED.findall(page) if words_of(seen) not in label.casefold()] == []
