"""The basket's page and its forms, with htmx and without: what a shopper clicks, and what they get."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from re import DOTALL, findall

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from bookings import capacity
from bookings.models import Entry, Hold
from cart import services
from cart.models import Cart, CartItem, Product
from tests.cart.baskets import cart_of, held_by, lines_of, only_item, taken, token_in
from tests.factories import EntryFactory

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


def add(client: Client, **fields: object) -> HttpResponse:
    return client.post("/cart/items/", {"quantity": 1} | fields)


def change(client: Client, item: CartItem | int, quantity: object) -> HttpResponse:
    pk = item.pk if isinstance(item, CartItem) else item
    return client.post(f"/cart/items/{pk}/", {"quantity": quantity})


def badge_of(answer: HttpResponse) -> list[str]:
    """The counts on the badges in an answer."""
    return findall(r'data-count="(\d+)"', answer.content.decode())


def announced(answer: HttpResponse) -> str:
    """What a screen reader is told of a change."""
    (said,) = findall(r'<p id="announcer"[^>]*>(.*?)</p>', answer.content.decode(), DOTALL)
    return said.strip()


def visitor_with(token: str, client: Client) -> Client:
    client.cookies["cart"] = token
    return client


# --- Adding -----------------------------------------------------------------------------------------------------------


def test_adding_without_javascript_leads_to_the_basket(client: Client, honey: Product, workshop: Entry) -> None:
    answers = [add(client, product="HONEY", quantity=2), add(client, entry=workshop.pk, quantity=3)]

    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(302, "/cart/")] * 2
    assert lines_of(cart_of(client)) == {"Heather honey": 2, "Bread workshop": 3}


def test_adding_with_htmx_answers_with_the_form_and_the_badge(htmx: Client, workshop: Entry) -> None:
    answer = add(htmx, entry=workshop.pk, quantity=3)

    assert answer.status_code == 200
    assert badge_of(answer) == ["3"]
    assert b'data-free="7"' in answer.content
    assert b"hx-swap-oob" in answer.content
    assert b"<html" not in answer.content


def test_the_first_thing_added_gives_a_cart_cookie_that_scripts_and_strangers_cannot_use(
    client: Client, honey: Product
) -> None:
    answer = add(client, product="HONEY")

    cookie = answer.cookies["cart"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 60 * 60 * 24 * 30)
    assert len(cookie.value) == 32


def test_the_cart_cookie_is_for_https_only_where_the_shop_is(client: Client, honey: Product, settings: object) -> None:
    settings.COOKIES_SECURE = True  # type: ignore[attr-defined]

    assert add(client, product="HONEY").cookies["__Host-cart"]["secure"]


def test_the_next_thing_added_goes_into_the_same_cart(client: Client, honey: Product, workshop: Entry) -> None:
    add(client, product="HONEY")

    answer = add(client, entry=workshop.pk)

    assert "cart" not in answer.cookies
    assert Cart.objects.count() == 1


def test_the_cookies_value_is_what_siblings_ask_with(client: Client, honey: Product, settings: object) -> None:
    settings.INTERNAL_API_TOKENS = {"market": "a-token-of-16-characters"}  # type: ignore[attr-defined]
    add(client, product="HONEY", quantity=2)

    answer = Client().get(
        f"/internal/cart/summary?cart={token_in(client)}", headers={"Authorization": "Bearer a-token-of-16-characters"}
    )

    assert (answer.json()["count"], answer.json()["total"]) == (2, "13.00")


def test_a_made_up_cookie_gets_a_new_cart(client: Client, honey: Product) -> None:
    client.cookies["cart"] = "made up"

    add(client, product="HONEY")

    assert token_in(client) != "made up"
    assert lines_of(cart_of(client)) == {"Heather honey": 1}


def test_the_price_comes_from_the_database_and_not_from_the_form(client: Client, honey: Product) -> None:
    add(client, product="HONEY", price="0.01", unit_price="0.01", seen_price="0.01")

    item = only_item(cart_of(client))
    assert (item.seen_price, item.total) == (Decimal("6.50"), Decimal("6.50"))


# --- What cannot be added ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quantity", ["0", "-1", "1000", str(10**9), "9" * 5000, "many", "", "1.5", "1e3", "\x00", "½", "NaN", " "]
)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_quantity_that_makes_no_sense_is_said_and_the_cart_is_kept(
    honey: Product, loaf: Product, quantity: str, headers: dict[str, str]
) -> None:
    client = Client(headers=headers)
    add(client, product="HONEY", quantity=2)

    answer = add(client, product="LOAF", quantity=quantity)

    assert answer.status_code == 422
    assert b"hoose a quantity" in answer.content or b"must be a whole number" in answer.content
    assert lines_of(cart_of(client)) == {"Heather honey": 2}
    assert taken(loaf) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"product": "NOTHING"},
        {"product": "h\x00ney"},
        {"product": "H" * 61},
        {"product": ""},
        {"product": " "},
        {},
        {"entry": 0},
        {"entry": -1},
        {"entry": 999_999},
        {"entry": 2**63},
        {"entry": 10**30},
        {"entry": "1; DROP TABLE cart_cart"},
        {"entry": "1.5"},
        {"product": "HONEY", "entry": "abc"},
        {"product": "HONEY", "entry": 0},
        {"product": "H" * 61, "entry": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_thing_that_is_not_there_is_not_found_and_the_cart_is_kept(
    honey: Product, fields: dict[str, object], headers: dict[str, str]
) -> None:
    client = Client(headers=headers)
    add(client, product="HONEY", quantity=2)

    answer = add(client, **fields)

    assert answer.status_code == 404
    assert b"There is nothing at this address" in answer.content
    assert lines_of(cart_of(client)) == {"Heather honey": 2}


def test_a_product_and_an_entry_at_once_are_neither(client: Client, honey: Product, workshop: Entry) -> None:
    assert add(client, product="HONEY", entry=workshop.pk).status_code == 404

    assert not CartItem.objects.exists()


def test_the_same_field_twice_counts_once(client: Client, honey: Product) -> None:
    client.post("/cart/items/", {"product": ["NOTHING", "HONEY"], "quantity": ["7", "2"]})

    assert lines_of(cart_of(client)) == {"Heather honey": 2}


def test_what_was_archived_is_not_found(client: Client, honey: Product, workshop: Entry) -> None:
    honey.archived_at = workshop.archived_at = timezone.now()
    honey.save()
    workshop.save()

    assert add(client, product="HONEY").status_code == 404
    assert add(client, entry=workshop.pk).status_code == 404
    assert not Cart.objects.exists()


def test_an_archived_stalls_product_is_no_longer_on_sale(client: Client, honey: Product) -> None:
    honey.stall.archived_at = timezone.now()
    honey.stall.save()

    answer = add(client, product="HONEY")

    assert answer.status_code == 422
    assert "Heather honey is no longer on sale." in answer.content.decode()
    assert not Cart.objects.exists()


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_past_entry_is_no_longer_on_sale(workshop: Entry, headers: dict[str, str]) -> None:
    client = Client(headers=headers)
    workshop.starts_at = timezone.now() - timedelta(hours=1)
    workshop.save()

    answer = add(client, entry=workshop.pk)

    assert answer.status_code == 422
    assert "Bread workshop is no longer on sale." in answer.content.decode()
    assert taken(workshop) == 0


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_sold_out_entry_says_so_and_makes_no_cart(workshop: Entry, headers: dict[str, str]) -> None:
    client = Client(headers=headers)
    capacity.claim(workshop.pool_id, 10, until=None)

    answer = add(client, entry=workshop.pk)

    assert answer.status_code == 422
    assert "Bread workshop is sold out." in answer.content.decode()
    assert not Cart.objects.exists()
    assert "cart" not in answer.cookies


def test_more_than_is_left_is_said_and_the_cart_is_kept(htmx: Client, loaf: Product) -> None:
    add(htmx, product="LOAF", quantity=3)

    answer = add(htmx, product="LOAF", quantity=3)

    assert answer.status_code == 422
    assert "Only 2 more of Rye loaf are left." in answer.content.decode()
    assert badge_of(answer) == ["3"]
    assert held_by(cart_of(htmx)) == {"Rye loaf": 3}


def test_a_body_that_is_no_form_is_answered(client: Client) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data"):
        answer = client.post("/cart/items/", b'{"product": "HONEY"\xff\xfe', content_type=content_type)

        assert answer.status_code in {400, 404}


# --- The page ---------------------------------------------------------------------------------------------------------


def test_an_empty_basket_says_so(client: Client) -> None:
    page = client.get("/cart/")

    assert page.status_code == 200
    assert "There is nothing in your basket yet." in page.content.decode()
    assert "cart" not in page.cookies
    assert not Cart.objects.exists()


def test_the_basket_shows_lines_of_both_kinds_and_what_they_cost(
    client: Client, fill_cart: Fill, honey: Product, workshop: Entry
) -> None:
    _cart, token = fill_cart((honey, 3), (workshop, 2))

    page = visitor_with(token, client).get("/cart/").content.decode()

    assert page.index("Heather honey") < page.index("Bread workshop")
    assert findall(r"data-total>([^<]+)<", page) == ["£89.50"]
    assert "Held for you until" in page


def test_another_visitor_sees_nothing_of_it(client: Client, fill_cart: Fill, honey: Product) -> None:
    fill_cart((honey, 3))

    assert "Heather honey" not in client.get("/cart/").content.decode()


# --- Changing ---------------------------------------------------------------------------------------------------------


def test_a_line_changes_without_javascript(client: Client, fill_cart: Fill, loaf: Product) -> None:
    cart, token = fill_cart((loaf, 1))

    answer = change(visitor_with(token, client), only_item(cart), 4)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/cart/")
    assert held_by(cart) == {"Rye loaf": 4}


def test_a_line_changes_with_htmx(htmx: Client, fill_cart: Fill, loaf: Product) -> None:
    cart, token = fill_cart((loaf, 1))

    answer = change(visitor_with(token, htmx), only_item(cart), 4)

    assert answer.status_code == 200
    assert badge_of(answer) == ["4"]
    assert findall(r"data-total>([^<]+)<", answer.content.decode()) == ["£26.00"]
    assert b"<html" not in answer.content


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_none_of_a_line_removes_it(fill_cart: Fill, loaf: Product, headers: dict[str, str]) -> None:
    cart, token = fill_cart((loaf, 1))

    answer = change(visitor_with(token, Client(headers=headers)), only_item(cart), 0)

    assert answer.status_code in {200, 302}
    assert (lines_of(cart), taken(loaf)) == ({}, 0)


@pytest.mark.parametrize("quantity", ["-1", "1000", str(10**9), "many", "", "1.5", "\x00"])
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_change_that_makes_no_sense_is_said_beside_its_line(
    fill_cart: Fill, loaf: Product, quantity: str, headers: dict[str, str]
) -> None:
    cart, token = fill_cart((loaf, 2))
    item = only_item(cart)

    answer = change(visitor_with(token, Client(headers=headers)), item, quantity)

    assert answer.status_code == 422
    assert f'id="error-{item.pk}"' in answer.content.decode()
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_more_than_there_is_is_said_beside_its_line(fill_cart: Fill, loaf: Product, headers: dict[str, str]) -> None:
    cart, token = fill_cart((loaf, 2))

    answer = change(visitor_with(token, Client(headers=headers)), only_item(cart), 6)

    assert answer.status_code == 422
    assert "Only 3 more of Rye loaf are left." in answer.content.decode()
    assert lines_of(cart) == held_by(cart) == {"Rye loaf": 2}


@pytest.mark.parametrize("quantity", ["0", "5"])
def test_another_shoppers_line_is_not_found(
    client: Client, fill_cart: Fill, loaf: Product, honey: Product, quantity: str
) -> None:
    theirs, _token = fill_cart((loaf, 2))
    mine, token = fill_cart((honey, 1))

    answer = change(visitor_with(token, client), only_item(theirs), quantity)

    assert answer.status_code == 422
    assert "Rye loaf" not in answer.content.decode()
    assert (lines_of(theirs), lines_of(mine)) == ({"Rye loaf": 2}, {"Heather honey": 1})


def test_a_line_is_not_found_without_a_cart_either_and_none_is_made(
    client: Client, fill_cart: Fill, loaf: Product
) -> None:
    theirs, _token = fill_cart((loaf, 2))

    assert change(client, only_item(theirs), 0).status_code == 422

    assert lines_of(theirs) == {"Rye loaf": 2}
    assert Cart.objects.get() == theirs


@pytest.mark.parametrize("item", [0, 999_999])
def test_a_line_that_is_not_there_is_not_found(client: Client, fill_cart: Fill, loaf: Product, item: int) -> None:
    cart, token = fill_cart((loaf, 2))

    assert change(visitor_with(token, client), item, 1).status_code == 422

    assert lines_of(cart) == {"Rye loaf": 2}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
@pytest.mark.parametrize("verb", ["", "save/", "bring-back/", "quantities"])
def test_a_line_that_was_removed_in_another_tab_is_said_to_be_gone(
    fill_cart: Fill, loaf: Product, honey: Product, headers: dict[str, str], verb: str
) -> None:
    cart, token = fill_cart((loaf, 2), (honey, 1))
    item = cart.items.get(product=loaf)
    services.set_quantity(cart, item.pk, 0)
    client = visitor_with(token, Client(headers=headers))
    fields = {"quantity": 3, f"quantity-{item.pk}": 3, f"was-{item.pk}": 2}

    answer = client.post("/cart/quantities/" if verb == "quantities" else f"/cart/items/{item.pk}/{verb}", fields)

    said = answer.content.decode()
    assert answer.status_code == 422
    assert "That was removed from your basket in another window." in said
    assert "Not found" not in said
    assert f'data-item="{item.pk}"' not in said
    assert "Heather honey" in said
    assert lines_of(cart) == {"Heather honey": 1}


# --- All quantities at once, as on the way to the checkout ------------------------------------------------------------


def typed_in(cart: Cart, **typed: object) -> dict[str, object]:
    """The fields of the basket's page, with what was typed into those of some things (by their first word)."""
    fields: dict[str, object] = {}
    for item in cart.items.all():
        fields[f"was-{item.pk}"] = item.quantity
        fields[f"quantity-{item.pk}"] = typed.get(item.thing.title.split()[0], item.quantity)
    return fields


