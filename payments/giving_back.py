"""Money that goes back for places and goods: how much there is for it, to the card where it can, else by hand.

What was paid for a place by way of an order before goes back from that one.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from django.db.models import F, Sum, Value
from django.db.models.functions import Coalesce, Concat
from django.utils.translation import gettext as _

from cart.models import Cart
from cartsite.models import Case
from orders import services as orders
from orders.models import Order, OrderLine
from orders.worth import Piece, carried_by
from payments import ledger, refunds
from payments.models import Payment, Refund
from payments.refunds import Wish

NOTHING = Decimal("0.00")


# --- How much there is ------------------------------------------------------------------------------------------------


def by_line(pieces: Iterable[Piece]) -> list[Piece]:
    """The same money, each line once."""
    sums: dict[OrderLine, Decimal] = {}
    for piece in pieces:
        sums[piece.line] = sums.get(piece.line, NOTHING) + piece.amount
    return [Piece(line, amount) for line, amount in sums.items()]


class Purse:
    """What is left of the money of an order, and of those that its places came from: nothing goes back beyond that.

    What places that moved on from the order are worth elsewhere stays with it.
    """

    def __init__(self, order: Order) -> None:
        self._left = {order.pk: ledger.money_of(order).net - carried_by(order)}

    def pay(self, pieces: Iterable[Piece]) -> list[Piece]:
        """These pieces, as far as there is money for each."""
        return [Piece(piece.line, self._pay(piece)) for piece in pieces]

    def _pay(self, piece: Piece) -> Decimal:
        order = piece.line.order
        if order.pk not in self._left:
            self._left[order.pk] = ledger.money_of(order).net
        amount = max(min(piece.amount, self._left[order.pk]), NOTHING)
        self._left[order.pk] -= amount
        return amount


def is_by_card(pieces: Iterable[Piece]) -> bool:
    """Whether all of these can go back to cards."""
    sums: dict[Order, Decimal] = {}
    for piece in pieces:
        sums[piece.line.order] = sums.get(piece.line.order, NOTHING) + piece.amount
    return all(amount <= by_card(order) for order, amount in sums.items())


def by_card(order: Order) -> Decimal:
    """How much of the order's money can go back to cards: of all its payments together no more than it has left."""
    captured = order.payments.filter(status=Payment.Status.CAPTURED)
    left = max(ledger.money_of(order).net, NOTHING)
    return min(sum((ledger.refundable_in_all(payment) for payment in captured), NOTHING), left)


def split(amount: Decimal, most: Decimal) -> tuple[Decimal, Decimal]:
    """What of an amount goes back to the card, which can take `most`, and what of it by hand: the card comes first."""
    to_card = min(amount, most)
    return to_card, amount - to_card


def due_by_hand(order: Order) -> Decimal:
    """What of the order's money must go back by hand already, as its open `overpaid` case says."""
    standing = Case.objects.unresolved().filter(kind=Case.Kind.OVERPAID).about(order)
    return standing.aggregate(sum=Sum("at_stake"))["sum"] or NOTHING


# --- Sending it back -------------------------------------------------------------------------------------------------


def send_back(order: Order, wishes: list[Wish]) -> list[Refund]:
    """Ask for the money to go back, from the order of the wish's line if it names one. Returns the refunds.

    The card part of each wish goes to the card. What did not come by card becomes one case for each order.
    """
    asked: list[Refund] = []
    by_hand: dict[Order, Decimal] = {}
    for wish in wishes:
        if wish.amount <= 0:
            continue
        whose = wish.line.order if wish.line else order
        to_card, rest = split(wish.amount, by_card(whose))
        if to_card:
            asked += refunds.request_from_order(whose, replace(wish, amount=to_card))
        by_hand[whose] = by_hand.get(whose, NOTHING) + rest
    for whose, amount in by_hand.items():
        if amount:
            ask_a_person(whose, amount)
    return asked


def ask_a_person(order: Order, missed: Decimal) -> None:
    """So much must go back by hand: a case of its own, or on top of what the locked order's open one is about."""
    what_happened = _(
        "Order %(number)s: something was called off, and its money must go back. %(missed)s of it did not come by card:"
        " that goes back by hand."
    )
    said = what_happened % {"number": order.number, "missed": missed}
    raised = Coalesce(F("at_stake"), NOTHING) + missed
    told = Concat("what_happened", Value(f" {said}"))
    standing = Case.objects.unresolved().filter(kind=Case.Kind.OVERPAID).about(order)
    if not standing.update(at_stake=raised, what_happened=told):
        Case.open(Case.Kind.OVERPAID, order, said, at_stake=missed)


def end_unpaid(order: Order, cart: Cart | None) -> bool:
    """End a locked order the way its closing says: in the same transaction all its money is asked to go back.

    The lines go into the cart, which is locked before the order; without one what they hold is freed. Whoever
    cancelled it approves the refunds with that, if they may. Call it only when none of the order's payments can be
    paid any more.
    """
    reason = order.closing_reason or _("The order was cancelled before all of it was paid.")
    by = order.closing_user
    money = ledger.money_of(order).net - due_by_hand(order)
    for refund in send_back(order, [Wish(money, reason, by)]):
        if by is not None and by.has_perm(refunds.MAY_APPROVE):
            refunds.approve(refund, by=by)
    return orders.let_go(order, cart)


def send_back_approved(order: Order, wishes: list[Wish]) -> None:
    """Send money back that was promised to the shopper: nobody has to approve it any more."""
    for refund in send_back(order, wishes):
        refunds.approve(refund, by=None)
