"""Looking at payments: whoever knocks, and on a timer when nobody does."""

import logging

from payments import releasing, schedule, sending, settling, sumup
from payments.models import Payment

logger = logging.getLogger(__name__)


# SumUp is out of reach after so many questions in a row without an answer: the rest is for the next sweep.
MOST_SILENCES = 3


def look(payment: Payment) -> bool:
    """One look at a leased payment: settle it, or find out whether it exists at all; then plan the next look.

    False if SumUp gave no answer. Where it is not to be asked now, the next sweep looks at once.
    """
    answered = False
    with schedule.holding(payment) as lease:
        try:
            answered = _ask_or_complain(payment)
        except sumup.SumUpNotAsked:
            schedule.hand_over(lease)
        except Exception:
            schedule.put_back(lease, answered=False)
            raise
        else:
            schedule.put_back(lease, answered=answered)
    return answered


def _ask_or_complain(payment: Payment) -> bool:
    try:
        return _ask(payment)
    except sumup.SumUpNotAsked:
        raise
    except sumup.SumUpError as error:
        logger.warning("Payment %s: %s", payment.uuid, error)
        releasing.complain_about_silence(payment)
        return False


def _ask(payment: Payment) -> bool:
    """Whether SumUp gave an answer."""
    if payment.is_live and not payment.order.is_awaiting_payment:
        return releasing.close_attempt(payment)  # its order was paid another way: nobody is to pay here as well
    if sending.is_yet_to_be_sent(payment):
        return sending.send(payment)  # whoever was to send it never began
    if payment.status in Payment.UNSENT:
        sending.mark_unknown(payment)  # whoever was to send it has lost the lease
        return sending.resolve(payment)
    settling.settle(payment)
    return True


def look_now(payment_id: int) -> None:
    """Look at a payment at once, unless it is being looked at or was within 3 seconds, or is captured."""
    if schedule.take(payment_id):
        look(Payment.objects.get(pk=payment_id))


def sweep(most: int = 200) -> None:
    """Look at up to `most` payments that are due, each on its own: one that fails delays no other.

    It ends early where SumUp gives no answers at all, so that the work behind it need not wait for time-outs.
    """
    silences = 0
    for _turn in range(most):
        if silences == MOST_SILENCES or (payment := schedule.take_next()) is None:
            return
        try:
            silences = 0 if look(payment) else silences + 1
        except Exception:
            logger.exception("Payment %s could not be looked at; the sweep goes on.", payment.uuid)