def test_going_to_the_checkout_takes_along_what_was_typed(
    client: Client, fill_cart: Fill, loaf: Product, honey: Product
) -> None:
    cart, token = fill_cart((loaf, 2), (honey, 1))

    answer = visitor_with(token, client).post("/cart/quantities/", typed_in(cart, Rye=3, Heather=7) | {"checkout": "1"})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/checkout/")
    assert lines_of(cart) == {"Rye loaf": 3, "Heather honey": 7}
    assert taken(loaf) == 3


@pytest.mark.parametrize("typed", ["-1", "1.5", "many", "1000", "", "99"])
def test_what_cannot_be_had_is_said_beside_its_line_and_leads_not_to_the_checkout(
    client: Client, fill_cart: Fill, loaf: Product, honey: Product, typed: str
) -> None:
    cart, token = fill_cart((loaf, 2), (honey, 1))
    fields = typed_in(cart, Rye=typed, Heather=7) | {"checkout": "1"}

    answer = visitor_with(token, client).post("/cart/quantities/", fields)

    item = cart.items.get(product=loaf)
    assert answer.status_code == 422
    assert findall(r'id="(error-\d+)"', answer.content.decode()) == [f"error-{item.pk}"]
    assert f'aria-describedby="error-{item.pk}"' in answer.content.decode()
    assert lines_of(cart) == {"Rye loaf": 2, "Heather honey": 7}


