"""Seeing and taking along: everything about oneself, and nothing else."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Cart, CartItem, Product
from cartsite.models import Case, User
from orders import personal_data
from orders.models import Order, OrderContact, OrderLine
from payments import settling
from payments.models import Payment, Refund
from payments.simulator import Simulator
from tests.factories import ProductFactory, UserFactory
from tests.orders.acts import statements
from tests.orders.people import connect, deliver, finish

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]
PAGE, EXPORT = "/account/data/", "/account/data/export/"


@pytest.fixture
def shopper_client(shopper: User) -> Client:
    client = Client()
    client.force_login(shopper)
    return client


@pytest.fixture
def paid(payment: Payment, sumup: Simulator, shopper: User) -> Payment:
    """The payment of the shopper's order, with £1.50 on its way back."""
    Order.objects.update(user=shopper)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    payment.refresh_from_db()
    Refund.objects.create(
        order=payment.order, payment=payment, amount=Decimal("1.50"), currency="GBP", reason="A staff remark."
    )
    return payment


def read(client: Client) -> Any:
    """The file as the browser gets it."""
    return json.loads(b"".join(client.get(EXPORT).streaming_content))  # type: ignore[attr-defined]


def test_the_file_is_an_attachment_that_no_cache_keeps(shopper_client: Client) -> None:
    answer = shopper_client.get(EXPORT)

    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == 'attachment; filename="rose-ash-your-data.json"'
    assert "no-store" in answer["Cache-Control"]


def test_it_tells_who_one_is(shopper_client: Client, shopper: User) -> None:
    connect(shopper)

    told = read(shopper_client)["person"]

    assert {name: told[name] for name in ("id", "name", "sign_in_name", "email")} == {
        "id": str(shopper.uuid),
        "name": "Ada Shopper",
        "sign_in_name": "ada",
        "email": "ada@example.org",
    }
    assert told["emails"] == [
        {"email": "ada@example.org", "verified": True, "primary": True},
        {"email": "second.ada@example.org", "verified": False, "primary": False},
    ]
    assert [(sign_on["provider"], sign_on["uid"]) for sign_on in told["sign_on_connections"]] == [
        ("rose-ash", "uid-of-ada")
    ]


def test_it_tells_an_order_with_all_that_hangs_on_it(shopper_client: Client, paid: Payment) -> None:
    order = paid.order
    deliver(order)

    [told] = read(shopper_client)["orders"]

    assert (told["number"], told["status"], told["total"], told["currency"]) == (
        order.number, "confirmed", "76.50", "GBP",
    )  # fmt: skip
    assert told["contact"] == {"name": "Ada Shopper", "email": "ada@example.org"}
    assert told["address"]["street"] == "7 Nowhere Lane"
    honey, workshop = told["lines"]
    assert (honey["title"], honey["unit_price"], honey["quantity"], honey["bookings"]) == (
        "Heather honey", "6.50", 1, [],
    )  # fmt: skip
    codes = list(Booking.objects.order_by("pk").values_list("code", flat=True))
    assert [booking["code"] for booking in workshop["bookings"]] == codes
    assert {booking["for_entry"] for booking in workshop["bookings"]} == {"Bread workshop"}
    assert [(moved["kind"], moved["amount"]) for moved in told["money"]] == [("capture", "76.50")]
    assert [(refund["status"], refund["amount"]) for refund in told["refunds"]] == [("requested", "1.50")]
    assert [(mail["kind"], mail["status"]) for mail in told["mails"]] == [("confirmation", "owed")]


def test_it_tells_what_is_in_the_baskets(
    shopper_client: Client, fill_cart: FillCart, honey: Product, shopper: User
) -> None:
    cart, _token = fill_cart((honey, 3), user=shopper)
    CartItem.objects.create(
        cart=cart, product=ProductFactory(title="Jam"), quantity=1, seen_price=1, saved_at=timezone.now()
    )

    [basket] = read(shopper_client)["baskets"]

    lines = [(line["title"], line["quantity"], line["saved_for_later_at"] is None) for line in basket["lines"]]
    assert lines == [("Heather honey", 3, True), ("Jam", 1, False)]


