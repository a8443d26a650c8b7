"""Paying an order, coming back from SumUp, and letting an unpaid order go."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from cart.models import Cart
from cart.services import basket_of, cart_with_token
from cart.visitors import find_cart_for, set_cart_cookie, user_of
from cartsite import limits
from cartsite.http import is_htmx, wants_fragment
from cartsite.sorry import too_many
from orders import access, replacing
from orders.models import Order
from payments import releasing, starting, sweeping
from payments.models import Payment


def go_and_pay(request: HttpRequest, order: Order) -> HttpResponse:
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


@never_cache
@require_safe
def back_from_sumup(request: HttpRequest, number: str) -> HttpResponse:
    """ "We are confirming with the bank": asks SumUp itself, polls, and never says failed before it is sure."""
    if "token" in request.GET:
        return access.take_secret(request, number, request.GET["token"], "orders:return", _way_back_tokens)
    order = access.find_order(request, number)
    payment = order.payments.order_by("-created_at").first()
    if payment is not None and order.is_awaiting_payment:
        sweeping.look_now(payment.pk)
        order.refresh_from_db()
    if not order.is_awaiting_payment:
        return HttpResponseClientRedirect(order.get_absolute_url()) if is_htmx(request) else redirect(order)
    template = "orders/_confirming.html" if wants_fragment(request) else "orders/confirming.html"
    return render(request, template, progress(order))


def _way_back_tokens(order: Order) -> Iterable[str]:
    return order.payments.values_list("return_token", flat=True)


def progress(order: Order) -> dict[str, Any]:
    """How far the order has come on its way to be paid."""
    payment = order.payments.order_by("-created_at").first()
    return {
        "order": order,
        "payment": payment,
        "is_move": not order.is_sold and replacing.is_move(order),
        "in_doubt": payment is not None and payment.status in Payment.UNSENT,
        "can_go_to_sumup": payment is not None
        and payment.status in Payment.AT_SUMUP
        and order.is_awaiting_payment
        and not order.is_closing,
        "can_withdraw": order.closing_by == Order.Closer.SHOPPER
        and payment is not None
        and payment.status in Payment.AT_SUMUP
        and payment.expired_since is None,
    }


@require_POST
def pay(request: HttpRequest, number: str) -> HttpResponse:
    """Start to pay, or go on where the shopper left off."""
    return go_and_pay(request, access.find_order(request, number))


@require_POST
def change_basket(request: HttpRequest, number: str) -> HttpResponse:
    """Let the order go, safely, and put its lines back into the cart."""
    order = access.find_order(request, number)
    if replacing.is_move(order):
        return _leave_as_it_was(request, order)
    try:
        with transaction.atomic():
            cart, token = _cart_for_lines_of(request, order)
            releasing.begin(order, to=Order.Status.CANCELLED, by=Order.Closer.SHOPPER, user=user_of(request), cart=cart)
    except releasing.CannotRelease:
        return _answer_repeat(request, order)
    done = releasing.step(order)
    return set_cart_cookie(redirect("cart:detail") if done else redirect(order), token)


def _leave_as_it_was(request: HttpRequest, order: Order) -> HttpResponse:
    """Let an order go that was to move places: they stay where they were, and nothing goes into a basket."""
    try:
        releasing.release(order, to=Order.Status.CANCELLED, by=Order.Closer.SHOPPER, user=user_of(request))
    except releasing.CannotRelease:
        messages.warning(request, _("This order cannot be changed any more."))
    return redirect(order)


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
