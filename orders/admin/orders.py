"""Orders with all that belongs to them, and the steps staff may take."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from cartsite import agreements, staff_actions
from cartsite.backoffice import (
    MOST_FOUND,
    RecordAdmin,
    RecordInline,
    log,
    may_erase,
    may_see,
    path_of,
    person_of,
    read_address,
)
from cartsite.refusals import Conflict
from orders import privacy, services
from orders.access import read_number
from orders.admin.events import EventInline
from orders.admin.goods import GoodsPage, list_open_goods
from orders.admin.mail import RESEND, MailPages, list_mail
from orders.models import DeliveryAddress, LineAllocation, LineFact, Order, OrderContact, OrderLine
from payments import giving_back, ledger, sweeping
from payments.desk import cancel_orders, money_states, order_money, steps
from payments.desk.order_money import MoneyForm
from payments.models import Movement, Payment, Refund

MOST_WORDS = 8  # that one search looks for


class ContactInline(RecordInline):
    model = OrderContact
    fields = ["name", "email"]


class AddressInline(RecordInline):
    model = DeliveryAddress
    fields = ["street", "town", "postcode", "instructions"]


class LineInline(RecordInline):
    model = OrderLine
    fields = ["position", "kind", "title", "stall", "unit_price", "quantity", "tax_rate", "total", "hold"]


class PaymentInline(RecordInline):
    model = Payment
    fields = ["status", "amount", "reference", "valid_until", "created_at", "next_look_at"]


class RefundInline(RecordInline):
    model = Refund
    fields = ["status", "amount", "method", "reason", "requested_at", "requested_by", "done_at"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("requested_by")


class MovementInline(RecordInline):
    model = Movement
    fields = ["kind", "amount", "sumup_id", "happened_at"]


@admin.register(Order)
class OrderAdmin(GoodsPage, MailPages, RecordAdmin):
    list_display = ["number", "shown_status", "total", "shown_money", "who", "placed_at", "closing_to"]
    list_filter = ["status", "placed_at", "closing_to", "is_test"]
    search_fields = ["number", "contact__name", "contact__email", "lines__title"]
    found_by = [("number", read_number), ("contact__email__iexact", read_address)]
    list_select_related = ["contact"]
    reveals = {"who": ["orders.ordercontact"]}
    ordering = ["-placed_at", "-pk"]
    exclude = ["key", "leased_until"]
    inlines = [ContactInline, AddressInline, LineInline, PaymentInline, RefundInline, MovementInline, EventInline]
    actions = ["ask_sumup", "cancel", "resend_confirmation", "mark_collected", "erase_contact"]
    change_form_outer_before_template = "admin/orders/order/summary.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return money_states.with_money(super().get_queryset(request))

    def search_words(self, request: HttpRequest, queryset: QuerySet[Any], words: str) -> tuple[QuerySet[Any], bool]:
        """The newest orders with every word in their number, in their contact, or in the title of one line.

        Each table is read by itself and up to MOST_FOUND hits: all of them joined took half a minute in a big shop.
        """
        sought = words.split()[:MOST_WORDS]
        found = _search(Order, "pk", ["number"], sought) | _search(OrderLine, "order", ["title"], sought)
        if may_see(request, "orders.ordercontact"):
            found |= _search(OrderContact, "order", ["name", "email"], sought)
        return queryset.filter(pk__in=found), False

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.money_view)
        return [path("<int:order_id>/money/", page, name="orders_order_money"), *super().get_urls()]

    @display(
        description=_("status"),
        ordering="status",
        label={"confirmed": "success", "completed": "success", "awaiting_payment": "info", "cancelled": "warning"},
    )
    def shown_status(self, order: Order) -> tuple[str, str]:
        return order.status, order.get_status_display()

    @display(description=_("money"), label=money_states.COLOURS)
    def shown_money(self, order: Order) -> tuple[str, Any]:
        state = money_states.state_of(order)
        return state.value, money_states.IN_WORDS[state]

    @admin.display(description=_("who"))
    def who(self, order: Order) -> str:
        return order.contact.name if hasattr(order, "contact") else ""

    @admin.action(description=_("Ask SumUp now"), permissions=["change"])
    def ask_sumup(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """Look at every attempt to pay these orders, as webhook and sweep would."""
        attempts = Payment.objects.filter(order__in=orders, next_look_at__isnull=False).select_related("order")
        for payment in attempts:
            sweeping.look_now(payment.pk)
            log(request, payment, "Asked SumUp")
            log(request, payment.order, "Asked SumUp")
        asked = len(attempts)
        words = ngettext("SumUp was asked about %(n)d attempt.", "SumUp was asked about %(n)d attempts.", asked)
        self.say(request, words, asked)

    @admin.action(description=_("Cancel"), permissions=["change"])
    def cancel(self, request: HttpRequest, orders: QuerySet[Order]) -> HttpResponse:
        """Let unpaid orders go safely, and cancel confirmed ones with a refund of all their money."""
        return staff_actions.confirm(self, request, orders, cancel_orders.ACTION)

    @admin.action(description=_("Resend the confirmation"), permissions=["change"])
    def resend_confirmation(self, request: HttpRequest, orders: QuerySet[Order]) -> HttpResponse:
        """Owe the shopper another confirmation of each confirmed order."""
        return staff_actions.confirm(self, request, orders, RESEND)

    @admin.action(description=_("Everything was collected"), permissions=["change"])
    def mark_collected(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """The goods of these orders were handed over. Places are accounted for at the door, not here."""
        lines = OrderLine.objects.filter(order__in=orders, kind=OrderLine.Kind.PRODUCT)
        collected = sum(services.collect_rest(line, by=person_of(request)) for line in lines)
        words = ngettext("%(n)d line marked as collected.", "%(n)d lines marked as collected.", collected)
        self.say(request, words, collected)

    # --- Who ordered --------------------------------------------------------------------------------------------------

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return may_erase(request)

    @admin.action(description=_("Erase who ordered"), permissions=["erase"])
    def erase_contact(self, request: HttpRequest, orders: QuerySet[Order]) -> HttpResponse:
        """Name and addresses of these orders go, for a guest who asks for it; what the books need stays."""
        return staff_actions.confirm(self, request, orders, ERASE)

    # --- What may be done about an order's money ----------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The order, with its money in words above it, and its mail."""
        order = self.get_object(request, object_id)
        more = _tell_about(order) | {"mails": list_mail(order)} if order else {}
        more["has_goods"] = bool(order and list_open_goods(order))
        more["buttons"] = [("erase_contact", _("Erase who ordered"))] if order and _is_known(request, order) else []
        return super().change_view(request, object_id, form_url, (extra_context or {}) | more)

    def money_view(self, request: HttpRequest, order_id: int) -> HttpResponse:
        """Refund, cancel, give back or take by hand: a form for each, then what it comes to, then yes."""
        order = self.get_object(request, str(order_id))
        if order is None:
            raise Http404
        if not self.has_change_permission(request, order):
            raise PermissionDenied
        pressed = read_way(request)
        try:
            if pressed is not None:
                agreements.raise_if_done(request, order_money.name_of(pressed), order)
            forms = self._money_forms(request, order)
            if request.method == "POST":
                chosen = next((form for form in forms if form.way == pressed), None)
                answer = self._answer(request, order, chosen)
                if answer is not None:
                    return answer
        except agreements.Repeated as repeat:
            return self.show_repeat(request, repeat)
        told = _tell_about(order) | {"forms": forms, "order": order, "original": order}
        return self.show_page(request, "admin/orders/order/money.html", _now("Refund or cancel"), **told)

    def _money_forms(self, request: HttpRequest, order: Order) -> list[MoneyForm]:
        """One form for each way that is open, the chosen one with what was typed."""
        may_approve, pressed = steps.may_approve(request), request.POST.get("way")
        ways = order_money.ways_for(order, may_approve=may_approve)
        return [
            MoneyForm(order, way, request.POST if way == pressed else None, may_approve=may_approve) for way in ways
        ]

    def _answer(self, request: HttpRequest, order: Order, form: MoneyForm | None) -> HttpResponse | None:
        """The next page: the one that asks once more, or the order's when it is done; None to show the form again."""
        if form is None:
            self.message_user(request, _("This cannot be done with the order now."), messages.ERROR)
            return HttpResponseRedirect(path_of(order))
        if not form.is_valid():
            if agreements.is_answered(request):  # it was valid when they read what it comes to
                self.message_user(request, str(Conflict()), messages.WARNING)
            return None
        conflict = None
        try:
            if agreements.is_answered(request):
                return self.show_outcome(request, order_money.take(request, order, form))
        except steps.Refused as refusal:
            _refuse(form, refusal)
            return None
        except Conflict as changed:
            conflict = changed
        return self._show_preview(request, order, form, conflict)

    def _show_preview(
        self, request: HttpRequest, order: Order, form: MoneyForm, conflict: Conflict | None
    ) -> HttpResponse | None:
        """The page that asks once more; with what has changed, if they said yes to something else."""
        since = order_money.mark_of(order)
        try:
            shown = order_money.preview(request, order, form)
        except steps.Refused as refusal:
            _refuse(form, refusal)
            return None
        told = _tell_about(order) | {
            "form": form,
            "preview": shown,
            "agreed": agreements.offer(request, order_money.name_of(form.way), order, shown.fingerprint, since=since),
            "conflict": conflict,
            "news": order_money.news_of(order, conflict.since) if conflict else [],
            "original": order,
        }
        return self.show_page(request, "admin/orders/order/confirm.html", str(form.title), **told)


