"""The books: the only writer of movements, and what they say about an order's money."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from orders import services as orders
from orders.models import Order, OrderLine
from payments import shares
from payments.models import Movement, Payment, Reading, Refund
from payments.sumup import Event, PayoutRecord, Transaction

NOTHING = Decimal("0.00")
READ_TWICE = timedelta(hours=1)  # so much of SumUp's history is read again by every sweep anyway


def lock(payment: Payment) -> tuple[Order, Payment]:
    """The payment's order and the payment, held still, in this order, until the transaction ends."""
    order = orders.lock(payment.order_id)
    return order, Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)


# --- Writing ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def record_capture(payment: Payment, tried: Transaction) -> bool:
    """Write down money that came in, at its actual amount; False if that is written down already.

    Call it with the order locked.
    """
    movement = Movement(
        kind=Movement.Kind.CAPTURE,
        order=payment.order,
        payment=payment,
        merchant_code=payment.merchant_code,
        sumup_id=tried.id,
        transaction_id=tried.id,
        amount=tried.amount,
        currency=tried.currency,
        happened_at=tried.at,
    )
    is_new = _write(movement, shares.for_money_in(payment.order, tried.amount))
    if is_new and timezone.now() - tried.at > READ_TWICE:
        _read_history_again_from(tried.at)
    return is_new


def _read_history_again_from(moment: datetime) -> None:
    """Money is written down late: what became of it since then (UTC) told us nothing when we read it, but does now."""
    late = Reading.objects.filter(merchant_code=settings.SUMUP_MERCHANT_CODE, read_up_to__gt=moment)
    late.update(read_up_to=moment)


@transaction.atomic
def record_money_back(kind: Movement.Kind, payment: Payment, event: Event, refund: Refund | None = None) -> bool:
    """Write down one refund or chargeback event of a payment's transaction; False if it is written down already.

    Call it with the order locked.
    """
    line = refund.line if refund else None
    movement = Movement(
        kind=kind,
        order=payment.order,
        payment=payment,
        refund=refund,
        merchant_code=payment.merchant_code,
        sumup_id=event.id,
        transaction_id=event.transaction_id,
        amount=-event.amount,
        currency=payment.currency,
        happened_at=event.at,
    )
    return _write(movement, shares.for_money_out(payment.order, event.amount, line))


@transaction.atomic
def record_fee(capture: Movement, fee: Decimal, at: datetime) -> bool:
    """Write down what SumUp kept of a payment (pounds, positive); False if that is written down already."""
    if not fee:
        return False
    movement = Movement(
        kind=Movement.Kind.FEE,
        order=capture.order,
        payment=capture.payment,
        merchant_code=capture.merchant_code,
        sumup_id=capture.transaction_id,
        transaction_id=capture.transaction_id,
        amount=-fee,
        currency=capture.currency,
        happened_at=at,
    )
    return _write(movement, shares.like(capture, -fee))


@transaction.atomic
def record_payout(capture: Movement, record: PayoutRecord) -> bool:
    """Link a payment to the payout it came (or was deducted) with; False if that is written down already.

    A payout carries the payment less its fee, so each stall's part is its payment's part less its part of the fee.
    """
    movement = Movement(
        kind=Movement.Kind.PAYOUT,
        order=capture.order,
        payment=capture.payment,
        merchant_code=capture.merchant_code,
        sumup_id=record.id,
        transaction_id=capture.transaction_id,
        amount=record.amount,
        currency=record.currency,
        happened_at=record.at,
    )
    return _write(movement, shares.of_payout(capture, record.amount, record.fee))


@transaction.atomic
def record_cash(order: Order, amount: Decimal, refund: Refund | None = None) -> Movement:
    """Write down money that went from hand to hand: positive to us, negative back to the shopper (with its refund).

    Call it with the order locked.
    """
    parts = shares.for_money_in(order, amount) if amount > 0 else shares.for_money_out(order, -amount, _line(refund))
    movement = Movement(
        kind=Movement.Kind.CASH,
        order=order,
        refund=refund,
        merchant_code=settings.SUMUP_MERCHANT_CODE,
        amount=amount,
        currency=order.currency,
        happened_at=timezone.now(),
    )
    movement.save()
    shares.write(movement, parts)
    return movement