def test_none_of_a_line_takes_it_out_on_the_way(client: Client, fill_cart: Fill, loaf: Product, honey: Product) -> None:
    cart, token = fill_cart((loaf, 2), (honey, 1))

    answer = visitor_with(token, client).post("/cart/quantities/", typed_in(cart, Rye=0) | {"checkout": "1"})

    assert answer.status_code == 302
    assert (lines_of(cart), taken(loaf)) == ({"Heather honey": 1}, 0)


def test_what_was_changed_in_another_tab_stays_as_it_is_there(client: Client, fill_cart: Fill, loaf: Product) -> None:
    cart, token = fill_cart((loaf, 2))
    fields = typed_in(cart)
    services.set_quantity(cart, only_item(cart).pk, 4)

    answer = visitor_with(token, client).post("/cart/quantities/", fields | {"checkout": "1"})

    assert answer.status_code == 302
    assert lines_of(cart) == {"Rye loaf": 4}


@pytest.mark.parametrize("fields", [{}, {"quantity-x": "3"}, {"quantity-": ""}, {"quantity-99999999999999999999": "1"}])
def test_fields_of_no_line_change_nothing(
    client: Client, fill_cart: Fill, loaf: Product, fields: dict[str, str]
) -> None:
    cart, token = fill_cart((loaf, 2))

    answer = visitor_with(token, client).post("/cart/quantities/", fields)

    assert (answer.status_code, lines_of(cart)) == (302, {"Rye loaf": 2})


