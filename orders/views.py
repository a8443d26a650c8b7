"""Checkout, the order's own pages, and the way back from SumUp."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from cart.models import Cart
from cart.services import basket_of, cart_with_token
from cart.visitors import basket_for, find_cart_for, set_cart_cookie, token_of, user_of
from cartsite import limits
from cartsite.http import is_htmx, wants_fragment
from cartsite.models import Case, User
from cartsite.paging import page_of
from cartsite.sorry import too_many
from orders import access, services
from orders.forms import CheckoutForm, LatePaymentForm, OrderFilterForm
from orders.models import LineFact, Order, OrderLine
from orders.placing import CannotPlace, place
from payments import late, ledger, releasing, starting, sweeping
from payments.models import Movement, Payment, Refund
from payments.refunds import CannotRefund

PER_PAGE = 25


# --- Checkout ---------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """Who orders, and a last look at exactly what will be charged; a POST places the order and leads to SumUp."""
    if request.method == "POST":
        return _place(request)
    return _review(request, None)


def _review(request: HttpRequest, form: CheckoutForm | None, reasons: tuple[str, ...] = ()) -> HttpResponse:
    """The review page, with what was typed and why it did not go on."""
    basket = basket_for(request)
    if not basket.items:
        return redirect("cart:detail")
    fresh = {"cart": basket.items[0].cart.uuid, "agreed": basket.fingerprint}
    if form is None:
        user = user_of(request)
        form = CheckoutForm(initial=fresh | ({"name": user.name, "email": user.email} if user else {}))
    else:
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data.update({name: str(value) for name, value in fresh.items()})  # type: ignore[attr-defined]
    context = {"basket": basket, "form": form, "reasons": reasons}
    return render(request, "orders/checkout.html", context, status=422 if form.is_bound else 200)


def _place(request: HttpRequest) -> HttpResponse:
    if not limits.is_within(request, "order"):
        return too_many(request)
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        return _review(request, form)
    data = form.cleaned_data
    try:
        order, _is_new = place(
            data["cart"],
            token=token_of(request),
            user=user_of(request),
            agreed=data["agreed"],
            name=data["name"],
            email=data["email"],
        )
    except CannotPlace as refusal:
        return _review(request, form, refusal.reasons)
    return access.remember(request, _go_and_pay(request, order), order)


def _go_and_pay(request: HttpRequest, order: Order) -> HttpResponse:
    """To SumUp's page if there is one to go to, else to the order's page with a plain sentence."""
    if not order.is_awaiting_payment:
        return redirect(order)
    if not limits.is_within(request, "payment"):
        return too_many(request)
    try:
        payment = starting.start(order)
    except starting.CannotPay as refusal:
        messages.warning(request, str(refusal))
        return redirect(order)
    if payment.status in Payment.AT_SUMUP:
        return HttpResponseRedirect(payment.checkout_url)
    if payment.status != Payment.Status.CAPTURED:
        messages.warning(
            request, _("The payment page cannot be reached just now. Your order is safe; please try again in a moment.")
        )
    return redirect(order)


# --- The order's own pages --------------------------------------------------------------------------------------------


@never_cache
@require_safe
def detail(request: HttpRequest, number: str) -> HttpResponse:
    """The order for whoever may see it; a visit with the secret key goes on to the address without it."""
    if "key" in request.GET:
        return _take_secret(request, number, request.GET["key"], "orders:detail", lambda order: [order.key])
    if number != number.upper():  # typed by hand: a browser sends the order's cookie to its real address only
        return redirect("orders:detail", number.upper())
    order = access.find_order(request, number)
    _move_along(order)
    context = _context(order)
    if wants_fragment(request):
        return render(request, "orders/_status.html", context)
    return render(request, "orders/detail.html", context)


def _move_along(order: Order) -> None:
    """Somebody waits: take the next step of a doubtful attempt or of a closing now, if it is time, worker or not."""
    if not order.is_awaiting_payment:
        return
    for payment in order.payments.filter(status__in=Payment.UNSENT):
        sweeping.look_now(payment.pk)
    releasing.go_on(order)
    order.refresh_from_db()


def _context(order: Order) -> dict[str, Any]:
    """Everything that the order's page says, in the same few queries for any number of lines and refunds."""
    return {
        **_progress(order),
        **_money(order),
        **_late_money(order, late.open_case(order)),
        "lines": list(_lines_of(order)),
        "contact": getattr(order, "contact", None),
    }


