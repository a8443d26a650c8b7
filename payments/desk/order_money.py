"""What staff may do about one order's money: called off, sent back, given back or taken by hand.

Each step is previewed first: done and undone in one transaction, so that staff see what it comes to before they say
yes. Then it is done once, but only if it still comes to what they saw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django import forms
from django.db import transaction
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from bookings.models import Booking, Entry
from cartsite import agreements
from cartsite.backoffice import age_of, log, path_of, person_of
from cartsite.models import Case
from cartsite.templatetags.shop import in_words, local_day, local_time
from orders import services as orders
from orders.models import Order, OrderEvent, OrderLine
from orders.worth import carried_by
from payments import cancelling, casework, giving_back, ledger, refunds, releasing
from payments.cancelling import Part
from payments.desk import fields, steps
from payments.models import Movement, Refund
from payments.refunds import Wish


class Way(StrEnum):
    """What may be done about an order's money."""

    CANCEL = "cancel"
    LET_GO = "let_go"
    PARTS = "parts"
    AMOUNT = "amount"
    BY_HAND = "by_hand"
    CASH = "cash"


TITLES = {
    Way.CANCEL: gettext_lazy("Cancel the whole order"),
    Way.LET_GO: gettext_lazy("Cancel the unpaid order"),
    Way.PARTS: gettext_lazy("Call off some of it"),
    Way.AMOUNT: gettext_lazy("Refund an amount"),
    Way.BY_HAND: gettext_lazy("Money given back by hand"),
    Way.CASH: gettext_lazy("Cash received"),
}
CONSEQUENCES = {
    Way.CANCEL: gettext_lazy("Its places and stock go back on sale, and all its money goes back to the card."),
    Way.LET_GO: gettext_lazy(
        "It ends as soon as no payment can come in any more. If it is paid until then, it is cancelled all the same."
        " All that was paid goes back: to the card, and by hand what did not come by card."
    ),
    Way.PARTS: gettext_lazy("What is called off goes back on sale, and its price goes back to the card."),
    Way.AMOUNT: gettext_lazy("Money goes back to the card; nothing is called off."),
    Way.BY_HAND: gettext_lazy("Only writes down what you have given back already, in cash or by bank transfer."),
    Way.CASH: gettext_lazy("Writes down what you have received; the order is confirmed once nothing is owed."),
}
SENDS_REFUNDS = (Way.CANCEL, Way.PARTS, Way.AMOUNT)


@dataclass(frozen=True)
class Heap:
    """So many of a line that may still be called off; of places that were moved those at one entry."""

    line: OrderLine
    left: int
    moved_to: Entry | None = None
    places: Sequence[Booking] = ()

    @property
    def name(self) -> str:
        """Its field."""
        return f"line_{self.line.pk}" + (f"_{self.moved_to.pk}" if self.moved_to else "")


# --- The forms --------------------------------------------------------------------------------------------------------


class MoneyForm(forms.Form):
    """Why; what else a way needs stands before it."""

    def __init__(self, order: Order, way: Way, typed: Any, *, may_approve: bool) -> None:
        super().__init__(typed, prefix=way.value)
        self.way = way
        self.fields |= FIELDS[way](order)
        self.fields["reason"] = fields.reason_field()
        if may_approve and way in SENDS_REFUNDS:
            self.fields["approve"] = fields.approve_field()
        self.lines = open_lines(order) if way == Way.PARTS else []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.lines and not self.errors and not self.parts:
            raise forms.ValidationError(_("Say how many of at least one line."))
        return cleaned

    @property
    def parts(self) -> list[Part]:
        """What is to be called off."""
        chosen = [(heap, self.cleaned_data.get(heap.name) or 0) for heap in self.lines]
        return [Part(heap.line, quantity, heap.places[:quantity]) for heap, quantity in chosen if quantity]

    @property
    def title(self) -> str:
        return str(TITLES[self.way])

    @property
    def consequence(self) -> str:
        return str(CONSEQUENCES[self.way])

    @property
    def as_hidden(self) -> list[tuple[str, str]]:
        """What was typed, for the page that asks once more."""
        return [(self.add_prefix(name), self.data.get(self.add_prefix(name), "")) for name in self.fields]


def _no_fields(order: Order) -> dict[str, forms.Field]:
    return {}


