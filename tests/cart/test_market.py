"""The market: what is on sale, found by words, page by page."""

import json
from base64 import urlsafe_b64encode
from html import unescape
from re import findall

import pytest
from django.test import Client
from django.utils import timezone

from cart import views
from cart.models import Product
from tests.factories import ProductFactory, StallFactory

pytestmark = pytest.mark.django_db


def skus_in(page: bytes) -> list[str]:
    return findall(r'data-sku="([^"]+)"', page.decode())


def search(client: Client, words: str) -> list[str]:
    """The SKUs that a search finds."""
    page = client.get("/", {"q": words})
    assert page.status_code == 200
    return skus_in(page.content)


def cursor_of(*values: object) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def test_products_are_shown_stall_by_stall(client: Client) -> None:
    bakery, apiary = StallFactory.create(name="Bakery"), StallFactory.create(name="Apiary")
    ProductFactory.create(sku="ROLL", title="Roll", stall=bakery)
    ProductFactory.create(sku="WAX", title="Wax", stall=apiary)
    ProductFactory.create(sku="BUN", title="Bun", stall=bakery)

    page = client.get("/").content

    assert skus_in(page) == ["WAX", "BUN", "ROLL"]
    assert page.index(b"Apiary") < page.index(b"WAX") < page.index(b"Bakery") < page.index(b"BUN")


def test_what_was_archived_is_not_shown(client: Client, honey: Product, loaf: Product) -> None:
    honey.archived_at = loaf.stall.archived_at = timezone.now()
    honey.save()
    loaf.stall.save()

    assert skus_in(client.get("/").content) == []


def test_a_fragment_is_the_list_alone(client: Client, htmx: Client, honey: Product) -> None:
    fragment = htmx.get("/").content
    boosted = Client(headers={"HX-Request": "true", "HX-Boosted": "true"}).get("/").content

    assert skus_in(fragment) == skus_in(boosted) == ["HONEY"]
    assert b"<html" not in fragment
    assert b"<html" in boosted
    assert b"<html" in client.get("/").content


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
@pytest.mark.parametrize("address", ["/", "/cart/", "/calendars/"])
def test_pages_are_only_read(client: Client, method: str, address: str) -> None:
    assert getattr(client, method)(address).status_code == 405


# --- Search -----------------------------------------------------------------------------------------------------------


def test_a_search_finds_title_description_and_stall(client: Client) -> None:
    stall = StallFactory.create(name="The Apiary")
    ProductFactory.create(sku="TITLE", title="Heather honey")
    ProductFactory.create(sku="TEXT", title="A jar", description="Thick heather honey.")
    ProductFactory.create(sku="STALL", title="Wax", stall=stall)

    assert sorted(search(client, "heather")) == ["TEXT", "TITLE"]
    assert search(client, "apiary") == ["STALL"]


def test_every_word_must_be_there_in_any_order_and_case(client: Client) -> None:
    ProductFactory.create(sku="BOTH", title="Heather honey")
    ProductFactory.create(sku="ONE", title="Heather")

    assert search(client, "HONEY heather") == ["BOTH"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("100%", ["WOOL"]),
        ("%", ["WOOL"]),
        ("_", ["SNAKE"]),
        ("\\", ["SLASH"]),
        ("'", ["QUOTE"]),
        ("\x00honey", []),
        ("\x00", ["HONEY", "QUOTE", "SLASH", "SNAKE", "WOOL"]),
        ("   ", ["HONEY", "QUOTE", "SLASH", "SNAKE", "WOOL"]),
        ("мёд 🐝 \u202e", []),
        ('"><script>alert(1)</script>', []),
        ("; DROP TABLE cart_product", []),
    ],
)
def test_odd_characters_are_only_characters(client: Client, words: str, found: list[str]) -> None:
    stall = StallFactory.create(name="Stall")
    for sku, title in [
        ("HONEY", "Jar"),
        ("QUOTE", "Baker's dozen"),
        ("SLASH", "Back\\slash"),
        ("SNAKE", "snake_case"),
        ("WOOL", "100% wool"),
    ]:
        ProductFactory.create(sku=sku, title=title, stall=stall)

    assert sorted(search(client, words)) == found


