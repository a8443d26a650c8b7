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
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case, Subject, User
from cartsite.refusals import Refusal
from cartsite.templatetags.shop import in_words
from orders.models import in_sums, orders_are_tests
from payments import events, history, payouts, sumup
from payments.models import DailyClose, Finding, Movement, Payment, Reopening, Stray, Taking, TheirRow
from payments.sumup import FullTransaction, HistoryRow

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
OVERLAP = timedelta(hours=1)
ROWS_PER_PAGE = 500
DIFFERENCES_AT_ONCE = 500
PAYOUTS_AT_ONCE = 500
# How many days' payouts are read again each day: what SumUp shows late, or a person attached since, is found by that.
PAYOUT_DAYS = 7
# What is compared: fees and payouts are taken over from SumUp, and cash it knows nothing of.
COMPARED = (Movement.Kind.CAPTURE, Movement.Kind.REFUND, Movement.Kind.CHARGEBACK)
# Cases that tell of something unusual about a row, although the books agree on it.
NOTABLE: dict[str, tuple[Case.Kind, ...]] = {
    Movement.Kind.CAPTURE: (
        Case.Kind.DUPLICATE_CAPTURE,
        Case.Kind.LATE_PAYMENT,
        Case.Kind.AMOUNT_MISMATCH,
        Case.Kind.OVERPAID,
        Case.Kind.ATTEMPT_STUCK,
    ),
    Movement.Kind.REFUND: (Case.Kind.EXTERNAL_REFUND, Case.Kind.REFUND_UNKNOWN, Case.Kind.REFUND_FAILED),
    Movement.Kind.CHARGEBACK: (Case.Kind.CHARGEBACK,),
}

BOTH = """
WITH theirs AS (
    SELECT kind, transaction_id, sum(amount) AS amount, min(currency) AS currency FROM payments_theirrow
    WHERE close_id = %(close)s
    GROUP BY kind, transaction_id
), ours AS (
    SELECT kind, transaction_id, sum(abs(amount)) AS amount, min(currency) AS currency FROM (
        SELECT kind, transaction_id, amount, moved.currency, happened_at, merchant_code
          FROM payments_movement AS moved JOIN orders_order ON orders_order.id = order_id AND is_test = %(are_tests)s
         UNION ALL
        SELECT kind, transaction_id, amount, currency, happened_at, taken.merchant_code
          FROM payments_taking AS taken JOIN payments_takingsday AS d ON d.id = day_id AND is_test = %(are_tests)s
    ) known
    WHERE happened_at >= %(start)s AND happened_at < %(end)s AND kind = ANY(%(kinds)s) AND merchant_code = %(merchant)s
    GROUP BY kind, transaction_id
)
"""
DIFFERENCES = f"""{BOTH}
SELECT kind, transaction_id, coalesce(ours.amount, 0), coalesce(theirs.amount, 0),
       coalesce(theirs.currency, ours.currency)
  FROM ours FULL JOIN theirs USING (kind, transaction_id)
 WHERE (ours.amount, ours.currency) IS DISTINCT FROM (theirs.amount, theirs.currency)
   AND (kind, transaction_id) > (%(kind)s, %(transaction)s)
 ORDER BY kind, transaction_id LIMIT %(most)s
"""  # noqa: S608 - nothing but the sentence above
TRANSACTIONS = f"{BOTH} SELECT count(*) FROM ours FULL JOIN theirs USING (kind, transaction_id)"  # noqa: S608
DIGEST = """
SELECT encode(sha256(convert_to((
    SELECT coalesce(
        string_agg(concat_ws('|', kind, sumup_id, transaction_id, order_id, amount, moved.currency), E'\n'
                   ORDER BY moved.id), '')
      FROM payments_movement AS moved JOIN orders_order ON orders_order.id = order_id AND is_test = %(are_tests)s
     WHERE happened_at >= %(start)s AND happened_at < %(end)s
) || (
    SELECT coalesce(
        string_agg(concat_ws('|', E'\ntaking', kind, sumup_id, amount, currency), '' ORDER BY taken.id), '')
      FROM payments_taking AS taken JOIN payments_takingsday AS d ON d.id = day_id AND is_test = %(are_tests)s
     WHERE happened_at >= %(start)s AND happened_at < %(end)s AND taken.merchant_code = %(merchant)s
), 'UTF8')), 'hex')
"""

