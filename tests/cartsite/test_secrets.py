"""Keys and tokens are told to whom they belong, and written nowhere else."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cart.models import Cart, Product
from orders.models import Order
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.orders.acts import typed, visitor

pytestmark = pytest.mark.django_db


def secrets_of(order: Order) -> list[str]:
    payment = Payment.objects.get(order=order)
    return [order.key, payment.return_token, payment.webhook_token]


def test_a_whole_purchase_leaves_no_secret_in_the_log(
    fill_cart: Callable[..., tuple[Cart, str]],
    honey: Product,
    sumup: Simulator,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    cart, token = fill_cart((honey, 1))
    client = visitor(token)
    client.raise_request_exception = False

    client.post("/checkout/", typed(cart))
    order, payment = Order.objects.get(), Payment.objects.get()
    client.get(order.secret_link)
    client.get(f"{order.get_absolute_url()}?key={order.key}x")
    client.get(f"{order.get_absolute_url()}return/?token={payment.return_token}")
    client.get(f"{order.get_absolute_url()}return/?token={payment.return_token}x")
    client.get(f"/orders/nowhere/return/?token={payment.return_token}")
    client.post(f"/webhooks/sumup/{payment.webhook_token}/", {}, content_type="application/json")
    sumup.pay(payment.checkout_id)
    settling.settle(payment)

    assert caplog.text
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("urllib3"))
    for secret in [*secrets_of(order), token, settings.SUMUP_API_KEY]:
        assert secret not in ours


def test_a_call_of_sumup_that_fails_names_no_secret(
    order: Order, settings: Any, caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    settings.SUMUP_API_URL = "http://127.0.0.1:9"
    client.get(order.secret_link)

    client.post(f"{order.get_absolute_url()}pay/")
    client.get(f"{order.get_absolute_url()}return/")

    for secret in [*secrets_of(order), settings.SUMUP_API_KEY]:
        assert secret not in caplog.text


def test_staff_see_no_secret_in_the_back_office(payment: Payment, staff_client: Client) -> None:
    order = payment.order
    pages = [
        "/admin/orders/order/",
        f"/admin/orders/order/{order.pk}/change/",
        "/admin/payments/payment/",
        f"/admin/payments/payment/{payment.pk}/change/",
        f"/admin/cart/cart/{order.cart_id}/change/",
        "/admin/cart/cart/",
        f"/admin/orders/orderevent/?q={order.number}",
    ]

    for page in pages:
        response = staff_client.get(page)

        assert response.status_code == 200
        for secret in [*secrets_of(order), order.cart.token_hash]:
            assert secret not in response.content.decode()


def test_staff_who_look_for_a_secret_do_not_find_it(payment: Payment, staff_client: Client) -> None:
    for secret in secrets_of(payment.order):
        for page in ("/admin/orders/order/", "/admin/payments/payment/"):
            said = staff_client.get(f"{page}?q={secret}").content.decode()

            assert payment.order.number not in said.replace(secret, "")
