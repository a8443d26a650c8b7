"""What SumUp kept and paid out: fees and payouts as movements, borne by the stalls whose money it was."""

from django.conf import settings
from django.db import transaction

from orders import services as orders
from payments import ledger, takings
from payments.models import Movement
from payments.sumup import PayoutRecord


def write(records: list[PayoutRecord]) -> None:
    """Write down those of them that are new and of a payment of ours or of a card reader's; a stray's own case tells
    of the others."""
    codes = {record.transaction_code for record in records}
    captures, readers = _find_captures(codes), takings.find(codes)
    payouts = Movement.objects.filter(merchant_code=settings.SUMUP_MERCHANT_CODE, kind=Movement.Kind.PAYOUT)
    ids = [record.id for record in records]
    known = {*payouts.filter(sumup_id__in=ids).values_list("sumup_id", flat=True), *takings.find_paid_out(ids)}
    for record in records:
        if record.status == "FAILED" or record.id in known:
            continue
        if (capture := captures.get(record.transaction_code)) is not None:
            _write_one(capture, record)
        elif (taking := readers.get(record.transaction_code)) is not None:
            takings.record_payout(taking, record)


def _find_captures(codes: set[str]) -> dict[str, Movement]:
    """What came in under these transaction codes, by the code."""
    captures = Movement.objects.select_related("payment", "order").filter(
        kind=Movement.Kind.CAPTURE,
        payment__transaction_code__in=codes - {""},
        merchant_code=settings.SUMUP_MERCHANT_CODE,
    )
    return {capture.payment.transaction_code: capture for capture in captures.order_by("-pk") if capture.payment}


@transaction.atomic
def _write_one(capture: Movement, record: PayoutRecord) -> None:
    orders.lock(capture.order_id)
    if record.kind == "PAYOUT":
        ledger.record_fee(capture, record.fee, record.at)
        ledger.record_payout(capture, record)
    else:
        ledger.record_payout(_find_deducted(capture, record) or capture, record)


def _find_deducted(capture: Movement, record: PayoutRecord) -> Movement | None:
    """The refund or chargeback that a deduction is made for: the stalls that gave it bear it.

    The record does not name it, so of equal amounts the first deduction is for the first.
    """
    kind = {"REFUND_DEDUCTION": Movement.Kind.REFUND, "CHARGE_BACK_DEDUCTION": Movement.Kind.CHARGEBACK}
    equal = Movement.objects.filter(transaction_id=capture.transaction_id, amount=record.amount)
    before = equal.filter(kind=Movement.Kind.PAYOUT).count()
    return equal.filter(kind=kind.get(record.kind, "")).order_by("happened_at", "pk")[before : before + 1].first()
