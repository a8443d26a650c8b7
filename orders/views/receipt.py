"""An order's receipt, to be printed."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from orders import access, receipts
from orders.models import Order
from payments import ledger
from payments.models import Movement


@never_cache
@require_safe
def receipt(request: HttpRequest, number: str) -> HttpResponse:
    """Who sold what, with the tax at each rate, what was paid and what went back; once it was paid, or cost nothing."""
    if number != number.upper():
        return redirect("orders:receipt", number.upper())
    order = access.find_order(request, number)
    money = ledger.money_of(order)
    if not has_receipt(order, money):
        messages.warning(request, _("There is no receipt, since this order was not paid."))
        return redirect(order)
    contact = getattr(order, "contact", None)
    facts = {"order": order, "contact": contact, "receipt": receipts.write(order), "money": money}
    return render(request, "orders/receipt.html", facts | _moves(order))


def has_receipt(order: Order, money: ledger.Money) -> bool:
    """Whether it was paid in full, or confirmed without costing anything."""
    return money.came_in >= order.total and (order.total > 0 or not order.is_awaiting_payment)


def _moves(order: Order) -> dict[str, Any]:
    """What came in and what went back, the oldest first."""
    movements = order.movements.filter(kind__in=Movement.SHOPPERS).select_related("payment")
    moves = list(movements.order_by("happened_at", "pk"))
    return {
        "paid": [movement for movement in moves if movement.amount > 0],
        "went_back": [(movement, -movement.amount) for movement in moves if movement.amount < 0],
    }
