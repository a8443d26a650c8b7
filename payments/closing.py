"""The daily close: our books against SumUp's, both ways, until every row is matched or explained by a case.

SumUp's history of the day is read page by page into a table (so a crash costs one page, and memory holds one), then
compared with our movements in the database, per transaction. What differs is caught up with, or explained, or stays
unexplained: then the day is red. A closed day keeps its figures and a digest of its movements; if a movement is
written for it later, the digest tells, and the day is opened again and closed anew.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case, User
from orders import services as orders
from payments import events, history, ledger, sumup
from payments.models import DailyClose, Finding, Movement, Payment, Refund, Reopening, Stray, TheirRow
from payments.sumup import HistoryRow

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
OVERLAP = timedelta(hours=1)
ROWS_PER_PAGE = 500
DIFFERENCES_AT_ONCE = 500
# What is compared: fees and payouts are taken over from SumUp, and cash it knows nothing of.
COMPARED = (Movement.Kind.CAPTURE, Movement.Kind.REFUND, Movement.Kind.CHARGEBACK)
# Which cases explain a row that is not as it should be, or should not be at all.
EXPLAINING: dict[str, tuple[Case.Kind, ...]] = {
    Movement.Kind.CAPTURE: (
        Case.Kind.UNKNOWN_MONEY,
        Case.Kind.DUPLICATE_CAPTURE,
        Case.Kind.LATE_PAYMENT,
        Case.Kind.AMOUNT_MISMATCH,
        Case.Kind.OVERPAID,
        Case.Kind.MISSING_AT_SUMUP,
        Case.Kind.ATTEMPT_STUCK,
    ),
    Movement.Kind.REFUND: (
        Case.Kind.EXTERNAL_REFUND,
        Case.Kind.REFUND_UNKNOWN,
        Case.Kind.REFUND_FAILED,
        Case.Kind.UNKNOWN_MONEY,
    ),
    Movement.Kind.CHARGEBACK: (Case.Kind.CHARGEBACK, Case.Kind.UNKNOWN_MONEY),
}

DIFFERENCES = """
WITH theirs AS (
    SELECT kind, transaction_id, sum(amount) AS amount FROM payments_theirrow WHERE close_id = %(close)s
    GROUP BY kind, transaction_id
), ours AS (
    SELECT kind, transaction_id, sum(abs(amount)) AS amount FROM payments_movement
    WHERE happened_at >= %(start)s AND happened_at < %(end)s AND kind = ANY(%(kinds)s) AND merchant_code = %(merchant)s
    GROUP BY kind, transaction_id
)
SELECT kind, transaction_id, coalesce(ours.amount, 0), coalesce(theirs.amount, 0)
  FROM ours FULL JOIN theirs USING (kind, transaction_id)
 WHERE ours.amount IS DISTINCT FROM theirs.amount AND (kind, transaction_id) > (%(kind)s, %(transaction)s)
 ORDER BY kind, transaction_id LIMIT %(most)s
"""
DIGEST = """
SELECT encode(sha256(convert_to(coalesce(
           string_agg(concat_ws('|', kind, sumup_id, transaction_id, order_id, amount, currency), E'\n' ORDER BY id),
           ''), 'UTF8')), 'hex')
  FROM payments_movement WHERE happened_at >= %s AND happened_at < %s
