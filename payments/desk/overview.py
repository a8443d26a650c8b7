"""What waits for staff, for the first page of the back office; a handful of statements, however much there is."""

from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, Sum
from django.http import HttpRequest

from cartsite.backoffice import age_of
from cartsite.models import Case
from orders.models import Order, in_sums
from payments.models import DailyClose, Payment, Refund, RefundBatch, Stray, TakingsDay


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what this person may see to the first page."""
    seen = {
        "open_cases": ("cartsite.view_case", _open_cases),
        "waiting_refunds": ("payments.view_refund", _waiting_refunds),
        "waiting_batches": ("payments.view_refundbatch", _waiting_batches),
        "last_close": ("payments.view_dailyclose", _last_close),
    }
    return context | {name: read() for name, (needed, read) in seen.items() if request.user.has_perm(needed)}


def _open_cases() -> dict[str, Any]:
    """By kind, the one whose oldest case has waited longest first."""
    kinds = Case.objects.filter(_of_counted_orders(), status=Case.Status.OPEN).values("kind")
    counted = kinds.annotate(count=Count("pk"), at_stake=Sum("at_stake"), oldest=Min("opened_at")).order_by("oldest")
    rows = [row | {"title": Case.Kind(row["kind"]).label, "age": age_of(row["oldest"])} for row in counted]
    return {"kinds": rows, "count": sum(row["count"] for row in counted)}


def _of_counted_orders() -> Q:
    """Cases that are not about an order, a payment, a refund, a stray or a day of takings that no sum counts."""
    here = {"uuid": OuterRef("subject_uuid")}
    others = (
        Order.objects.filter(~in_sums(), **here),
        Payment.objects.filter(~in_sums("order__"), **here),
        Refund.objects.filter(~in_sums("order__"), **here),
        Stray.objects.filter(~in_sums(), **here),
        TakingsDay.objects.filter(~in_sums(), **here),
    )
    return Q(*(~Exists(other) for other in others))


def _waiting_refunds() -> dict[str, Any]:
    waiting = Refund.objects.filter(in_sums("order__"), status=Refund.Status.REQUESTED, approved_at=None)
    return waiting.aggregate(count=Count("pk"), amount=Sum("amount"), oldest=Min("requested_at"))


def _waiting_batches() -> list[RefundBatch]:
    """Those that are not prepared to the end, or wait for somebody to approve them; the oldest first."""
    waits = in_sums("refunds__order__") & Q(refunds__status=Refund.Status.REQUESTED, refunds__approved_at=None)
    counted = RefundBatch.objects.annotate(
        count=Count("refunds", filter=waits), amount=Sum("refunds__amount", filter=waits)
    )
    return list(counted.filter(Q(count__gt=0) | Q(prepared_at=None)).select_related("entry").order_by("pk"))


def _last_close() -> dict[str, Any]:
    """The newest day that is closed, and how many days are not although SumUp was compared."""
    closed = DailyClose.objects.filter(status=DailyClose.Status.CLOSED, reopening=None).order_by("-day").first()
    red = DailyClose.objects.filter(status=DailyClose.Status.RED).count()
    return {"closed": closed, "red": red}
