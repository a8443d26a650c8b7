"""What the database itself refuses, whoever asks."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from orders.models import Order
from payments import settling
from payments.models import Movement, Payment
from payments.simulator import Simulator
from tests.concurrency import run_at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempt(order: Order) -> Callable[..., Payment]:
    """Make another row for an attempt, whatever there is: `attempt(status="open")`."""

    def make(**fields: Any) -> Payment:
        given = {
            "amount": order.total,
            "currency": "GBP",
            "merchant_code": "MROSEASH",
            "valid_until": order.deadline,
            "checkout_id": str(uuid.uuid4()),
        }
        return Payment.objects.create(order=order, **given | fields)

    return make


@pytest.fixture
def capture(payment: Payment, sumup: Simulator) -> Movement:
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    return Movement.objects.get()


@pytest.mark.parametrize(("first", "second"), list(zip(Payment.LIVE, reversed(Payment.LIVE), strict=True)))
def test_an_order_has_one_live_payment(attempt: Callable[..., Payment], first: str, second: str) -> None:
    attempt(status=first)

    with pytest.raises(IntegrityError, match="payment_one_live_per_order"), transaction.atomic():
        attempt(status=second)

    assert Payment.objects.count() == 1


@pytest.mark.parametrize("over", ["closed", "captured"])
def test_an_order_may_have_any_number_of_payments_that_are_over(attempt: Callable[..., Payment], over: str) -> None:
    for _attempt in range(3):
        attempt(status=over)

    assert attempt(status="open").is_live


@pytest.mark.django_db(transaction=True)
def test_of_eight_live_payments_at_once_one_is_made(attempt: Callable[..., Payment]) -> None:
    outcomes = run_at_once(*[attempt] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert Payment.objects.count() == 1


def test_a_payment_is_never_deleted(payment: Payment) -> None:
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM payments_payment")

    assert Payment.objects.count() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_movement SET amount = amount + 1",
        "UPDATE payments_movement SET recorded_at = now()",
        "DELETE FROM payments_movement",
    ],
)
def test_a_movement_is_written_once(capture: Movement, statement: str) -> None:
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert Movement.objects.get().amount == capture.amount


def test_a_movement_is_known_by_merchant_kind_and_sumups_id(capture: Movement) -> None:
    with pytest.raises(IntegrityError, match="movement_once_per_merchant_kind_and_sumup_id"), transaction.atomic():
        again(capture)

    again(capture, sumup_id="another")
    again(capture, kind="fee")
    again(capture, merchant_code="MOTHER")
    assert Movement.objects.count() == 4


def again(capture: Movement, **changes: Any) -> Movement:
    given = {
        "kind": capture.kind,
        "merchant_code": capture.merchant_code,
        "sumup_id": capture.sumup_id,
        "order": capture.order,
        "amount": Decimal("1.00"),
        "currency": "GBP",
        "happened_at": datetime.now(UTC),
    }
    return Movement.objects.create(**given | changes)


@pytest.mark.parametrize("kind", ["capture", "refund", "chargeback", "fee"])
def test_only_cash_is_unknown_to_sumup(capture: Movement, kind: str) -> None:
    with pytest.raises(IntegrityError, match="movement_only_cash_has_no_sumup_id"), transaction.atomic():
        again(capture, kind=kind, sumup_id=None)

    assert again(capture, kind="cash", sumup_id=None).pk


@pytest.mark.parametrize("amount", ["0.00", "-1.00"])
def test_a_capture_is_more_than_nothing(capture: Movement, amount: str) -> None:
    with pytest.raises(IntegrityError, match="movement_captures_are_positive"), transaction.atomic():
        again(capture, sumup_id="another", amount=Decimal(amount))


@pytest.mark.parametrize("amount", ["0.00", "-1.00"])
def test_a_payment_asks_for_more_than_nothing(attempt: Callable[..., Payment], amount: str) -> None:
    with pytest.raises(IntegrityError, match="payment_amount_positive"), transaction.atomic():
        attempt(amount=Decimal(amount))


@pytest.mark.parametrize("status", ["open", "declined"])
def test_an_open_payment_knows_its_checkout(attempt: Callable[..., Payment], status: str) -> None:
    with pytest.raises(IntegrityError, match="payment_at_sumup_has_its_checkout"), transaction.atomic():
        attempt(status=status, checkout_id=None)


@pytest.mark.parametrize("field", ["reference", "checkout_id", "webhook_token"])
def test_no_two_payments_share_what_names_them(attempt: Callable[..., Payment], field: str) -> None:
    first = attempt(status="closed")

    with pytest.raises(IntegrityError), transaction.atomic():
        attempt(status="closed", **{field: getattr(first, field)})