Progress = Callable[[DailyClose], None]


class BeingClosed(Refusal):
    """Another process is at work on this day."""

    def __init__(self) -> None:
        super().__init__(_("Another process is at work on this day. Look again in a minute."))


@dataclass(frozen=True)
class Difference:
    """One transaction of which they and we say something else on this day (amounts are positive)."""

    kind: str
    transaction_id: str
    ours: Decimal
    theirs: Decimal
    currency: str  # theirs, if they know of it


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
        _let_go(close)
    progress(close)
    return close


@transaction.atomic
def _take(day: date) -> DailyClose:
    """The day's present round, leased if there is anything to do; one that is red or too early begins anew."""
    DailyClose.objects.bulk_create([DailyClose(day=day)], ignore_conflicts=True)
    close = DailyClose.objects.select_for_update(no_key=True).filter(day=day).latest("round")
    now = timezone.now()
    if close.leased_until is not None and close.leased_until > now:
        raise BeingClosed
    if close.status == DailyClose.Status.CLOSED:
        return close
    if close.status in (DailyClose.Status.RED, DailyClose.Status.EARLY):
        close.status, close.cursor, close.rows_read = DailyClose.Status.READING, "", 0
        close.findings.all().delete()
        close.their_rows.all().delete()
    close.leased_until = now + LEASE
    close.save()
    return close


def _hold(close: DailyClose) -> None:
    """Go on being the one process at work on this day; BeingClosed if another one took it as the lease had lapsed."""
    until = timezone.now() + LEASE
    if not DailyClose.objects.filter(pk=close.pk, leased_until=close.leased_until).update(leased_until=until):
        raise BeingClosed
    close.leased_until = until


def _let_go(close: DailyClose) -> None:
    """Give our own lease back, so that nobody has to wait for it to lapse."""
    if close.leased_until is not None:
        DailyClose.objects.filter(pk=close.pk, leased_until=close.leased_until).update(leased_until=None)


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
    _hold(close)
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
    if not next_page:
        close.status = DailyClose.Status.COMPARING
    close.save()


# --- Payouts ----------------------------------------------------------------------------------------------------------


def _take_payouts(close: DailyClose) -> None:
    """Take over what SumUp kept and paid out, for every payment of ours. A day that cannot be told in one answer
    stays unexplained until a person has accepted that."""
    for days in range(PAYOUT_DAYS):
        day = close.day - timedelta(days=days)
        try:
            records = sumup.get_payouts(day, day)
        except sumup.SumUpCutOff:
            records = []
            if day == close.day:
                _note_cut_off(close)
        for first in range(0, len(records), PAYOUTS_AT_ONCE):
            _hold(close)
            payouts.write(records[first : first + PAYOUTS_AT_ONCE])


def _note_cut_off(close: DailyClose) -> None:
    what = _("SumUp paid more out than it tells in one answer: fees and payouts of this day are not all written down.")
    case = _find_accepted(Case.Kind.UNKNOWN_MONEY, close, None)
    if case is None:
        Case.open(Case.Kind.UNKNOWN_MONEY, close, what)
    _write_finding(close, Difference(Movement.Kind.PAYOUT, "", Decimal(0), Decimal(0), settings.CURRENCY), case, what)


# --- Comparing --------------------------------------------------------------------------------------------------------


def _compare(close: DailyClose) -> None:
    """Write down a finding for every row that differs or that a case is about; those that match leave no trace."""
    for difference in _differences(close):
        _judge(close, difference)
    for kind in COMPARED:
        _note_cases(close, kind)


def _differences(close: DailyClose) -> Iterator[Difference]:
    """The transactions that differ, a few hundred at a time."""
    last = Difference("", "", Decimal(0), Decimal(0), "")
    while batch := _differences_after(close, last):
        yield from batch
        last = batch[-1]


