"""What was really paid for a thing, after its part of a discount."""

from decimal import Decimal

from orders.models import OrderLine
from orders.money import round_to_penny


def worth_of(line: OrderLine) -> Decimal:
    """What the whole line came to: its total less the discounts about it, in the order's currency."""
    return line.total + sum((part.amount for part in line.discounts.all()), Decimal("0.00"))


def paid_for(line: OrderLine, quantity: int, already: int) -> Decimal:
    """What `quantity` of a line was worth, when `already` of it was counted before; in the order's currency.

    Rounded so that all parts, in whatever portions, add up to exactly what the line came to; never negative.
    """
    whole = worth_of(line)
    return _up_to(line, already + quantity, whole) - _up_to(line, already, whole)


def _up_to(line: OrderLine, quantity: int, whole: Decimal) -> Decimal:
    """What the first `quantity` of the line were worth together."""
    return round_to_penny(whole * quantity / line.quantity)