def _quantities(order: Order) -> dict[str, forms.Field]:
    return {heap.name: fields.quantity_field(_describe(heap), heap.left) for heap in open_lines(order)}


def _describe(heap: Heap) -> str:
    line = heap.line
    said = _("%(title)s: %(open)d of %(all)d open, %(price)s each")
    price = in_words(line.unit_price, line.order.currency)
    facts = {"title": line.title, "open": heap.left, "all": line.quantity, "price": price}
    if heap.moved_to is None:
        return said % facts
    zone = heap.moved_to.calendar.zone
    when = f"{local_day(heap.moved_to.starts_at, zone)}, {local_time(heap.moved_to.starts_at, zone)}"
    return _("%(said)s (moved to %(when)s)") % {"said": said % facts, "when": when}


def _amount_to_card(order: Order) -> dict[str, forms.Field]:
    return {"amount": fields.amount_field()}


def _amount_by_hand(order: Order) -> dict[str, forms.Field]:
    return {"amount": fields.amount_field()}


def _amount_owed(order: Order) -> dict[str, forms.Field]:
    return {"amount": fields.amount_field(initial=owed_for(order))}


FIELDS: dict[Way, Callable[[Order], dict[str, forms.Field]]] = {
    Way.CANCEL: _no_fields,
    Way.LET_GO: _no_fields,
    Way.PARTS: _quantities,
    Way.AMOUNT: _amount_to_card,
    Way.BY_HAND: _amount_by_hand,
    Way.CASH: _amount_owed,
}


# --- What is possible -------------------------------------------------------------------------------------------------


def ways_for(order: Order, *, may_approve: bool) -> list[Way]:
    """What may be done about the order's money now; the services decide in the end."""
    money = ledger.money_of(order)
    possible = {
        Way.CANCEL: order.status == Order.Status.CONFIRMED and not orders.sum_facts(order),
        Way.LET_GO: order.is_awaiting_payment and not order.is_closing,
        Way.PARTS: order.status == Order.Status.CONFIRMED and bool(open_lines(order)),
        Way.AMOUNT: free_for_card(order) > 0,
        Way.BY_HAND: money.net > 0 and may_approve,  # whoever writes it down approves it
        Way.CASH: order.is_awaiting_payment and not order.is_cancelled_by_staff and owed_for(order) > 0,
    }
    return [way for way in Way if possible[way]]


def open_lines(order: Order) -> list[Heap]:
    """What may still be called off, line by line; places that were moved by where they are."""
    lines = order.lines.filter(kind__in=[OrderLine.Kind.PRODUCT, OrderLine.Kind.ENTRY]).select_related("order")
    counted = [(line, left) for line in lines if (left := orders.count_open(line))]
    return [heap for line, left in counted for heap in _heaps_of(line, left)]


def _heaps_of(line: OrderLine, left: int) -> list[Heap]:
    standing = line.bookings.filter(status=Booking.Status.CONFIRMED).select_related("entry__calendar")
    where = cancelling.by_entry(line, standing)
    if all(entry.pk == line.entry_id for entry, _places in where):  # also goods, and places that were never issued
        return [Heap(line, left)]
    return [
        Heap(line, min(left, len(places)), entry if entry.pk != line.entry_id else None, places)
        for entry, places in where
    ]


def free_for_card(order: Order) -> Decimal:
    """How much may go back to cards without calling anything off.

    Not what must go back by hand already (the order's open `overpaid` case), nor what places that moved on to another
    order are worth there.
    """
    left = ledger.money_of(order).net - giving_back.due_by_hand(order) - carried_by(order)
    return max(min(giving_back.by_card(order), left), Decimal(0))


def owed_for(order: Order) -> Decimal:
    """What an order still waits for."""
    return max(order.total - ledger.money_of(order).net, Decimal(0))


# --- Previewing and doing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What can change about an order by a step."""

    status: str
    places: int
    goods: int
    refunds: int  # the newest one's key
    cases: int
    came_in: Decimal


@dataclass(frozen=True)
class Preview:
    """What a step comes to, in sentences, and the fingerprint of all that it follows from."""

    sentences: list[str]
    fingerprint: str

    @property
    def words(self) -> str:
        return " ".join(self.sentences)


def name_of(way: Way) -> str:
    """What a way's step is called where it is agreed to."""
    return f"money of an order: {way}"


