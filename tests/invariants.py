"""What must be true at every commit, whatever happened before."""

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from bookings.auditing import audit
from bookings.models import Booking, Pool
from cartsite.models import Case
from orders.models import LineAllocation, LineFact, Order, OrderLine
from orders.worth import worth_of
from payments import ledger
from payments.models import Movement, MovementShare, Payment, Refund

ENDED_UNSOLD = (Order.Status.EXPIRED, Order.Status.CANCELLED)
SOLD = (Order.Status.CONFIRMED, Order.Status.COMPLETED)
# Refunds whose money has left, as far as anybody can say.
WENT_BACK = (Refund.Status.DONE, Refund.Status.EXTERNAL)


def assert_books_balance() -> None:
    """Check every pool, payment, refund and order there is against the rules of the domain (its section 4)."""
    for pool in Pool.objects.all():
        assert_pool_balances(pool)
    assert not (findings := [str(finding) for finding in audit()]), findings
    for payment in Payment.objects.all():
        assert_payment_balances(payment)
        assert_refunds_fit(payment)
    for refund in Refund.objects.all():
        assert_refund_moved_its_money_once(refund)
    for movement in Movement.objects.all():
        assert_shares_add_up(movement)
    for order in Order.objects.all():
        assert_order_balances(order)
        assert_no_stall_pays_in(order)
        assert_money_agrees(order)


def assert_pool_balances(pool: Pool) -> None:
    """Taken is the sum of the holds, and never above capacity."""
    held = pool.holds.aggregate(sum=Sum("quantity"))["sum"] or 0
    assert pool.taken == held, f"{pool}: {pool.taken} are taken, but {held} are held."
    assert pool.capacity is None or pool.taken <= pool.capacity, f"{pool}: {pool.taken} of {pool.capacity} are taken."


def assert_payment_balances(payment: Payment) -> None:
    """It is captured if and only if money of it was written down."""
    captures = payment.movements.filter(kind=Movement.Kind.CAPTURE).count()
    assert (payment.status == Payment.Status.CAPTURED) == (captures > 0), f"{payment} with {captures} captures"


def assert_refunds_fit(payment: Payment) -> None:
    """Refunds that have not failed never exceed what came, and one at a time is under way.

    Whatever was done at SumUp is a fact, even beyond that; but then nothing is promised on top of it.
    """
    captured = sum_of(payment.movements.filter(kind=Movement.Kind.CAPTURE))
    ours = sum_of(payment.refunds.exclude(status__in=(Refund.Status.FAILED, Refund.Status.EXTERNAL)))
    assert ours <= captured, f"{payment}: {ours} of {captured} go back."
    waiting = sum_of(payment.refunds.filter(status=Refund.Status.REQUESTED))
    assert waiting <= max(payment.movements.all().net(), Decimal(0)), f"{payment}: {waiting} more is to go back."
    assert payment.refunds.filter(status__in=Refund.UNDER_WAY).count() <= 1, f"{payment}: two refunds are under way."


def assert_refund_moved_its_money_once(refund: Refund) -> None:
    """One movement of its amount if its money has left, and else none."""
    moved = list(Movement.objects.filter(refund=refund).values_list("amount", flat=True))
    assert moved == ([-refund.amount] if refund.status in WENT_BACK else []), f"{refund}: {moved}"


def assert_shares_add_up(movement: Movement) -> None:
    """The stalls' shares of a movement are all of it."""
    assert sum_of(movement.shares.all()) == movement.amount, f"{movement}: {list(movement.shares.all())}"


def assert_no_stall_pays_in(order: Order) -> None:
    """No stall but the house gave back more of the order's money than it got, nor got more than it was to get."""
    has = MovementShare.objects.filter(movement__order=order, movement__kind__in=Movement.SHOPPERS)
    for stall, amount in has.exclude(stall__is_house=True).order_by().values_list("stall").annotate(Sum("amount")):
        allocations = [a.amount for line in order.lines.all() for a in line.allocations.filter(stall=stall)]
        agreed = sum(allocations, Decimal(0))
        assert 0 <= amount <= agreed, f"{order}: stall {stall} has {amount} of {agreed}."