def _progress(order: Order) -> dict[str, Any]:
    """How far the order has come on its way to be paid."""
    payment = order.payments.order_by("-created_at").first()
    return {
        "order": order,
        "payment": payment,
        "in_doubt": payment is not None and payment.status in Payment.UNSENT,
        "can_withdraw": order.closing_by == Order.Closer.SHOPPER
        and payment is not None
        and payment.status in Payment.AT_SUMUP
        and payment.expired_since is None,
    }


def _lines_of(order: Order) -> Iterable[OrderLine]:
    """The lines, each with how many of it were `cancelled`."""
    cancelled = Coalesce(Sum("facts__quantity", filter=Q(facts__kind=LineFact.Kind.CANCELLED)), 0)
    lines = order.lines.select_related("stall", "entry__calendar").prefetch_related("bookings")
    return lines.annotate(cancelled=cancelled)


def _money(order: Order) -> dict[str, Any]:
    """What was paid, what went back and what is on its way; all amounts are positive."""
    money = ledger.money_of(order)
    movements = list(order.movements.filter(kind__in=Movement.SHOPPERS).order_by("happened_at", "pk"))
    return {
        "money": money,
        "paid": [movement for movement in movements if movement.amount > 0],
        "charged_back": [(-each.amount, each.happened_at) for each in movements if each.kind == "chargeback"],
        "refunds": _refunds_to_tell(order),
        "left": max(money.net, ledger.NOTHING),
        "to_pay": money.total - money.net if order.is_awaiting_payment else ledger.NOTHING,
        "too_much": max(money.net - money.total, ledger.NOTHING) if order.is_sold else ledger.NOTHING,
    }


def _refunds_to_tell(order: Order) -> list[Refund]:
    """The refunds as far as they concern the shopper, oldest first: a failed one only while somebody looks into it."""
    refunds = list(order.refunds.order_by("pk"))
    failed = [refund for refund in refunds if refund.status == Refund.Status.FAILED]
    cases = Case.objects.unresolved().filter(kind=Case.Kind.REFUND_FAILED).about(*failed)
    looked_into = set(cases.values_list("subject_uuid", flat=True))
    return [refund for refund in refunds if refund.status != Refund.Status.FAILED or refund.uuid in looked_into]


@never_cache
@require_safe
def back_from_sumup(request: HttpRequest, number: str) -> HttpResponse:
    """ "We are confirming with the bank": asks SumUp itself, polls, and never says failed before it is sure."""
    if "token" in request.GET:
        return _take_secret(request, number, request.GET["token"], "orders:return", _way_back_tokens)
    order = access.find_order(request, number)
    payment = order.payments.order_by("-created_at").first()
    if payment is not None and order.is_awaiting_payment:
        sweeping.look_now(payment.pk)
        order.refresh_from_db()
    if not order.is_awaiting_payment:
        return HttpResponseClientRedirect(order.get_absolute_url()) if is_htmx(request) else redirect(order)
    template = "orders/_confirming.html" if wants_fragment(request) else "orders/confirming.html"
    return render(request, template, _progress(order))


def _take_secret(
    request: HttpRequest, number: str, presented: str, go_to: str, secrets_of: Callable[[Order], Iterable[str]]
) -> HttpResponse:
    """Let whoever has a secret of the order see it from now on, at an address without the secret; else 404."""
    order = access.find_by_number(number)
    if order is None or not access.any_fits(secrets_of(order), presented):
        raise Http404
    return access.remember(request, redirect(go_to, order.number), order)


def _way_back_tokens(order: Order) -> Iterable[str]:
    return order.payments.values_list("return_token", flat=True)


@require_POST
def pay(request: HttpRequest, number: str) -> HttpResponse:
    """Start to pay, or go on where the shopper left off."""
    return _go_and_pay(request, access.find_order(request, number))


