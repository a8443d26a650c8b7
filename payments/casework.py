"""What a person can do about a case, each as one step that leaves a note; the back office offers no other way.

Money is moved by refunds, cash or an attachment; a case is resolved by whoever decided, in their name.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.models import Case, Subject, User, kind_of
from cartsite.refusals import Refusal
from cartsite.templatetags.shop import in_words
from orders import services as orders
from orders.access import read_number
from orders.models import Order, OrderLine
from payments import events, ledger, refunds, schedule, settling, sumup, sweeping
from payments.models import Payment, Refund, Stray
from payments.refunds import Wish


class CannotDo(Refusal):
    """This cannot be done about the case now; nothing has moved. The text says why, to staff."""


class Step(StrEnum):
    """What may be done about a case."""

    REFUND = "refund"  # send money back to the card
    BY_HAND = "by_hand"  # write down that money was given back by hand
    REVIVE = "revive"  # confirm the order after all, claiming its places and stock again
    ATTACH = "attach"  # the money belongs to an order
    CASH = "cash"  # write down that the rest was paid in cash
    RETRY = "retry"  # send a failed refund once more
    GIVE_UP = "give_up"  # call a refund in doubt failed
    CLOSE_ATTEMPT = "close_attempt"  # the attempt cannot be paid any more
    ASK = "ask"  # ask SumUp now
    ACCEPT = "accept"  # leave it as it is, with a note
    SNOOZE = "snooze"  # look again later


_MONEY = (Step.REFUND, Step.BY_HAND)
_ALWAYS = (Step.ACCEPT, Step.SNOOZE)
STEPS: dict[str, tuple[Step, ...]] = {
    Case.Kind.LATE_PAYMENT: (Step.REVIVE, *_MONEY),
    Case.Kind.OVERPAID: _MONEY,
    Case.Kind.AMOUNT_MISMATCH: (*_MONEY, Step.CASH),
    Case.Kind.DUPLICATE_CAPTURE: _MONEY,
    Case.Kind.UNKNOWN_MONEY: (Step.ATTACH, Step.ASK),
    Case.Kind.TAKINGS: (),
    Case.Kind.MISSING_AT_SUMUP: (Step.ASK, Step.CLOSE_ATTEMPT),
    Case.Kind.REFUND_UNKNOWN: (Step.ASK, Step.GIVE_UP),
    Case.Kind.REFUND_FAILED: (Step.RETRY, Step.BY_HAND, Step.ASK),
    Case.Kind.EXTERNAL_REFUND: (),
    Case.Kind.CHARGEBACK: (),
    Case.Kind.ATTEMPT_STUCK: (Step.ASK, Step.CLOSE_ATTEMPT),
    Case.Kind.ENTRY_CANCELLED: _MONEY,
    Case.Kind.OVERSOLD: (),
    Case.Kind.MAIL_FAILED: (),
}


def steps_for(case: Case) -> tuple[Step, ...]:
    """What may be done about a case now; nothing once it is resolved."""
    if case.status == Case.Status.RESOLVED:
        return ()
    subject, order = subject_of(case), order_of(case)
    pointless: set[Step] = set()
    if order is None or ledger.money_of(order).net <= 0:
        pointless |= {*_MONEY}
    if not isinstance(subject, Stray):
        pointless |= {Step.ATTACH}
    if not isinstance(subject, Payment | Refund):
        pointless |= {Step.ASK, Step.CLOSE_ATTEMPT}
    return (*(step for step in STEPS[case.kind] if step not in pointless), *_ALWAYS)


# --- What a case is about ---------------------------------------------------------------------------------------------

_SUBJECTS = {kind_of(model): model for model in (Order, OrderLine, Payment, Refund, Stray)}


def subject_of(case: Case) -> Subject | None:
    """The row that the case is about; None where it is none of an order's."""
    model = _SUBJECTS.get(case.subject_type)
    return model._default_manager.filter(uuid=case.subject_uuid).first() if model else None


def order_of(case: Case) -> Order | None:
    """The order that the case is about, if there is one."""
    subject = subject_of(case)
    return subject if isinstance(subject, Order) else getattr(subject, "order", None)


def payment_of(case: Case) -> Payment | None:
    """The attempt that the case is about, if it is about one."""
    subject = subject_of(case)
    return subject if isinstance(subject, Payment) else None


# --- The steps --------------------------------------------------------------------------------------------------------