def test_the_page_has_the_quantities_in_the_form_that_leads_to_the_checkout(
    client: Client, fill_cart: Fill, loaf: Product
) -> None:
    cart, token = fill_cart((loaf, 2))
    item = only_item(cart).pk

    page = visitor_with(token, client).get("/cart/").content.decode()

    assert '<form id="quantities" method="post" action="/cart/quantities/">' in page
    assert f'form="quantities" name="quantity-{item}"' in page
    assert 'name="checkout" value="1"' in page


# --- Prices and holds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_price_that_rose_is_shown_until_it_is_accepted(
    fill_cart: Fill, honey: Product, headers: dict[str, str]
) -> None:
    _cart, token = fill_cart((honey, 1))
    client = visitor_with(token, Client(headers=headers))
    Product.objects.update(price=Decimal("7.00"))
    before = client.get("/cart/").content.decode()

    answer = client.post("/cart/prices/")

    assert "was £6.50, now £7.00 each" in before
    assert answer.status_code == (200 if headers else 302)
    assert "was £6.50" not in client.get("/cart/").content.decode()
    assert not services.basket_of(token, None).prices_rose


def fields_of(page: str, button: str) -> dict[str, str]:
    """What the form of this button sends."""
    form = next(form for form in findall(r"<form.*?</form>", page.replace("\n", " ")) if button in form)
    return dict(findall(r'name="(agreed|item)" value="([^"]*)"', form))


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_the_page_offers_to_accept_the_price_of_one_line(
    fill_cart: Fill, honey: Product, loaf: Product, headers: dict[str, str]
) -> None:
    _cart, token = fill_cart((honey, 1), (loaf, 1))
    client = visitor_with(token, Client(headers=headers))
    Product.objects.update(price=Decimal("7.00"))
    page = client.get("/cart/").content.decode()
    item = findall(r'id="accept-(\d+)"', page)[0]

    client.post("/cart/prices/", fields_of(page, f'id="accept-{item}"'))

    assert findall(r'id="accept-(\d+)"', client.get("/cart/").content.decode()) == [
        other for other in findall(r'id="accept-(\d+)"', page) if other != item
    ]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_prices_that_changed_since_the_page_was_shown_are_shown_again(
    fill_cart: Fill, honey: Product, headers: dict[str, str]
) -> None:
    _cart, token = fill_cart((honey, 1))
    client = visitor_with(token, Client(headers=headers))
    Product.objects.update(price=Decimal("7.00"))
    agreed = fields_of(client.get("/cart/").content.decode(), "Accept £7.00")
    Product.objects.update(price=Decimal("8.00"))

    answer = client.post("/cart/prices/", agreed)

    assert answer.status_code == 422
    assert "Your basket has changed. Please look at the prices again." in answer.content.decode()
    assert "was £6.50, now £8.00 each" in answer.content.decode()
    assert services.basket_of(token, None).prices_rose


