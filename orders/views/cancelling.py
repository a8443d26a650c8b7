"""A shopper calls off what they ordered: what, then what it comes to, then yes."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cart.visitors import user_of
from cartsite import agreements
from cartsite.refusals import Conflict
from cartsite.templatetags.shop import in_words
from orders import access
from orders.forms import CancelForm, name_of
from orders.models import Order
from payments import cancelling
from payments.cancelling import CannotCancel, Offer, Plan

CANCEL = "shopper cancels"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    """What may be called off; with a choice in the address, what that comes to; a POST does it, once."""
    if request.method != "POST" and number != number.upper():
        return redirect("orders:cancel", number.upper())
    order = access.find_order(request, number)
    try:
        agreements.raise_if_done(request, CANCEL, order)
    except agreements.Repeated as repeat:
        return agreements.show_again(request, repeat)
    offers = cancelling.offers_for(order)
    typed = request.POST if request.method == "POST" else request.GET
    most, places = {offer.key: offer.open for offer in offers}, {offer.key: offer.places for offer in offers}
    form = CancelForm(most, places, typed or None)
    if request.method == "POST":
        return _cancel(request, order, form)
    if not offers:
        messages.warning(request, _("Nothing of this order can be cancelled here any more."))
        return redirect(order)
    if not form.is_valid():
        return _choose(request, order, offers, form)
    return _review(request, order, offers, form)


def _choose(request: HttpRequest, order: Order, offers: list[Offer], form: CancelForm) -> HttpResponse:
    rows = [(offer, form[name_of(offer.key)]) for offer in offers]
    context = {"order": order, "rows": rows, "form": form}
    return render(request, "orders/cancel.html", context, status=422 if form.is_bound else 200)


def _review(
    request: HttpRequest, order: Order, offers: list[Offer], form: CancelForm, *, has_changed: bool = False
) -> HttpResponse:
    try:
        plan = cancelling.plan_for(order, form.wanted)
    except CannotCancel as refusal:
        form.add_error(None, str(refusal))
        return _choose(request, order, offers, form)
    agreed = agreements.offer(request, CANCEL, order, plan.fingerprint)
    context = {"order": order, "plan": plan, "wanted": _as_typed(form), "has_changed": has_changed, "agreed": agreed}
    return render(request, "orders/cancel_review.html", context, status=422 if has_changed else 200)


def _as_typed(form: CancelForm) -> list[tuple[str, int]]:
    """What was chosen, for the form that says yes to it."""
    if form.cleaned_data["whole"]:
        return [("whole", 1)]
    chosen = [(name_of(key), [some] if isinstance(some, int) else sorted(some)) for key, some in form.wanted.items()]
    return [(name, value) for name, values in chosen for value in values]


def _cancel(request: HttpRequest, order: Order, form: CancelForm) -> HttpResponse:
    """Do what was shown, or show what it comes to now."""
    if not form.is_valid():  # it was called off meanwhile, by a click before this one or by somebody else
        return _say_changed(request, order)
    try:
        with agreements.once(request, CANCEL, order) as promise:
            plan = cancelling.cancel_for_shopper(order, form.wanted, agreed=promise.fingerprint, by=user_of(request))
            outcome = promise.conclude(_what_happened(plan), order.get_absolute_url())
    except agreements.Repeated as repeat:
        return agreements.show_again(request, repeat)
    except Conflict:
        return _review(request, order, cancelling.offers_for(order), form, has_changed=True)
    except CannotCancel:
        return _say_changed(request, order)
    return agreements.show(request, outcome)


def _say_changed(request: HttpRequest, order: Order) -> HttpResponse:
    messages.warning(
        request, _("This order has changed since you looked at it, so nothing more was cancelled. Please look again.")
    )
    return redirect(order)


def _what_happened(plan: Plan) -> str:
    facts: dict[str, Any] = {"back": in_words(plan.back)}
    if not plan.back:
        return _("It is cancelled.")
    if plan.by_card:
        return _("It is cancelled, and %(back)s is on its way back to you. Banks take 2 to 10 days.") % facts
    return _("It is cancelled. Not all of %(back)s can go back to a card: the co-operative gets in touch.") % facts
