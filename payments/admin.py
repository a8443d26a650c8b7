"""The back office: attempts to pay, facts about money, refunds and daily closes; and SumUp, to be asked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import display

from cartsite.backoffice import RecordAdmin, RecordInline, age_of, log, path_of, person_of
from cartsite.http import read_key
from cartsite.models import Case
from cartsite.staff_actions import RowPreview, StaffAction, confirm
from cartsite.templatetags.shop import in_words
from orders.access import read_number
from payments import closing, refunds, sweeping
from payments.desk import batches, fields, statement_page, steps
from payments.models import (
    DailyClose,
    Finding,
    Movement,
    MovementShare,
    Payment,
    Refund,
    RefundBatch,
    Stray,
    Taking,
    TakingsDay,
)
from payments.refunds import CannotRefund

__all__ = ["batches"]  # which are registered with it

# A page waits for so long at most; the worker goes on with what is left.
PATIENCE = timedelta(seconds=20)
TRANSACTION_CODE_LENGTH = 10


def read_transaction_code(typed: str) -> str:
    """SumUp's code of a transaction, such as `TYW2ADMMNQ`, in any case; empty if it is none."""
    code = typed.strip().upper()
    return code if code.isascii() and code.isalnum() and len(code) == TRANSACTION_CODE_LENGTH else ""


class MovementInline(RecordInline):
    model = Movement
    fields = ["kind", "amount", "sumup_id", "happened_at"]


