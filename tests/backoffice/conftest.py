"""More of the cast: an order that is paid, and staff who may not do everything."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from orders.models import Order
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.factories import UserFactory
from tests.invariants import assert_books_balance
from tests.payments.conftest import later, wire

__all__ = ["later", "wire"]  # fixtures, for the tests here


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    """Whatever staff do, the books balance after it."""
    yield
    assert_books_balance()


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """The captured payment of a confirmed order: one jar of honey and two places, £76.50."""
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    payment.refresh_from_db()
    return payment


@pytest.fixture
def sold(paid: Payment) -> Order:
    return Order.objects.get(pk=paid.order_id)


@pytest.fixture
def hire(db: None) -> Callable[..., Client]:
    """Staff with just these permissions: `hire("orders.change_order")`."""

    def hire(*names: str) -> Client:
        person = UserFactory(username="kim", email="kim@example.org", is_staff=True)
        for name in names:
            app, codename = name.split(".")
            person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client = Client()
        client.force_login(person)
        return client

    return hire
