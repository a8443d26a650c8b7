"""Getting one attempt's checkout to exist at SumUp exactly once, whatever gets lost on the way."""

from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case
from payments import account, ledger, schedule, settling, sumup
from payments.models import Payment
from payments.sumup import Checkout

# With less left than this, posting the reference again would only make a page that nobody can use.
WORTH_POSTING = timedelta(minutes=1)


def send_leased(payment: Payment) -> None:
    """Send a fresh attempt that this process has the lease on, and give the lease back.

    Where SumUp is not to be asked now, the attempt stays as it was created: the next sweep sends it at once.
    """
    with schedule.holding(payment) as lease:
        try:
            send(payment)
        except sumup.SumUpNotAsked:
            schedule.hand_over(lease)
        else:
            schedule.put_back(lease, answered=False)


def send(payment: Payment) -> bool:
    """Post the attempt for the first time; only the holder of its lease may call this. False: SumUp gave no answer.

    Afterwards the payment is open, or unknown (a sweep goes on), or closed with a case on a definite no. Raises
    SumUpNotAsked: the payment is as it was if nothing was sent, or unknown where there was no time to look it up.
    """
    try:
        checkout = _post(payment)
    except sumup.SumUpNotAsked:
        raise
    except sumup.SumUpRefused as refusal:
        _record_refusal(payment, refusal)
    except sumup.SumUpInDoubt:
        mark_unknown(payment)
        return resolve(payment)
    else:
        store(payment, checkout)
    return True


def is_yet_to_be_sent(payment: Payment) -> bool:
    """Whether SumUp has certainly not heard of the attempt, and is to."""
    is_fresh = payment.status == Payment.Status.CREATED and payment.sent_at is None
    return is_fresh and not payment.order.is_closing and _is_worth_posting(payment)


def resolve(payment: Payment) -> bool:
    """Find out whether a doubtful attempt exists at SumUp, and post the same reference again if not.

    False if SumUp gave no answer; then nothing has changed. Raises SumUpNotAsked.
    """
    try:
        hits = sumup.find_checkouts(payment.reference)
        if not hits:
            return _post_again(payment)
    except sumup.SumUpNotAsked:
        raise
    except sumup.SumUpError:
        return False
    if len(hits) > 1:
        _report_several(payment)
    for checkout in sorted(hits, key=_usefulness, reverse=True):
        store(payment, checkout)
    return True


def _usefulness(checkout: Checkout) -> tuple[bool, bool]:
    """Of several checkouts the one that was paid comes first, then one that still can be."""
    return checkout.status == "PAID", checkout.status in ("PENDING", "FAILED") and bool(checkout.url)


def _report_several(payment: Payment) -> None:
    """SumUp has broken its own rule. About the order: answers about the attempt do not settle this."""
    what_happened = _("SumUp has several checkouts with the reference of one attempt; all but one were deleted.")
    Case.open(Case.Kind.ATTEMPT_STUCK, payment.order, what_happened, at_stake=payment.amount)


@transaction.atomic
def mark_unknown(payment: Payment) -> None:
    """We cannot tell whether SumUp has it. The case resolves itself as soon as we can."""
    now = timezone.now()
    in_doubt = Payment.objects.filter(pk=payment.pk, status=Payment.Status.CREATED).update(
        status=Payment.Status.UNKNOWN, changed_at=now, looks=0, next_look_at=now + schedule.WAITS[0]
    )
    if in_doubt:
        settling.open_stuck(payment, _("SumUp gave no answer when asked for a payment page: it is being looked up."))


@transaction.atomic
def give_up(payment: Payment, cause: str, checkout_id: str | None = None) -> None:
    """Close an attempt whose page was never shown to anybody, keeping its checkout's id if it has one."""
    order, payment = ledger.lock(payment)
    if payment.status in Payment.UNSENT:
        payment.checkout_id = payment.checkout_id or checkout_id
        settling.close(order, payment, cause)
        payment.save()
        Case.settle(Case.Kind.ATTEMPT_STUCK, payment, _("Its page was never shown, so nobody can have paid there."))


def _post(payment: Payment) -> Checkout:
    account.require()
    order = payment.order
    way_back = reverse("orders:return", args=[order.number])
    return sumup.create_checkout(
        reference=payment.reference,
        amount=payment.amount,
        description=_("Rose Ash order %(number)s") % {"number": order.number},
        valid_until=payment.valid_until,
        return_url=settings.PUBLIC_URL + reverse("payments:webhook", args=[payment.webhook_token]),
        redirect_url=f"{settings.PUBLIC_URL}{way_back}?token={payment.return_token}",
    )


def _post_again(payment: Payment) -> bool:
    """Nothing was found: post the same reference once more, or give up long after anybody could have paid."""
    now = timezone.now()
    if payment.order.is_closing:
        give_up(payment, "its page was never shown")
    elif now > payment.valid_until + settling.GRACE:
        give_up(payment, "never reached SumUp")
    elif _is_worth_posting(payment):
        store(payment, _post(payment))
    return True


def _is_worth_posting(payment: Payment) -> bool:
    return timezone.now() < payment.valid_until - WORTH_POSTING


@transaction.atomic
def _record_refusal(payment: Payment, refusal: sumup.SumUpRefused) -> None:
    order, payment = ledger.lock(payment)
    if payment.status == Payment.Status.CREATED:
        settling.close(order, payment, "refused by SumUp")
        payment.save()
        settling.open_stuck(payment, _("SumUp refused to make a checkout: %(reason)s") % {"reason": refusal})


def store(payment: Payment, checkout: Checkout) -> None:
    """Take a checkout that SumUp has made as the attempt's own, or delete it where that has become impossible."""
    if _keep(payment, checkout):
        if checkout.status != "PENDING":
            payment.refresh_from_db()
            with suppress(sumup.SumUpError):  # it is open now, so the sweep looks again
                settling.settle(payment)
        return
    with suppress(sumup.SumUpError):  # its page was never shown, and the attempt is asked about again
        sumup.delete_checkout(checkout.id)
    give_up(payment, "its page was never shown", checkout.id)


@transaction.atomic
def _keep(payment: Payment, checkout: Checkout) -> bool:
    """Compare-and-set: an attempt not yet sent, of an order that still waits, gets this checkout; whether it has it."""
    order, payment = ledger.lock(payment)
    if payment.checkout_id == checkout.id and payment.status in (*Payment.AT_SUMUP, Payment.Status.CAPTURED):
        return True
    may_have = payment.status in Payment.UNSENT and order.is_awaiting_payment and not order.is_closing
    if not (may_have and checkout.url and checkout.reference == payment.reference):
        return False
    payment.checkout_id, payment.checkout_url, payment.leased_until = checkout.id, checkout.url, None
    schedule.changed(payment, Payment.Status.OPEN)
    payment.save()
    order.record("attempt_open", cause="SumUp", payment=str(payment.uuid), amount=str(payment.amount))
    Case.settle(Case.Kind.ATTEMPT_STUCK, payment, _("SumUp has made the checkout."))
    return True