class ShareInline(RecordInline):
    model = MovementShare
    fields = ["stall", "amount"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("stall")


@admin.register(Payment)
class PaymentAdmin(RecordAdmin):
    list_display = ["order", "status", "amount", "created_at", "next_look_at"]
    list_select_related = ["order"]
    list_filter = ["status", "created_at"]
    search_fields = ["order__number", "reference", "checkout_id", "transaction_code"]
    found_by = [("order__number", read_number), ("transaction_code", read_transaction_code)]
    exclude = ["webhook_token", "return_token", "checkout_url"]
    inlines = [MovementInline]
    ordering = ["-pk"]
    actions = ["ask_sumup"]

    @admin.action(description=_("Ask SumUp now"), permissions=["change"])
    def ask_sumup(self, request: HttpRequest, payments: QuerySet[Payment]) -> None:
        """Settle what SumUp says of these attempts."""
        for payment in payments:
            sweeping.look_now(payment.pk)
            log(request, payment, "Asked SumUp")
        self.message_user(request, _("SumUp was asked."), messages.SUCCESS)


@admin.register(Movement)
class MovementAdmin(RecordAdmin):
    list_display = ["happened_at", "kind", "amount", "order", "sumup_id"]
    list_select_related = ["order"]
    list_filter = ["kind", "happened_at"]
    search_fields = ["order__number", "sumup_id", "payment__reference"]
    found_by = [("order__number", read_number), ("payment__transaction_code", read_transaction_code)]
    ordering = ["-happened_at", "-pk"]
    inlines = [ShareInline]
    list_before_template = "admin/payments/movement/links.html"

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.show_statement)
        return [path("statement/", page, name="payments_movement_statement"), *super().get_urls()]

    def show_statement(self, request: HttpRequest) -> HttpResponse:
        """What each stall sold, gave back, paid in fees and was paid out over some days; as a file with `as=csv`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = statement_page.read_period(request)
        sheet = statement_page.make_sheet(form) if form.is_valid() else None
        if sheet and request.GET.get("as") == "csv":
            return statement_page.answer_csv(sheet, form)
        title = _now("Stall statement")
        return self.show_page(request, "admin/payments/movement/statement.html", title, form=form, sheet=sheet)


# --- Refunds ----------------------------------------------------------------------------------------------------------


class WaitingFilter(RadioFilter):
    """Refunds for which somebody in the back office has to do something."""

    title = _("what it waits for")
    parameter_name = "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("approval", _("Approval")), ("answer", _("An answer of SumUp")), ("decision", _("A new try"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Refund]) -> QuerySet[Refund]:
        which: dict[Any, dict[str, Any]] = {
            "approval": {"status": Refund.Status.REQUESTED, "approved_at": None},
            "answer": {"status__in": Refund.UNDER_WAY},
            "decision": {"status": Refund.Status.FAILED, "retried_as": None, "sent_at__isnull": False},
        }
        return queryset.filter(**which.get(self.value(), {}))


class BatchFilter(admin.SimpleListFilter):
    """The refunds that were prepared together, for the link on the page of their batch; not offered elsewhere."""

    title = _("prepared together")
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        key = read_key(request.GET.get(self.parameter_name, "")) or 0
        return [(str(batch.pk), str(batch)) for batch in RefundBatch.objects.filter(pk=key)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Refund]) -> QuerySet[Refund]:
        return queryset.filter(batch=read_key(self.value() or ""))


@admin.register(Refund)
class RefundAdmin(RecordAdmin):
    list_display = ["amount", "shown_status", "order", "reason", "age", "requested_by"]
    list_select_related = ["order", "requested_by"]
    list_filter = [WaitingFilter, BatchFilter, "status", "method", "requested_at"]
    search_fields = ["order__number", "reason", "transaction_id", "payment__reference"]
    found_by = [("order__number", read_number), ("payment__transaction_code", read_transaction_code)]
    ordering = ["-pk"]
    exclude = ["seen_events", "leased_until", "looks"]
    change_form_outer_before_template = "admin/payments/refund/steps.html"
    actions = ["approve", "turn_down", "ask_sumup", "retry", "give_up"]

    @display(
        description=_("status"),
        ordering="status",
        label={
            "requested": "info",
            "approved": "info",
            "sending": "info",
            "unknown": "warning",
            "done": "success",
            "failed": "danger",
            "external": "warning",
        },
    )
    def shown_status(self, refund: Refund) -> tuple[str, Any]:
        if refund.status == Refund.Status.REQUESTED and refund.approved_at:
            return "approved", _now("Approved, will be sent")
        return refund.status, refund.get_status_display()

    @admin.display(description=_("age"), ordering="requested_at")
    def age(self, refund: Refund) -> str:
        return age_of(refund.requested_at)

    def has_approve_permission(self, request: HttpRequest) -> bool:
        """For actions with which money leaves."""
        return steps.may_approve(request)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The refund, with a button for each step that makes sense now and is permitted."""
        refund = self.get_object(request, object_id)
        allowed = self.get_actions(request)
        names = [name for name in _steps_of(refund) if name in allowed] if refund else []
        buttons = [(name, allowed[name][2]) for name in names]
        return super().change_view(request, object_id, form_url, (extra_context or {}) | {"buttons": buttons})

    @admin.action(description=_("Approve: send it now"), permissions=["approve"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Refund]) -> HttpResponse:
        """Let the worker send these, within seconds."""
        return confirm(self, request, chosen, APPROVE)

    @admin.action(description=_("Turn down"), permissions=["change"])
    def turn_down(self, request: HttpRequest, chosen: QuerySet[Refund]) -> HttpResponse:
        """Drop these before they are sent."""
        return confirm(self, request, chosen, TURN_DOWN)

    @admin.action(description=_("Ask SumUp now"), permissions=["change"])
    def ask_sumup(self, request: HttpRequest, chosen: QuerySet[Refund]) -> HttpResponse:
        """Look at what SumUp shows of these; those that are approved are sent."""

        def step(refund: Refund) -> None:
            if refund.method == Refund.Method.CASH:
                raise CannotRefund(_now("It was given back by hand: SumUp knows nothing of it."))
            if not refunds.look_now(refund):
                raise CannotRefund(_now("Another process is asking already. Look again in a minute."))

        asked = [self._take(request, one, partial(step, one), "Asked SumUp", asks_sumup=True) for one in chosen]
        words = ngettext("SumUp was asked about %(n)d refund.", "SumUp was asked about %(n)d refunds.", sum(asked))
        self.say(request, words, sum(asked))
        return self.go_back(request, chosen)

    @admin.action(description=_("Send again"), permissions=["approve"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Refund]) -> HttpResponse:
        """Send failed ones once more, each as a new refund."""
        return confirm(self, request, chosen, RETRY)

    @admin.action(description=_("Call failed"), permissions=["change"])
    def give_up(self, request: HttpRequest, chosen: QuerySet[Refund]) -> HttpResponse:
        """Say of refunds in doubt for a day that the money never left."""
        return confirm(self, request, chosen, GIVE_UP)

    def _take(
        self, request: HttpRequest, refund: Refund, step: Callable[[], Any], what: str, *, asks_sumup: bool = False
    ) -> bool:
        """Whether the step was taken; if not, staff read why."""
        try:
            steps.take(request, refund, step, what, asks_sumup=asks_sumup)
        except steps.Refused as refusal:
            self.message_user(request, f"{refund.order}, {refund}: {refusal}", messages.ERROR)
            return False
        return True


