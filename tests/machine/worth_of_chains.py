"""What a shopper paid over an order and all that its places moved on to, less what went back: it is what they have.

Only where nothing else happened to that money, so that the sum is known. What orders before paid for a place counts,
however often it was moved.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from django.db.models import Q, Sum

from bookings.models import Booking
from cartsite.models import Case
from orders.models import LineFact, Order, OrderEvent, OrderLine
from orders.worth import paid_for, places_of, worth_of
from payments.models import Movement, Refund
from tests.machine.money_back import BY_SHOPPER, ELSEWHERE
from tests.machine.staff import CALLED_OFF
from tests.machine.world import AWAY, RULE

NOTHING = Decimal("0.00")
KNOWN = (
    *(BY_SHOPPER, CALLED_OFF, AWAY),
    *("The shopper moved it to a cheaper date.", "The shopper took a cheaper date."),
    *("It could not be moved.", "The event was called off."),
)
MOST_KEPT = Decimal(str(RULE["kept_percent"])) / 100
PENNIES = Decimal("0.10")  # what rounding may come to, over all places of a chain


def find_wrong_worth(porter: int) -> list[tuple[str, str]]:
    """Chains of orders with other money than what is left of them is worth, and what of their places was kept."""
    rule = "what was paid over a chain of orders, less what went back, is what there is for it"
    wrong = []
    for chain in _chains():
        if _is_plain(chain, porter):
            paid, has = _paid(chain), sum((_has(order) for order in chain), NOTHING)
            kept = _most_kept(chain)
            if not has <= paid <= has + kept:
                numbers = ", ".join(order.number for order in chain)
                wrong.append((rule, f"{numbers}: {paid} stayed, for {has} (and up to {kept} kept)"))
    return wrong


def _chains() -> Iterator[list[Order]]:
    """Orders of which places moved or were called off, with all those that they went to."""
    first_of: dict[str, str] = {}
    numbers = OrderEvent.objects.filter(kind__in=ELSEWHERE).order_by("order").values_list("order__number", flat=True)
    begun = OrderEvent.objects.filter(kind="move_begun").order_by("order")
    before = {event.order.number: event.data["order"] for event in begun.select_related("order")}
    for number in dict.fromkeys([*numbers, *before.values()]):
        first = number
        while first in before:
            first = before[first]
        first_of[number] = first
    for first in dict.fromkeys(first_of.values()):
        members = [first, *(number for number, begins in first_of.items() if begins == first and number != first)]
        yield list(Order.objects.filter(number__in=members).order_by("pk"))


def _is_plain(chain: list[Order], porter: int) -> bool:
    """Whether each was paid by one payment of all of it, or not at all, and all that went back is understood."""
    of_chain = {"order__in": chain}
    strange = (
        Refund.objects.filter(
            Q(status__in=["failed", "external"]) | Q(method="cash") | ~Q(reason__in=KNOWN), **of_chain
        )
        .exclude(amount=0)
        .exists()
        or Movement.objects.filter(kind__in=["chargeback", "cash"], **of_chain).exists()
        or LineFact.objects.filter(line__order__in=chain, by=porter).exists()
        or Case.objects.filter(kind=Case.Kind.OVERPAID).about(*chain).exists()
    )
    return not strange and all(_is_settled(order) for order in chain)


def _is_settled(order: Order) -> bool:
    """Whether it was paid once and stands or was called off; or was never paid."""
    captured = [movement.amount for movement in order.movements.filter(kind="capture")]
    steps = [event.kind for event in order.events.filter(kind__in=Order.Status.values) if event.cause != Order.REOPENED]
    if "confirmed" not in steps:
        return not captured
    in_vain = Case.objects.filter(kind=Case.Kind.ENTRY_CANCELLED).about(*order.lines.all())
    asked = order.refunds.filter(line__uuid__in=in_vain.values("subject_uuid"))
    is_once = steps.count("confirmed") == 1 and steps.index("confirmed") >= steps.count("expired")
    return (
        sum(captured) == order.total
        and is_once
        and "cancelled" not in steps[:1]
        and (not in_vain.exists() or asked.exists())
    )


def _paid(chain: Iterable[Order]) -> Decimal:
    """What came in, less all that went back or is to."""
    moved = Movement.objects.filter(order__in=list(chain)).net()
    promised = Refund.objects.alive().filter(order__in=list(chain)).aggregate(sum=Sum("amount"))["sum"]
    return moved - (promised or NOTHING)


def _has(order: Order) -> Decimal:
    """What there is for it: places that stand, goods that were not called off, and how they are handed over."""
    if order.status not in (Order.Status.CONFIRMED, Order.Status.COMPLETED):
        return NOTHING
    return sum((_has_of(line) for line in order.lines.with_counts().prefetch_related("discounts")), NOTHING)


def _has_of(line: OrderLine) -> Decimal:
    if line.kind == OrderLine.Kind.ENTRY:
        standing = line.bookings.exclude(status__in=[Booking.Status.MOVED, Booking.Status.CANCELLED])
        return sum((place.worth for place in places_of(line, standing)), NOTHING)
    if line.kind == OrderLine.Kind.PRODUCT:
        cancelled: int = line.cancelled  # type: ignore[attr-defined]
        return paid_for(line, line.quantity - cancelled, cancelled)
    if line.kind == OrderLine.Kind.FEE:
        back = line.refunds.exclude(status="failed").aggregate(sum=Sum("amount"))["sum"]
        return worth_of(line) - (back or NOTHING)
    return NOTHING  # discounts are about the others


def _most_kept(chain: list[Order]) -> Decimal:
    """What may have been kept of what its shopper called off: nothing if they called nothing off."""
    if not Refund.objects.filter(order__in=chain, reason=BY_SHOPPER).exists():
        return NOTHING
    came_in = Movement.objects.filter(order__in=chain, kind="capture").aggregate(sum=Sum("amount"))["sum"]
    return (came_in or NOTHING) * MOST_KEPT + PENNIES