def _erase(request: HttpRequest, order: Order, note: str) -> str:
    try:
        if privacy.erase_contact(order, by=person_of(request)):
            log(request, order, f"Erased who ordered: {note}")
    except privacy.CannotErase as refusal:
        raise staff_actions.Refused(str(refusal)) from refusal
    return f"{order}: who ordered is erased."


def _preview_erasing(_request: HttpRequest, order: Order) -> staff_actions.RowPreview:
    """What is in the way of it, before anything is typed."""
    hindrances = privacy.hindrances_of_orders(Order.objects.filter(pk=order.pk))
    return staff_actions.RowPreview(facts=order.status, in_the_way=hindrances)


ERASE = staff_actions.StaffAction(
    "erase who ordered",
    "Erase who ordered",
    "Name, e-mail and delivery address are erased for good, and no more mail is sent. What was ordered and paid stays."
    " An order that is not over is left as it is.",
    _erase,
    lambda n: f"{n} orders: who ordered is erased.",
    preview=_preview_erasing,
)


def _search(model: type[Model], order: str, fields: Sequence[str], words: Sequence[str]) -> set[int]:
    """The newest orders, by primary key, of which one row of the model has every word in one of its fields."""
    each = [Q.create([(f"{field}__icontains", word) for field in fields], connector=Q.OR) for word in words]
    found = model._default_manager.filter(*each).order_by(f"-{order}")
    return set(found.values_list(order, flat=True)[:MOST_FOUND])


