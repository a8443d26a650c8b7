"""Money that came when the order was over: its shopper decides."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cart.visitors import user_of
from cartsite.models import Case, User
from orders import access, services
from orders.forms import LatePaymentForm
from orders.models import Order
from payments import late, ledger
from payments.models import Movement
from payments.refunds import CannotRefund


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def late_payment(request: HttpRequest, number: str) -> HttpResponse:
    """Money came when the order was over: its shopper says whether it goes back or waits for the co-operative."""
    if request.method != "POST":
        if "key" in request.GET:
            return access.take_secret(
                request, number, request.GET["key"], "orders:late_payment", lambda order: [order.key]
            )
        if number != number.upper():
            return redirect("orders:late_payment", number.upper())
    order = access.find_order(request, number)
    case = late.open_case(order)
    if case is None:  # nothing came late, or somebody has decided
        return redirect(order)
    if request.method == "POST":
        return _decide(request, order, case)
    return _show_late_payment(request, order, case)


def _show_late_payment(
    request: HttpRequest, order: Order, case: Case, *, unclear: bool = False, why_not: str = ""
) -> HttpResponse:
    payment = order.payments.get(uuid=case.subject_uuid)
    context = {
        **late_money(order, case),
        "order": order,
        "capture": payment.movements.filter(kind=Movement.Kind.CAPTURE).latest("happened_at"),
        "left": ledger.refundable(payment),
        "unclear": unclear,
        "short": late.other_dates(order),
        "chosen": set(request.POST.values()),
        "why_not": why_not,
    }
    return render(request, "orders/late_payment.html", context, status=422 if unclear or why_not else 200)


def late_money(order: Order, case: Case | None) -> dict[str, Any]:
    """What an order's pages say about late money that nobody has decided about; nothing if there is none."""
    if case is None:
        return {}
    goes_back_at = late.goes_back_at(case)
    return {
        "late_case": case,
        "goes_back_at": goes_back_at,
        "is_overdue": goes_back_at <= timezone.now(),
        "is_waiting": _is_waiting(order, case),
    }


def _decide(request: HttpRequest, order: Order, case: Case) -> HttpResponse:
    """Do what the shopper said about late money, once, however often they say it."""
    form = LatePaymentForm(request.POST)
    if not form.is_valid():
        return _show_late_payment(request, order, case, unclear=True)
    if form.cleaned_data["case"] not in (None, case.uuid):
        return redirect(order)  # that money was decided about; this case is about other money
    if form.cleaned_data["decision"] == LatePaymentForm.WAIT:
        _note_waiting(order, case, user_of(request))
        return redirect("orders:late_payment", order.number)
    if form.cleaned_data["decision"] == LatePaymentForm.OTHER:
        return _take_other_dates(request, order, case)
    try:
        late.send_back(case, by=None, note=_("The shopper asked for it."))
    except CannotRefund:
        messages.warning(
            request,
            _("Your money cannot be sent back from here just now. Somebody at the co-operative looks into it."),
        )
        return redirect("orders:late_payment", order.number)
    return redirect(order)


def _take_other_dates(request: HttpRequest, order: Order, case: Case) -> HttpResponse:
    """Have the places at the dates that were chosen, or say why not and show what there is now."""
    chosen = {name: str(value) for name, value in request.POST.items() if name.startswith("entry_")}
    if any(each.name not in chosen for each in late.other_dates(order)):
        return _show_late_payment(request, order, case, why_not=_("Please choose one of the dates."))
    try:
        if late.take_other_dates(case, chosen, by=user_of(request)):
            messages.success(request, _("Your order is confirmed, with the date that you chose."))
    except late.CannotTake as refusal:
        return _show_late_payment(request, order, case, why_not=str(refusal))
    return redirect(order)


@transaction.atomic
def _note_waiting(order: Order, case: Case, user: User | None) -> None:
    order = services.lock(order.pk)
    if not _is_waiting(order, case):
        order.record("shopper_waits", by=user, case=str(case.uuid))


def _is_waiting(order: Order, case: Case) -> bool:
    """Whether the shopper said that they would wait for the co-operative's word about this case."""
    return order.events.filter(kind="shopper_waits", data__case=str(case.uuid)).exists()