@pytest.mark.parametrize("address", ["/cart/", "/checkout/"])
@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("cancelled_at", "This was called off, so it cannot be ordered."),
        ("booking_closes_at", "It is no longer on sale."),
    ],
)
def test_a_line_that_cannot_be_bought_any_more_says_so_and_not_that_it_is_held(
    fill_cart: Fill, workshop: Entry, address: str, field: str, sentence: str
) -> None:
    _cart, token = fill_cart((workshop, 1))
    Entry.objects.update(**{field: timezone.now()})

    page = visitor_with(token, Client()).get(address).content.decode()

    assert sentence in page
    assert "Held until" not in page


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_holds_are_renewed(fill_cart: Fill, loaf: Product, headers: dict[str, str]) -> None:
    cart, token = fill_cart((loaf, 1))
    soon = timezone.now() + timedelta(minutes=1)
    Hold.objects.update(until=soon)

    answer = visitor_with(token, Client(headers=headers)).post("/cart/renew/")

    assert answer.status_code == (200 if headers else 302)
    hold = only_item(cart).hold
    assert hold is not None
    assert hold.until is not None
    assert hold.until > soon


@pytest.mark.parametrize("address", ["/cart/prices/", "/cart/renew/"])
def test_a_visitor_without_a_cart_has_nothing_to_accept_or_renew_and_gets_none(client: Client, address: str) -> None:
    answer = client.post(address)

    assert answer.status_code == 302
    assert "cart" not in answer.cookies
    assert not Cart.objects.exists()