@require_POST
def change_basket(request: HttpRequest, number: str) -> HttpResponse:
    """Let the order go, safely, and put its lines back into the cart."""
    order = access.find_order(request, number)
    try:
        with transaction.atomic():
            cart, token = _cart_for_lines_of(request, order)
            releasing.begin(order, to=Order.Status.CANCELLED, by=Order.Closer.SHOPPER, user=user_of(request), cart=cart)
    except releasing.CannotRelease:
        return _answer_repeat(request, order)
    done = releasing.step(order)
    return set_cart_cookie(redirect("cart:detail") if done else redirect(order), token)


def _cart_for_lines_of(request: HttpRequest, order: Order) -> tuple[Cart, str | None]:
    """Where an order's lines go back to: the visitor's cart, or a new one that a second click finds again."""
    if cart := find_cart_for(request):
        return cart, None
    return cart_with_token(access.returning_token(order), user_of(request))


def _answer_repeat(request: HttpRequest, order: Order) -> HttpResponse:
    """The order is over. If its lines are in a cart whose token never reached the visitor, they get that now."""
    token = access.returning_token(order)
    if order.status == Order.Status.CANCELLED and basket_of(token, None).items:
        return set_cart_cookie(redirect("cart:detail"), token)
    messages.warning(request, _("This order cannot be changed any more."))
    return redirect(order)


@require_POST
def keep(request: HttpRequest, number: str) -> HttpResponse:
    """The shopper would rather keep the order after all."""
    order = access.find_order(request, number)
    if not releasing.withdraw(order):
        messages.warning(request, _("The payment page is closed already; your basket will be back in a moment."))
    return redirect(order)


# --- Money that came too late -----------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def late_payment(request: HttpRequest, number: str) -> HttpResponse:
    """Money came when the order was over: its shopper says whether it goes back or waits for the co-operative."""
    if request.method != "POST":
        if "key" in request.GET:
            return _take_secret(request, number, request.GET["key"], "orders:late_payment", lambda order: [order.key])
        if number != number.upper():
            return redirect("orders:late_payment", number.upper())
    order = access.find_order(request, number)
    case = late.open_case(order)
    if case is None:  # nothing came late, or somebody has decided
        return redirect(order)
    if request.method == "POST":
        return _decide(request, order, case)
    return _show_late_payment(request, order, case)


def _show_late_payment(request: HttpRequest, order: Order, case: Case, *, unclear: bool = False) -> HttpResponse:
    payment = order.payments.get(uuid=case.subject_uuid)
    context = {
        **_late_money(order, case),
        "order": order,
        "capture": payment.movements.filter(kind=Movement.Kind.CAPTURE).latest("happened_at"),
        "left": ledger.refundable(payment),
        "unclear": unclear,
    }
    return render(request, "orders/late_payment.html", context, status=422 if unclear else 200)


def _late_money(order: Order, case: Case | None) -> dict[str, Any]:
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
    try:
        late.send_back(case, by=None, note=_("The shopper asked for it."))
    except CannotRefund:
        messages.warning(
            request,
            _("Your money cannot be sent back from here just now. Somebody at the co-operative looks into it."),
        )
        return redirect("orders:late_payment", order.number)
    return redirect(order)


@transaction.atomic
def _note_waiting(order: Order, case: Case, user: User | None) -> None:
    order = services.lock(order.pk)
    if not _is_waiting(order, case):
        order.record("shopper_waits", by=user, case=str(case.uuid))


def _is_waiting(order: Order, case: Case) -> bool:
    """Whether the shopper said that they would wait for the co-operative's word about this case."""
    return order.events.filter(kind="shopper_waits", data__case=str(case.uuid)).exists()


# --- All of a shopper's orders ----------------------------------------------------------------------------------------


@never_cache
@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """The signed-in shopper's orders, newest first, by status and day."""
    form = OrderFilterForm(request.GET)
    form.is_valid()
    orders = form.narrow(Order.objects.filter(user=user_of(request)))
    page = page_of(orders, ("-placed_at", "-pk"), request.GET.get("after", ""), PER_PAGE)
    template = "orders/_list.html" if wants_fragment(request) else "orders/list.html"
    return render(request, template, {"form": form, "page": page}, status=200 if form.is_valid() else 422)
