"""Takings: sales at the merchant's card readers. They are no order's money, but they pass through the same account.

Each is one row for good, and so is what became of it: refunds, chargebacks, SumUp's fee, its payout. One case a day
tells people how much it was. Only what no online checkout can have made becomes one, and nothing whose id, reference
or code is ours; in doubt it stays money of unknown origin (docs/adr/0013).
"""

from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from cartsite.models import Case
from orders.models import Order, orders_are_tests
from payments.models import Movement, Payment, Stray, Taking, TakingsDay
from payments.sumup import HistoryRow, PayoutRecord

READER = "POS"
# How a card can be read at a reader. What the payer typed or chose on a page is not among them.
AT_A_READER = frozenset(
    {"", "NONE", "N/A", "CHIP", "CONTACTLESS", "MAGSTRIPE", "MAGSTRIPE_FALLBACK", "CONTACTLESS_MAGSTRIPE"}
)


def may_be_taking(row: HistoryRow) -> bool:
    """Whether no online checkout can have made the payment that this row is about."""
    return row.payment_type == READER and row.entry_mode in AT_A_READER and row.currency == settings.CURRENCY


@transaction.atomic
def enter(row: HistoryRow, kind: Movement.Kind, sumup_id: str, named: Order | None) -> bool:
    """Write a row of SumUp's history down as takings, once; False if it is not surely that.

    `named` is the order whose number the row's text has. Nothing else is locked before, and only the day after it.
    """
    hold_name(row.transaction_id)
    if named is not None or not may_be_taking(row) or _is_ours(row):
        return False
    day = _day_of(row)
    taking = Taking(
        day=day,
        kind=kind,
        merchant_code=settings.SUMUP_MERCHANT_CODE,
        sumup_id=sumup_id,
        transaction_id=row.transaction_id,
        transaction_code=row.transaction_code,
        amount=kind.sign * row.amount,
        currency=row.currency,
        happened_at=row.at,
    )
    if not Taking.objects.filter(merchant_code=taking.merchant_code, kind=kind, sumup_id=sumup_id).exists():
        taking.save()
        _tell(day, taking.amount)
    return True


def hold_name(transaction_id: str) -> None:
    """Until the transaction ends, nobody else writes down what this transaction of SumUp's is.

    An order that is locked as well is locked before.
    """
    name = f"{settings.SUMUP_MERCHANT_CODE} {transaction_id}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 13))", [name])


def is_taking(transaction_id: str) -> bool:
    """Whether this transaction's payment is among the takings."""
    mine = Taking.objects.filter(merchant_code=settings.SUMUP_MERCHANT_CODE, kind=Movement.Kind.CAPTURE)
    return mine.filter(transaction_id=transaction_id).exists()


def _is_ours(row: HistoryRow) -> bool:
    """Whether anything of it is known here: its id, its code, or a reference of ours."""
    names = {name for name in (row.transaction_id, row.reference, row.client_id, row.summary) if name}
    attempts = Q(checkout_id__in=names) | Q(reference__in=names)
    if row.transaction_code:
        attempts |= Q(transaction_code=row.transaction_code)
    strays = Q(transaction_id=row.transaction_id)
    if row.transaction_code:
        strays |= Q(transaction_code=row.transaction_code)
    return (
        Movement.objects.filter(transaction_id=row.transaction_id).exists()
        or Payment.objects.filter(attempts).exists()
        or Stray.objects.filter(strays).exists()
    )


def _day_of(row: HistoryRow) -> TakingsDay:
    """The shop's day of the row, held still: what its case says is added up."""
    day = timezone.localdate(row.at)
    merchant = settings.SUMUP_MERCHANT_CODE
    mine, _is_new = TakingsDay.objects.get_or_create(merchant_code=merchant, is_test=orders_are_tests(), day=day)
    return TakingsDay.objects.select_for_update(no_key=True).get(pk=mine.pk)


def _tell(day: TakingsDay, amount: Decimal) -> None:
    """One case for a day: while it is open, each row adds to it; once it was accepted, a new one tells the rest."""
    standing = Case.objects.unresolved().filter(kind=Case.Kind.TAKINGS).about(day)
    if not standing.update(at_stake=F("at_stake") + amount):
        said = _("Card readers of the same SumUp account took payments on %(day)s that belong to no order here.")
        Case.open(Case.Kind.TAKINGS, day, said % {"day": formats.date_format(day.day)}, at_stake=amount)


# --- What SumUp kept and paid out -------------------------------------------------------------------------------------


def find(codes: set[str]) -> dict[str, Taking]:
    """The payments among the takings with these transaction codes, by the code."""
    mine = Taking.objects.filter(merchant_code=settings.SUMUP_MERCHANT_CODE, kind=Movement.Kind.CAPTURE)
    return {taking.transaction_code: taking for taking in mine.filter(transaction_code__in=codes - {""})}


def find_paid_out(ids: list[str]) -> set[str]:
    """Which of SumUp's payout records with these ids are written down."""
    mine = Taking.objects.filter(merchant_code=settings.SUMUP_MERCHANT_CODE, kind=Movement.Kind.PAYOUT)
    return set(mine.filter(sumup_id__in=ids).values_list("sumup_id", flat=True))


@transaction.atomic
def record_payout(taking: Taking, record: PayoutRecord) -> None:
    """Write down what SumUp kept of a taking and paid out (or deducted) for it, once."""
    hold_name(taking.transaction_id)
    if record.kind == "PAYOUT" and record.fee:
        _write_once(taking, Movement.Kind.FEE, taking.transaction_id, -record.fee, record)
    _write_once(taking, Movement.Kind.PAYOUT, record.id, record.amount, record)


def _write_once(taking: Taking, kind: Movement.Kind, sumup_id: str, amount: Decimal, record: PayoutRecord) -> None:
    Taking.objects.get_or_create(
        merchant_code=taking.merchant_code,
        kind=kind,
        sumup_id=sumup_id,
        defaults={
            "day": taking.day,
            "transaction_id": taking.transaction_id,
            "transaction_code": taking.transaction_code,
            "amount": amount,
            "currency": record.currency,
            "happened_at": record.at,
        },
    )
