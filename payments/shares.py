"""Whose money is it? Every movement is shared out among the stalls as it is written, to the penny."""

from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from cart.models import Stall
from orders.models import LineAllocation, Order, OrderLine
from orders.money import share_out
from payments.models import Movement, MovementShare

Shares = dict[int, Decimal]  # by the stall's primary key


def for_money_in(order: Order, amount: Decimal) -> Shares:
    """Who gets money that comes in: every stall what it is still owed; what is too much is the house's."""
    parts = _take(amount, _less(_agreed(order), _received(order)))
    return _with_house(parts, amount - sum(parts.values()))


def for_money_out(order: Order, amount: Decimal, line: OrderLine | None = None) -> Shares:
    """Who gives money that goes back, as negative parts of a positive amount.

    First the line's own stalls, as far as they have it; without a line the house, what was too much. Then everybody by
    what they have. What nobody has is the house's loss.
    """
    has = _received(order)
    first = _of_line(line, has) if line is not None else _too_much(order, has)
    parts = _take(amount, first)
    left = amount - sum(parts.values())
    has = _less(has, parts)
    more = _take(left, has)
    parts = {key: parts.get(key, Decimal(0)) + more.get(key, Decimal(0)) for key in parts.keys() | more.keys()}
    return {key: -part for key, part in _with_house(parts, left - sum(more.values())).items()}


def _of_line(line: OrderLine, has: Shares) -> Shares:
    """What the stalls got for a line, after the discounts about it, as far as they have it still."""
    agreed = _agreed_for(LineAllocation.objects.filter(Q(line=line) | Q(about=line)))
    return {key: min(part, has.get(key, Decimal(0))) for key, part in agreed.items()}


def _too_much(order: Order, has: Shares) -> Shares:
    """What came in beyond the order's total, which is the house's."""
    extra = sum(has.values(), Decimal(0)) - order.total
    return {Stall.objects.house().pk: extra} if extra > 0 else {}


def _take(amount: Decimal, weights: Shares) -> Shares:
    """As much of an amount as the weights have, shared out by them."""
    return share_out(min(amount, sum((weight for weight in weights.values() if weight > 0), Decimal(0))), weights)


def like(movement: Movement, amount: Decimal) -> Shares:
    """Share an amount (of either sign) as another movement was shared: a fee follows its payment.

    What was never shared out (before shares were kept) is the house's.
    """
    weights = {share.stall_id: abs(share.amount) for share in movement.shares.all()}
    return share_out(amount, weights) or _with_house({}, amount)


def of_payout(capture: Movement, amount: Decimal, fee: Decimal) -> Shares:
    """Share what was paid out: each stall's part of the payment less its part of the fee."""
    if amount != capture.amount - fee:  # a deduction, or a part: no stall's own sum
        return like(capture, amount)
    fees = like(capture, fee)
    parts = {share.stall_id: share.amount - fees.get(share.stall_id, Decimal(0)) for share in capture.shares.all()}
    return {key: part for key, part in parts.items() if part}


def write(movement: Movement, shares: Shares) -> None:
    """Write the shares of a movement down, for good. Raises ValueError if they do not add up to it."""
    if sum(shares.values(), Decimal(0)) != movement.amount:
        raise ValueError(f"The shares {shares} are not {movement.amount} in all")
    MovementShare.objects.bulk_create(
        MovementShare(movement=movement, stall_id=stall, amount=part) for stall, part in sorted(shares.items())
    )


def _agreed(order: Order) -> Shares:
    return _agreed_for(LineAllocation.objects.filter(line__order=order))


def _agreed_for(allocations: QuerySet[LineAllocation]) -> Shares:
    """What each stall was to get when the order was placed."""
    return dict(allocations.order_by().values_list("stall").annotate(Sum("amount")))


def _received(order: Order) -> Shares:
    """What each stall has of the order's money now, fees and payouts aside."""
    shares = MovementShare.objects.filter(movement__order=order, movement__kind__in=Movement.SHOPPERS)
    return dict(shares.order_by().values_list("stall").annotate(Sum("amount")))


def _less(parts: Shares, others: Shares) -> Shares:
    return {key: parts.get(key, Decimal(0)) - others.get(key, Decimal(0)) for key in parts.keys() | others.keys()}


def _with_house(shares: Shares, more: Decimal) -> Shares:
    if not more:
        return shares
    house = Stall.objects.house().pk
    return shares | {house: shares.get(house, Decimal(0)) + more}
