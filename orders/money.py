"""Exact sums: rounding half up, once per line, tax included in prices."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

PENNY = Decimal("0.01")


def round_to_penny(amount: Decimal) -> Decimal:
    """The amount with two places, halves away from zero."""
    return amount.quantize(PENNY, rounding=ROUND_HALF_UP)


def tax_within(amount: Decimal, rate: Decimal) -> Decimal:
    """How much of a tax-inclusive amount is tax at this rate (per cent)."""
    return amount - round_to_penny(amount / (1 + rate / 100))


def share_out(amount: Decimal, weights: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """Split an amount by weights, by the largest remainder: the parts add up to it, and none is above its weight
    unless the amount is above their sum.

    Of equal remainders the lower key comes first. Weights of nothing, or none at all, get nothing; then so does
    everybody, and the answer is empty.
    """
    weighty = {key: weight for key, weight in sorted(weights.items()) if weight > 0}
    whole = sum(weighty.values(), Decimal(0))
    if not whole:
        return {}
    exact = {key: amount * weight / whole for key, weight in weighty.items()}
    parts = {key: share.quantize(PENNY, rounding=ROUND_DOWN) for key, share in exact.items()}
    left = int((amount - sum(parts.values())) / PENNY)  # pennies; negative if the amount is
    step = PENNY if left > 0 else -PENNY
    by_remainder = sorted(parts, key=lambda key: -abs(exact[key] - parts[key]))
    for key in by_remainder[: abs(left)]:
        parts[key] += step
    return {key: part for key, part in parts.items() if part}