def _preview_refund(_request: HttpRequest, refund: Refund) -> RowPreview:
    """Whose it is and why, how much it is, and how it stands."""
    said = f"{in_words(refund.amount, refund.currency)} of order {refund.order}: {refund.reason}"
    return RowPreview([said, f"Status: {refund.get_status_display()}."], refund.approved_at)


def _preview_leaving(request: HttpRequest, refund: Refund) -> RowPreview:
    """Of a refund that is sent with a yes: the sum of all of them matters too."""
    return replace(_preview_refund(request, refund), sums={"goes back": refund.amount})


def _hold_still(_request: HttpRequest, refund: Refund) -> Refund:
    """The refund as it is now, and stays until the transaction ends."""
    return refunds.hold_still(refund)


def _approve(request: HttpRequest, refund: Refund, _note: str) -> str:
    def approve() -> None:
        if not refunds.approve(refund, by=person_of(request)):
            raise CannotRefund("It was approved, sent or turned down already.")

    steps.take(request, refund, approve, "Approved")
    return "1 refund will be sent in a moment."


def _turn_down(request: HttpRequest, refund: Refund, note: str) -> str:
    def turn_down() -> None:
        if not refunds.turn_down(refund, by=person_of(request), note=note):
            raise CannotRefund("It is too late: it was sent, or is over.")

    steps.take(request, refund, turn_down, f"Turned down: {note}")
    return "Turned down. No money leaves."


def _send_again(request: HttpRequest, refund: Refund, note: str) -> str:
    again = partial(refunds.send_again, refund, by=person_of(request), note=note)
    steps.take(request, refund, again, f"Sent again: {note}")
    return "A new refund will be sent in a moment."


def _call_failed(request: HttpRequest, refund: Refund, note: str) -> str:
    failed = partial(refunds.call_failed, refund, by=person_of(request), note=note)
    steps.take(request, refund, failed, f"Called failed: {note}")
    return "The refund counts as failed."


APPROVE = StaffAction(
    "approve refund",
    "Approve: send it now",
    "The money leaves within seconds of your yes.",
    _approve,
    lambda n: f"{n} refunds will be sent in a moment.",
    needs_note=False,
    preview=_preview_leaving,
    lock=_hold_still,
)
TURN_DOWN = StaffAction(
    "turn down refund",
    "Turn down",
    "The refund is dropped, and no money leaves. Its amount can be refunded anew.",
    _turn_down,
    lambda n: f"{n} refunds are turned down. No money leaves.",
    preview=_preview_refund,
    lock=_hold_still,
)
RETRY = StaffAction(
    "send refund again",
    "Send again",
    "SumUp is asked first. Only if it shows no such refund, the amount is sent once more.",
    _send_again,
    lambda n: f"{n} new refunds will be sent in a moment.",
    preview=_preview_leaving,
    lock=_hold_still,
    before=lambda _request, refund: steps.ask(partial(refunds.read, refund)),
)
GIVE_UP = StaffAction(
    "call refund failed",
    "Call failed",
    "SumUp is asked first. Only 24 hours after it was sent may a person say that it failed.",
    _call_failed,
    lambda n: f"{n} refunds count as failed.",
    preview=_preview_refund,
    lock=_hold_still,
    before=lambda _request, refund: steps.ask(partial(refunds.look_before_giving_up, refund)),
)


def _steps_of(refund: Refund) -> list[str]:
    """What makes sense with a refund as it stands; the services decide in the end."""
    if refund.method == Refund.Method.CASH:
        return []
    if refund.status == Refund.Status.REQUESTED:
        return ["ask_sumup", "turn_down"] if refund.approved_at else ["approve", "turn_down"]
    if refund.status in Refund.UNDER_WAY:
        return ["ask_sumup", "give_up"]
    if refund.status == Refund.Status.FAILED and not hasattr(refund, "retried_as"):
        return ["ask_sumup", "retry"]
    return []


@admin.register(Stray)
class StrayAdmin(RecordAdmin):
    list_display = ["happened_at", "amount", "transaction_code", "found_at", "payment", "case"]
    list_select_related = ["payment"]
    list_filter = ["happened_at"]
    search_fields = ["transaction_id", "transaction_code", "payment__order__number"]
    found_by = [("payment__order__number", read_number)]
    ordering = ["-pk"]
    readonly_fields = ["case"]

    def get_queryset(self, request: HttpRequest) -> Any:
        cases = Case.objects.filter(subject_uuid=OuterRef("uuid")).order_by("-opened_at")
        return super().get_queryset(request).annotate(case_pk=Subquery(cases.values("pk")[:1]))

    @admin.display(description=_("case"))
    def case(self, stray: Any) -> str:
        return link_to_case(stray.case_pk, _now("To its case"))