def read_way(request: HttpRequest) -> order_money.Way | None:
    """The way whose form was posted, if it is one."""
    pressed = request.POST.get("way", "")
    return order_money.Way(pressed) if pressed in list(order_money.Way) else None


def _refuse(form: MoneyForm, refusal: steps.Refused) -> None:
    """Say beside the amount, or above the form, why it cannot be done."""
    form.add_error("amount" if "amount" in form.fields else None, str(refusal))


def _is_known(request: HttpRequest, order: Order) -> bool:
    """Whether we know who ordered, and this person may erase that."""
    return may_erase(request) and (hasattr(order, "contact") or hasattr(order, "address"))


def _tell_about(order: Order) -> dict[str, Any]:
    """The order's money, for people."""
    money = ledger.money_of(order)
    return {
        "money": money,
        "money_state": money_states.IN_WORDS[money.state],
        "money_colour": money_states.COLOURS.get(money.state.value, ""),
        "by_card": giving_back.by_card(order),
    }


@admin.register(OrderLine)
class OrderLineAdmin(RecordAdmin):
    list_display = ["order", "title", "stall", "quantity", "total"]
    list_select_related = ["order", "stall"]
    list_filter = ["kind", "stall", "order__status"]
    search_fields = ["title", "order__number"]
    found_by = [("order__number", read_number)]
    ordering = ["-pk"]


@admin.register(OrderContact)
class OrderContactAdmin(RecordAdmin):
    list_display = ["order", "name", "email"]
    list_select_related = ["order"]
    search_fields = ["name", "email", "order__number"]
    found_by = [("order__number", read_number), ("email__iexact", read_address)]
    ordering = ["-pk"]


@admin.register(LineAllocation)
class LineAllocationAdmin(RecordAdmin):
    list_display = ["line", "stall", "tax_rate", "amount", "tax"]
    list_select_related = ["line", "stall"]
    list_filter = ["stall", "tax_rate"]
    search_fields = ["line__title", "line__order__number"]
    found_by = [("line__order__number", read_number)]
    ordering = ["-pk"]


@admin.register(LineFact)
class LineFactAdmin(RecordAdmin):
    list_display = ["line", "kind", "quantity", "by", "at"]
    list_select_related = ["line", "by"]
    list_filter = ["kind", "at"]
    search_fields = ["line__title", "line__order__number"]
    found_by = [("line__order__number", read_number)]
    ordering = ["-pk"]
