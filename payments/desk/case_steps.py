"""One form for each step that may be taken about a case, and what it means to take it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cartsite import agreements
from cartsite.backoffice import NoteForm, log, path_of, person_of
from cartsite.models import Case, User
from cartsite.templatetags.shop import in_words
from orders import services as orders
from orders.access import read_number
from orders.models import Order
from payments import casework, closing, ledger, refunds
from payments.casework import Step
from payments.desk import fields, order_money, steps
from payments.desk.order_money import Preview, owed_for
from payments.models import Refund

TITLES = {
    Step.REFUND: _("Refund"),
    Step.BY_HAND: _("Given back by hand"),
    Step.REVIVE: _("Revive the order"),
    Step.ATTACH: _("Attach to an order"),
    Step.CASH: _("Rest paid in cash"),
    Step.RETRY: _("Send the refund again"),
    Step.GIVE_UP: _("Call the refund failed"),
    Step.CLOSE_ATTEMPT: _("Close the attempt"),
    Step.ASK: _("Ask SumUp now"),
    Step.ACCEPT: _("Accept with a note"),
    Step.SNOOZE: _("Look again later"),
}
CONSEQUENCES = {
    Step.REFUND: _("Money goes back to the card, and the case is resolved."),
    Step.BY_HAND: _("Only writes down what you have given back already; then the case is resolved."),
    Step.REVIVE: _("Claims the order's places and stock again, confirms it, and mails the shopper."),
    Step.ATTACH: _("The money becomes a payment of that order, and confirms it if it was waiting for just that."),
    Step.CASH: _("Writes down what you have received for the order; it is confirmed once nothing is owed."),
    Step.RETRY: _("Sends the same amount once more, as a new refund, unless SumUp shows the first one by now."),
    Step.GIVE_UP: _(
        "Says that the money never left. Possible 24 hours after it was sent, if SumUp shows no sign of it."
    ),
    Step.CLOSE_ATTEMPT: _("Says that nobody can pay this attempt any more. Refused if SumUp still knows its checkout."),
    Step.ASK: _("Looks at SumUp's own record at once; the case may resolve itself by that."),
    Step.ACCEPT: _("Moves nothing: it stays as it is, and your note says why that is right."),
    Step.SNOOZE: _("Moves nothing: the case is out of sight until the morning of that day."),
}
# Beside the right to change cases.
NEEDS = {
    Step.REFUND: "orders.change_order",
    Step.BY_HAND: refunds.MAY_APPROVE,
    Step.REVIVE: "orders.change_order",
    Step.ATTACH: "orders.change_order",
    Step.CASH: "orders.change_order",
    Step.RETRY: refunds.MAY_APPROVE,
    Step.GIVE_UP: "payments.change_refund",
    Step.CLOSE_ATTEMPT: "payments.change_payment",
}
ASKS_SUMUP = (Step.RETRY, Step.GIVE_UP, Step.CLOSE_ATTEMPT, Step.ASK)


# --- The forms --------------------------------------------------------------------------------------------------------


class RefundForm(NoteForm):
    amount = fields.amount_field()
    approve = fields.approve_field()
    field_order = ["amount", "note"]


class AmountForm(NoteForm):
    amount = fields.amount_field()
    field_order = ["amount", "note"]


class NumberForm(NoteForm):
    number = fields.text_field(_("Order number"), max_length=40)
    field_order = ["number", "note"]


class SnoozeForm(forms.Form):
    until = fields.day_field(_("Until"))
    note = fields.reason_field(required=False)


FORMS: dict[Step, type[forms.Form]] = {
    Step.REFUND: RefundForm,
    Step.BY_HAND: AmountForm,
    Step.ATTACH: NumberForm,
    Step.CASH: AmountForm,
    Step.ASK: forms.Form,
    Step.SNOOZE: SnoozeForm,
}


@dataclass(frozen=True)
class Offer:
    """A step that may be taken about a case now, by this person."""

    step: Step
    form: forms.Form

    @property
    def as_hidden(self) -> list[tuple[str, str]]:
        """What was typed, for the page that asks once more."""
        named = [self.form.add_prefix(name) for name in self.form.fields]
        return [(name, self.form.data.get(name, "")) for name in named]

    @property
    def title(self) -> str:
        return str(TITLES[self.step])

    @property
    def consequence(self) -> str:
        return str(CONSEQUENCES[self.step])


def offers_for(request: HttpRequest, case: Case, chosen: Step | None = None) -> list[Offer]:
    """Every step that this person may take; the chosen one with what they typed."""
    suggested = _suggest(case)
    return [
        Offer(step, _form_of(request, step, request.POST if step == chosen else None, suggested.get(step)))
        for step in casework.steps_for(case)
        if may_take(request, step)
    ]


def may_take(request: HttpRequest, step: Step) -> bool:
    """Whether this person may take such a step at all."""
    needed = ["cartsite.change_case", *([NEEDS[step]] if step in NEEDS else [])]
    return request.user.has_perms(needed)


def _form_of(request: HttpRequest, step: Step, typed: Any, amount: Decimal | None) -> forms.Form:
    initial = {"amount": amount} if amount else {}
    form = FORMS.get(step, NoteForm)(typed, prefix=step.value, initial=initial)
    if not steps.may_approve(request):
        form.fields.pop("approve", None)
    return form


def _suggest(case: Case) -> dict[Step, Decimal]:
    """The amounts that are most likely right: what is at stake, but no more than there is."""
    order, payment = casework.order_of(case), casework.payment_of(case)
    if order is None:
        return {}
    net = ledger.money_of(order).net
    stake = net if case.at_stake is None else case.at_stake
    by_card = ledger.refundable(payment) if payment else net
    return {Step.REFUND: min(stake, by_card), Step.BY_HAND: min(stake, net), Step.CASH: owed_for(order)}


# --- Taking a step ----------------------------------------------------------------------------------------------------


def is_previewed(step: Step) -> bool:
    """Whether it moves money, places or goods: then what it comes to is shown first."""
    return step in NEEDS


def name_of(step: Step) -> str:
    """What a step is called where it is agreed to."""
    return f"case: {step}"


def take_at_once(request: HttpRequest, case: Case, offer: Offer) -> None:
    """Do what the offer's valid form says, of a step that moves nothing. Raises Refused."""
    step = partial(DO[offer.step], case, offer.form.cleaned_data, person_of(request))
    steps.take(request, case, step, _in_history(offer), asks_sumup=offer.step in ASKS_SUMUP)


