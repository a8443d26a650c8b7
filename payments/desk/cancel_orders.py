"""Cancelling chosen orders, paid or not: what each comes to, and a yes for all of them."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from django.http import HttpRequest

from cartsite.backoffice import log, may_see, person_of
from cartsite.staff_actions import RowPreview, StaffAction
from cartsite.templatetags.shop import in_words
from orders import services as orders
from orders.models import Order, OrderLine
from payments import cancelling, giving_back, ledger, releasing
from payments.desk import order_money, steps
from payments.desk.order_money import CONSEQUENCES, Way

NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class Comes:
    """What cancelling one order comes to."""

    sentences: list[str]
    to_card: Decimal
    by_hand: Decimal


def _way_for(order: Order) -> Way | None:
    """How the order can be cancelled, if it can be."""
    if order.status == Order.Status.CONFIRMED:
        return Way.CANCEL
    return Way.LET_GO if order.is_awaiting_payment and not order.is_cancelled_by_staff else None


def _cancel(request: HttpRequest, order: Order, reason: str) -> Comes:
    """Cancel the order inside the caller's transaction. Raises one of `steps.REFUSALS`."""
    order = orders.lock(order.pk)
    cancel = _cancel_paid if _way_for(order) == Way.CANCEL else _begin_to_cancel_unpaid
    return cancel(request, order, reason)


def _cancel_paid(request: HttpRequest, order: Order, reason: str) -> Comes:
    before, due = order_money.look(order), giving_back.due_by_hand(order)
    asked = cancelling.cancel_order(order, by=person_of(request), reason=reason)
    steps.approve_all(request, asked)
    said = order_money.compare(order, before, order_money.look(Order.objects.get(pk=order.pk)))
    for refund in asked:
        if refund.order_id != order.pk:
            amount = in_words(refund.amount, refund.currency)
            said.append(f"{amount} goes back to the card from order {refund.order}, which the places were moved from.")
    to_card = sum((refund.amount for refund in asked), NOTHING)
    return Comes(said, to_card, giving_back.due_by_hand(order) - due)


def _begin_to_cancel_unpaid(request: HttpRequest, order: Order, reason: str) -> Comes:
    """The rest is done after the transaction, since SumUp is asked for it."""
    came = ledger.money_of(order).net - giving_back.due_by_hand(order)
    to_card, by_hand = giving_back.split(max(came, NOTHING), giving_back.by_card(order))
    person = person_of(request)
    releasing.begin(order, to=Order.Status.CANCELLED, by=Order.Closer.STAFF, user=person, reason=reason)
    said = ["It is not paid.", str(CONSEQUENCES[Way.LET_GO]), *order_money.say_freed(*_held(order))]
    if to_card:
        said.append(f"{in_words(to_card, order.currency)} of it was paid by card and goes back there.")
    return Comes(said, to_card, by_hand)


def _held(order: Order) -> tuple[int, int]:
    """How many places and how many articles an unpaid order holds."""
    held = dict(order.lines.filter(hold__isnull=False).values_list("kind").annotate(Sum("hold__quantity")))
    return held.get(OrderLine.Kind.ENTRY, 0), held.get(OrderLine.Kind.PRODUCT, 0)


def _preview(request: HttpRequest, order: Order) -> RowPreview:
    """Cancel the order, and undo it in the same transaction."""
    if _way_for(order) is None:
        being = "It is being cancelled already." if order.is_cancelled_by_staff else ""
        return RowPreview(why_not=being or f"Its status is: {order.get_status_display()}.")
    facts = order_money.facts_of(order)
    try:
        with transaction.atomic():
            comes = _cancel(request, order, "")
            transaction.set_rollback(True)
    except steps.REFUSALS as refusal:
        return RowPreview(why_not=steps.in_words(refusal))
    sums = {"goes back to cards": comes.to_card, "goes back by hand": comes.by_hand}
    return RowPreview([*comes.sentences, *_say_by_hand(order, comes), _say_who_is_told(request, order)], facts, sums)


def _say_by_hand(order: Order, comes: Comes) -> list[str]:
    return [f"{in_words(comes.by_hand, order.currency)} goes back by hand."] if comes.by_hand else []


def _say_who_is_told(request: HttpRequest, order: Order) -> str:
    if not hasattr(order, "contact"):
        return "Nobody is told: who ordered has been erased."
    whom = order.contact.email if may_see(request, "orders.ordercontact") else "The shopper"
    return f"{whom} is told by email."


def _run(request: HttpRequest, order: Order, note: str) -> str:
    """Raises Refused."""
    comes = steps.ask(lambda: _cancel(request, order, note))
    log(request, order, f"Cancelled: {note}")
    return " ".join([f"Order {order}:", *comes.sentences, *_say_by_hand(order, comes)])


ACTION = StaffAction(
    "cancel orders",
    "Cancel these orders",
    "Each of these is cancelled: its places and stock go back on sale, and all that was paid for it goes back.",
    _run,
    lambda n: f"{n} orders are cancelled, or will be as soon as no payment can come in any more.",
    preview=_preview,
    most=20,  # about a hundred statements each
    lock=lambda _request, order: orders.lock(order.pk),
    after=lambda _request, order: releasing.step(order),  # asks SumUp; if it dies here, the sweep goes on
)
