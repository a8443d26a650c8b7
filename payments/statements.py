"""What each stall sold, gave back, paid in fees and was paid out, over any days: the movements' shares, added up."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q, Sum
from django.utils.translation import gettext as _

from cart.models import Stall
from orders.models import in_sums
from payments.closing import bounds
from payments.models import Movement, MovementShare, Taking

NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class Row:
    """One stall's money, in the shop's currency. What left the stall is negative."""

    stall: str
    sold: Decimal = NOTHING  # by card
    cash: Decimal = NOTHING  # by hand, both ways
    refunded: Decimal = NOTHING
    charged_back: Decimal = NOTHING
    fees: Decimal = NOTHING
    paid_out: Decimal = NOTHING  # by SumUp to the co-operative's bank

    @property
    def net(self) -> Decimal:
        """What the stall earned."""
        return self.sold + self.cash + self.refunded + self.charged_back + self.fees

    @property
    def at_sumup(self) -> Decimal:
        """What of that came by card in this time and was not paid out in it: what SumUp still has, or the other way."""
        return self.net - self.cash - self.paid_out


@dataclass(frozen=True)
class Statement:
    """All stalls' rows for a time, both days included, and what they add up to."""

    first: date
    last: date
    rows: list[Row]

    @property
    def total(self) -> Row:
        """All rows together: it agrees with the movements and the takings, to the penny."""
        return _add("", self.rows)


COLUMNS = {
    "sold": Q(movement__kind=Movement.Kind.CAPTURE),
    "cash": Q(movement__kind=Movement.Kind.CASH),
    "refunded": Q(movement__kind=Movement.Kind.REFUND),
    "charged_back": Q(movement__kind=Movement.Kind.CHARGEBACK),
    "fees": Q(movement__kind=Movement.Kind.FEE),
    "paid_out": Q(movement__kind=Movement.Kind.PAYOUT),
}

OF_READERS = {
    "sold": Movement.Kind.CAPTURE,
    "refunded": Movement.Kind.REFUND,
    "charged_back": Movement.Kind.CHARGEBACK,
    "fees": Movement.Kind.FEE,
    "paid_out": Movement.Kind.PAYOUT,
}


def statement(first: date, last: date, stall: Stall | None = None) -> Statement:
    """Every stall's money (or one stall's) from the beginning of one day of the shop to the end of another.

    A stall without any movement in that time has no row.
    """
    start, end = bounds(first)[0], bounds(last)[1]
    counted = MovementShare.objects.filter(in_sums("movement__order__"))
    shares = counted.filter(movement__happened_at__gte=start, movement__happened_at__lt=end)
    if stall is not None:
        shares = shares.filter(stall=stall)
    sums = {name: Sum("amount", filter=which, default=NOTHING) for name, which in COLUMNS.items()}
    rows = shares.order_by("stall__name").values_list("stall__name").annotate(**sums)
    told = [Row(name, *amounts) for name, *amounts in rows]
    return Statement(first, last, told if stall is not None else [*told, *_of_readers(start, end)])


def _of_readers(start: datetime, end: datetime) -> list[Row]:
    """What card readers took from one moment to another: a line of its own, since no stall's order knows of it."""
    taken = Taking.objects.in_sums().between(start, end).order_by()
    sums: dict[str, Decimal] = dict(taken.values_list("kind").annotate(Sum("amount")))
    if not sums:
        return []
    amounts = {name: sums.get(kind, NOTHING) for name, kind in OF_READERS.items()}
    return [Row(str(_("Takings at card readers")), **amounts)]


def _add(name: str, rows: Iterable[Row]) -> Row:
    rows = list(rows)
    amounts = [field.name for field in fields(Row) if field.name != "stall"]
    return Row(name, **{amount: sum((getattr(row, amount) for row in rows), NOTHING) for amount in amounts})
