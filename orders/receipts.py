"""An order's receipt: who sold what at which price, and how much of that is tax. It adds up to the penny."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from cart.models import Stall
from orders.models import LineAllocation, Order, OrderLine

NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class Rate:
    """What was sold at one tax rate (per cent), in the order's currency; net and tax are the gross."""

    rate: Decimal
    gross: Decimal
    tax: Decimal

    @property
    def net(self) -> Decimal:
        return self.gross - self.tax


@dataclass(frozen=True)
class Seller:
    """One stall with the goods and places it sold, and what it gets of the order after discounts and with fees."""

    stall: Stall
    lines: list[OrderLine]
    gets: Decimal


@dataclass(frozen=True)
class Receipt:
    """What was bought, as it was agreed when the order was placed."""

    sellers: list[Seller]
    extras: list[OrderLine]  # discounts, and how goods are handed over
    rates: list[Rate]
    total: Decimal

    @property
    def tax(self) -> Decimal:
        return sum((rate.tax for rate in self.rates), NOTHING)

    @property
    def net(self) -> Decimal:
        return self.total - self.tax


def write(order: Order) -> Receipt:
    """The order's receipt, from how its lines were shared out among stalls and tax rates."""
    lines = list(order.lines.select_related("stall"))
    parts = list(LineAllocation.objects.filter(line__order=order).select_related("stall").order_by("tax_rate", "pk"))
    return Receipt(
        sellers=_sellers(lines, parts),
        extras=[line for line in lines if line.kind not in OrderLine.GOODS],
        rates=_rates(parts),
        total=order.total,
    )


def _rates(parts: Iterable[LineAllocation]) -> list[Rate]:
    """What was sold at each rate, the lowest first. (`parts` are in the order of their rates.)"""
    groups = ((rate, list(group)) for rate, group in groupby(parts, key=lambda part: part.tax_rate))
    return [
        Rate(rate, sum((part.amount for part in group), NOTHING), sum((part.tax for part in group), NOTHING))
        for rate, group in groups
    ]


def _sellers(lines: list[OrderLine], parts: list[LineAllocation]) -> list[Seller]:
    """Every stall that sold something or gets some of the money, by name; the house last."""
    stalls = {part.stall_id: part.stall for part in parts} | {line.stall_id: line.stall for line in lines}
    sellers = [
        Seller(
            stall,
            [line for line in lines if line.stall_id == key and line.kind in OrderLine.GOODS],
            sum((part.amount for part in parts if part.stall_id == key), NOTHING),
        )
        for key, stall in stalls.items()
    ]
    telling = [seller for seller in sellers if seller.lines or seller.gets]
    return sorted(telling, key=lambda seller: (seller.stall.is_house, seller.stall.name))
