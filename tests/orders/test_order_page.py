"""The order's page: for its user and for whoever holds its secret link, and for nobody else."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.signing import Signer
from django.test import Client
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Cart, Product
from cartsite.models import User
from orders import services
from orders.handover import Address
from orders.models import DeliveryAddress, Order, OrderContact, OrderLine
from orders.moving import move_in_place
from orders.quoting import Choices
from payments import cancelling, settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, EntryFactory, VoucherFactory
from tests.orders.acts import HTMX, all_rows, holder_of, place_cart, statements
from tests.orders.late import come_late
from tests.payments.money import pay

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


def text_of(response: Any) -> str:
    return response.content.decode()


@pytest.fixture
def own(place_order: PlaceOrder, honey: Product, workshop: Entry, shopper: User) -> Order:
    """An order of somebody who signed in."""
    return place_order((honey, 1), (workshop, 2), user=shopper)


@pytest.fixture
def shopper_client(shopper: User) -> Client:
    client = Client()
    client.force_login(shopper)
    return client


# --- Who may see it


def test_its_user_sees_it(own: Order, shopper_client: Client) -> None:
    response = shopper_client.get(own.get_absolute_url())

    said = text_of(response)
    assert response.status_code == 200
    for needed in (own.number, "Heather honey", "Bread workshop", "£76.50", 'data-order-status="awaiting_payment"'):
        assert needed in said


def test_its_secret_link_leads_to_its_clean_address(order: Order) -> None:
    client = Client()

    response = client.get(order.secret_link)

    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())
    assert client.get(response["Location"]).status_code == 200


def test_the_cookie_is_for_this_order_alone_and_out_of_scripts_reach(order: Order) -> None:
    cookie = Client().get(order.secret_link).cookies["order"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
    assert order.key not in cookie.value


def test_the_secret_link_works_for_who_signed_in_as_somebody_else(order: Order, shopper_client: Client) -> None:
    response = shopper_client.get(order.secret_link, follow=True)

    assert response.status_code == 200


def test_every_refusal_looks_the_same(own: Order, order: Order, staff: User, honey: Product) -> None:
    stranger, signed_in = Client(), Client()
    signed_in.force_login(staff)

    refusals = [
        stranger.get(own.get_absolute_url()),
        stranger.get("/orders/CCCC-CCCC-CC/"),
        stranger.get("/orders/NONSENSE/"),
        stranger.get(own.get_absolute_url() + "?key=wrong"),
        stranger.get(own.get_absolute_url() + "?key="),
        stranger.get("/orders/CCCC-CCCC-CC/?key=wrong"),
        stranger.get(f"{own.get_absolute_url()}?key={order.key}"),
        stranger.get(own.get_absolute_url() + "return/"),
        stranger.get(own.get_absolute_url() + "return/?token=wrong"),
        stranger.get("/orders/CCCC-CCCC-CC/return/?token=wrong"),
    ]

    assert {response.status_code for response in refusals} == {404}
    assert len({without_paths(response) for response in refusals}) == 1
    assert signed_in.get(own.get_absolute_url()).status_code == 404
    assert all("order" not in response.cookies for response in refusals)


def without_paths(response: Any) -> str:
    """The page without what differs in every answer: the way back after signing in, and one-time tokens."""
    return re.sub(r'next=[^"]*|csrfmiddlewaretoken" value="[^"]*', "", text_of(response))


@pytest.mark.parametrize("method", ["pay", "change-basket", "keep"])
def test_strangers_can_do_nothing_with_it(order: Order, sumup: Simulator, method: str) -> None:
    before = all_rows()

    known = Client().post(f"{order.get_absolute_url()}{method}/")
    unknown = Client().post(f"/orders/CCCC-CCCC-CC/{method}/")

    assert (known.status_code, unknown.status_code) == (404, 404)
    assert without_paths(known) == without_paths(unknown)
    assert all_rows() == before
    assert sumup.requests == []


@pytest.mark.parametrize("method", ["pay", "change-basket", "keep"])
def test_looking_at_a_step_does_not_take_it(order: Order, method: str) -> None:
    assert holder_of(order).get(f"{order.get_absolute_url()}{method}/").status_code == 405


def test_the_cookie_of_another_order_is_no_key(order: Order, place_order: PlaceOrder, honey: Product) -> None:
    other = place_order((honey, 1))

    client = holder_of(other)

    assert client.get(order.get_absolute_url()).status_code == 404
    assert client.get(other.get_absolute_url()).status_code == 200


@pytest.mark.parametrize("forged", ["", "nonsense", ":", "{uuid}", "{uuid}:forged", "{other_salt}"])
def test_a_forged_cookie_is_no_key(order: Order, forged: str) -> None:
    client = Client()
    client.cookies["order"] = forged.format(uuid=order.uuid, other_salt=Signer(salt="other").sign(str(order.uuid)))

    assert client.get(order.get_absolute_url()).status_code == 404


def test_a_number_may_be_typed_in_small_letters(order: Order) -> None:
    client = holder_of(order)

    # Each order has one address: the one in small letters leads there.
    response = Client().get(f"/orders/{order.number.lower()}/")

    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())
    assert client.get(response["Location"]).status_code == 200


def test_small_letters_tell_nobody_which_orders_there_are(order: Order) -> None:
    response = Client().get("/orders/cccc-cccc-cc/")

    assert (response.status_code, response["Location"]) == (302, "/orders/CCCC-CCCC-CC/")


def test_a_link_in_small_letters_keeps_its_secret(order: Order) -> None:
    client = Client()

    response = client.get(f"/orders/{order.number.lower()}/?key={order.key}", follow=True)

    assert response.status_code == 200
    assert response.redirect_chain[-1] == (order.get_absolute_url(), 302)


@pytest.mark.parametrize("number", ["%00", "a%00b", "%F0%9F%90%9D", "%2e%2e", "x" * 300, "%ff", "1' OR '1'='1"])
def test_a_number_that_is_none_is_not_found(number: str) -> None:
    for page in ("", "?key=%00", "return/", "return/?token=%00"):
        response = Client(raise_request_exception=False).get(f"/orders/{number}/{page}", follow=True)

        assert response.status_code == 404


@pytest.mark.parametrize("key", ["%00", "%F0%9F%90%9D", "%ff", "x" * 3000])
def test_a_key_that_is_none_is_not_found(order: Order, key: str) -> None:
    assert Client().get(f"{order.get_absolute_url()}?key={key}").status_code == 404


# --- What it says


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("confirmed", "Thank you, your order is confirmed"),
        ("expired", "This order was not paid in time"),
        ("cancelled", "This order was cancelled"),
        ("completed", "All done, thank you"),
    ],
)
def test_it_says_where_the_order_stands(own: Order, shopper_client: Client, status: str, sentence: str) -> None:
    Order.objects.update(status=status)

    said = text_of(shopper_client.get(own.get_absolute_url()))

    assert sentence in said
    assert f'data-order-status="{status}"' in said
    assert "/pay/" not in said
    assert "hx-get" not in said.split('id="order"')[1].split(">")[0]


def test_a_waiting_order_offers_to_pay_and_to_change(own: Order, shopper_client: Client) -> None:
    said = text_of(shopper_client.get(own.get_absolute_url()))

    assert f'action="/orders/{own.number}/pay/"' in said
    assert f'action="/orders/{own.number}/change-basket/"' in said
    assert "Pay £76.50" in said


def test_the_codes_of_the_places_are_shown(own: Order, shopper_client: Client) -> None:
    services.confirm(own, cause="paid")

    said = text_of(shopper_client.get(own.get_absolute_url()))

    assert all(code in said for code in Booking.objects.values_list("code", flat=True))


def test_the_money_that_came_in_is_listed(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    settling.settle(payment)

    said = text_of(holder_of(payment.order).get(payment.order.get_absolute_url()))

    assert "<strong>£76.50</strong> was paid on " in said


def test_an_erased_person_is_not_missed(own: Order, shopper_client: Client) -> None:
    OrderContact.objects.all().delete()
    for status in Order.Status.values:
        Order.objects.update(status=status)

        assert shopper_client.get(own.get_absolute_url()).status_code == 200


def test_htmx_gets_the_changing_part_only(own: Order, shopper_client: Client) -> None:
    said = text_of(shopper_client.get(own.get_absolute_url(), headers=HTMX))

    assert "<html" not in said
    assert 'data-order-status="awaiting_payment"' in said


def test_a_boosted_link_gets_the_whole_page(own: Order, shopper_client: Client) -> None:
    said = text_of(shopper_client.get(own.get_absolute_url(), headers=HTMX | {"HX-Boosted": "true"}))

    assert "<html" in said


def test_what_a_shopper_typed_is_no_html(own: Order, shopper_client: Client) -> None:
    OrderContact.objects.update(name="<script>alert(1)</script>")

    said = text_of(shopper_client.get(own.get_absolute_url()))

    assert "<script>alert" not in said
    assert "&lt;script&gt;alert" in said


def test_nobody_keeps_a_copy_of_an_orders_page(own: Order, shopper_client: Client) -> None:
    for path in (own.get_absolute_url(), own.get_absolute_url() + "return/", "/orders/", own.secret_link):
        control = shopper_client.get(path)["Cache-Control"]

        assert "no-store" in control
        assert "private" in control


def test_the_page_holds_no_secret(payment: Payment) -> None:
    order = payment.order
    client = holder_of(order)

    for path in (order.get_absolute_url(), order.get_absolute_url() + "return/"):
        said = text_of(client.get(path))

        for secret in (order.key, payment.return_token, payment.webhook_token, str(order.uuid)):
            assert secret not in said


def test_an_orders_page_asks_sumup_nothing_while_nothing_is_due(payment: Payment, sumup: Simulator) -> None:
    asked = len(sumup.requests)

    holder_of(payment.order).get(payment.order.get_absolute_url())

    assert len(sumup.requests) == asked


def test_a_waiting_shopper_moves_a_doubtful_attempt_along(order: Order, sumup: Simulator, settings: Any) -> None:
    reachable = settings.SUMUP_API_URL
    client = holder_of(order)
    settings.SUMUP_API_URL = "http://127.0.0.1:9"
    client.post(f"{order.get_absolute_url()}pay/")
    assert Payment.objects.get().status == "unknown"
    settings.SUMUP_API_URL = reachable

    with time_machine.travel(timezone.now() + timedelta(seconds=10)):
        said = text_of(client.get(order.get_absolute_url()))

    assert Payment.objects.get().status == "open"
    assert f'action="/orders/{order.number}/pay/"' in said


def test_a_waiting_shopper_sees_an_order_whose_time_is_over_end(order: Order, sumup: Simulator) -> None:
    client = holder_of(order)

    with time_machine.travel(order.deadline + timedelta(seconds=1)):
        said = text_of(client.get(order.get_absolute_url()))

    assert 'data-order-status="expired"' in said


# --- What it costs


def test_an_orders_page_asks_the_same_for_many_lines(
    place_order: PlaceOrder, stocked: list[Product], workshop: Entry, shopper: User, shopper_client: Client
) -> None:
    few = place_order((workshop, 1), user=shopper)
    many = place_order(*((thing, 1) for thing in stocked), (workshop, 5), user=shopper)
    for order in (few, many):
        services.confirm(order, cause="paid")

    counts = []
    for order in (few, many):
        with statements() as sent:
            shopper_client.get(order.get_absolute_url())
        counts.append(len(sent))

    assert counts[0] == counts[1] <= 14


# --- How goods are handed over, discounts, and what else one may do


@pytest.fixture
def bought(fill_cart: Callable[..., tuple[Cart, str]], honey: Product) -> Callable[..., Order]:
    """An order of two jars, with choices made at the checkout."""
    return lambda **choices: place_cart(*fill_cart((honey, 2)), chosen=Choices(**choices))


def test_a_window_of_collection_is_told_in_its_own_zone(bought: Callable[..., Order]) -> None:
    begins = (timezone.now() + timedelta(days=6)).replace(hour=10, minute=0, second=0, microsecond=0)
    slot = CollectionSlotFactory(name="Fish market", place="By the quay", time_zone="Asia/Tokyo", starts_at=begins)

    order = bought(handover=str(slot.uuid))

    said = text_of(holder_of(order).get(order.get_absolute_url()))
    assert "Collection</h3>" in " ".join(said.split()).replace(" </h3>", "</h3>")
    assert "By the quay" in said
    assert ", 19:00</time>" in said
    assert '<abbr title="Asia/Tokyo">JST</abbr>' in said
    assert "<strong>Free</strong>" in said


def test_an_address_of_delivery_is_told_until_it_is_erased(bought: Callable[..., Order]) -> None:
    DeliveryZoneFactory(name="The middle of Bristol", fee=Decimal("3.50"))
    order = bought(handover="delivery", address=Address("1 Quay Street", "Bristol", "BS1 3AB", "<b>Ring</b> twice."))
    client = holder_of(order)

    said = text_of(client.get(order.get_absolute_url()))
    assert all(part in said for part in ("1 Quay Street", "BS1 3AB", "&lt;b&gt;Ring&lt;/b&gt; twice.", "£3.50"))

    DeliveryAddress.objects.all().delete()
    said = text_of(client.get(order.get_absolute_url()))
    assert "Quay Street" not in said
    assert "The middle of Bristol" in said


def test_a_discount_is_a_line_of_its_own(bought: Callable[..., Order]) -> None:
    order = bought(voucher=VoucherFactory(title="Friends of the market").code)

    said = text_of(holder_of(order).get(order.get_absolute_url()))

    assert "Discount: Friends of the market" in said
    assert "-£1.30" in said
    assert "data-total>£11.70<" in said


@pytest.mark.parametrize("name", ["", "SUMUP *ROSE ASH"])
def test_how_it_stands_on_the_statement_is_told_if_it_is_known(
    payment: Payment, sumup: Simulator, settings: Any, name: str
) -> None:
    settings.STATEMENT_NAME = name
    paid = pay(payment, sumup)

    said = text_of(holder_of(paid.order).get(paid.order.get_absolute_url()))

    assert ("On your bank statement it appears as SUMUP *ROSE ASH." in said) is bool(name)
    assert f"code for it: {paid.transaction_code}" in said


@pytest.mark.parametrize("address", ["", "https://receipts.example/{transaction}?of={merchant}"])
def test_sumups_own_receipt_is_linked_if_it_is_known_where_it_is(
    payment: Payment, sumup: Simulator, settings: Any, address: str
) -> None:
    settings.SUMUP_RECEIPT_URL = address
    paid = pay(payment, sumup)

    page = holder_of(paid.order).get(paid.order.get_absolute_url()).content.decode()

    link = f'href="https://receipts.example/{paid.transaction_code}?of={paid.merchant_code}"'
    assert (link in page) is bool(address)


def test_money_that_came_too_late_is_not_simply_called_paid(
    payment: Payment, sumup: Simulator, place_order: PlaceOrder, workshop: Entry
) -> None:
    order = come_late(payment, sumup, place_order, workshop)

    said = text_of(holder_of(order).get(order.get_absolute_url()))

    assert "Not paid in time</span>" in said
    assert "Paid too late</span>" in said
    assert "Expired unpaid" not in said


def test_money_that_is_all_on_its_way_back_is_not_called_paid(payment: Payment, sumup: Simulator, staff: User) -> None:
    paid = pay(payment, sumup)
    cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    said = text_of(holder_of(paid.order).get(paid.order.get_absolute_url()))

    assert "On its way back</span>" in said
    assert "Paid</span>" not in said


def test_a_waiting_order_is_not_ordered_again_nor_cancelled(own: Order, shopper_client: Client) -> None:
    said = text_of(shopper_client.get(own.get_absolute_url()))

    assert f"{own.get_absolute_url()}again/" not in said
    assert f"{own.get_absolute_url()}cancel/" not in said


def test_places_that_stand_can_be_put_into_a_calendar(order: Order) -> None:
    link = f'href="/orders/{order.number}/calendar.ics"'
    holder = holder_of(order)
    before = holder.get(order.get_absolute_url()).content.decode()
    services.confirm(order, cause="paid")

    page = holder.get(order.get_absolute_url()).content.decode()

    assert (link in before, link in page) == (False, True)


def test_lines_are_told_in_the_orders_own_sequence(order: Order) -> None:
    first, second = order.lines.order_by("position")[:2]
    OrderLine.objects.filter(pk=first.pk).update(position=9)

    told = list(order.lines.with_counts())

    assert told == [second, first]


# --- What its heading says


def test_an_order_thanks_only_while_it_is_new(own: Order, shopper_client: Client) -> None:
    services.confirm(own, cause="paid")

    new = text_of(shopper_client.get(own.get_absolute_url()))
    Order.objects.update(placed_at=timezone.now() - timedelta(days=3))
    old = text_of(shopper_client.get(own.get_absolute_url()))

    assert "Thank you, your order is confirmed" in new
    assert "The confirmation goes to ada@example.org." in new
    assert "Your order is confirmed" in old
    assert "Thank you, your order" not in old
    assert "The confirmation goes to" not in old


def test_an_order_of_which_some_was_cancelled_says_so_and_does_not_thank(
    payment: Payment, sumup: Simulator, staff: User
) -> None:
    pay(payment, sumup)
    order = payment.order
    cancelling.cancel_parts([cancelling.Part(order.lines.get(kind="product"), 1)], by=staff, reason="none left")

    said = text_of(holder_of(order).get(order.get_absolute_url()))

    assert "Part of your order was cancelled" in said
    assert "Thank you, your order" not in said
    assert "The rest of it is confirmed." in said


def test_places_that_were_moved_stand_under_their_new_date(own: Order, shopper_client: Client, workshop: Entry) -> None:
    services.confirm(own, cause="paid")
    starts = datetime(2031, 5, 3, 9, tzinfo=UTC)
    later = EntryFactory(calendar=workshop.calendar, title=workshop.title, starts_at=starts)
    places = list(Booking.objects.order_by("pk"))

    move_in_place(places[:1], later, by=None, cause="shopper")
    split = text_of(shopper_client.get(own.get_absolute_url()))
    move_in_place(places[1:], later, by=None, cause="shopper")
    whole = text_of(shopper_client.get(own.get_absolute_url()))

    assert "New date" not in split
    assert "moved to" in split
    assert "Saturday 3 May 2031" in whole.split("New date")[1].split("It was moved from")[0]
    assert "moved to" not in whole