def test_it_tells_no_secret_and_nothing_of_anybody_else(
    shopper_client: Client, paid: Payment, place_order: PlaceOrder, fill_cart: FillCart, shopper: User
) -> None:
    bob = UserFactory(username="bob", email="bob@example.org", name="Bob")
    bobs = place_order((ProductFactory(title="Bobs own jam"), 1), user=bob)
    OrderContact.objects.filter(order=bobs).update(name="Bob", email="bob@example.org")
    cart, token = fill_cart((ProductFactory(), 1), user=shopper)
    Case.open(Case.Kind.OVERPAID, paid.order, "What staff look into.")

    file = b"".join(shopper_client.get(EXPORT).streaming_content).decode()  # type: ignore[attr-defined]

    shopper.refresh_from_db()
    secrets = [
        paid.order.key, paid.webhook_token, paid.return_token, shopper.password, token, cart.token_hash,
        paid.merchant_code, paid.checkout_id, "A staff remark", "What staff look into",
        "Bob", "bob@", bobs.number, "Bobs own jam",
    ]  # fmt: skip
    assert [secret for secret in secrets if str(secret) in file] == []


def test_an_order_without_contact_or_address_says_so(
    shopper_client: Client, place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    order = place_order((honey, 1), user=shopper)
    order.contact.delete()

    [told] = read(shopper_client)["orders"]

    assert (told["contact"], told["address"]) == (None, None)


def test_every_order_keeps_its_own_rows(
    shopper_client: Client, place_order: PlaceOrder, workshop: Entry, shopper: User
) -> None:
    plain = place_order((ProductFactory(title="Jam"), 1), user=shopper)
    booked = finish(place_order((workshop, 1), (ProductFactory(title="Salt"), 1), user=shopper))
    other = place_order((ProductFactory(title="Oil"), 1), user=shopper)

    told = {order["number"]: order for order in read(shopper_client)["orders"]}

    titles = {number: [line["title"] for line in order["lines"]] for number, order in told.items()}
    assert titles == {plain.number: ["Jam"], booked.number: ["Bread workshop", "Salt"], other.number: ["Oil"]}
    assert [len(line["bookings"]) for line in told[booked.number]["lines"]] == [1, 0]
    assert told[plain.number]["mails"] == []
    assert [mail["kind"] for mail in told[booked.number]["mails"]][:1] == ["confirmation"]


def test_a_thousand_orders_cost_the_statements_of_one(place_order: PlaceOrder, honey: Product, shopper: User) -> None:
    place_order((honey, 1), user=shopper)
    with statements() as few:
        assert len(json.loads("".join(personal_data.export(shopper)))["orders"]) == 1
    carts = Cart.objects.bulk_create(Cart(token_hash=str(n), ordered_at=timezone.now()) for n in range(1000))
    orders = Order.objects.bulk_create(
        Order(user=shopper, cart=cart, total=Decimal("6.50"), currency="GBP") for cart in carts
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order, position=0, kind="product", product=honey, stall=honey.stall, title="Honey",
            unit_price=Decimal("6.50"), quantity=1, tax_rate=0, total=Decimal("6.50"),
        )
        for order in orders
    )  # fmt: skip

    with statements() as many:
        told = json.loads("".join(personal_data.export(shopper)))["orders"]

    assert [len(order["lines"]) for order in told] == [1] * 1001
    assert len(many) == len(few)


def test_the_page_counts_what_is_kept(
    shopper_client: Client, paid: Payment, fill_cart: FillCart, honey: Product, shopper: User
) -> None:
    deliver(paid.order)
    connect(shopper)
    fill_cart((honey, 3), user=shopper)

    kept = personal_data.count(shopper)
    page = shopper_client.get(PAGE).content.decode()

    assert kept == {
        "orders": 1, "contacts": 1, "addresses": 1, "bookings": 2, "attendees": 0, "lines": 1, "saved_lines": 0,
        "emails": 1, "sign_ons": 1, "waiting": 0,
    }  # fmt: skip
    for words in ("Ada Shopper", "ada@example.org", "1 order", "2 places booked", "1 line in your basket", EXPORT):
        assert words in page


def test_the_page_costs_the_same_for_any_number_of_orders(
    shopper_client: Client, place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    counts = []
    for _turn in range(2):
        place_order((honey, 1), user=shopper)
        with statements() as sent:
            shopper_client.get(PAGE)
        counts.append(len(sent))

    assert counts[0] == counts[1]


@pytest.mark.parametrize("address", [PAGE, EXPORT])
def test_strangers_are_asked_to_sign_in_and_nothing_is_posted(address: str, shopper_client: Client) -> None:
    assert Client().get(address).status_code == 302
    assert shopper_client.post(address).status_code == 405


def test_nobody_fetches_it_without_end(shopper_client: Client, settings: Any) -> None:
    settings.LIMITS = {**settings.LIMITS, "export": (2, 600)}

    answers = [shopper_client.get(EXPORT).status_code for _ in range(3)]

    assert answers == [200, 200, 429]