# --- How the doors are guarded ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/cart/items/", "/cart/items/1/", "/cart/prices/", "/cart/renew/"])
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
def test_changes_are_only_posted(client: Client, address: str, method: str) -> None:
    assert getattr(client, method)(address).status_code == 405


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
@pytest.mark.parametrize("token", ["", "stale" + "x" * 59])
def test_a_form_without_a_fresh_token_is_refused_with_a_sentence_and_the_cart_is_kept(
    fill_cart: Fill, honey: Product, headers: dict[str, str], token: str
) -> None:
    cart, cookie = fill_cart((honey, 1))
    client = visitor_with(cookie, Client(enforce_csrf_checks=True, headers=headers))
    client.get("/cart/")

    for address in ("/cart/items/", f"/cart/items/{only_item(cart).pk}/", "/cart/prices/", "/cart/renew/"):
        fields = {"product": "HONEY", "quantity": "5", "csrfmiddlewaretoken": token}
        answer = client.post(address, fields)

        assert answer.status_code == 403
        assert "This page was open for too long" in answer.content.decode()
    assert lines_of(cart) == {"Heather honey": 1}


def test_a_form_with_its_token_is_taken(honey: Product) -> None:
    client = Client(enforce_csrf_checks=True)
    token = findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/").content.decode())[0]

    answer = client.post("/cart/items/", {"product": "HONEY", "quantity": "1", "csrfmiddlewaretoken": token})

    assert answer.status_code == 302
    assert lines_of(cart_of(client)) == {"Heather honey": 1}


def test_what_one_presses_says_which_date_it_is_about(client: Client, fill_cart: Fill) -> None:
    first = EntryFactory.create(title="Walk", starts_at=datetime(2027, 3, 6, 10, tzinfo=UTC))
    second = EntryFactory.create(title="Walk", starts_at=datetime(2027, 3, 13, 10, tzinfo=UTC))
    _cart, token = fill_cart((first, 1), (second, 1))

    page = visitor_with(token, client).get("/cart/").content.decode()

    names = findall(r'id="remove-\d+"[^>]*>(.*?)</button>', page)
    assert [strip_tags(name) for name in names] == [
        "Remove Walk, Saturday 6 March 2027, 10:00",
        "Remove Walk, Saturday 13 March 2027, 10:00",
    ]


def test_keeping_longer_is_told_with_the_time(fill_cart: Fill, workshop: Entry, htmx: Client) -> None:
    _cart, token = fill_cart((workshop, 1))

    answer = visitor_with(token, htmx).post("/cart/renew/")

    assert announced(answer).startswith("Held for you until ")
