"""A day's trade in few words: money that comes, goes back and is paid out, and what a close says of it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from cartsite.models import Case, User
from orders.models import Order
from payments import settling, starting
from payments.models import DailyClose, Movement, Payment
from payments.simulator import Simulator
from tests.payments.records import fresh

DAY = date(2026, 6, 17)  # a Wednesday, in summer time
NOON = datetime(2026, 6, 17, 11, tzinfo=UTC)
NEXT_MORNING = timedelta(hours=14)


def paid(sumup: Simulator, order: Order) -> Payment:
    """An attempt that was paid, and that we heard of."""
    payment = starting.start(order)
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    return fresh(payment)


def unheard(sumup: Simulator, order: Order) -> Payment:
    """An attempt that was paid, and whose webhook and sweeps were all lost."""
    payment = starting.start(order)
    sumup.pay(payment.checkout_id)
    Payment.objects.filter(pk=payment.pk).update(next_look_at=None, last_look_at=None)
    return fresh(payment)


def transaction_of(sumup: Simulator, payment: Payment) -> str:
    """The id of the transaction that paid it, whether we have heard of it or not."""
    (found,) = [checkout for checkout in sumup.checkouts() if checkout.id == payment.checkout_id]
    return found.successful.id


def movements() -> list[tuple[str, Decimal]]:
    """All that is written down, oldest first."""
    return list(Movement.objects.order_by("pk").values_list("kind", "amount"))


def explained(close: DailyClose) -> list[str]:
    """The kinds of the cases that explain something of the day."""
    found = close.findings.filter(case__isnull=False)
    return sorted(f"{kind}: {why}" for kind, why in found.values_list("kind", "case__kind"))


def unexplained(close: DailyClose) -> list[str]:
    """The kinds of the rows that nothing explains."""
    return list(close.findings.filter(case=None).order_by("kind").values_list("kind", flat=True))


def pages_asked(sumup: Simulator) -> int:
    """How many pages of history SumUp was asked for."""
    return sum(request.path.endswith("/history") for request in sumup.requests)


def accept_all(staff: User) -> None:
    """A person has looked at every case, and leaves it as it is."""
    for case in Case.objects.unresolved():
        case.resolve(by=staff, note="seen")


def write_a_late_movement(payment: Payment, amount: str = "1.00") -> None:
    """A refund of the day that is only written down now."""
    Movement.objects.create(
        kind=Movement.Kind.REFUND,
        order=payment.order,
        payment=payment,
        merchant_code=payment.merchant_code,
        sumup_id=f"late-{timezone.now().timestamp()}-{amount}",
        transaction_id=payment.movements.get(kind="capture").transaction_id,
        amount=-Decimal(amount),
        currency=payment.currency,
        happened_at=NOON,
    )
