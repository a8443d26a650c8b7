"""Cursors: whatever stands in one, it is a page or the first page, and never an error."""

import json
from base64 import urlsafe_b64encode

import pytest
from django.test import Client

from cart.models import Product
from cartsite.paging import page_of
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db

ORDER = ("stall__name", "title", "pk")


def cursor(values: object) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def test_pages_follow_one_another_without_gap_or_overlap() -> None:
    products = ProductFactory.create_batch(7, title="The same")
    seen: list[Product] = []
    after = ""

    for _page in range(3):
        page = page_of(Product.objects.all(), ORDER, after, 3)
        seen += page.rows
        after = page.next

    assert after == ""
    assert [product.pk for product in seen] == [
        product.pk for product in sorted(products, key=lambda product: (product.stall.name, product.pk))
    ]


def test_the_last_full_page_has_no_next() -> None:
    ProductFactory.create_batch(3)

    assert page_of(Product.objects.all(), ORDER, "", 3).next == ""


@pytest.mark.parametrize(
    "after",
    [
        "nonsense",
        "====",
        "é",
        "%00",
        cursor(None),
        cursor({}),
        cursor([1, 2]),
        cursor([1, 2, 3, 4]),
        cursor([None, None, None]),
        cursor([[], {}, 1.5]),
        cursor(["\x00", "\x00", 1]),
        cursor(["\ud800", "a", 1]),
        cursor(["a", "b", 10**40]),
        cursor(["a", "b", -(10**40)]),
        cursor(["a", "b", "c"]),
        cursor(["a", "b", True]),
        urlsafe_b64encode(b"[" * 6000).decode(),
        urlsafe_b64encode(b"[NaN, Infinity, 1]").decode(),
        urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_cursor_that_was_made_up_is_no_error(after: str) -> None:
    ProductFactory()

    response = Client().get("/", {"after": after})

    assert response.status_code == 200


@pytest.mark.parametrize("moment", ["yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 5, "2026"])
def test_a_moment_that_was_made_up_is_no_error(moment: object, shopper: object) -> None:
    client = Client()
    client.force_login(shopper)  # type: ignore[arg-type]

    assert client.get("/orders/", {"after": cursor([moment, 1])}).status_code == 200