@transaction.atomic
def refund(case: Case, amount: Decimal, *, by: User, note: str) -> list[Refund]:
    """Ask for money to go back to the card, from the case's own payment if it has one; the refunds, to be approved.

    Raises CannotRefund.
    """
    order = _need_order(case)
    line = subject_of(case)
    wish = Wish(amount, note, by, line if isinstance(line, OrderLine) else None)
    payment = payment_of(case)
    asked = [refunds.request(payment, wish)] if payment is not None else refunds.request_from_order(order, wish)
    _resolve(case, by, note)
    return asked


@transaction.atomic
def give_by_hand(case: Case, amount: Decimal, *, by: User, note: str) -> Refund:
    """Write down that money was given back by hand. Raises CannotRefund."""
    _resolve(case, by, note)
    return refunds.give_by_hand(_need_order(case), Wish(amount, note, by))


@transaction.atomic
def revive(case: Case, *, by: User, note: str) -> Order:
    """Confirm the case's order after all, claiming its capacity again first. Raises CannotDo."""
    order = orders.lock(_need_order(case).pk)
    money = ledger.money_of(order)
    if money.net < order.total:
        raise CannotDo(
            _("Only %(net)s of %(total)s is here.") % {"net": in_words(money.net), "total": in_words(order.total)}
        )
    if not _confirm_after_all(order, by):
        raise CannotDo(_("There is no room or stock left for all of it, or its time is over."))
    _resolve(case, by, note)
    events.settle_what_is_over(order)
    refunds.prepare_for_called_off(order)
    return order


def _confirm_after_all(order: Order, by: User) -> bool:
    """One that still waits has its places and stock; one that has ended must claim them again."""
    if order.is_awaiting_payment:
        return orders.confirm(order, cause="staff", by=by)
    return orders.revive(order, cause="staff", by=by)


@transaction.atomic
def attach(case: Case, number: str, *, by: User, note: str) -> Payment:
    """Say that unknown money belongs to the order of this number; it is written down as one of its payments, and
    decides about the order as any other does. Raises CannotDo."""
    order = Order.objects.filter(number=read_number(number)).first()
    stray = subject_of(case)
    if order is None:
        raise CannotDo(_("There is no order of this number."))
    if not isinstance(stray, Stray):
        raise CannotDo(_("This case is not about money without an order."))
    order = orders.lock(order.pk)
    stray = Stray.objects.select_for_update(no_key=True).get(pk=stray.pk)
    if stray.currency != order.currency or stray.payment_id is not None:
        raise CannotDo(_("It is in another currency, or attached already."))
    payment = _write_attached(order, stray)
    order.record("money_attached", by=by, payment=str(payment.uuid), amount=str(stray.amount))
    _resolve(case, by, note)
    settling.decide(order, payment, stray.amount)
    return payment


def _write_attached(order: Order, stray: Stray) -> Payment:
    payment = Payment.objects.create(
        order=order,
        status=Payment.Status.CAPTURED,
        amount=stray.amount,
        currency=stray.currency,
        merchant_code=stray.merchant_code,
        transaction_code=stray.transaction_code,
        valid_until=stray.happened_at,
    )
    stray.payment = payment
    stray.save(update_fields=["payment"])
    taken = sumup.Transaction(
        id=stray.transaction_id,
        code=stray.transaction_code,
        status="SUCCESSFUL",
        amount=stray.amount,
        currency=stray.currency,
        at=stray.happened_at,
    )
    if not ledger.record_capture(payment, taken):
        raise CannotDo(_("Meanwhile this money was found to be another payment's."))
    return payment


@transaction.atomic
def take_cash(order: Order, amount: Decimal, *, by: User) -> None:
    """Write down that this much of an order was paid by hand; it is confirmed if that was all. Raises CannotDo."""
    order = orders.lock(order.pk)
    owed = order.total - ledger.money_of(order).net
    if order.is_cancelled_by_staff:
        raise CannotDo(_("Staff are cancelling this order: it takes no money any more."))
    if not order.is_awaiting_payment or not 0 < amount <= owed:
        raise CannotDo(
            _("This order does not wait for that much money: %(owed)s is owed.")
            % {"owed": in_words(max(owed, Decimal(0)))}
        )
    ledger.record_cash(order, amount)
    order.record("cash", cause="by hand", by=by, amount=str(amount))
    if amount == owed:  # a person decides here, so an earlier refund is no hindrance
        orders.confirm(order, cause="paid by hand", by=by)
        for payment in order.payments.live():
            schedule.look_soon(payment.pk)  # nobody is to pay it again
        refunds.prepare_for_called_off(order)
    events.settle_what_is_over(order)