class TakingInline(RecordInline):
    model = Taking
    fields = ["happened_at", "kind", "amount", "transaction_code"]


@admin.register(TakingsDay)
class TakingsDayAdmin(RecordAdmin):
    list_display = ["day", "merchant_code"]
    list_filter = ["day"]
    ordering = ["-day"]
    inlines = [TakingInline]


@admin.register(Taking)
class TakingAdmin(RecordAdmin):
    list_display = ["happened_at", "kind", "amount", "transaction_code"]
    list_filter = ["kind", "happened_at"]
    search_fields = ["transaction_id", "transaction_code", "sumup_id"]
    ordering = ["-happened_at", "-pk"]


def link_to_case(key: int | None, words: str) -> str:
    """A link to a case's page; a dash without one."""
    if key is None:
        return "-"
    return format_html(
        '<a class="text-link" href="{}">{}</a>', reverse("admin:cartsite_case_change", args=[key]), words
    )


# --- The daily close --------------------------------------------------------------------------------------------------


class DayForm(forms.Form):
    """Which day of the shop is to be closed."""

    day = fields.day_field(_("Day"))

    def clean_day(self) -> date:
        day: date = self.cleaned_data["day"]
        if day > timezone.localdate():
            raise forms.ValidationError(_now("This day has not come yet."))
        return day


class FindingInline(RecordInline):
    model = Finding
    fields = ["kind", "transaction_id", "our_sum", "their_sum", "its_case"]  # what it says is its name, above it
    per_page = 50
    show_change_link = False
    tab = False

    def get_queryset(self, request: HttpRequest) -> Any:
        """The unexplained ones first."""
        found = super().get_queryset(request).select_related("case")
        return found.order_by(F("case").asc(nulls_first=True), "pk")

    @admin.display(description=_("ours"))
    def our_sum(self, finding: Finding) -> str:
        return in_words(finding.sign * finding.ours)

    @admin.display(description=_("theirs"))
    def their_sum(self, finding: Finding) -> str:
        return in_words(finding.sign * finding.theirs)

    @admin.display(description=_("case"))
    def its_case(self, finding: Finding) -> str:
        if finding.case is None:
            return _now("Unexplained")
        words = f"{finding.case.get_kind_display()} ({finding.case.get_status_display()})"
        return link_to_case(finding.case_id, words)


