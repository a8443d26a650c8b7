"""What went back for what was called off, counted anew from what was written down: line by line, to the penny.

Only of orders to whose money nothing else happened, so that the sum is known.
"""

from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

from django.db.models import Count, Q

from bookings.models import Booking
from cartsite.models import Case
from orders.models import LineFact, Order, OrderEvent, OrderLine
from orders.worth import worth_of
from payments.models import Movement, Refund
from tests.machine.staff import CALLED_OFF

NOTHING, PENNY = Decimal("0.00"), Decimal("0.01")
BY_SHOPPER = "The shopper cancelled it."
# Places with another story: see worth_of_chains.py.
ELSEWHERE = ("place_moved", "move_begun", "entry_called_off", "entry_rescheduled")


def find_wrong_money_back(staff: int, porter: int) -> list[tuple[str, str]]:
    """Orders of which other money goes back than was paid for what was called off, less what is kept.

    `staff` and `porter` are primary keys: who calls off with the money, and who without.
    """
    rule = "what goes back is what was paid for what was called off, less what is kept"
    wrong = []
    for order in _plain_orders(porter):
        expected, found = _expected(order, staff), sum((r.amount for r in order.refunds.all()), NOTHING)
        if expected not in (None, found):
            wrong.append((rule, f"{order.number}: {found} goes back, not {expected}"))
    return wrong


def _plain_orders(porter: int) -> Iterator[Order]:
    """Confirmed once by one payment of all of it, of which nothing went back but for what was called off."""
    plain = (
        Order.objects.filter(refunds__isnull=False)
        .exclude(refunds__in=Refund.objects.filter(Q(status__in=["failed", "external"]) | Q(method="cash")))
        .exclude(refunds__in=Refund.objects.exclude(reason__in=[CALLED_OFF, BY_SHOPPER]))
        .exclude(movements__in=Movement.objects.filter(kind__in=["chargeback", "cash"]))
        .exclude(lines__facts__in=LineFact.objects.filter(by=porter))
        .exclude(events__in=OrderEvent.objects.filter(kind__in=ELSEWHERE))
        .exclude(uuid__in=Case.objects.filter(kind=Case.Kind.OVERPAID).values("subject_uuid"))
        .distinct()
    )
    for order in plain:
        captured = [m.amount for m in order.movements.filter(kind="capture")]
        steps = order.events.filter(kind__in=Order.Status.values).aggregate(
            confirmed=Count("pk", filter=Q(kind="confirmed")), ended=Count("pk", filter=~Q(kind="confirmed"))
        )
        if captured == [order.total] and steps["confirmed"] == 1 and steps["ended"] <= 1:
            yield order


def _expected(order: Order, staff: int) -> Decimal | None:
    """What must go back; None where staff called off some places of a line and the shopper others, since nobody wrote
    down whose those were."""
    end = OrderEvent.objects.filter(order=order, kind="cancelled").first()
    if end is not None and end.by_id == staff:
        return order.total  # staff call a whole order off: everything goes back, whatever was kept before
    lines = list(order.lines.filter(kind__in=OrderLine.GOODS).prefetch_related("discounts"))
    parts: dict[int, list[tuple[int, bool]]] = defaultdict(list)  # by line: how many, and whether by its shopper
    for fact in LineFact.objects.filter(line__order=order, kind="cancelled").order_by("pk"):
        parts[fact.line_id].append((fact.quantity, fact.by_id != staff))
    for line in lines:
        left = line.quantity - sum(quantity for quantity, _by in parts[line.pk])
        if end is not None and left:
            parts[line.pk].append((left, True))
    if any(line.kind == OrderLine.Kind.ENTRY and len({by for _n, by in parts[line.pk]}) > 1 for line in lines):
        return None
    goods = [line for line in lines if line.kind == OrderLine.Kind.PRODUCT]
    is_gone = all(line.quantity == sum(quantity for quantity, _by in parts[line.pk]) for line in goods)
    back = sum((_back_for(line, parts[line.pk]) for line in lines), NOTHING)
    fees = sum((line.total for line in order.lines.filter(kind="fee")), NOTHING)
    return back + (fees if goods and is_gone else NOTHING)


def _back_for(line: OrderLine, parts: list[tuple[int, bool]]) -> Decimal:
    """What goes back for the parts of a line: all that was paid for them, or less what is kept from shoppers."""
    worth, back = worth_of(line), NOTHING
    for number, by_shopper in _numbered(line, parts):
        before, after = _round(worth * (number - 1) / line.quantity), _round(worth * number / line.quantity)
        back += after - before
        if by_shopper:
            back -= _round(after * line.kept_percent / 100) - _round(before * line.kept_percent / 100)
    return back


def _numbered(line: OrderLine, parts: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
    """Each thing that was called off by its number: goods one after the other, places from the last one issued on,
    whichever of them were chosen."""
    flags = [by_shopper for quantity, by_shopper in parts for _one in range(quantity)]
    if line.kind == OrderLine.Kind.PRODUCT:
        return list(enumerate(flags, start=1))
    bookings = enumerate(line.bookings.order_by("-pk"), start=1)
    gone = [number for number, booking in bookings if booking.status == Booking.Status.CANCELLED]
    return list(zip(gone, flags, strict=True))


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(PENNY, rounding=ROUND_HALF_UP)
