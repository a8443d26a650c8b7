"""What became of an order's goods, line by line: so many were collected, so many were never fetched."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminTextareaWidget

from cartsite import agreements
from cartsite.backoffice import LONGEST_NOTE, log, path_of, person_of
from cartsite.refusals import Conflict
from orders import services
from orders.models import LineFact, Order, OrderLine
from payments.desk.fields import quantity_field

STEP = "record_goods"
KINDS = {
    LineFact.Kind.COLLECTED: gettext_lazy("Collected"),
    LineFact.Kind.MISSED: gettext_lazy("Not fetched"),
}


class GoodsForm(forms.Form):
    """Two numbers for each line of goods, and a note."""

    def __init__(self, open_lines: list[tuple[OrderLine, int]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open_lines = open_lines
        for line, left in open_lines:
            for kind, label in KINDS.items():
                self.fields[f"{kind}_{line.pk}"] = quantity_field(str(label), left)
        self.fields["note"] = forms.CharField(
            label=_("Note"),
            required=False,
            max_length=LONGEST_NOTE,
            help_text=_("Without personal data. It stays on record."),
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        )

    def rows(self) -> list[dict[str, Any]]:
        """Each line with its two fields."""
        return [
            {"line": line, "left": left, "fields": [self[f"{kind}_{line.pk}"] for kind in KINDS]}
            for line, left in self.open_lines
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for line, left in self.open_lines:
            if sum(data.get(f"{kind}_{line.pk}") or 0 for kind in KINDS) > left:
                words = _("Together these are more than the %(left)d that are left.") % {"left": left}
                self.add_error(f"{LineFact.Kind.MISSED}_{line.pk}", words)
        if not self.errors and not self.facts():
            raise forms.ValidationError(_("Please say of at least one line how many were collected or not fetched."))
        return data

    def facts(self) -> list[tuple[OrderLine, str, int]]:
        """What was typed: a line, what became of it, and of how many."""
        fates = [(line, kind) for line, _left in self.open_lines for kind in KINDS]
        typed = [(line, kind, self.cleaned_data.get(f"{kind}_{line.pk}")) for line, kind in fates]
        return [(line, kind, quantity) for line, kind, quantity in typed if quantity]


class GoodsPage:
    """For the admin of orders: the page on which handed-over and unfetched goods are written down."""

    get_object: Callable[..., Any]
    has_change_permission: Callable[..., bool]
    show_outcome: Callable[..., HttpResponse]
    show_repeat: Callable[..., HttpResponse]

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.goods_view)  # type: ignore[attr-defined]
        return [path("<int:order_id>/goods/", page, name="orders_order_goods"), *super().get_urls()]  # type: ignore[misc]

    def goods_view(self, request: HttpRequest, order_id: int) -> HttpResponse:
        """A form for each line of goods that is not accounted for; posted, it is written down once."""
        order = self.get_object(request, str(order_id))
        if order is None:
            raise Http404
        if not self.has_change_permission(request, order):
            raise PermissionDenied
        try:
            if request.method == "POST":
                agreements.raise_if_done(request, STEP, order)
            return self._answer_goods(request, order)
        except agreements.Repeated as repeat:
            return self.show_repeat(request, repeat)

    def _answer_goods(self, request: HttpRequest, order: Order) -> HttpResponse:
        form = GoodsForm(list_open_goods(order), request.POST if request.method == "POST" else None)
        conflict = None
        if form.is_valid():
            try:
                return self.show_outcome(request, record(request, order, form))
            except (Conflict, services.CannotRecord) as refusal:
                order.refresh_from_db()
                form, conflict = GoodsForm(list_open_goods(order)), str(refusal)
        agreed = agreements.offer(request, STEP, order, fingerprint_of(order))
        told = {"form": form, "original": order, "agreed": agreed, "conflict": conflict, "back_path": path_of(order)}
        title = _("Goods of order %s") % order.number
        return self.show_page(request, "admin/orders/order/goods.html", title, **told)  # type: ignore[attr-defined,no-any-return]


def list_open_goods(order: Order) -> list[tuple[OrderLine, int]]:
    """The lines of goods of a confirmed order that are not accounted for, each with how many are left of it."""
    if order.status != Order.Status.CONFIRMED:
        return []
    lines = order.lines.filter(kind=OrderLine.Kind.PRODUCT).with_counts()
    return [(line, line.quantity - line.counted) for line in lines if line.counted < line.quantity]


def fingerprint_of(order: Order) -> str:
    """Equal as long as the same goods wait to be handed over."""
    return agreements.fingerprint_of([(line.pk, left) for line, left in list_open_goods(order)])


def record(request: HttpRequest, order: Order, form: GoodsForm) -> agreements.Outcome:
    """Write down what was typed, once. Raises Conflict, Repeated or CannotRecord."""
    with agreements.once(request, STEP, order) as promise:
        now = services.lock(order.pk)
        promise.check(fingerprint_of(now))
        services.record_goods(now, form.facts(), by=person_of(request))
        told = " ".join(describe(*fact) for fact in form.facts())
        log(request, order, " ".join(filter(None, [told, form.cleaned_data["note"]])))
        now.refresh_from_db(fields=["status"])
        ended = _("The order is completed.") if now.status == Order.Status.COMPLETED else ""
        return promise.conclude(" ".join(filter(None, [told, ended])), path_of(order))


def describe(line: OrderLine, kind: str, quantity: int) -> str:
    """What became of a line, in a sentence."""
    words = {
        LineFact.Kind.COLLECTED: ngettext("%(n)d collected", "%(n)d collected", quantity),
        LineFact.Kind.MISSED: ngettext("%(n)d not fetched", "%(n)d not fetched", quantity),
    }
    return f"{line.title}: {words[LineFact.Kind(kind)] % {'n': quantity}}."