@admin.register(DailyClose)
class DailyCloseAdmin(RecordAdmin):
    list_display = ["day", "round", "shown_status", "matched", "explained", "unexplained", "finished_at"]
    list_filter = ["status", "day"]
    search_fields = ["day", "digest"]
    ordering = ["-day", "-round"]
    exclude = ["cursor", "leased_until", "figures", "digest"]  # the summary above shows the last two
    inlines = [FindingInline]
    actions = ["close_now", "reopen"]
    list_before_template = "admin/payments/dailyclose/links.html"
    change_form_outer_before_template = "admin/payments/dailyclose/summary.html"

    @display(
        description=_("status"),
        ordering="status",
        label={"reading": "info", "comparing": "info", "red": "danger", "early": "warning", "closed": "success"},
    )
    def shown_status(self, close: DailyClose) -> tuple[str, Any]:
        return close.status, close.get_status_display()

    @admin.display(description=_("matched"))
    def matched(self, close: DailyClose) -> str:
        return str(close.figures.get("matched", "-"))

    @admin.display(description=_("explained"))
    def explained(self, close: DailyClose) -> str:
        return str(close.figures.get("explained", "-"))

    @admin.display(description=_("unexplained"))
    def unexplained(self, close: DailyClose) -> str:
        return str(close.figures.get("unexplained", "-"))

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.close_a_day)
        return [path("close/", page, name="payments_dailyclose_close"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The days, with the way to close one for whoever may."""
        may_close = {"may_close": self.has_change_permission(request)}
        return super().changelist_view(request, (extra_context or {}) | may_close)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The day with its figures in a table, and whether its movements are still those that were closed."""
        close = self.get_object(request, object_id)
        more = _summary_of(close) if close else {}
        allowed = self.get_actions(request)
        names = ["reopen" if close and close.status == DailyClose.Status.CLOSED else "close_now"]
        more["buttons"] = [(name, allowed[name][2]) for name in names if name in allowed]
        return super().change_view(request, object_id, form_url, (extra_context or {}) | more)

    def close_a_day(self, request: HttpRequest) -> HttpResponse:
        """Ask which day, and close it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        yesterday = timezone.localdate() - timedelta(days=1)
        form = DayForm(request.POST or None, initial={"day": yesterday})
        if request.method == "POST" and form.is_valid():
            close = self._close(request, form.cleaned_data["day"])
            return HttpResponseRedirect(path_of(close) if close else self.list_path)
        return self.show_page(request, "admin/payments/dailyclose/close.html", _now("Close a day"), form=form)

    @admin.action(description=_("Close now"), permissions=["change"])
    def close_now(self, request: HttpRequest, chosen: QuerySet[DailyClose]) -> HttpResponse:
        """Compare these days with SumUp."""
        for day in chosen.order_by("day").values_list("day", flat=True).distinct():
            self._close(request, day)
        return self.go_back(request, chosen)

    @admin.action(description=_("Reopen"), permissions=["change"])
    def reopen(self, request: HttpRequest, chosen: QuerySet[DailyClose]) -> HttpResponse:
        """Open closed days again, each as a new round."""
        return confirm(self, request, chosen, REOPEN)

    def _close(self, request: HttpRequest, day: date) -> DailyClose | None:
        """Close one day and say how it stands; nothing if it could not be begun."""
        try:
            close = closing.close_day(day, stop_at=timezone.now() + PATIENCE)
        except steps.REFUSALS as refusal:
            self.message_user(request, f"{formats.date_format(day)}: {steps.in_words(refusal)}", messages.ERROR)
            return None
        log(request, close, "Closed now")
        level, said = CLOSED_AS[close.status]
        self.message_user(request, said % {"day": formats.date_format(day), "rows": close.rows_read}, level)
        return close


CLOSED_AS: dict[str, tuple[int, Any]] = {
    DailyClose.Status.READING: (
        messages.INFO,
        _("%(day)s has many payments: %(rows)d are read, and the worker goes on. Look again in some minutes."),
    ),
    DailyClose.Status.COMPARING: (messages.INFO, _("%(day)s is being compared; the worker goes on.")),
    DailyClose.Status.RED: (messages.WARNING, _("%(day)s is compared, but something is unexplained.")),
    DailyClose.Status.EARLY: (messages.INFO, _("%(day)s is compared, but it is not over: it stays open.")),
    DailyClose.Status.CLOSED: (messages.SUCCESS, _("%(day)s is closed: everything is matched or explained.")),
}


def _reopen(request: HttpRequest, close: DailyClose, note: str) -> str:
    fresh = closing.reopen(close, by=person_of(request), note=note)
    if fresh.pk == close.pk:
        raise steps.Refused("It is not closed.")
    log(request, close, f"Reopened: {note}")
    return f"{formats.date_format(close.day)} is open again; the worker closes it anew."


REOPEN = StaffAction(
    "reopen day",
    "Reopen",
    "The day is compared with SumUp anew. What it was closed with stays on record.",
    _reopen,
    lambda n: f"{n} days are open again; the worker closes them anew.",
)


def _figure(kept: dict[str, Any] | None, sign: int = 1) -> dict[str, str] | None:
    """How many rows of a kind there are, and their sum in words; None where there are none."""
    return kept and {"rows": str(kept["rows"]), "sum": in_words(sign * Decimal(kept["sum"]))}


def _summary_of(close: DailyClose) -> dict[str, Any]:
    """The figures as rows, and the digest held against the books of now."""
    ours, theirs = close.figures.get("ours", {}), close.figures.get("theirs", {})
    taken = close.figures.get("takings", {})
    kinds = [kind for kind in Movement.Kind if kind in ours or kind in theirs]
    return {
        "figures": [(kind.label, _figure(ours.get(kind)), _figure(theirs.get(kind), kind.sign)) for kind in kinds],
        "takings": [(kind.label, _figure(taken[kind])) for kind in Movement.Kind if kind in taken],
        "compared": [kind.label for kind in closing.COMPARED],
        "digest_holds": bool(close.digest) and closing.digest(close.day) == close.digest,
        "rounds": DailyClose.objects.filter(day=close.day).select_related("reopening__by").order_by("round"),
    }
