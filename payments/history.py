"""SumUp's own history, row by row: what it tells of money that we had not heard of.

Webhooks get lost, refunds are made in the dashboard, banks charge back, and a card reader may take money that no order
knows. All of that is in the history, so a sweep reads on in it, and the daily close reads a whole day of it again.
"""

import logging
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case
from orders import services as orders
from orders.models import NUMBER_ALPHABET, TEST_PREFIX, Order
from payments import events, ledger, sumup, sweeping, takings
from payments.models import Movement, Payment, Reading, Stray, Taking
from payments.sumup import HistoryRow

logger = logging.getLogger(__name__)

OVERLAP = ledger.READ_TWICE  # rows may show late
FIRST_TIME = timedelta(days=1)
LONGEST_BACK = timedelta(days=7)  # what could not be taken in for so long is left to the daily close
# A payment of ours may be in the history before its own look has come.
TIME_TO_SETTLE = timedelta(minutes=10)
LEASE = timedelta(minutes=2)
ORDER_NUMBER = re.compile(
    rf"\b(?:{TEST_PREFIX})?[{NUMBER_ALPHABET}]{{4}}-[{NUMBER_ALPHABET}]{{4}}-[{NUMBER_ALPHABET}]{{2}}\b"
)
KINDS = {
    "PAYMENT": Movement.Kind.CAPTURE,
    "REFUND": Movement.Kind.REFUND,
    "CHARGE_BACK": Movement.Kind.CHARGEBACK,
}


def sweep() -> None:
    """Read on from where the last sweep stopped, a little before that, to the end.

    If SumUp stops answering, or a row could not be taken in, the next sweep begins at the same place (where rows fail,
    for a week at most): reading a row twice changes nothing.
    """
    merchant = settings.SUMUP_MERCHANT_CODE
    now = timezone.now()
    Reading.objects.get_or_create(merchant_code=merchant, defaults={"read_up_to": now - FIRST_TIME})
    mine = Reading.objects.filter(Q(leased_until=None) | Q(leased_until__lte=now), merchant_code=merchant)
    if not mine.update(leased_until=now + LEASE):
        return
    reading = Reading.objects.get(merchant_code=merchant)
    try:
        if _read_from(reading) or _has_failed_for_long(reading, now):
            _read_on_from(reading, now)
    except sumup.SumUpError as error:
        logger.warning("SumUp's history: %s", error)
    finally:
        Reading.objects.filter(pk=reading.pk).update(leased_until=None)


def _has_failed_for_long(reading: Reading, now: datetime) -> bool:
    """Whether we have tried for a week in vain; a row that fails for the first time is not old, whenever it is from."""
    if reading.failing_since is None:
        Reading.objects.filter(pk=reading.pk).update(failing_since=now)
        return False
    return now - reading.failing_since > LONGEST_BACK


def _read_on_from(reading: Reading, moment: datetime) -> None:
    """The next sweep begins there, unless money that was written down late wants it to begin earlier (see ledger)."""
    Reading.objects.filter(pk=reading.pk).update(failing_since=None)
    Reading.objects.filter(pk=reading.pk, read_up_to=reading.read_up_to).update(read_up_to=moment)


def _read_from(reading: Reading) -> bool:
    """Read to the end; whether every row was taken in."""
    query, is_all = sumup.history_since(reading.read_up_to - OVERLAP), True
    while query:
        page = sumup.get_history(query)
        is_all = take_in(page.rows) and is_all
        Reading.objects.filter(pk=reading.pk).update(leased_until=timezone.now() + LEASE)
        query = page.next
    return is_all


def take_in(rows: Iterable[HistoryRow]) -> bool:
    """Make our books know of every row; one that cannot be understood now delays no other. False if there is one."""
    is_all = True
    rows = [row for row in rows if row.moved_money and row.kind in KINDS]
    for row in _find_news(rows):
        try:
            _catch_up(row)
        except sumup.SumUpError as error:
            logger.warning("Transaction %s: %s", row.transaction_id, error)
            is_all = False
        except Exception:
            logger.exception("Transaction %s could not be taken in; the others go on.", row.transaction_id)
            is_all = False
    return is_all


def _find_news(rows: list[HistoryRow]) -> list[HistoryRow]:
    """Those rows that our books do not know, found with three queries for them all."""
    ids, merchant = [_our_id(row) for row in rows], settings.SUMUP_MERCHANT_CODE
    moved = Movement.objects.filter(merchant_code=merchant, kind__in=KINDS.values(), sumup_id__in=ids)
    strays = Stray.objects.filter(merchant_code=merchant, transaction_id__in=ids).values_list("transaction_id")
    taken = Taking.objects.filter(merchant_code=merchant, sumup_id__in=ids).values_list("kind", "sumup_id")
    known = {*moved.values_list("kind", "sumup_id"), *taken, *((Movement.Kind.CAPTURE, name) for (name,) in strays)}
    return [row for row in rows if (KINDS[row.kind], _our_id(row)) not in known]


def _our_id(row: HistoryRow) -> str:
    """The name under which our books have it: a payment goes by its transaction, whatever its row is called."""
    return row.transaction_id if row.kind == "PAYMENT" else row.id


def _catch_up(row: HistoryRow) -> None:
    order = _find_order(row)
    if takings.enter(row, KINDS[row.kind], _our_id(row), order):
        return
    if row.kind == "PAYMENT":
        if order is None or not _settle_its_order(row, order):
            _report_stray(row, order)
        return
    capture = find_capture(row.transaction_id)
    if capture is not None and capture.payment is not None:
        events.take_in(capture.payment, sumup.get_transaction(row.transaction_id))


def find_capture(transaction_id: str) -> Movement | None:
    """What we wrote down when this transaction's money came in, if we did."""
    captures = Movement.objects.select_related("payment")
    return captures.filter(
        merchant_code=settings.SUMUP_MERCHANT_CODE, kind=Movement.Kind.CAPTURE, sumup_id=transaction_id
    ).first()


def _settle_its_order(row: HistoryRow, order: Order) -> bool:
    """Look at the attempts of the order that the row names; True if that explains it, or may still."""
    for payment in order.payments.exclude(status=Payment.Status.CAPTURED):
        sweeping.look_now(payment.pk)
    return find_capture(row.transaction_id) is not None or timezone.now() - row.at < TIME_TO_SETTLE


def _find_order(row: HistoryRow) -> Order | None:
    """The order whose number we wrote into the checkout's description: all that joins the two (contract, 7.2)."""
    number = ORDER_NUMBER.search(row.summary)
    return Order.objects.filter(number=number[0]).first() if number else None


@transaction.atomic
def _report_stray(row: HistoryRow, order: Order | None) -> None:
    """Money that no attempt of ours explains: kept, and a person is asked, once."""
    if order is not None:
        orders.lock(order.pk)
        if find_capture(row.transaction_id) is not None:
            return  # another process has just written it down
    stray, is_new = Stray.objects.get_or_create(
        merchant_code=settings.SUMUP_MERCHANT_CODE,
        transaction_id=row.transaction_id,
        defaults={
            "transaction_code": row.transaction_code,
            "amount": row.amount,
            "currency": row.currency,
            "happened_at": row.at,
        },
    )
    if is_new:
        Case.open(
            Case.Kind.UNKNOWN_MONEY,
            stray,
            _("SumUp took a payment (%(code)s) that belongs to no order here.") % {"code": row.transaction_code},
            at_stake=row.amount,
        )