@pytest.mark.parametrize("words", ["a" * 1000, "a b " * 250, "é" * 1000, "\x00" * 1000])
def test_a_very_long_search_is_answered(client: Client, words: str) -> None:
    assert client.get("/", {"q": words}).status_code == 200


def test_what_was_typed_is_shown_again_as_text(client: Client) -> None:
    page = client.get("/", {"q": "<b>jam"}).content.decode()

    assert "<b>jam" not in page
    assert "<b>jam" in unescape(page)


def test_bytes_that_are_no_text_are_answered(client: Client) -> None:
    assert client.get("/?q=%ff%fe&after=%ff").status_code == 200


# --- Page by page -----------------------------------------------------------------------------------------------------


def next_address(page: bytes) -> str:
    """Where the link to more leads; empty on the last page."""
    links = findall(r'href="(\?[^"]*after=[^"]*)"', page.decode())
    return "/" + unescape(links[0]) if links else ""


def test_every_product_is_on_one_page_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PER_PAGE", 3)
    for name in ("Apiary", "Bakery"):
        stall = StallFactory.create(name=name)
        for title in ("Same", "Same", "Same", "Same", "Ähnlich", "same", "Other"):
            ProductFactory.create(title=title, stall=stall)

    seen, address = [], "/?q=a"
    while address:
        page = client.get(address).content
        assert len(skus_in(page)) <= 3
        seen += skus_in(page)
        address = next_address(page)

    listed = [product.sku for product in Product.objects.on_sale().matching("a")]
    assert len(seen) == 14
    assert seen == listed


def test_the_last_page_has_no_link_to_more(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PER_PAGE", 3)
    ProductFactory.create_batch(3)

    assert next_address(client.get("/").content) == ""


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "junk",
        "=",
        "====",
        "a",
        "\x00",
        "ключ",
        "eyJhIjogMX0",
        cursor_of(),
        cursor_of(1, 2),
        cursor_of("a", "b", "c"),
        cursor_of("a", "b", 10**30),
        cursor_of("a", "b", -(10**30)),
        cursor_of("a", "b", None),
        cursor_of("a", "b", 1.5),
        cursor_of("a", "b", True),
        cursor_of(1, 2, 3),
        cursor_of("a", ["b"], {"c": 1}),
        cursor_of("a\x00", "b", 1),
        cursor_of("\ud800", "b", 1),
        cursor_of("a" * 3000, "b" * 3000, 1),
        urlsafe_b64encode(b"[" * 3000).decode(),
        urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
        "A" * 4000,
    ],
)
def test_a_cursor_that_was_made_up_is_answered(client: Client, honey: Product, cursor: str) -> None:
    assert client.get("/", {"after": cursor}).status_code == 200


def test_what_a_search_found_is_told(htmx: Client, honey: Product) -> None:
    found, nothing = (htmx.get("/", {"q": words}).content.decode() for words in ("honey", "wax"))

    assert findall(r'id="announcer"[^>]*>(.*?)</p>', found) == ["1 thing shown for “honey”."]
    assert findall(r'id="announcer"[^>]*>(.*?)</p>', nothing) == ["We found nothing for “wax”."]


def test_a_search_has_a_title_of_its_own(client: Client) -> None:
    page = client.get("/", {"q": "honey"}).content.decode()

    assert "<title>“honey” on the market · Rose Ash</title>" in page


def test_the_first_pictures_come_at_once_and_the_others_when_they_are_looked_at(client: Client) -> None:
    first, second = StallFactory.create(name="Apiary"), StallFactory.create(name="Bakery")
    for number in range(6):
        ProductFactory.create(title=f"Honey {number}", stall=first)
    ProductFactory.create(title="Bun", stall=second)

    pictures = findall(r"<img class=\"w-24[^>]*>", client.get("/").content.decode())

    assert ["lazy" in picture for picture in pictures] == [False] * 4 + [True] * 3
