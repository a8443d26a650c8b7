"""What must be true at every commit, whatever happened before."""

from decimal import Decimal

from django.db.models import Sum

from bookings.models import Booking, Pool
from cartsite.models import Case
from orders.models import Order, OrderLine
from payments.models import Movement, Payment

ENDED_UNSOLD = (Order.Status.EXPIRED, Order.Status.CANCELLED)
SOLD = (Order.Status.CONFIRMED, Order.Status.COMPLETED)


def assert_books_balance() -> None:
    """Check every pool, payment and order there is against the rules of the domain (its section 4)."""
    for pool in Pool.objects.all():
        assert_pool_balances(pool)
    for payment in Payment.objects.all():
        assert_payment_balances(payment)
    for order in Order.objects.all():
        assert_order_balances(order)


def assert_pool_balances(pool: Pool) -> None:
    """Taken is the sum of the holds, and never above capacity."""
    held = pool.holds.aggregate(sum=Sum("quantity"))["sum"] or 0
    assert pool.taken == held, f"{pool}: {pool.taken} are taken, but {held} are held."
    assert pool.capacity is None or pool.taken <= pool.capacity, f"{pool}: {pool.taken} of {pool.capacity} are taken."


def assert_payment_balances(payment: Payment) -> None:
    """It is captured if and only if money of it was written down."""
    captures = payment.movements.filter(kind=Movement.Kind.CAPTURE).count()
    assert (payment.status == Payment.Status.CAPTURED) == (captures > 0), f"{payment} with {captures} captures"


def assert_order_balances(order: Order) -> None:
    """Its shares add up, its status is the last one written down, and it holds what an order of its status holds."""
    lines = list(order.lines.select_related("hold", "product", "entry"))
    assert sum((line.total for line in lines), Decimal(0)) == order.total
    for line in lines:
        assert line.allocations.aggregate(sum=Sum("amount"))["sum"] == line.total, f"{line}: its shares do not add up."
    steps = list(order.events.filter(kind__in=Order.Status.values).values_list("kind", flat=True))
    assert order.status == (steps[-1] if steps else Order.Status.AWAITING_PAYMENT), f"{order}: {steps}"
    if order.status == Order.Status.AWAITING_PAYMENT:
        assert_all_is_held(lines)
    elif order.status in ENDED_UNSOLD:
        assert_nothing_is_held(lines)
    elif order.status in SOLD:
        assert_was_paid(order)
        assert_places_were_issued(lines)


def assert_all_is_held(lines: list[OrderLine]) -> None:
    """Every scarce line holds its whole quantity, without end."""
    for line in lines:
        if line.pool_id is not None:
            assert line.hold is not None, f"{line} is not held."
            assert (line.hold.quantity, line.hold.until) == (line.quantity, None), f"{line}: {line.hold}"


def assert_nothing_is_held(lines: list[OrderLine]) -> None:
    """No line of an order that ended unsold takes up room, and none has a place."""
    for line in lines:
        assert line.hold is None or line.hold.quantity == 0, f"{line} is still held."
        assert not line.bookings.filter(status=Booking.Status.CONFIRMED).exists(), f"{line} still has places."


def assert_was_paid(order: Order) -> None:
    """What came in covers the order (whatever went out again since)."""
    came_in = order.movements.filter(kind__in=(Movement.Kind.CAPTURE, Movement.Kind.CASH))
    assert (came_in.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)) >= order.total, f"{order} is not paid."


def assert_places_were_issued(lines: list[OrderLine]) -> None:
    """One booking for each place sold, but none at an entry that was called off."""
    for line in lines:
        if line.kind == OrderLine.Kind.ENTRY:
            called_off = Case.objects.filter(kind=Case.Kind.ENTRY_CANCELLED).about(line).exists()
            issued = line.bookings.exclude(status=Booking.Status.MOVED).count()
            assert issued == (0 if called_off else line.quantity), f"{line}: {issued} places were issued."
