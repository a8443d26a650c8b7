"""The back office: orders with all that belongs to them, and the steps staff may take."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from cartsite.backoffice import RecordAdmin, RecordInline
from cartsite.models import User
from cartsite.templatetags.shop import in_words
from orders import services
from orders.models import LineAllocation, LineFact, Order, OrderContact, OrderEvent, OrderLine
from payments import releasing, sweeping
from payments.models import Movement, Payment


class ContactInline(RecordInline):
    model = OrderContact
    fields = ["name", "email"]


class LineInline(RecordInline):
    model = OrderLine
    fields = ["position", "kind", "title", "stall", "unit_price", "quantity", "tax_rate", "total", "hold"]


class PaymentInline(RecordInline):
    model = Payment
    fields = ["status", "amount", "currency", "reference", "valid_until", "created_at", "next_look_at"]


class MovementInline(RecordInline):
    model = Movement
    fields = ["kind", "amount", "currency", "sumup_id", "happened_at"]


class EventInline(RecordInline):
    model = OrderEvent
    fields = ["at", "kind", "cause", "by", "data"]


@admin.register(Order)
class OrderAdmin(RecordAdmin):
    list_display = ["number", "shown_status", "shown_total", "who", "placed_at", "closing_to"]
    list_filter = ["status", "placed_at", "closing_to"]
    search_fields = ["number", "contact__name", "contact__email", "lines__title"]
    list_select_related = ["contact"]
    ordering = ["-placed_at", "-pk"]
    exclude = ["key", "leased_until"]
    inlines = [ContactInline, LineInline, PaymentInline, MovementInline, EventInline]
    actions = ["ask_sumup", "cancel", "resend_confirmation", "mark_collected"]

    @display(
        description=_("status"),
        ordering="status",
        label={"confirmed": "success", "completed": "success", "awaiting_payment": "info", "cancelled": "warning"},
    )
    def shown_status(self, order: Order) -> tuple[str, str]:
        return order.status, order.get_status_display()

    @admin.display(description=_("total"), ordering="total")
    def shown_total(self, order: Order) -> str:
        return in_words(order.total, order.currency)

    @admin.display(description=_("who"))
    def who(self, order: Order) -> str:
        return order.contact.name if hasattr(order, "contact") else ""

    @admin.action(description=_("Ask SumUp now"), permissions=["change"])
    def ask_sumup(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """Look at every attempt to pay these orders, as webhook and sweep would."""
        attempts = Payment.objects.filter(order__in=orders, next_look_at__isnull=False)
        for payment in attempts:
            sweeping.look_now(payment.pk)
        self._say(request, _("SumUp was asked about %(n)d attempt(s)."), len(attempts))

    @admin.action(description=_("Cancel"), permissions=["change"])
    def cancel(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """Let unpaid orders go safely, and call confirmed ones off. Money goes back by a refund."""
        cancelled = sum(self._cancel(request, order) for order in orders)
        self._say(request, _("%(n)d order(s) are cancelled, or will be as soon as no payment can come in."), cancelled)

    def _cancel(self, request: HttpRequest, order: Order) -> bool:
        """One order; False, with a sentence to staff, if it cannot be."""
        person = _person(request)
        try:
            if order.status == Order.Status.CONFIRMED:
                done = services.cancel_confirmed(order, by=person, cause=Order.Closer.STAFF)
            else:
                releasing.release(order, to=Order.Status.CANCELLED, by=Order.Closer.STAFF, user=person)
                done = True
        except releasing.CannotRelease:
            done = False
        if not done:
            reason = _("%(number)s cannot be cancelled: it is over, partly handed out, or its money is in doubt.")
            self.message_user(request, reason % {"number": order.number}, messages.WARNING)
        else:
            self._log(request, order, "Cancelled")
        return done

    @admin.action(description=_("Resend the confirmation"), permissions=["change"])
    def resend_confirmation(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """Owe the shopper another confirmation of each confirmed order."""
        confirmed = orders.filter(status__in=[Order.Status.CONFIRMED, Order.Status.COMPLETED])
        for order in confirmed:
            services.owe_mail(order, "confirmation", occurrence=timezone.now().isoformat())
            self._log(request, order, "Confirmation resent")
        self._say(request, _("%(n)d confirmation(s) will be sent in a moment."), len(confirmed))

    @admin.action(description=_("Everything was collected"), permissions=["change"])
    def mark_collected(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """The goods of these orders were handed over. Places are accounted for at the door, not here."""
        lines = OrderLine.objects.filter(order__in=orders, kind=OrderLine.Kind.PRODUCT)
        collected = sum(services.collect_rest(line, by=_person(request)) for line in lines)
        self._say(request, _("%(n)d line(s) marked as collected."), collected)

    def _say(self, request: HttpRequest, sentence: Any, count: int) -> None:
        self.message_user(request, sentence % {"n": count}, messages.SUCCESS if count else messages.INFO)

    def _log(self, request: HttpRequest, order: Order, what: str) -> None:
        LogEntry.objects.log_actions(_person(request).pk, [order], CHANGE, change_message=what, single_object=True)


def _person(request: HttpRequest) -> User:
    """Whoever works in the back office: always somebody who signed in."""
    return User.objects.get(pk=request.user.pk or 0)


@admin.register(OrderLine)
class OrderLineAdmin(RecordAdmin):
    list_display = ["order", "title", "stall", "quantity", "total"]
    list_select_related = ["order", "stall"]
    list_filter = ["kind", "stall", "order__status"]
    search_fields = ["title", "order__number"]
    ordering = ["-pk"]


@admin.register(OrderContact)
class OrderContactAdmin(RecordAdmin):
    list_display = ["order", "name", "email"]
    list_select_related = ["order"]
    search_fields = ["name", "email", "order__number"]
    ordering = ["-pk"]


@admin.register(LineAllocation)
class LineAllocationAdmin(RecordAdmin):
    list_display = ["line", "stall", "tax_rate", "amount", "tax"]
    list_select_related = ["line", "stall"]
    list_filter = ["stall", "tax_rate"]
    search_fields = ["line__title", "line__order__number"]
    ordering = ["-pk"]


@admin.register(LineFact)
class LineFactAdmin(RecordAdmin):
    list_display = ["line", "kind", "quantity", "by", "at"]
    list_select_related = ["line", "by"]
    list_filter = ["kind", "at"]
    search_fields = ["line__title", "line__order__number"]
    ordering = ["-pk"]


@admin.register(OrderEvent)
class OrderEventAdmin(RecordAdmin):
    list_display = ["at", "order", "kind", "cause", "by"]
    list_select_related = ["order", "by"]
    list_filter = ["kind", "at"]
    search_fields = ["order__number", "kind", "cause"]
    ordering = ["-pk"]
