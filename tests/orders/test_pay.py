"""Starting to pay, and going on where one left off."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from orders.models import Order
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.orders.acts import all_rows, holder_of

pytestmark = pytest.mark.django_db


def pay(order: Order, **more: Any) -> Any:
    return holder_of(order).post(f"{order.get_absolute_url()}pay/", **more)


def test_paying_leads_to_sumup(order: Order, sumup: Simulator) -> None:
    response = pay(order)

    assert (response.status_code, response["Location"]) == (302, Payment.objects.get().checkout_url)


def test_paying_again_resumes_the_same_page(payment: Payment, sumup: Simulator) -> None:
    response = pay(payment.order)

    assert response["Location"] == payment.checkout_url
    assert len(sumup.checkouts()) == 1


@pytest.mark.parametrize("status", ["confirmed", "expired", "cancelled", "completed"])
def test_what_does_not_wait_for_money_leads_to_its_page(order: Order, sumup: Simulator, status: str) -> None:
    Order.objects.update(status=status)
    before = all_rows()

    response = pay(order)

    assert (response.status_code, response["Location"]) == (302, order.get_absolute_url())
    assert all_rows() == before
    assert sumup.requests == []


def test_what_is_being_closed_says_so(order: Order, sumup: Simulator) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    Order.objects.update(closing_since=timezone.now(), closing_to="cancelled", closing_by="shopper", next_step_at=soon)

    response = pay(order, follow=True)

    assert "This order is being closed" in response.content.decode()
    assert not Payment.objects.exists()


def test_with_too_little_time_left_the_basket_may_be_changed(order: Order, sumup: Simulator) -> None:
    client = holder_of(order)

    with time_machine.travel(order.deadline - timedelta(minutes=7)):
        response = client.post(f"{order.get_absolute_url()}pay/", follow=True)

    assert "too little time left" in response.content.decode()
    assert "change-basket" in response.content.decode()
    assert not Payment.objects.exists()


def test_what_was_paid_in_another_tab_is_seen(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    settling.settle(payment)

    response = pay(payment.order, follow=True)

    assert "Thank you, your order is confirmed" in response.content.decode()


def test_sumup_out_of_reach_says_so_plainly(order: Order, settings: Any) -> None:
    settings.SUMUP_API_URL = "http://127.0.0.1:9"

    response = pay(order, follow=True)

    said = response.content.decode()
    assert response.status_code == 200
    assert "The payment page cannot be reached just now" in said
    assert 'id="pay"' in said


@pytest.mark.parametrize("trouble", ["500", "504", "429", "html", "response_lost"])
def test_sumup_in_trouble_makes_one_checkout_at_most(order: Order, sumup: Simulator, trouble: str) -> None:
    sumup.behave(create=trouble, times={"create": 1})
    client = holder_of(order)

    client.post(f"{order.get_absolute_url()}pay/")
    with time_machine.travel(timezone.now() + timedelta(seconds=15)):
        client.get(order.get_absolute_url())
        response = client.post(f"{order.get_absolute_url()}pay/")

    assert response["Location"] == Payment.objects.get().checkout_url != ""
    assert len(sumup.checkouts()) == 1


def test_too_many_attempts_are_braked(order: Order, sumup: Simulator, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"payment": (0, 600)}

    response = pay(order)

    assert response.status_code == 429
    assert not Payment.objects.exists()
