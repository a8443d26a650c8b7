"""Money that came when the order was over and its places were gone: what its shopper may ask for.

They get a page with two choices, money back or wait for staff; after three days without a word from staff the money
goes back by itself.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case, User, kind_of
from orders.models import Order
from payments import ledger, refunds
from payments.models import Payment
from payments.refunds import CannotRefund, Wish

logger = logging.getLogger(__name__)

BY_ITSELF_AFTER = timedelta(days=3)


def open_case(order: Order) -> Case | None:
    """The case about late money of this order that nobody has decided yet, the newest; None if there is none."""
    late = Case.objects.unresolved().filter(kind=Case.Kind.LATE_PAYMENT).about(*order.payments.all())
    return late.order_by("-opened_at").first()


def goes_back_at(case: Case) -> datetime:
    """When (UTC) the money goes back by itself."""
    return max(case.opened_at + BY_ITSELF_AFTER, case.snoozed_until or case.opened_at)


@transaction.atomic
def send_back(case: Case, *, by: User | None, note: str) -> None:
    """All that is left of the late payment goes back to the card, and the case is resolved.

    Where the order was confirmed after all, only what it does not need. Raises CannotRefund.
    """
    payment = Payment.objects.get(uuid=case.subject_uuid)
    order, payment = ledger.lock(payment)
    if not Case.objects.unresolved().filter(pk=case.pk).exists():
        return  # somebody else has decided
    most = ledger.refundable(payment)
    if order.is_sold:
        most = min(most, ledger.money_of(order).net - order.total)
    refund = refunds.request(payment, Wish(most, note, by))
    refunds.approve(refund, by=by)
    case.resolve(by=by, note=note)


def send_back_by_itself() -> None:
    """Send back what nobody has decided about for three days (or longer, where staff put it off)."""
    now = timezone.now()
    late = Case.objects.filter(kind=Case.Kind.LATE_PAYMENT, status=Case.Status.OPEN, subject_type=kind_of(Payment))
    for case in late.filter(opened_at__lte=now - BY_ITSELF_AFTER):
        try:
            send_back(case, by=None, note=_("Nobody decided otherwise within three days."))
        except CannotRefund as refusal:
            logger.warning("Late payment %s cannot go back by itself: %s", case.subject_uuid, refusal)
