"""A shopper moves places to another date: where to, then what it comes to, then yes."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import resolve
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cart.visitors import user_of
from cartsite import agreements
from cartsite.refusals import Conflict
from cartsite.templatetags.shop import in_words
from orders import access
from orders.forms import MoveForm, name_of
from orders.models import Order
from orders.moving import CannotMove
from orders.views.paying import go_and_pay
from payments import moving
from payments.moving import Offer, Plan

EXCHANGE = "shopper exchanges"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def move(request: HttpRequest, number: str) -> HttpResponse:
    """What may be moved where; with a choice in the address, what that comes to; a POST does it, once."""
    if request.method != "POST" and number != number.upper():
        return redirect("orders:move", number.upper())
    order = access.find_order(request, number)
    try:
        agreements.raise_if_done(request, EXCHANGE, order)
    except agreements.Repeated as repeat:
        return _go_again(request, repeat)
    offers = moving.offers_for(order)
    typed = request.POST if request.method == "POST" else request.GET
    form = _form_for(offers, typed or None)
    if request.method == "POST":
        return _move(request, order, offers, form)
    if not offers:
        messages.warning(request, _("Nothing of this order can be moved here any more."))
        return redirect(order)
    if not form.is_valid():
        return _choose(request, order, offers, form)
    return _review(request, order, offers, form)


def _form_for(offers: list[Offer], typed: Any = None) -> MoveForm:
    return MoveForm({offer.key: offer.places for offer in offers}, typed)


def _choose(
    request: HttpRequest, order: Order, offers: list[Offer], form: MoveForm, *, why_not: str = ""
) -> HttpResponse:
    rows = [_row_of(offer, offers, form) for offer in offers]
    context = {"order": order, "rows": rows, "why_not": why_not}
    return render(request, "orders/move.html", context, status=422 if form.is_bound else 200)


def _row_of(offer: Offer, offers: list[Offer], form: MoveForm) -> dict[str, Any]:
    """What the page shows of an offer: as it was typed, if it was chosen; else all of its places are ticked."""
    name = name_of(offer.key)
    here = form if form.data.get("places") == name else _form_for(offers)
    return {"offer": offer, "name": name, "moves": moving.moves_for(offer), "which": here[name], "to": here["to"]}


def _review(
    request: HttpRequest, order: Order, offers: list[Offer], form: MoveForm, *, has_changed: bool = False
) -> HttpResponse:
    try:
        plan = moving.plan_for(order, form.key, form.which, form.cleaned_data["to"])
    except CannotMove as refusal:
        return _choose(request, order, offers, form, why_not=str(refusal))
    agreed = agreements.offer(request, EXCHANGE, order, plan.fingerprint)
    context = {"order": order, "plan": plan, "chosen": _as_typed(form), "has_changed": has_changed, "agreed": agreed}
    return render(request, "orders/move_review.html", context, status=422 if has_changed else 200)


def _as_typed(form: MoveForm) -> list[tuple[str, Any]]:
    """What was chosen, for the form that says yes to it."""
    chosen = form.cleaned_data
    places = [(chosen["places"], number) for number in sorted(form.which)]
    return [("places", chosen["places"]), *places, ("to", chosen["to"])]


def _move(request: HttpRequest, order: Order, offers: list[Offer], form: MoveForm) -> HttpResponse:
    """Do what was shown, or show what it comes to now; where it is dearer, go and pay."""
    if not form.is_valid():  # it was moved or called off meanwhile, by a click before this one or by somebody else
        return _say_changed(request, order)
    key, which, to = form.key, form.which, form.cleaned_data["to"]
    try:
        with agreements.once(request, EXCHANGE, order) as promise:
            plan, dearer = moving.move_for_shopper(
                order, key, which, to, agreed=promise.fingerprint, by=user_of(request)
            )
            words = _what_happened(plan) if dearer is None else ""
            outcome = promise.conclude(words, (dearer or order).get_absolute_url())
    except agreements.Repeated as repeat:
        return _go_again(request, repeat)
    except Conflict:
        return _review(request, order, moving.offers_for(order), form, has_changed=True)
    except CannotMove as refusal:
        return _choose(request, order, moving.offers_for(order), form, why_not=str(refusal))
    return agreements.show(request, outcome) if dearer is None else _go_to_the_dearer(request, dearer)


def _go_to_the_dearer(request: HttpRequest, dearer: Order) -> HttpResponse:
    """Let this browser see the new order, and pay it."""
    return access.remember(request, go_and_pay(request, dearer), dearer)


def _go_again(request: HttpRequest, repeat: agreements.Repeated) -> HttpResponse:
    """Where the first post of the form led to: to the order that is to be paid, if it made one."""
    if repeat.outcome.words:
        return agreements.show_again(request, repeat)
    made = access.find_by_number(resolve(repeat.outcome.path).kwargs["number"])
    return redirect(repeat.outcome.path) if made is None else _go_to_the_dearer(request, made)


def _say_changed(request: HttpRequest, order: Order) -> HttpResponse:
    messages.warning(
        request, _("This order has changed since you looked at it, so nothing more was moved. Please look again.")
    )
    return redirect(order)


def _what_happened(plan: Plan) -> str:
    facts: dict[str, Any] = {"back": in_words(plan.back)}
    if not plan.back:
        return _("It is moved. Your new codes are below, and the old ones are not valid any more.")
    if plan.by_card:
        return _("It is moved, and %(back)s is on its way back to you. Banks take 2 to 10 days.") % facts
    return _("It is moved. Not all of %(back)s can go back to a card: the co-operative gets in touch.") % facts
