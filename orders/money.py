"""Exact sums: rounding half up, once per line, tax included in prices."""

from decimal import ROUND_HALF_UP, Decimal

PENNY = Decimal("0.01")


def round_to_penny(amount: Decimal) -> Decimal:
    """The amount with two places, halves away from zero."""
    return amount.quantize(PENNY, rounding=ROUND_HALF_UP)


def tax_within(amount: Decimal, rate: Decimal) -> Decimal:
    """How much of a tax-inclusive amount is tax at this rate (per cent)."""
    return amount - round_to_penny(amount / (1 + rate / 100))
