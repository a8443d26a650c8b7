"""The checkout page: exactly what will be charged, placed once, and on to SumUp."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from bookings.models import Entry, Hold, Pool
from cart import services as carts
from cart.models import Cart, Product
from cartsite.models import User
from orders.models import Order
from payments import sumup as sumup_client
from payments.models import Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, ProductFactory
from tests.orders.acts import EMAIL, HTMX, NAME, agreed_for, all_rows, place_cart, typed, visitor

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
CLOSED_PORT = "http://127.0.0.1:9"


def text_of(response: Any) -> str:
    return response.content.decode()


# --- Looking


def test_the_review_shows_exactly_what_will_be_charged(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    cart, token = fill_cart((honey, 3), (workshop, 2))

    response = visitor(token).get("/checkout/")

    said = text_of(response)
    assert response.status_code == 200
    for needed in ("Heather honey", "£19.50", "Bread workshop", "£70.00", "£89.50", str(cart.uuid)):
        assert needed in said
    assert f'value="{agreed_for(cart)}"' in said


def test_who_signed_in_need_not_type_their_name(fill_cart: FillCart, honey: Product, shopper: User) -> None:
    _cart, token = fill_cart((honey, 1), user=shopper)
    client = visitor(token)
    client.force_login(shopper)

    said = text_of(client.get("/checkout/"))

    assert 'value="Ada Shopper"' in said
    assert 'value="ada@example.org"' in said


def test_looking_moves_nothing(fill_cart: FillCart, honey: Product) -> None:
    _cart, token = fill_cart((honey, 1))
    before = all_rows()

    visitor(token).get("/checkout/")
    visitor(token).head("/checkout/")

    assert all_rows() == before


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_basket_the_checkout_leads_to_the_cart(method: str) -> None:
    response = getattr(Client(), method)("/checkout/")

    assert (response.status_code, response["Location"]) == (302, "/cart/")


def test_what_costs_nothing_is_not_said_to_be_paid(fill_cart: FillCart) -> None:
    _cart, token = fill_cart((EntryFactory(price=0), 1))

    said = text_of(visitor(token).get("/checkout/"))

    assert "Place order" in said
    assert "Place order and pay" not in said


# --- Placing


def test_placing_leads_to_the_payment_page(
    fill_cart: FillCart, honey: Product, workshop: Entry, sumup: Simulator
) -> None:
    cart, token = fill_cart((honey, 1), (workshop, 2))

    response = visitor(token).post("/checkout/", typed(cart))

    order, payment = Order.objects.get(), Payment.objects.get()
    assert response.status_code == 302
    assert response["Location"] == payment.checkout_url != ""
    assert response["Location"].startswith(sumup_origin(sumup, payment))
    assert (order.total, order.contact.name, order.contact.email) == (Decimal("76.50"), NAME, EMAIL)
    (checkout,) = sumup.checkouts()
    assert (checkout.id, checkout.amount) == (payment.checkout_id, Decimal("76.50"))


def sumup_origin(_sumup: Simulator, payment: Payment) -> str:
    return re.match(r"https?://[^/]+", payment.checkout_url).group()  # type: ignore[union-attr]


def test_the_placer_may_see_the_order_afterwards(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    cart, token = fill_cart((honey, 1))
    client = visitor(token)

    response = client.post("/checkout/", typed(cart))

    order = Order.objects.get()
    cookie = response.cookies["order"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
    assert client.get(order.get_absolute_url()).status_code == 200


def test_htmx_places_like_a_plain_form(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    cart, token = fill_cart((honey, 1))

    response = visitor(token).post("/checkout/", typed(cart), headers=HTMX)

    assert response.status_code == 302
    assert Order.objects.count() == 1


def test_a_double_click_is_one_order_and_one_checkout(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    cart, token = fill_cart((honey, 1))
    form, client = typed(cart), visitor(token)

    first = client.post("/checkout/", form)
    second = client.post("/checkout/", form)

    assert first["Location"] == second["Location"] == Payment.objects.get().checkout_url
    assert Order.objects.count() == len(sumup.checkouts()) == 1


@pytest.mark.django_db(transaction=True)
def test_four_tabs_at_once_are_one_order_and_one_checkout(
    fill_cart: FillCart, honey: Product, workshop: Entry, sumup: Simulator
) -> None:
    cart, token = fill_cart((honey, 1), (workshop, 2))
    form = typed(cart)

    responses = results_of(run_at_once(*[lambda: visitor(token).post("/checkout/", form)] * 4))

    order, payment = Order.objects.get(), Payment.objects.get()
    assert {response.status_code for response in responses} == {302}
    assert {response["Location"] for response in responses} <= {payment.checkout_url, order.get_absolute_url()}
    assert payment.checkout_url in {response["Location"] for response in responses}
    assert len(sumup.checkouts()) == 1
    assert Pool.objects.get().taken == 2


@pytest.mark.django_db(transaction=True)
def test_sumup_is_never_called_inside_a_transaction(
    fill_cart: FillCart, workshop: Entry, sumup: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, inside = sumup_client._call, []

    def watched(method: str, path: str, **more: Any) -> Any:
        inside.append(connection.in_atomic_block)
        return call(method, path, **more)

    monkeypatch.setattr(sumup_client, "_call", watched)
    cart, token = fill_cart((workshop, 1))
    client = visitor(token)

    client.post("/checkout/", typed(cart))
    order = Order.objects.get()
    client.get(f"{order.get_absolute_url()}return/")
    client.post(f"{order.get_absolute_url()}pay/")
    client.post(f"{order.get_absolute_url()}change-basket/")
    client.get(order.get_absolute_url())

    assert len(inside) >= 3
    assert not any(inside)


def test_an_order_of_nothing_never_meets_sumup(fill_cart: FillCart, sumup: Simulator) -> None:
    cart, token = fill_cart((EntryFactory(price=0), 2))
    client = visitor(token)

    response = client.post("/checkout/", typed(cart))

    order = Order.objects.get()
    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())
    assert order.status == "confirmed"
    assert (sumup.requests, Payment.objects.count()) == ([], 0)
    assert "Thank you" in text_of(client.get(response["Location"]))


def test_sumup_out_of_reach_leads_to_the_order_with_a_button(
    fill_cart: FillCart, honey: Product, settings: Any
) -> None:
    settings.SUMUP_API_URL = CLOSED_PORT
    cart, token = fill_cart((honey, 1))

    response = visitor(token).post("/checkout/", typed(cart), follow=True)

    order, said = Order.objects.get(), text_of(response)
    assert response.redirect_chain == [(order.get_absolute_url(), 302)]
    assert "The payment page cannot be reached just now. Your order is safe" in said
    assert f'action="/orders/{order.number}/pay/"' in said
    assert Payment.objects.get().status == "unknown"


def test_sumup_that_says_no_leads_to_the_order_with_a_button(
    fill_cart: FillCart, honey: Product, sumup: Simulator, settings: Any
) -> None:
    settings.SUMUP_API_KEY = "sup_sk_wrong"
    cart, token = fill_cart((honey, 1))

    response = visitor(token).post("/checkout/", typed(cart), follow=True)

    order, said = Order.objects.get(), text_of(response)
    assert "cannot be reached just now" in said
    assert f'action="/orders/{order.number}/pay/"' in said
    assert order.status == "awaiting_payment"


# --- What is refused


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "", "Please tell us your name."),
        ("name", "   ", "Please tell us your name."),
        ("name", "x" * 201, "at most 200 characters"),
        ("name", "a\x00b", "a character in this that cannot be shown"),
        ("email", "", "Please tell us where the confirmation may go."),
        ("email", "grace", "This is not an e-mail address"),
        ("email", "grace@mail.example\nBcc: all@mail.example", "This is not an e-mail address"),
        ("email", "a@b.example, c@d.example", "This is not an e-mail address"),
        ("email", f"{'x' * 242}@mail.example", "at most 254 characters"),
        ("email", f"{'x' * 320}@mail.example", "This is not an e-mail address"),
    ],
)
def test_what_was_typed_wrong_is_said_beside_its_field(
    fill_cart: FillCart, honey: Product, field: str, value: str, sentence: str
) -> None:
    cart, token = fill_cart((honey, 1))
    before = all_rows()

    response = visitor(token).post("/checkout/", typed(cart, **{field: value}))

    assert response.status_code == 422
    form = response.context["form"]
    assert list(form.errors) == [field]
    assert sentence in form.errors[field][0]
    at_field = re.search(rf'id="id_{field}".*?</ul>', text_of(response), re.DOTALL)
    assert at_field is not None
    assert form.errors[field][0].split("'")[0] in at_field.group()
    assert all_rows() == before


def test_what_was_typed_right_is_kept_beside_what_was_wrong(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))

    said = text_of(visitor(token).post("/checkout/", typed(cart, name="Grace <Hopper>", email="grace")))

    assert 'value="Grace &lt;Hopper&gt;"' in said
    assert 'value="grace"' in said


def test_marks_that_would_turn_the_text_around_a_name_are_left_out(
    fill_cart: FillCart, honey: Product, sumup: Simulator
) -> None:
    cart, token = fill_cart((honey, 1))

    visitor(token).post("/checkout/", typed(cart, name="\u202eAda \u2067\u0639\u062f\u0629\u2069"))

    assert Order.objects.get().contact.name == "Ada \u0639\u062f\u0629"


def test_a_corrected_form_can_be_sent_at_once(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    cart, token = fill_cart((honey, 1))
    client = visitor(token)

    said = text_of(client.post("/checkout/", typed(cart, email="grace")))
    shown = dict(re.findall(r'name="(cart|agreed)" value="([^"]+)"', said))
    response = client.post("/checkout/", {"name": NAME, "email": EMAIL, "terms": "on", **shown})

    assert response["Location"] == Payment.objects.get().checkout_url


def test_a_cart_that_changed_in_another_tab_is_shown_again(
    fill_cart: FillCart, honey: Product, sumup: Simulator
) -> None:
    cart, token = fill_cart((honey, 1))
    form, client = typed(cart), visitor(token)
    carts.add(cart, honey, 1)
    before = all_rows()

    response = client.post("/checkout/", form)

    said = text_of(response)
    assert response.status_code == 422
    assert "What it comes to has changed since you looked." in said
    assert "£13.00" in said
    assert f'value="{NAME}"' in said
    assert all_rows() == before
    assert client.post("/checkout/", typed(cart))["Location"] == Payment.objects.get().checkout_url


def test_a_price_that_rose_is_said_and_nothing_charged(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    cart, token = fill_cart((honey, 1))
    Product.objects.update(price="7.00")
    before = all_rows()

    response = visitor(token).post("/checkout/", typed(cart))

    assert response.status_code == 422
    assert "Some prices have gone up" in text_of(response)
    assert all_rows() == before


def test_what_is_sold_out_meanwhile_is_said_by_name(fill_cart: FillCart, sumup: Simulator) -> None:
    jam = ProductFactory(stock=2, title="Damson jam")
    cart, token = fill_cart((jam, 2))
    Hold.objects.update(until="2020-01-01T00:00:00Z")
    fill_cart((jam, 1))
    before = all_rows()

    response = visitor(token).post("/checkout/", typed(cart))

    assert response.status_code == 422
    assert "There is not enough left of Damson jam: only 1." in text_of(response)
    assert all_rows() == before


@pytest.mark.parametrize("forged", [{"cart": "nonsense"}, {"cart": ""}, {"agreed": ""}, {"agreed": "f" * 17}])
def test_a_forged_form_is_shown_again_with_a_sentence(
    fill_cart: FillCart, honey: Product, forged: dict[str, str]
) -> None:
    cart, token = fill_cart((honey, 1))
    before = all_rows()

    response = visitor(token).post("/checkout/", typed(cart) | forged)

    assert response.status_code == 422
    assert "out of date" in text_of(response)
    assert all_rows() == before


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"name=%ff%fe&email=%00&cart=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _field in range(2000)), "application/x-www-form-urlencoded"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b"name=" + b"x" * 3_000_000, "application/x-www-form-urlencoded"),
    ],
    ids=["JSON", "no UTF-8", "too many fields", "half a part", "no boundary", "too much"],
)
def test_what_is_no_form_is_refused_in_words(
    fill_cart: FillCart, honey: Product, body: bytes, content_type: str
) -> None:
    _cart, token = fill_cart((honey, 1))
    client = visitor(token)
    client.raise_request_exception = False
    before = all_rows()

    response = client.post("/checkout/", body, content_type=content_type)

    assert response.status_code in (400, 422)
    assert "<h1>" in text_of(response)
    assert all_rows() == before


def test_the_uuid_of_another_visitors_cart_is_worth_nothing(
    fill_cart: FillCart, honey: Product, sumup: Simulator
) -> None:
    theirs, _token = fill_cart((honey, 5))
    _mine, token = fill_cart((honey, 1))
    before = all_rows()

    response = visitor(token).post("/checkout/", typed(theirs))

    assert response.status_code == 422
    assert "£6.50" in text_of(response)
    assert "£32.50" not in text_of(response)
    assert "order" not in response.cookies
    assert all_rows() == before


def test_the_uuid_of_a_placed_cart_is_no_way_to_its_order(fill_cart: FillCart, honey: Product) -> None:
    theirs, their_token = fill_cart((honey, 5))
    form = typed(theirs)
    place_cart(theirs, their_token)
    _mine, token = fill_cart((honey, 1))

    response = visitor(token).post("/checkout/", form)

    assert response.status_code == 422
    assert "order" not in response.cookies


def test_a_price_in_the_request_is_not_even_read(fill_cart: FillCart, honey: Product, sumup: Simulator) -> None:
    cart, token = fill_cart((honey, 1))

    visitor(token).post("/checkout/", typed(cart, price="0.01", total="0.01", amount="0.01"))

    assert Order.objects.get().total == Decimal("6.50")


def test_a_form_without_its_csrf_token_is_refused(fill_cart: FillCart, honey: Product) -> None:
    cart, token = fill_cart((honey, 1))
    client = Client(enforce_csrf_checks=True)
    client.cookies["cart"] = token
    before = all_rows()

    response = client.post("/checkout/", typed(cart))

    assert response.status_code == 403
    assert "reload the page" in text_of(response)
    assert all_rows() == before


def test_too_many_orders_from_one_address_are_braked(
    fill_cart: FillCart, honey: Product, settings: Any, sumup: Simulator
) -> None:
    settings.LIMITS = settings.LIMITS | {"order": (2, 600)}
    cart, token = fill_cart((honey, 1))
    client = visitor(token)
    for _try in range(2):
        client.post("/checkout/", typed(cart, email=""))
    before = all_rows()

    response = client.post("/checkout/", typed(cart))

    assert response.status_code == 429
    assert "nothing was lost" in text_of(response)
    assert all_rows() == before


def test_too_many_attempts_to_pay_keep_the_order_and_its_way(
    fill_cart: FillCart, honey: Product, settings: Any, sumup: Simulator
) -> None:
    settings.LIMITS = settings.LIMITS | {"payment": (0, 600)}
    cart, token = fill_cart((honey, 1))
    client = visitor(token)

    response = client.post("/checkout/", typed(cart))

    assert response.status_code == 429
    assert client.get(Order.objects.get().get_absolute_url()).status_code == 200
    assert sumup.requests == []


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(method: str) -> None:
    assert getattr(Client(), method)("/checkout/").status_code == 405