def preview(request: HttpRequest, order: Order, form: MoneyForm) -> Preview:
    """What the valid form comes to: it is done, and undone in the same transaction. Raises Refused."""
    with steps.refused_in_words(), transaction.atomic():
        shown = _do(request, order, form)
        transaction.set_rollback(True)
    return shown


def take(request: HttpRequest, order: Order, form: MoneyForm, *, field: str = agreements.FIELD) -> agreements.Outcome:
    """Do once what the valid form asks for, if it still comes to what its preview showed.

    Raises Refused, Conflict, or agreements.Repeated.
    """
    with steps.refused_in_words(), agreements.once(request, name_of(form.way), order, field=field) as promise:
        done = _do(request, order, form)
        promise.check(done.fingerprint)
        log(request, order, f"{form.title}: {form.cleaned_data['reason']}")
        outcome = promise.conclude(done.words, path_of(order))
    if form.way == Way.LET_GO:
        releasing.step(order)  # asks SumUp, so it comes after the transaction; if it dies here, the sweep goes on
    return outcome


def _do(request: HttpRequest, order: Order, form: MoneyForm) -> Preview:
    """Take the step inside the caller's transaction, and say what it comes to."""
    order = orders.lock(order.pk)
    facts, before = facts_of(order), look(order)
    STEPS[form.way](request, order, form)
    said = compare(order, before, look(Order.objects.get(pk=order.pk)))
    sentences = [str(CONSEQUENCES[form.way])] if form.way == Way.LET_GO else said
    return Preview(sentences, agreements.fingerprint_of(form.as_hidden, facts, sentences))


def facts_of(order: Order) -> list[Any]:
    """What staff decide on: how the order stands, and all money that came in, went back or is to go back."""
    came = order.movements.filter(kind__in=[Movement.Kind.CAPTURE, Movement.Kind.CASH, Movement.Kind.CHARGEBACK])
    asked = order.refunds.order_by("pk")
    return [
        (order.status, order.closing_to),
        list(came.order_by("pk").values_list("pk", "amount")),
        [(refund.pk, refund.amount, refund.status == Refund.Status.FAILED) for refund in asked],
    ]


def _let_go(request: HttpRequest, order: Order, form: MoneyForm) -> None:
    reason = form.cleaned_data["reason"]
    releasing.begin(order, to=Order.Status.CANCELLED, by=Order.Closer.STAFF, user=person_of(request), reason=reason)


def _cancel(request: HttpRequest, order: Order, form: MoneyForm) -> None:
    asked = cancelling.cancel_order(order, by=person_of(request), reason=form.cleaned_data["reason"])
    _approve(request, form, asked)


def _call_off(request: HttpRequest, order: Order, form: MoneyForm) -> None:
    asked = cancelling.cancel_parts(form.parts, by=person_of(request), reason=form.cleaned_data["reason"])
    _approve(request, form, asked)


def _refund(request: HttpRequest, order: Order, form: MoneyForm) -> None:
    if form.cleaned_data["amount"] > (most := free_for_card(order)):
        raise refunds.CannotRefund(_("At most %(most)s can go back here.") % {"most": in_words(most)})
    _approve(request, form, refunds.request_from_order(order, _wish(request, form)))


def _give_by_hand(request: HttpRequest, order: Order, form: MoneyForm) -> None:
    refunds.give_by_hand(order, _wish(request, form))


def _take_cash(request: HttpRequest, order: Order, form: MoneyForm) -> None:
    typed = form.cleaned_data
    casework.take_cash(order, typed["amount"], by=person_of(request))


STEPS: dict[Way, Callable[[HttpRequest, Order, MoneyForm], None]] = {
    Way.CANCEL: _cancel,
    Way.LET_GO: _let_go,
    Way.PARTS: _call_off,
    Way.AMOUNT: _refund,
    Way.BY_HAND: _give_by_hand,
    Way.CASH: _take_cash,
}


def _wish(request: HttpRequest, form: MoneyForm) -> Wish:
    return Wish(form.cleaned_data["amount"], form.cleaned_data["reason"], person_of(request))


def _approve(request: HttpRequest, form: MoneyForm, asked: list[Refund]) -> None:
    if form.cleaned_data.get("approve"):
        steps.approve_all(request, asked)


# --- What came of it --------------------------------------------------------------------------------------------------


