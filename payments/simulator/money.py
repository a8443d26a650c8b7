"""Money as it is reckoned here: exact, in major units, to the penny."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

PENNY = Decimal("0.01")
NOTHING = Decimal("0.00")
TOO_MUCH = 10_000_000


def is_amount(value: Any) -> bool:
    """Whether this is a number above nothing, and not finer than a penny."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    if isinstance(value, Decimal) and not value.is_finite():
        return False
    # The bounds come first: they also keep out exponents too large to calculate with.
    return 0 < value < TOO_MUCH and Decimal(str(value)) == read_money(value)


def read_money(value: int | float | Decimal | str) -> Decimal:
    """The number as money."""
    return Decimal(str(value)).quantize(PENNY)


def fee_of(amount: Decimal, percent: float) -> Decimal:
    """What is kept of an amount for taking it, half a penny rounded up."""
    return (amount * Decimal(str(percent)) / 100).quantize(PENNY, ROUND_HALF_UP)


def in_minor_units(amount: Decimal) -> int:
    """The amount in pennies."""
    return int(amount * 100)
