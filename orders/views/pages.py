"""The order's own pages, and the way back from SumUp."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from bookings.models import Booking, Entry
from cartsite.http import wants_fragment
from cartsite.models import Case
from orders import access, attendees, timeline
from orders.models import Order, OrderLine
from orders.views.late import late_money
from orders.views.paying import progress
from orders.views.receipt import has_receipt
from payments import cancelling, late, ledger, moving, releasing, sweeping
from payments.models import Movement, Payment, Refund

# So long after it was placed, an order's page thanks for it. (It must be paid within 45 minutes.)
NEW_FOR = timedelta(hours=1)


@never_cache
@require_safe
def detail(request: HttpRequest, number: str) -> HttpResponse:
    """The order for whoever may see it; a visit with the secret key goes on to the address without it."""
    if "key" in request.GET:
        return access.take_secret(request, number, request.GET["key"], "orders:detail", lambda order: [order.key])
    if number != number.upper():  # typed by hand: each order has one address
        return redirect("orders:detail", number.upper())
    order = access.find_order(request, number)
    _move_along(order)
    context = _context(order)
    if wants_fragment(request) and "onward" in request.GET and context["can_go_to_sumup"]:
        return HttpResponseClientRedirect(context["payment"].checkout_url)
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
    lines = list(_lines_of(order))
    for line in lines:
        line.called_off = line.cancelled - _moved_on(line)
        line.stands_at = _stands_at(line)
    told = _money(order)
    return {
        **progress(order),
        **told,
        **late_money(order, late.open_case(order)),
        "lines": [line for line in lines if line.kind in OrderLine.GOODS],
        "extras": [line for line in lines if line.kind not in OrderLine.GOODS],
        "is_new": order.placed_at > timezone.now() - NEW_FOR,
        "is_part_cancelled": any(line.called_off for line in lines),
        "moments": timeline.tell(order, lines, told["movements"]),
        "can_cancel": order.status == Order.Status.CONFIRMED and any(cancelling.is_offered(line) for line in lines),
        "can_move": order.status == Order.Status.CONFIRMED and any(moving.is_offered(line) for line in lines),
        "has_places": any(
            booking.status == Booking.Status.CONFIRMED for line in lines for booking in line.bookings.all()
        ),
        **_who_comes(order, lines),
        "has_receipt": has_receipt(order, told["money"]),
        "statement_name": settings.STATEMENT_NAME,
        "contact": getattr(order, "contact", None),
        "address": getattr(order, "address", None),
    }


def _who_comes(order: Order, lines: Iterable[Any]) -> dict[str, Any]:
    """Each place that something is asked about, with whoever comes, and whether that may still be changed."""
    places = [booking for line in lines for booking in line.bookings.all() if attendees.is_told(booking)]
    if not order.is_sold:
        return {"guests": [], "can_change_guests": False}
    return {
        "guests": [(booking, attendees.guest_of(booking)) for booking in places],
        "can_change_guests": any(attendees.can_change(booking) for booking in places),
    }


def _moved_on(line: OrderLine) -> int:
    """How many of a line's places went to another order: they are counted as cancelled, but they are not."""
    return sum(b.status == Booking.Status.MOVED and b.moving_to_id is not None for b in line.bookings.all())


def _stands_at(line: OrderLine) -> Entry | None:
    """The entry at which all places of a line are now: not the one that was ordered, if all of them were moved."""
    gone = (Booking.Status.CANCELLED, Booking.Status.MOVED)
    entries = {booking.entry for booking in line.bookings.all() if booking.status not in gone}
    return entries.pop() if len(entries) == 1 else line.entry


def _lines_of(order: Order) -> Iterable[Any]:
    """The lines, each with how many of it were `counted` for already, and how many of those `cancelled`."""
    issued = Booking.objects.select_related("moving_to__order").order_by("pk")
    bookings = Prefetch("bookings", attendees.with_guests(issued))
    lines = order.lines.select_related("stall", "entry__calendar", "slot", "zone").prefetch_related(bookings)
    return lines.with_counts()


def _money(order: Order) -> dict[str, Any]:
    """What was paid, what went back and what is on its way; all amounts are positive."""
    money = ledger.money_of(order)
    moved = order.movements.filter(kind__in=Movement.SHOPPERS).select_related("payment")
    movements = list(moved.order_by("happened_at", "pk"))
    return {
        "money": money,
        "movements": movements,
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