def preview(request: HttpRequest, case: Case, offer: Offer) -> Preview:
    """What the offer's valid form comes to: it is done, and undone in the same transaction. Raises Refused.

    What asks SumUp cannot be tried so: then what it says it does must do.
    """
    with steps.refused_in_words(), transaction.atomic():
        shown = _promise(case, offer) if offer.step in ASKS_SUMUP else _do(request, case, offer)
        transaction.set_rollback(True)
    return shown


def take(request: HttpRequest, case: Case, offer: Offer) -> agreements.Outcome:
    """Do once what the offer's valid form says, if it still comes to what its preview showed.

    Raises Refused, Conflict, or agreements.Repeated.
    """
    steps.ask(partial(casework.look_first, case, offer.step))
    with steps.refused_in_words(), agreements.once(request, name_of(offer.step), case) as promise:
        promised = _promise(case, offer)
        done = _do(request, case, offer)
        promise.check((promised if offer.step in ASKS_SUMUP else done).fingerprint)
        log(request, case, _in_history(offer))
        return promise.conclude(f"Done: {offer.title}. {done.words}", path_of(case))


def _in_history(offer: Offer) -> str:
    note = offer.form.cleaned_data.get("note")
    return f"{offer.title}: {note}" if note else offer.title


def _promise(case: Case, offer: Offer) -> Preview:
    """What the step says that it does; agreed to with how its case and the money stand."""
    order = _order_about(case, offer)
    return _preview_of(offer, [offer.consequence], _facts_of(case, order))


def _do(request: HttpRequest, case: Case, offer: Offer) -> Preview:
    """Take the step inside the caller's transaction, and say what it comes to."""
    order = _order_about(case, offer)
    order = orders.lock(order.pk) if order else None
    facts = _facts_of(case, order)
    before = order_money.look(order) if order else None
    typed = offer.form.cleaned_data
    answer = DO[offer.step](case, typed, person_of(request))
    if typed.get("approve") and isinstance(answer, list):
        steps.approve_all(request, answer)
    said = _compare(case, offer, order, before) if order and before else []
    case.refresh_from_db()
    if case.status == Case.Status.RESOLVED:
        said.append("The case is resolved.")
    return _preview_of(offer, said, facts)


def _compare(case: Case, offer: Offer, order: Order, before: order_money.Look) -> list[str]:
    after = order_money.look(Order.objects.get(pk=order.pk))
    if offer.step != Step.ATTACH:
        return order_money.compare(order, before, after)
    amount = "The money" if case.at_stake is None else in_words(case.at_stake, order.currency)
    return [f"{amount} becomes a payment of order {order}.", f"The order is then: {after.status}."]


def _preview_of(offer: Offer, sentences: list[str], facts: list[Any]) -> Preview:
    typed = {name: str(value) for name, value in offer.form.cleaned_data.items()}
    return Preview(sentences, agreements.fingerprint_of(typed, sentences, facts))


def _facts_of(case: Case, order: Order | None) -> list[Any]:
    return [case.status, order_money.facts_of(order) if order else None]


def _order_about(case: Case, offer: Offer) -> Order | None:
    """The order whose money moves: the case's, or the one that its money is attached to."""
    if offer.step == Step.ATTACH:
        return Order.objects.filter(number=read_number(offer.form.cleaned_data["number"])).first()
    return casework.order_of(case)


def _refund(case: Case, typed: dict[str, Any], by: User) -> list[Refund]:
    return casework.refund(case, typed["amount"], by=by, note=typed["note"])


def _give_by_hand(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.give_by_hand(case, typed["amount"], by=by, note=typed["note"])


def _revive(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.revive(case, by=by, note=typed["note"])


def _attach(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.attach(case, typed["number"], by=by, note=typed["note"])


def _take_cash(case: Case, typed: dict[str, Any], by: User) -> None:
    order = casework.order_of(case)
    if order is None:
        raise casework.CannotDo(str(_("This case is not about an order.")))
    casework.take_cash(order, typed["amount"], by=by)


def _retry(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.send_again(case, by=by, note=typed["note"])


def _give_up(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.call_failed(case, by=by, note=typed["note"])


def _close_attempt(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.close_unknown(case, by=by, note=typed["note"])


def _ask(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.ask(case)


def _accept(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.accept(case, by=by, note=typed["note"])


def _snooze(case: Case, typed: dict[str, Any], by: User) -> None:
    casework.snooze(case, closing.bounds(typed["until"])[0], note=typed["note"])


DO: dict[Step, Callable[[Case, dict[str, Any], User], Any]] = {
    Step.REFUND: _refund,
    Step.BY_HAND: _give_by_hand,
    Step.REVIVE: _revive,
    Step.ATTACH: _attach,
    Step.CASH: _take_cash,
    Step.RETRY: _retry,
    Step.GIVE_UP: _give_up,
    Step.CLOSE_ATTEMPT: _close_attempt,
    Step.ASK: _ask,
    Step.ACCEPT: _accept,
    Step.SNOOZE: _snooze,
}