"""

Progress = Callable[[DailyClose], None]


class BeingClosed(Exception):
    """Another process is at work on this day."""


@dataclass(frozen=True)
class Difference:
    """One transaction of which they and we say something else on this day (amounts are positive)."""

    kind: str
    transaction_id: str
    ours: Decimal
    theirs: Decimal


def bounds(day: date) -> tuple[datetime, datetime]:
    """When a day of the shop begins, and when the next one does."""
    zone = ZoneInfo(settings.TIME_ZONE)
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)


# --- Closing ----------------------------------------------------------------------------------------------------------


def close_day(day: date, *, progress: Progress = lambda close: None, stop_at: datetime | None = None) -> DailyClose:
    """Compare one day with SumUp and close it if nothing is unexplained; how it stands.

    It goes on where an earlier call stopped or died. A day that is not over is compared, but stays open. Where
    `stop_at` comes first, the rest is for the next call. Raises BeingClosed, or SumUpError if SumUp gives no answer.
    """
    close = _take(day)
    try:
        if close.status == DailyClose.Status.READING:
            _read(close, progress, stop_at)
        if close.status == DailyClose.Status.COMPARING:
            _take_payouts(close)
            _compare(close)
            _finish(close)
    finally:
        DailyClose.objects.filter(pk=close.pk).exclude(status=DailyClose.Status.CLOSED).update(leased_until=None)
    progress(close)
    return close


@transaction.atomic
def _take(day: date) -> DailyClose:
    """The day's present round, leased if there is anything to do; one that is red or too early begins anew."""
    DailyClose.objects.bulk_create([DailyClose(day=day)], ignore_conflicts=True)
    close = DailyClose.objects.select_for_update(no_key=True).filter(day=day).latest("round")
    now = timezone.now()
    if close.leased_until is not None and close.leased_until > now:
        raise BeingClosed(str(day))
    if close.status == DailyClose.Status.CLOSED:
        return close
    if close.status in (DailyClose.Status.RED, DailyClose.Status.EARLY):
        close.status, close.cursor, close.rows_read = DailyClose.Status.READING, "", 0
        close.findings.all().delete()
        close.their_rows.all().delete()
    close.leased_until = now + LEASE
    close.save()
    return close


def _read(close: DailyClose, progress: Progress, stop_at: datetime | None) -> None:
    """Copy SumUp's rows of the day, page by page, and let our books catch up with them."""
    start, end = bounds(close.day)
    query = close.cursor or sumup.history_since(start - OVERLAP, ROWS_PER_PAGE)
    while query and not (stop_at and timezone.now() >= stop_at):
        page = sumup.get_history(query)
        rows = [row for row in page.rows if start <= row.at < end and row.moved_money and row.kind in history.KINDS]
        history.take_in(rows)
        query = page.next
        _keep(close, rows, query, len(page.rows))
        progress(close)


@transaction.atomic
def _keep(close: DailyClose, rows: list[HistoryRow], next_page: str, read: int) -> None:
    TheirRow.objects.bulk_create(
        [
            TheirRow(
                close=close,
                kind=history.KINDS[row.kind],
                row_id=row.id,
                transaction_id=row.transaction_id,
                amount=row.amount,
                currency=row.currency,
                happened_at=row.at,
            )
            for row in rows
        ],
        ignore_conflicts=True,
    )
    close.cursor, close.rows_read = next_page, close.rows_read + read
    close.leased_until = timezone.now() + LEASE
    if not next_page:
        close.status = DailyClose.Status.COMPARING
    close.save()


def _take_payouts(close: DailyClose) -> None:
    """Take over what SumUp kept and paid out on the day, for every payment of ours."""
    for record in sumup.get_payouts(close.day, close.day):
        capture = _find_capture_by_code(record.transaction_code)
        if capture is None or record.status == "FAILED":
            continue  # a stray's: its own case tells of it
        with transaction.atomic():
            orders.lock(capture.order_id)
            if record.kind == "PAYOUT":
                ledger.record_fee(capture, record.fee, record.at)
            ledger.record_payout(capture, record)


def _find_capture_by_code(code: str) -> Movement | None:
    payments = Payment.objects.filter(transaction_code=code, merchant_code=settings.SUMUP_MERCHANT_CODE)
    return Movement.objects.filter(kind=Movement.Kind.CAPTURE, payment__in=payments).order_by("pk").first()


def _compare(close: DailyClose) -> None:
    """Write down a finding for every row that differs or that a case is about; those that match leave no trace."""
    for difference in _differences(close):
        _judge(close, difference)
    for kind in COMPARED:
        _note_cases(close, kind)


def _differences(close: DailyClose) -> Iterator[Difference]:
    """The transactions that differ, a few hundred at a time."""
    last = Difference("", "", Decimal(0), Decimal(0))
    while batch := _differences_after(close, last):
        yield from batch
        last = batch[-1]


