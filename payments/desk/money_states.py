"""What the money of orders comes to: of many at once, for a list of them, and of one in words."""

from decimal import Decimal
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.utils.translation import gettext_lazy as _

from orders.models import Order
from payments.ledger import NOTHING, Money, MoneyState
from payments.models import Movement

KINDS = Movement.Kind
# As ledger.money_of counts them; a test holds the two together.
SUMS = {
    "money_came_in": Q(kind=KINDS.CAPTURE) | Q(kind=KINDS.CASH, amount__gt=0),
    "money_went_back": Q(kind=KINDS.REFUND) | Q(kind=KINDS.CASH, amount__lt=0),
    "money_charged_back": Q(kind=KINDS.CHARGEBACK),
}

IN_WORDS = {
    MoneyState.UNPAID: _("Unpaid"),
    MoneyState.PART_PAID: _("Part-paid"),
    MoneyState.PAID: _("Paid"),
    MoneyState.OVERPAID: _("Overpaid"),
    MoneyState.PART_REFUNDED: _("Part-refunded"),
    MoneyState.REFUNDED: _("Refunded"),
    MoneyState.DISPUTED: _("Disputed"),
}
COLOURS = {
    MoneyState.PART_PAID.value: "warning",
    MoneyState.PAID.value: "success",
    MoneyState.OVERPAID.value: "danger",
    MoneyState.PART_REFUNDED.value: "info",
    MoneyState.REFUNDED.value: "info",
    MoneyState.DISPUTED.value: "danger",
}


def with_money(orders: QuerySet[Order]) -> QuerySet[Any]:
    """The orders, each with what its movements come to."""
    return orders.annotate(**{name: _sum(which) for name, which in SUMS.items()})


def _sum(which: Q) -> Subquery:
    movements = Movement.objects.filter(which, order=OuterRef("pk")).order_by().values("order")
    return Subquery(movements.annotate(sum=Sum("amount")).values("sum"))


def state_of(order: Any) -> MoneyState:
    """The money state of an order from `with_money`."""
    came_in, went_back, charged_back = (abs(getattr(order, name) or NOTHING) for name in SUMS)
    return Money(order.total, came_in, went_back, charged_back, promised=Decimal(0)).state