def _differences_after(close: DailyClose, last: Difference) -> list[Difference]:
    more = {"kind": last.kind, "transaction": last.transaction_id, "most": DIFFERENCES_AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(DIFFERENCES, _of_the_day(close) | more)
        return [Difference(*row) for row in cursor.fetchall()]


def _of_the_day(close: DailyClose) -> dict[str, Any]:
    start, end = bounds(close.day)
    merchant = settings.SUMUP_MERCHANT_CODE
    return {
        "close": close.pk,
        "start": start,
        "end": end,
        "kinds": list(COMPARED),
        "merchant": merchant,
        "are_tests": orders_are_tests(),
    }


def _judge(close: DailyClose, difference: Difference) -> None:
    """Look at SumUp's own record of a transaction that differs: it matches after all, or a case explains it, or not."""
    _hold(close)
    kind = Movement.Kind(difference.kind)
    what = _("%(kind)s %(transaction)s: ours %(ours)s, SumUp's %(theirs)s") % {
        "kind": kind.label,
        "transaction": difference.transaction_id,
        "ours": in_words(kind.sign * difference.ours, difference.currency),
        "theirs": in_words(kind.sign * difference.theirs, difference.currency),
    }
    capture = history.find_capture(difference.transaction_id)
    if capture is None or capture.payment is None:
        case = _find_case_of_stray(difference) or _find_reason_of_taking(difference, what)
    elif (full := _read_again(difference, capture.payment)) is None:
        case = _open_missing(difference, capture.payment)
    elif _agrees(difference, full):
        _settle_doubts(capture.payment)
        return
    else:
        case = _find_reason(difference, capture.payment, what)
    _write_finding(close, difference, case, what)


def _read_again(difference: Difference, payment: Payment) -> FullTransaction | None:
    """What SumUp says of the transaction itself, taken into our books; None if it does not know it."""
    try:
        full = sumup.get_transaction(difference.transaction_id)
    except sumup.SumUpNotFound:
        return None
    events.take_in(payment, full)
    return full


def _agrees(difference: Difference, full: FullTransaction) -> bool:
    """The history may lag, or put a refund on the other side of midnight: the transaction itself knows best."""
    movements = Movement.objects.filter(kind=difference.kind, transaction_id=difference.transaction_id)
    ours: Decimal = abs(movements.aggregate(sum=Sum("amount"))["sum"] or Decimal(0))
    if movements.exclude(currency=full.transaction.currency).exists():
        return False
    if difference.kind == Movement.Kind.CAPTURE:
        return full.transaction.amount == ours and full.transaction.status in sumup.MOVED_MONEY
    kind = "REFUND" if difference.kind == Movement.Kind.REFUND else "CHARGE_BACK"
    return sum((event.amount for event in full.of_kind(kind)), Decimal(0)) == ours


def _settle_doubts(payment: Payment) -> None:
    for kind in (Case.Kind.MISSING_AT_SUMUP, Case.Kind.UNKNOWN_MONEY):
        Case.settle(kind, payment, _("SumUp's record of the payment agrees with ours."))


def _find_case_of_stray(difference: Difference) -> Case | None:
    strays = Stray.objects.filter(transaction_id=difference.transaction_id)
    return Case.objects.filter(kind=Case.Kind.UNKNOWN_MONEY).about(*strays).order_by("-opened_at").first()


def _find_reason_of_taking(difference: Difference, what: str) -> Case | None:
    """The case in which a person accepted that the books differ about a card reader's money; None if it is no such."""
    takings = Taking.objects.filter(merchant_code=settings.SUMUP_MERCHANT_CODE)
    taking = takings.filter(transaction_id=difference.transaction_id).select_related("day").first()
    return None if taking is None else _find_accepted_or_ask(difference, taking.day, what)


def _open_missing(difference: Difference, payment: Payment) -> Case:
    what_happened = _("We wrote this payment down, but SumUp does not show it any more.")
    Case.open(Case.Kind.MISSING_AT_SUMUP, payment, what_happened, at_stake=difference.ours)
    return Case.objects.filter(kind=Case.Kind.MISSING_AT_SUMUP).about(payment).latest("opened_at")


def _find_reason(difference: Difference, payment: Payment, what: str) -> Case | None:
    """The case that explains why books that both know a transaction differ. Where there is none a person is asked,
    and the row stays unexplained until they have accepted this very difference."""
    if difference.kind == Movement.Kind.REFUND:
        refunds = payment.refunds.filter(transaction_id=difference.transaction_id)
        doubt = Case.objects.unresolved().filter(kind=Case.Kind.REFUND_UNKNOWN).about(*refunds).first()
        if doubt is not None:
            return doubt
    return _find_accepted_or_ask(difference, payment, what)


def _find_accepted_or_ask(difference: Difference, subject: Subject, what: str) -> Case | None:
    """The case in which a person accepted this very difference; None where they are only asked now."""
    at_stake = abs(difference.ours - difference.theirs)
    kind = Case.Kind.MISSING_AT_SUMUP if difference.ours > difference.theirs else Case.Kind.UNKNOWN_MONEY
    accepted = _find_accepted(kind, subject, at_stake)
    if accepted is None:
        Case.open(kind, subject, what, at_stake=at_stake)
    return accepted


def _find_accepted(kind: Case.Kind, subject: Subject, at_stake: Decimal | None) -> Case | None:
    """The case of this kind and sum that a person resolved, leaving things as they are."""
    resolved = Case.objects.filter(kind=kind, at_stake=at_stake, resolved_by__isnull=False).about(subject)
    return resolved.filter(status=Case.Status.RESOLVED).order_by("-opened_at").first()


def _note_cases(close: DailyClose, kind: str) -> None:
    """Rows that match, but that a case is about, are explained by it: a day says what was unusual."""
    movements = _movements_of(close.day).filter(kind=kind)
    subject = "refund__uuid" if kind == Movement.Kind.REFUND else "payment__uuid"
    about: QuerySet[Any] = movements.values(subject)
    cases = Case.objects.filter(kind__in=NOTABLE[kind], subject_uuid__in=about).order_by("opened_at", "pk")
    for case in cases.iterator():
        for movement in movements.filter(**{subject: case.subject_uuid}):
            amount = abs(movement.amount)
            row = Difference(kind, movement.transaction_id, amount, amount, movement.currency)
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
    _hold(close)
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
    readers = Taking.objects.in_sums().between(*bounds(close.day)).order_by()
    taken = readers.values_list("kind").annotate(Count("pk"), Sum("amount"))
    theirs = close.their_rows.order_by().values_list("kind").annotate(Count("pk"), Sum("amount"))
    explained = close.findings.filter(case__isnull=False).count()
    unexplained = close.findings.filter(case=None).count()
    found = close.findings.filter(kind__in=COMPARED).count()
    return {
        "ours": {kind: {"rows": rows, "sum": str(total)} for kind, rows, total in ours},
        "takings": {kind: {"rows": rows, "sum": str(total)} for kind, rows, total in taken},
        "theirs": {kind: {"rows": rows, "sum": str(total)} for kind, rows, total in theirs},
        "matched": _count_transactions(close) - found,
        "explained": explained,
        "unexplained": unexplained,
        "rows_read": close.rows_read,
    }


def _count_transactions(close: DailyClose) -> int:
    """How many transactions either side knows on the day; one that was paid and refunded counts twice."""
    with connection.cursor() as cursor:
        cursor.execute(TRANSACTIONS, _of_the_day(close))
        return int(cursor.fetchone()[0])


def _movements_of(day: date) -> QuerySet[Movement]:
    start, end = bounds(day)
    return Movement.objects.filter(in_sums("order__"), happened_at__gte=start, happened_at__lt=end)


# --- Closed days ------------------------------------------------------------------------------------------------------


def digest(day: date) -> str:
    """SHA-256 (hex) over every movement and taking of the day as they stand now, in the order of writing.

    On a day without takings it is what it was before there were any.
    """
    start, end = bounds(day)
    merchant, are_tests = settings.SUMUP_MERCHANT_CODE, orders_are_tests()
    with connection.cursor() as cursor:
        cursor.execute(DIGEST, {"are_tests": are_tests, "merchant": merchant, "start": start, "end": end})
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
        except Exception:
            logger.exception("%s could not be closed; the others go on.", day)


def days_to_close() -> list[date]:
    """The days that are over and not closed: all since the first close, or else yesterday; red ones after a pause."""
    # The last payments of a day need their time to settle before anybody worries about them.
    yesterday = timezone.localdate(timezone.now() - history.TIME_TO_SETTLE) - timedelta(days=1)
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