def _differences_after(close: DailyClose, last: Difference) -> list[Difference]:
    start, end = bounds(close.day)
    with connection.cursor() as cursor:
        cursor.execute(
            DIFFERENCES,
            {
                "close": close.pk,
                "start": start,
                "end": end,
                "kinds": list(COMPARED),
                "merchant": settings.SUMUP_MERCHANT_CODE,
                "kind": last.kind,
                "transaction": last.transaction_id,
                "most": DIFFERENCES_AT_ONCE,
            },
        )
        return [Difference(*row) for row in cursor.fetchall()]


def _judge(close: DailyClose, difference: Difference) -> None:
    """Look at SumUp's own record of a transaction that differs: it matches after all, or a case explains it, or not."""
    capture = history.find_capture(difference.transaction_id)
    if capture is not None and capture.payment is not None and _matches_after_all(difference, capture.payment):
        return
    case = _find_case(difference.kind, difference.transaction_id)
    what = _("%(kind)s %(transaction)s: ours %(ours)s, SumUp's %(theirs)s")
    _write_finding(close, difference, case, what % {**vars(difference), "transaction": difference.transaction_id})


def _matches_after_all(difference: Difference, payment: Payment) -> bool:
    """The history may lag, or put a refund on the other side of midnight: the transaction itself knows best."""
    try:
        full = sumup.get_transaction(difference.transaction_id)
    except sumup.SumUpNotFound:
        Case.open(
            Case.Kind.MISSING_AT_SUMUP,
            payment,
            _("We wrote this payment down, but SumUp does not show it any more."),
            at_stake=difference.ours,
        )
        return False
    events.take_in(payment, full)
    ours = Movement.objects.filter(kind=difference.kind, transaction_id=difference.transaction_id)
    written: Decimal = abs(ours.aggregate(sum=Sum("amount"))["sum"] or Decimal(0))
    if difference.kind == Movement.Kind.CAPTURE:
        return full.transaction.amount == written and full.transaction.status in sumup.MOVED_MONEY
    kind = "REFUND" if difference.kind == Movement.Kind.REFUND else "CHARGE_BACK"
    return sum((event.amount for event in full.of_kind(kind)), Decimal(0)) == written


def _find_case(kind: str, transaction_id: str) -> Case | None:
    """The case that explains a transaction, open or resolved: the newest about its payment, refunds, or stray."""
    mine = Q(movements__transaction_id=transaction_id)
    subjects = [
        *Payment.objects.filter(mine).distinct(),
        *Refund.objects.filter(transaction_id=transaction_id),
        *Stray.objects.filter(transaction_id=transaction_id),
    ]
    return Case.objects.filter(kind__in=EXPLAINING[kind]).about(*subjects).order_by("-opened_at").first()


def _note_cases(close: DailyClose, kind: str) -> None:
    """Rows that match, but that a case is about, are explained by it: a day says what was unusual."""
    movements = _movements_of(close.day).filter(kind=kind)
    about: QuerySet[Any] = movements.values("payment__uuid" if kind != Movement.Kind.REFUND else "refund__uuid")
    cases = Case.objects.filter(kind__in=EXPLAINING[kind], subject_uuid__in=about).order_by("opened_at")
    for case in cases.iterator():
        named = movements.filter(Q(payment__uuid=case.subject_uuid) | Q(refund__uuid=case.subject_uuid))
        for movement in named:
            amount = abs(movement.amount)
            row = Difference(kind, movement.transaction_id, amount, amount)
            _write_finding(close, row, case, case.what_happened)


def _write_finding(close: DailyClose, row: Difference, case: Case | None, what: str) -> None:
    finding = Finding(
        close=close,
        kind=row.kind,
        transaction_id=row.transaction_id,
        ours=row.ours,
        theirs=row.theirs,
        case=case,
        what=what[:300],
    )
    Finding.objects.bulk_create([finding], ignore_conflicts=True)