def assert_money_agrees(order: Order) -> None:
    """What the order's money is said to be is what its movements and refunds add up to."""
    money = ledger.money_of(order)
    assert money.came_in - money.went_back - money.charged_back == order.movements.all().net(), f"{order}: {money}"
    assert money.promised == sum_of(order.refunds.filter(status__in=Refund.ALIVE)), f"{order}: {money}"
    assert money.went_back == sum_of(order.refunds.filter(status__in=WENT_BACK)), f"{order}: {money}"


def sum_of(rows: QuerySet[Any]) -> Decimal:
    """The sum of their amounts."""
    total: Decimal | None = rows.aggregate(sum=Sum("amount"))["sum"]
    return total or Decimal(0)


def assert_order_balances(order: Order) -> None:
    """Its shares add up, its status is the last one written down, and it holds what an order of its status holds."""
    lines = list(order.lines.select_related("hold", "product", "entry"))
    assert sum((line.total for line in lines), Decimal(0)) == order.total
    for line in lines:
        assert line.allocations.aggregate(sum=Sum("amount"))["sum"] == line.total, f"{line}: its shares do not add up."
    assert_shares_fit(order)
    steps = list(order.events.filter(kind__in=Order.Status.values).values_list("kind", flat=True))
    assert order.status == (steps[-1] if steps else Order.Status.AWAITING_PAYMENT), f"{order}: {steps}"
    if order.status == Order.Status.AWAITING_PAYMENT:
        assert_all_is_held(lines)
    elif order.status in ENDED_UNSOLD:
        assert_nothing_is_held(lines)
    elif order.status in SOLD:
        assert_was_paid(order)
        assert_places_were_issued(lines)
        assert_offers_are_used(lines)


def assert_shares_fit(order: Order) -> None:
    """By stall and by tax rate the order comes to its total, and to less than nothing nowhere, nor for any line."""
    parts = LineAllocation.objects.filter(line__order=order).order_by()
    for by in ("stall", "tax_rate"):
        sums = [amount for _key, amount in parts.values_list(by).annotate(Sum("amount"))]
        assert sum(sums, Decimal(0)) == order.total, f"{order}: {sums} by {by}"
        assert min(sums, default=Decimal(0)) >= 0, f"{order}: {sums} by {by}"
    for line in order.lines.filter(kind__in=OrderLine.GOODS):
        assert worth_of(line) >= 0, f"{line}: its discount is more than its price."


def assert_offers_are_used(lines: list[OrderLine]) -> None:
    """A voucher of an order that was sold is used by it, and so is its window unless all its goods were called off."""
    goods = [line for line in lines if line.kind == OrderLine.Kind.PRODUCT]
    called_off = [sum(f.quantity for f in line.facts.filter(kind=LineFact.Kind.CANCELLED)) for line in goods]
    none_left = [line.quantity for line in goods] == called_off
    for line in lines:
        offer = line.slot or line.voucher
        if offer is not None and offer.pool_id is not None:
            uses = line.hold.quantity if line.hold else 0
            assert uses == (0 if line.slot and none_left else 1), f"{line} is used {uses} times."


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
    came_in = order.movements.filter(kind__in=(Movement.Kind.CAPTURE, Movement.Kind.CASH), amount__gt=0)
    assert sum_of(came_in) >= order.total, f"{order} is not paid."


def assert_places_were_issued(lines: list[OrderLine]) -> None:
    """One standing booking for each place sold and not called off since, but none at an entry that was called off.

    (An order that was cancelled and came back has the bookings of before as well, cancelled.)
    """
    for line in lines:
        if line.kind == OrderLine.Kind.ENTRY:
            called_off = Case.objects.filter(kind=Case.Kind.ENTRY_CANCELLED).about(line).exists()
            gone = sum(fact.quantity for fact in line.facts.filter(kind=LineFact.Kind.CANCELLED))
            stand = line.bookings.exclude(status__in=(Booking.Status.MOVED, Booking.Status.CANCELLED)).count()
            assert stand == (0 if called_off else line.quantity - gone), f"{line}: {stand} places stand."