def retry(case: Case, *, by: User, note: str) -> Refund:
    """Send a failed refund once more. Raises CannotRefund, or SumUpError if SumUp does not show the payment now."""
    look_first(case, Step.RETRY)
    return send_again(case, by=by, note=note)


def give_up(case: Case, *, by: User, note: str) -> None:
    """Call a refund that was in doubt for a day failed. Raises CannotRefund, SumUpError."""
    look_first(case, Step.GIVE_UP)
    call_failed(case, by=by, note=note)


def close_attempt(case: Case, *, by: User, note: str) -> None:
    """Say that an attempt cannot be paid any more: only where SumUp does not know its checkout, or nothing of it.

    Raises CannotDo, or SumUpError if SumUp gives no answer.
    """
    look_first(case, Step.CLOSE_ATTEMPT)
    close_unknown(case, by=by, note=note)


def look_first(case: Case, step: Step) -> None:
    """Ask SumUp what must be known before such a step, outside of its transaction.

    Raises CannotDo, CannotRefund, or SumUpError.
    """
    if step == Step.RETRY:
        refunds.read(_need_refund(case))
    elif step == Step.GIVE_UP:
        refunds.look_before_giving_up(_need_refund(case))
    elif step == Step.CLOSE_ATTEMPT:
        payment = _need_payment(case)
        if payment.is_live and _is_known_at_sumup(payment):
            raise CannotDo(_("SumUp knows this checkout: cancel the order instead, which closes it safely."))


def send_again(case: Case, *, by: User, note: str) -> Refund:
    """Let a refund that failed, as SumUp has just said, be sent as a new one. Raises CannotRefund."""
    return refunds.send_again(_need_refund(case), by=by, note=note)


def call_failed(case: Case, *, by: User, note: str) -> None:
    """Write down that a refund has failed of which SumUp shows nothing. Raises CannotRefund."""
    refunds.call_failed(_need_refund(case), by=by, note=note)


@transaction.atomic
def close_unknown(case: Case, *, by: User, note: str) -> None:
    """Close an attempt that SumUp does not know, as it has just said. Raises CannotDo."""
    order, payment = ledger.lock(_need_payment(case))
    if payment.is_live:
        settling.close(order, payment, "closed by staff")
        payment.save()
    _resolve(case, by, note)


def _is_known_at_sumup(payment: Payment) -> bool:
    if payment.status in Payment.UNSENT:
        return bool(sumup.find_checkouts(payment.reference))
    return settling.settle(payment) is not None


def ask(case: Case) -> None:
    """Ask SumUp now about what the case is about; it may resolve itself by that."""
    subject = subject_of(case)
    if isinstance(subject, Refund):
        refunds.look_now(subject)
    elif isinstance(subject, Payment):
        sweeping.look_now(subject.pk)


@transaction.atomic
def accept(case: Case, *, by: User, note: str) -> None:
    """Leave it as it is, and say why. Raises CannotDo without a reason.

    Money under a wrong reference, merchant or currency is not ours then, so its attempt is over.
    """
    if not note.strip():
        raise CannotDo(_("Say why, for those who read it next year."))
    payment = payment_of(case)
    if case.kind == Case.Kind.UNKNOWN_MONEY and payment is not None:
        order, payment = ledger.lock(payment)
        if payment.is_live:
            settling.close(order, payment, "its money is not ours")
            payment.save()
    _resolve(case, by, note)


def snooze(case: Case, until: datetime, *, note: str) -> None:
    """Put it out of sight until a moment (UTC) to come. Raises CannotDo."""
    if until <= timezone.now() or not case.snooze(until, note=note):
        raise CannotDo(_("Choose a day to come, for a case that is not resolved."))


def _need_order(case: Case) -> Order:
    order = order_of(case)
    if order is None:
        raise CannotDo(_("This case is not about an order."))
    return order


def _need_payment(case: Case) -> Payment:
    payment = payment_of(case)
    if payment is None:
        raise CannotDo(_("This case is not about an attempt to pay."))
    return payment


def _need_refund(case: Case) -> Refund:
    refund = subject_of(case)
    if not isinstance(refund, Refund):
        raise CannotDo(_("This case is not about a refund."))
    return refund


def _resolve(case: Case, by: User, note: str) -> None:
    """In the name of whoever decided; if it was resolved meanwhile, somebody else has."""
    if not case.resolve(by=by, note=note):
        raise CannotDo(_("Somebody else has resolved this case meanwhile."))