def look(order: Order) -> Look:
    """The order as it stands."""
    goods = order.lines.filter(kind=OrderLine.Kind.PRODUCT).aggregate(held=Sum("hold__quantity"))["held"]
    newest = order.refunds.order_by("-pk").first()
    return Look(
        status=order.get_status_display(),
        places=Booking.objects.filter(order_line__order=order, status=Booking.Status.CONFIRMED).count(),
        goods=goods or 0,
        refunds=newest.pk if newest else 0,
        cases=Case.objects.unresolved().about(order).count(),
        came_in=ledger.money_of(order).came_in,
    )


def compare(order: Order, before: Look, after: Look) -> list[str]:
    """What changed, in sentences that name no row, so that doing it once more gives the same ones."""
    said = []
    if after.status != before.status:
        said.append(_("The order becomes: %(status)s.") % {"status": after.status})
    said += say_freed(before.places - after.places, before.goods - after.goods)
    said += [_describe_refund(refund) for refund in order.refunds.filter(pk__gt=before.refunds).order_by("pk")]
    if after.came_in > before.came_in:
        amount = in_words(after.came_in - before.came_in, order.currency)
        said.append(_("%(amount)s is written down as received by hand.") % {"amount": amount})
    if after.cases > before.cases:
        said.append(_("Not all of its money came by card: a case asks for what must go back by hand."))
    return said


def say_freed(places: int, goods: int) -> list[str]:
    """So many places and articles that go back on sale, in sentences."""
    said = []
    if places > 0:
        said.append(ngettext("%(n)d place goes back on sale.", "%(n)d places go back on sale.", places) % {"n": places})
    if goods > 0:
        sentence = ngettext("%(n)d article goes back on sale.", "%(n)d articles go back on sale.", goods)
        said.append(sentence % {"n": goods})
    return said


def _describe_refund(refund: Refund) -> str:
    amount = in_words(refund.amount, refund.currency)
    if refund.method == Refund.Method.CASH:
        return _("%(amount)s is written down as given back by hand.") % {"amount": amount}
    if refund.approved_at:
        return _("%(amount)s goes back to the card, and is sent in a moment.") % {"amount": amount}
    return _("%(amount)s is to go back to the card, and waits for somebody to approve it.") % {"amount": amount}


# --- What happened meanwhile ------------------------------------------------------------------------------------------

# What staff are told of the events since they looked.
NEWS = {
    "captured": "{amount} was paid",
    "cash": "{who} wrote down {amount} as received by hand",
    "cancelled": "{who} cancelled the order",
    "charged_back": "the bank took {amount} back",
    "closing": "{who} began to cancel the order",
    "confirmed": "the order was confirmed",
    "expired": "the time to pay was over",
    "line_attended": "{who} checked in {quantity} of it",
    "line_cancelled": "{who} cancelled {quantity} of it",
    "line_collected": "{who} handed out {quantity} of it",
    "place_moved": "{who} moved {quantity} of it",
    "refund_requested": "{who} asked for a refund of {amount}",
    "refund_failed": "a refund failed",
    "refund_turned_down": "{who} turned a refund down",
}
GIVEN_BY_HAND = "{who} gave {amount} back by hand"


def mark_of(order: Order) -> int:
    """Where the order's history ends now."""
    return order.events.aggregate(newest=Max("pk"))["newest"] or 0


def news_of(order: Order, since: int | None) -> list[str]:
    """What happened to the order after a mark, in sentences such as `Sam asked for a refund of £4.50 just now.`"""
    if since is None:
        return []
    told = order.events.filter(pk__gt=since).select_related("by").order_by("pk")
    return [sentence for event in told if (sentence := _tell(order, event))]


def _tell(order: Order, event: OrderEvent) -> str:
    by_hand = event.kind == "refunded" and event.cause == "by hand"
    said = GIVEN_BY_HAND if by_hand else NEWS.get(event.kind, "")
    if not said:
        return ""
    amount = event.data.get("amount")
    facts = {
        "who": event.by.get_full_name() if event.by else "The shopper",
        "amount": in_words(Decimal(amount), order.currency) if amount else "money",
        "quantity": event.data.get("quantity", "some"),
    }
    is_new = timezone.now() - event.at < timedelta(minutes=1)
    told = said.format(**facts)
    return f"{told[0].upper()}{told[1:]} {'just now' if is_new else f'{age_of(event.at)} ago'}."
