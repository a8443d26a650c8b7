"""Calling off what was sold, with the money that goes back for it: one transaction for both."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext as _

from cartsite.models import Case, User
from orders import services as orders
from orders.models import Order, OrderLine
from payments import ledger, refunds
from payments.models import Refund
from payments.refunds import CannotRefund, Wish


class CannotCancel(Exception):
    """It cannot be called off; nothing has moved. The text says why, to staff."""


@dataclass(frozen=True)
class Part:
    """So many of a line."""

    line: OrderLine
    quantity: int

    @property
    def worth(self) -> Decimal:
        """What was paid for it, in the order's currency."""
        return self.line.unit_price * self.quantity


@transaction.atomic
def cancel_order(order: Order, *, by: User, reason: str) -> list[Refund]:
    """Call a whole confirmed order off and ask for all its money to go back; the refunds, to be approved.

    What cannot go back by card becomes an `overpaid` case. Raises CannotCancel once anything was handed out.
    """
    order = orders.lock(order.pk)
    if not orders.cancel_confirmed(order, by=by, cause=reason[:60]):
        raise CannotCancel(_("It is not confirmed, or something of it was collected or attended already."))
    return _send_back(order, Wish(ledger.money_of(order).net, reason, by))


@transaction.atomic
def cancel_parts(parts: list[Part], *, by: User, reason: str) -> list[Refund]:
    """Call so many of some lines of one order off and ask for their money to go back, if the order has so much left;
    the refunds, to be approved.

    What cannot go back by card becomes an `overpaid` case. Raises CannotCancel, with nothing moved.
    """
    asked = []
    for part in parts:
        try:
            orders.cancel_some(part.line, part.quantity, by=by)
        except orders.CannotRecord as refusal:
            raise CannotCancel(str(refusal)) from refusal
        order = orders.lock(part.line.order_id)
        worth = min(part.worth, ledger.money_of(order).net)
        asked += _send_back(order, Wish(worth, reason, by, part.line))
    return asked


def _send_back(order: Order, wish: Wish) -> list[Refund]:
    if wish.amount <= 0:
        return []
    try:
        return refunds.request_from_order(order, wish)
    except CannotRefund as refusal:
        what_happened = _("Order %(number)s: something was called off, and its money must go back. %(why)s")
        said = what_happened % {"number": order.number, "why": refusal}
        Case.open(Case.Kind.OVERPAID, order, said, at_stake=wish.amount)
        return []
