"""The way back from SumUp: it asks, it polls, and it never says "failed" before it is sure."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from orders.models import Order
from payments.models import Payment
from payments.simulator import Simulator
from tests.orders.acts import HTMX, holder_of

pytestmark = pytest.mark.django_db

CLOSED_PORT = "http://127.0.0.1:9"


def way_back(payment: Payment) -> str:
    return f"/orders/{payment.order.number}/return/"


def text_of(response: Any) -> str:
    return response.content.decode()


def later(seconds: int = 4) -> Any:
    """After the rest between two looks at one payment."""
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds))


def test_the_way_back_leads_to_its_clean_address(payment: Payment, sumup: Simulator) -> None:
    client = Client()

    response = client.get(f"{way_back(payment)}?token={payment.return_token}")

    assert (response.status_code, response["Location"]) == (302, way_back(payment))
    assert payment.order.uuid.hex in response.cookies["order"].value
    with later():
        assert client.get(way_back(payment)).status_code == 200
    assert client.get(payment.order.get_absolute_url()).status_code == 200


def test_sumup_is_told_the_way_back(payment: Payment, sumup: Simulator) -> None:
    (checkout,) = sumup.checkouts()

    assert way_back(payment) in str(checkout)
    assert payment.return_token in str(checkout)
    assert payment.order.key not in str(checkout)


def test_the_token_of_an_earlier_attempt_still_finds_the_way(payment: Payment, sumup: Simulator) -> None:
    Payment.objects.update(status="closed")
    Payment.objects.create(order=payment.order, amount=1, currency="GBP", merchant_code="M", valid_until=timezone.now())

    response = Client().get(f"{way_back(payment)}?token={payment.return_token}")

    assert response.status_code == 302


def test_the_token_of_another_order_does_not(payment: Payment, sumup: Simulator, place_order: Any, honey: Any) -> None:
    other = place_order((honey, 1))

    response = Client().get(f"/orders/{other.number}/return/?token={payment.return_token}")

    assert response.status_code == 404
    assert "order" not in response.cookies


@pytest.mark.parametrize("htmx", [False, True])
def test_while_the_bank_thinks_it_says_so(payment: Payment, sumup: Simulator, htmx: bool) -> None:
    client = holder_of(payment.order)

    with later():
        response = client.get(way_back(payment), headers=HTMX if htmx else {})

    said = text_of(response)
    assert response.status_code == 200
    assert "We are confirming with the bank" in said
    assert 'data-order-status="awaiting_payment"' in said
    assert not re.search(r"fail|declin|bank said no", said, re.IGNORECASE)
    assert ("<html" in said) is not htmx


def test_the_page_polls_itself_with_and_without_scripts(payment: Payment, sumup: Simulator) -> None:
    said = text_of(holder_of(payment.order).get(way_back(payment)))

    assert f'hx-get="{way_back(payment)}"' in said
    assert '<noscript><meta http-equiv="refresh"' in said


def test_a_payment_under_way_is_not_called_failed(payment: Payment, sumup: Simulator) -> None:
    sumup.decline(payment.checkout_id)
    sumup.challenge(payment.checkout_id)

    with later(1):
        said = text_of(holder_of(payment.order).get(way_back(payment)))

    assert "We are confirming with the bank" in said
    assert "bank said no" not in said


def test_what_was_paid_leads_to_the_confirmed_order(payment: Payment, sumup: Simulator) -> None:
    client = holder_of(payment.order)
    sumup.pay(payment.checkout_id)

    with later():
        response = client.get(way_back(payment))

    assert (response.status_code, response["Location"]) == (302, payment.order.get_absolute_url())
    assert Order.objects.get().status == "confirmed"
    assert "Thank you" in text_of(client.get(response["Location"]))


def test_htmx_is_led_there_too(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)

    with later():
        response = holder_of(payment.order).get(way_back(payment), headers=HTMX)

    assert response["HX-Redirect"] == payment.order.get_absolute_url()


def test_a_declined_card_may_be_tried_again(payment: Payment, sumup: Simulator) -> None:
    client = holder_of(payment.order)
    sumup.decline(payment.checkout_id)

    with later():
        said = text_of(client.get(way_back(payment)))
        again = client.post(f"/orders/{payment.order.number}/pay/")

    assert "Your bank said no to the last try; nothing was taken" in said
    assert f'action="/orders/{payment.order.number}/pay/"' in said
    assert again["Location"] == payment.checkout_url
    assert Order.objects.get().status == "awaiting_payment"


def test_money_after_a_decline_is_seen(payment: Payment, sumup: Simulator) -> None:
    client = holder_of(payment.order)
    sumup.decline(payment.checkout_id)
    with later():
        client.get(way_back(payment))
    sumup.pay(payment.checkout_id)

    with later(10):
        response = client.get(way_back(payment))

    assert response.status_code == 302
    assert Order.objects.get().status == "confirmed"


def test_sumup_out_of_reach_is_a_page_that_waits(payment: Payment, settings: Any) -> None:
    settings.SUMUP_API_URL = CLOSED_PORT

    with later():
        response = holder_of(payment.order).get(way_back(payment))

    assert response.status_code == 200
    assert "We are confirming with the bank" in text_of(response)


@pytest.mark.parametrize("trouble", ["500", "html", "stale"])
def test_sumup_in_trouble_is_a_page_that_waits(payment: Payment, sumup: Simulator, trouble: str) -> None:
    sumup.pay(payment.checkout_id)
    sumup.behave(read=trouble)

    with later(1):
        response = holder_of(payment.order).get(way_back(payment))

    assert response.status_code == 200
    assert "We are confirming with the bank" in text_of(response)


def test_an_impatient_browser_does_not_hammer_sumup(payment: Payment, sumup: Simulator) -> None:
    client = holder_of(payment.order)

    with later():
        client.get(way_back(payment))
        asked = len(sumup.requests)
        for _poll in range(5):
            client.get(way_back(payment))

    assert len(sumup.requests) == asked


def test_coming_back_without_any_attempt_offers_to_pay(order: Order) -> None:
    said = text_of(holder_of(order).get(f"/orders/{order.number}/return/"))

    assert f'action="/orders/{order.number}/pay/"' in said
    assert 'data-order-status="awaiting_payment"' in said


@pytest.mark.parametrize("status", ["confirmed", "expired", "cancelled", "completed"])
def test_coming_back_late_leads_to_the_order(order: Order, status: str) -> None:
    client = holder_of(order)
    Order.objects.update(status=status)

    response = client.get(f"/orders/{order.number}/return/")

    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())


def test_a_page_that_changes_by_itself_tells_its_new_heading(payment: Payment, sumup: Simulator) -> None:
    client = holder_of(payment.order)
    sumup.decline(payment.checkout_id)

    with later():
        said = text_of(client.get(way_back(payment), headers=HTMX))

    assert re.search(r'<p id="announcer"[^>]*>Not paid yet</p>', said)