def _line(refund: Refund | None) -> OrderLine | None:
    return refund.line if refund else None


def _write(movement: Movement, parts: shares.Shares) -> bool:
    """Write a movement of SumUp's with its shares; False if its id is known for its kind.

    Under the order's lock nobody is faster, but a person may be who has just attached the money to another order.
    """
    known = Movement.objects.filter(
        merchant_code=movement.merchant_code, kind=movement.kind, sumup_id=movement.sumup_id
    )
    if known.exists():
        return False
    try:
        with transaction.atomic():
            movement.save()
    except IntegrityError:
        if not known.exists():
            raise
        return False
    shares.write(movement, parts)
    return True


# --- Reading ----------------------------------------------------------------------------------------------------------


class MoneyState(StrEnum):
    """What an order's movements come to; never stored."""

    UNPAID = "unpaid"
    PART_PAID = "part-paid"
    PAID = "paid"
    OVERPAID = "overpaid"
    PART_REFUNDED = "part-refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


@dataclass(frozen=True)
class Money:
    """An order's money, in its currency; all amounts are positive."""

    total: Decimal
    came_in: Decimal
    went_back: Decimal
    charged_back: Decimal
    promised: Decimal  # refunds that are on their way

    @property
    def net(self) -> Decimal:
        """What we have and owe nobody: refunds on their way count as gone (the domain's invariant 10)."""
        return self.came_in - self.went_back - self.charged_back - self.promised

    @property
    def state(self) -> MoneyState:
        if self.charged_back:
            return MoneyState.DISPUTED
        if self.went_back:
            return MoneyState.REFUNDED if self.went_back >= self.came_in else MoneyState.PART_REFUNDED
        if self.came_in > self.total:
            return MoneyState.OVERPAID
        if self.came_in == self.total:
            return MoneyState.PAID
        return MoneyState.PART_PAID if self.came_in else MoneyState.UNPAID


def money_of(order: Order) -> Money:
    """What the order's movements and refunds say now."""
    moved: dict[str, Decimal] = dict(order.movements.order_by().values_list("kind").annotate(Sum("amount")))
    cash_back = -(order.movements.filter(kind="cash", amount__lt=0).aggregate(sum=Sum("amount"))["sum"] or NOTHING)
    return Money(
        total=order.total,
        came_in=moved.get("capture", NOTHING) + moved.get("cash", NOTHING) + cash_back,
        went_back=-moved.get("refund", NOTHING) + cash_back,
        charged_back=-moved.get("chargeback", NOTHING),
        promised=order.refunds.all().promised(),
    )


def refundable(payment: Payment) -> Decimal:
    """How much of a payment can go back at once: never more than it captured, nor than its order has left."""
    return transaction_with_most(payment)[1]


def refundable_in_all(payment: Payment) -> Decimal:
    """How much of a payment can go back, from all of its transactions together."""
    return sum((max(left, NOTHING) for left in _left_by_transaction(payment).values()), NOTHING)


def transaction_with_most(payment: Payment) -> tuple[str, Decimal]:
    """The transaction of a payment that has most left to go back, and how much; nearly always there is only one."""
    net = money_of(payment.order).net
    lefts = [(left, name) for name, left in _left_by_transaction(payment).items()]
    left, name = max(lefts, default=(NOTHING, ""))
    return name, max(min(left, net), NOTHING)


def _left_by_transaction(payment: Payment) -> dict[str, Decimal]:
    moved = payment.movements.filter(kind__in=Movement.SHOPPERS).order_by()
    left: dict[str, Decimal] = dict(moved.values_list("transaction_id").annotate(Sum("amount")))
    promised = payment.refunds.alive().order_by().values_list("transaction_id").annotate(Sum("amount"))
    return left | {name: left.get(name, NOTHING) - amount for name, amount in promised}
