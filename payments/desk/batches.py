"""The back office: refunds that were prepared together, because an entry was called off; approved in one step."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from cartsite.backoffice import RecordAdmin, person_of
from cartsite.models import Case
from cartsite.staff_actions import RowPreview, StaffAction, confirm
from cartsite.templatetags.shop import in_words
from payments import calling_off
from payments.desk import steps
from payments.models import Refund, RefundBatch

FRAGMENT = "admin/payments/refundbatch/_progress.html"


@admin.register(RefundBatch)
class RefundBatchAdmin(RecordAdmin):
    list_display = ["entry", "reason", "sum", "made_at", "made_by", "prepared_at", "approved_at"]
    list_select_related = ["entry", "made_by"]
    list_filter = ["made_at", "approved_at"]
    search_fields = ["entry__title", "reason", "=uuid"]
    ordering = ["-pk"]
    actions = ["approve"]
    change_form_outer_before_template = "admin/payments/refundbatch/progress.html"

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.show_progress)
        return [path("<int:batch_id>/progress/", page, name="payments_refundbatch_progress"), *super().get_urls()]

    @admin.display(description=_("sum"))
    def sum(self, batch: RefundBatch) -> str:
        return in_words(calling_off.progress_of(batch).all.amount)

    def has_approve_permission(self, request: HttpRequest) -> bool:
        """For what lets money leave."""
        return steps.may_approve(request)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The batch, with how far it is, and a button to approve it."""
        batch = self.get_object(request, object_id)
        told = describe(request, batch) if batch else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | told)

    def show_progress(self, request: HttpRequest, batch_id: int) -> HttpResponse:
        """Only how far it is: its page asks for this again and again while it changes."""
        batch = self.get_object(request, str(batch_id))
        if batch is None:
            raise Http404
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        return TemplateResponse(request, FRAGMENT, describe(request, batch) | {"original": batch})

    @admin.action(description=_("Approve: send all of it"), permissions=["approve"])
    def approve(self, request: HttpRequest, chosen: QuerySet[RefundBatch]) -> HttpResponse:
        """Let the worker send the refunds of these batches, within seconds."""
        return confirm(self, request, chosen, APPROVE)


def _preview_batch(_request: HttpRequest, batch: RefundBatch) -> RowPreview:
    """How many refunds wait, and how much leaves with them."""
    if batch.prepared_at is None:
        return RowPreview(why_not="Not all of its refunds are prepared yet.")
    waiting = calling_off.progress_of(batch).waiting
    named = "1 refund" if waiting.count == 1 else f"{waiting.count} refunds"
    said = [f"{batch.entry}: {batch.reason}", f"{named}, {in_words(waiting.amount)} in all."]
    return RowPreview(said, sums={"goes back": waiting.amount})


def _approve(request: HttpRequest, batch: RefundBatch, _note: str) -> str:
    approve = partial(calling_off.approve, batch, by=person_of(request))
    sent = steps.take(request, batch, approve, "Approved")
    return f"{sent} refund{'' if sent == 1 else 's'} will be sent in a moment."


APPROVE = StaffAction(
    "approve batch",
    "Approve: send all of it",
    "The money leaves within seconds of your yes.",
    _approve,
    lambda n: f"The refunds of {n} lists will be sent in a moment.",
    needs_note=False,
    preview=_preview_batch,
    lock=lambda _request, batch: calling_off.hold_still(batch),
)


def describe(request: HttpRequest, batch: RefundBatch) -> dict[str, Any]:
    """How far the batch is, and what this person may do about it."""
    progress = calling_off.progress_of(batch)
    may_approve = steps.may_approve(request) and batch.prepared_at and progress.waiting.count
    return {
        "progress": progress,
        "rows": [
            (_now("Waiting for approval"), progress.waiting),
            (_now("Approved, being sent"), progress.sending),
            (_now("In doubt"), progress.doubt),
            (_now("Gone back"), progress.done),
            (_now("Failed or turned down"), progress.failed),
        ],
        "failed": _failed(batch),
        "by_hand": calling_off.by_hand(batch),
        "moved": calling_off.places_moved(batch),
        "buttons": [("approve", _now("Approve: send all of it"))] if may_approve else [],
        "needs_approver": bool(batch.prepared_at and progress.waiting.count and not steps.may_approve(request)),
    }


def _failed(batch: RefundBatch) -> list[tuple[Refund, Case | None]]:
    """The refunds that failed and were not sent again, each with the case that asks for a decision."""
    failed = list(batch.refunds.filter(status=Refund.Status.FAILED, retried_as=None).select_related("order"))
    cases = {case.subject_uuid: case for case in Case.objects.unresolved().about(*failed)} if failed else {}
    return [(refund, cases.get(refund.uuid)) for refund in failed]