@transaction.atomic
def _finish(close: DailyClose) -> None:
    """Write the figures down; closed if nothing is unexplained and the day is over."""
    close.figures = _figures(close)
    close.digest = digest(close.day)
    close.finished_at = timezone.now()
    close.leased_until = None
    if close.findings.filter(case=None).exists():
        close.status = DailyClose.Status.RED
    elif close.finished_at < bounds(close.day)[1]:
        close.status = DailyClose.Status.EARLY
    else:
        close.status = DailyClose.Status.CLOSED
    close.their_rows.all().delete()
    close.save()


def _figures(close: DailyClose) -> dict[str, Any]:
    """The day in numbers: what we wrote down by kind, what SumUp showed, and how the rows were judged."""
    ours = _movements_of(close.day).order_by().values_list("kind").annotate(Count("pk"), Sum("amount"))
    theirs = close.their_rows.order_by().values_list("kind").annotate(Count("pk"), Sum("amount"))
    explained = close.findings.filter(case__isnull=False).count()
    unexplained = close.findings.filter(case=None).count()
    transactions = close.their_rows.values("kind", "transaction_id").distinct().count()
    return {
        "ours": {kind: {"rows": rows, "sum": str(total)} for kind, rows, total in ours},
        "theirs": {kind: {"rows": rows, "sum": str(total)} for kind, rows, total in theirs},
        "matched": max(transactions - explained - unexplained, 0),
        "explained": explained,
        "unexplained": unexplained,
        "rows_read": close.rows_read,
    }


def _movements_of(day: date) -> QuerySet[Movement]:
    start, end = bounds(day)
    return Movement.objects.filter(happened_at__gte=start, happened_at__lt=end)


# --- Closed days ------------------------------------------------------------------------------------------------------


def digest(day: date) -> str:
    """SHA-256 (hex) over every movement of the day as it stands now, in the order of writing."""
    with connection.cursor() as cursor:
        cursor.execute(DIGEST, bounds(day))
        return str(cursor.fetchone()[0])


@transaction.atomic
def reopen(close: DailyClose, *, by: User | None, note: str) -> DailyClose:
    """Open a closed day again; the new round. Reopening twice gives the same one. Who and why stays on record."""
    close = DailyClose.objects.select_for_update(no_key=True).get(pk=close.pk)
    if close.status != DailyClose.Status.CLOSED:
        return close
    Reopening.objects.get_or_create(close=close, defaults={"by": by, "note": note[:300]})
    fresh, _is_new = DailyClose.objects.get_or_create(day=close.day, round=close.round + 1)
    return fresh


def reopen_changed_days(back: timedelta = timedelta(days=35)) -> None:
    """Open every lately closed day again whose movements are not what they were."""
    first = timezone.localdate() - back
    for close in DailyClose.objects.filter(day__gte=first, status=DailyClose.Status.CLOSED, reopening=None):
        if digest(close.day) != close.digest:
            reopen(close, by=None, note=_("A movement of this day was written down after it was closed."))


def close_due(*, stop_at: datetime) -> None:
    """Close every day that is over and not closed, oldest first, until `stop_at`; one that fails delays no other.

    Whenever there is one, about once a night, the days closed before are looked at again too.
    """
    if days_to_close():
        reopen_changed_days()
    for day in days_to_close():
        if timezone.now() >= stop_at:
            return
        try:
            close_day(day, stop_at=stop_at)
        except (sumup.SumUpError, BeingClosed) as error:
            logger.warning("%s could not be closed now: %s", day, error)


def days_to_close() -> list[date]:
    """The days that are over and not closed: all since the first close, or else yesterday; red ones after a pause."""
    yesterday = timezone.localdate() - timedelta(days=1)
    rounds = DailyClose.objects.filter(day__gte=yesterday - timedelta(days=35), day__lte=yesterday)
    present = {close.day: close for close in rounds.order_by("day", "round")}
    first = min(present, default=yesterday)
    days = [first + timedelta(days=n) for n in range((yesterday - first).days + 1)]
    return [day for day in days if _wants_closing(present.get(day))]


def _wants_closing(close: DailyClose | None) -> bool:
    if close is None:
        return True
    rested = close.finished_at is None or timezone.now() - close.finished_at > timedelta(hours=6)
    return close.status != DailyClose.Status.CLOSED and (rested or close.status != DailyClose.Status.RED)
