"""What staff do in the back office: everything the cases offer, and what nobody should do but somebody will."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

from django.utils import timezone
from hypothesis import strategies as st

from bookings import capacity
from bookings.models import Booking, Entry, Pool
from cart.models import Product
from cartsite.models import Case, Message
from orders import door
from orders import services as orders
from orders.models import LineFact, Order, OrderLine
from payments import cancelling, casework, closing, history, refunds, releasing
from payments.casework import Step
from payments.models import DailyClose, Payment, Refund, Stray
from payments.refunds import Wish
from tests.machine.acts import DICE, Acts, act, one_of, some

PART = st.sampled_from([Decimal("1.00"), Decimal("0.50"), Decimal("0.33"), Decimal("1.50")])
SOLD = ("order:confirmed", "order:completed")
NOTE = "because"
CALLED_OFF = "It was called off."


class Staff(Acts):
    """Sam, who may do anything."""

    @property
    def sam(self) -> Any:
        return self.world.staff

    # Orders.

    @act("order:awaiting_payment", dice=DICE)
    def cancel_unpaid(self, dice: int) -> None:
        order = one_of(Order.objects.awaiting(), dice)
        releasing.release(order, to="cancelled", by=Order.Closer.STAFF, user=self.sam)

    @act("payment:open", "payment:declined", dice=DICE, heard=st.booleans())
    def cancel_what_is_paid_meanwhile(self, dice: int, heard: bool) -> None:
        """The shopper pays while the shop is asking SumUp: just before SumUp hears of it, or just after."""
        payable = Payment.objects.filter(status__in=Payment.AT_SUMUP, order__status="awaiting_payment")
        payment = one_of(payable.select_related("order"), dice)
        paying = partial(self.quietly, self.world.simulator.pay, payment.checkout_id or "")
        (self.world.relay.after if heard else self.world.relay.before)("GET", paying)
        releasing.release(payment.order, to="cancelled", by=Order.Closer.STAFF, user=self.sam)
        payment.refresh_from_db()
        if payment.status == Payment.Status.CAPTURED and payment.order.status == Order.Status.CANCELLED:
            self.coverage.rules["paid while staff cancelled it"] += 1

    @act(*SOLD, dice=DICE)
    def cancel_order(self, dice: int) -> None:
        order = one_of(Order.objects.filter(status__in=["confirmed", "completed"]), dice)
        cancelling.cancel_order(order, by=self.sam, reason=CALLED_OFF)

    @act(*SOLD, dice=DICE, quantity=st.integers(1, 3))
    def cancel_part(self, dice: int, quantity: int) -> None:
        goods = OrderLine.objects.filter(order__status="confirmed", kind__in=OrderLine.GOODS)
        line = one_of(goods, dice)
        cancelling.cancel_parts([cancelling.Part(line, quantity)], by=self.sam, reason=CALLED_OFF)

    @act(*SOLD, dice=DICE, kind=st.sampled_from(LineFact.Kind.values), quantity=st.integers(1, 3))
    def write_fact_down(self, dice: int, kind: str, quantity: int) -> None:
        line = one_of(OrderLine.objects.filter(order__status__in=["confirmed", "completed"]), dice)
        if kind == LineFact.Kind.CANCELLED:
            orders.cancel_some(line, quantity, by=self.world.porter)  # who forgets the money
        elif line.kind != OrderLine.Kind.ENTRY:  # what becomes of places is told at the door
            orders.record_fact(line, kind, quantity, by=self.sam)

    @act(*SOLD, dice=DICE)
    def account_for_everything(self, dice: int) -> None:
        order = one_of(Order.objects.filter(status="confirmed"), dice)
        for line in order.lines.filter(kind=OrderLine.Kind.PRODUCT):
            orders.collect_rest(line, by=self.sam)
        for place in Booking.objects.filter(order_line__order=order, status="confirmed"):
            door.let_in(place, uuid4(), by=self.sam, even_early=True)

    @act("order:awaiting_payment", dice=DICE, part=PART)
    def take_cash(self, dice: int, part: Decimal) -> None:
        order = one_of(Order.objects.all(), dice)
        casework.take_cash(order, self._part_of(order.total, part), by=self.sam)

    # Refunds.

    def _part_of(self, amount: Decimal, part: Decimal) -> Decimal:
        return (amount * part).quantize(Decimal("0.01"))

    @act("payment:captured", dice=DICE, part=PART, approve=st.booleans())
    def refund_payment(self, dice: int, part: Decimal, approve: bool) -> None:
        payment = one_of(Payment.objects.filter(status="captured"), dice)
        refund = refunds.request(payment, Wish(self._part_of(payment.amount, part), NOTE, self.sam))
        if approve:
            refunds.approve(refund, by=self.sam)
            refunds.look_now(refund)

    @act("payment:captured", dice=DICE, part=PART)
    def refund_order(self, dice: int, part: Decimal) -> None:
        order = one_of(Order.objects.filter(payments__status="captured").distinct(), dice)
        refunds.request_from_order(order, Wish(self._part_of(order.total, part), NOTE, self.sam))

    @act("payment:captured", dice=DICE)
    def refund_line(self, dice: int) -> None:
        line = one_of(OrderLine.objects.filter(order__payments__status="captured").distinct(), dice)
        refunds.request_from_order(line.order, Wish(line.total, NOTE, self.sam, line))

    @act("payment:captured", "order:cash", dice=DICE, part=PART)
    def give_by_hand(self, dice: int, part: Decimal) -> None:
        order = one_of(Order.objects.filter(movements__isnull=False).distinct(), dice)
        refunds.give_by_hand(order, Wish(self._part_of(order.total, part), NOTE, self.sam))

    @act("refund:requested", dice=DICE)
    def approve(self, dice: int) -> None:
        refunds.approve(one_of(Refund.objects.filter(status="requested"), dice), by=self.sam)

    @act("refund:requested", dice=DICE)
    def approve_and_send(self, dice: int) -> None:
        refund = one_of(Refund.objects.filter(status="requested"), dice)
        refunds.approve(refund, by=self.sam)
        refunds.look_now(refund)

    @act("refund:requested", dice=DICE)
    def turn_down(self, dice: int) -> None:
        refunds.turn_down(one_of(Refund.objects.all(), dice), by=self.sam, note=NOTE)

    @act("refund", dice=DICE)
    def look_at_refund(self, dice: int) -> None:
        refunds.look_now(one_of(Refund.objects.filter(method="sumup"), dice))

    @act("refund:unknown", dice=DICE, patient=st.booleans())
    def give_up(self, dice: int, patient: bool) -> None:
        refund = one_of(Refund.objects.filter(status="unknown"), dice)
        if patient and refund.sent_at:
            self.world.wait(max(refund.sent_at + refunds.BEFORE_GIVING_UP - self.now(), timedelta(0)))
        refunds.give_up(refund, by=self.sam, note=NOTE)

    @act("refund:failed", dice=DICE)
    def retry(self, dice: int) -> None:
        refunds.retry(one_of(Refund.objects.filter(status="failed", method="sumup"), dice), by=self.sam, note=NOTE)

    # Cases.

    @act("case", dice=DICE, step=DICE, part=PART)
    def work_on_case(self, dice: int, step: int, part: Decimal) -> None:
        case = one_of(Case.objects.unresolved(), dice)
        self._take_step(case, some(casework.steps_for(case), step), part)

    @act("case", dice=DICE)
    def accept_case(self, dice: int) -> None:
        casework.accept(one_of(Case.objects.unresolved(), dice), by=self.sam, note=NOTE)

    @act("case", dice=DICE, until=st.sampled_from([timedelta(hours=1), timedelta(days=1), timedelta(days=5)]))
    def snooze_case(self, dice: int, until: timedelta) -> None:
        casework.snooze(one_of(Case.objects.unresolved(), dice), timezone.now() + until, note=NOTE)

    @act("case:attempt_stuck", "case:missing_at_sumup", "case:unknown_money", "case:refund_unknown", dice=DICE)
    def ask_sumup(self, dice: int) -> None:
        casework.ask(one_of(Case.objects.unresolved(), dice))

    @act("case:unknown_money", dice=DICE, order=DICE)
    def attach_money(self, dice: int, order: int) -> None:
        case = one_of(Case.objects.unresolved().filter(kind="unknown_money"), dice)
        casework.attach(case, one_of(Order.objects.all(), order).number, by=self.sam, note=NOTE)

    @act("order:expired", "order:cancelled", dice=DICE)
    def attach_what_was_paid_at_the_till(self, dice: int) -> None:
        """Somebody who came too late pays by card at the stall, for just what their order cost."""
        self._take_at_the_till(one_of(Order.objects.filter(status__in=["expired", "cancelled"], total__gt=0), dice))

    def _take_at_the_till(self, order: Order) -> None:
        paid = self.world.simulator.take_stray_payment(order.total, "At the till")
        history.sweep()
        stray = one_of(Stray.objects.filter(transaction_id=paid.id), 0)
        case = one_of(Case.objects.unresolved().about(stray), 0)
        casework.attach(case, order.number, by=self.sam, note=NOTE)

    @act("case:late_payment", dice=DICE)
    def revive(self, dice: int) -> None:
        casework.revive(one_of(Case.objects.unresolved().filter(kind="late_payment"), dice), by=self.sam, note=NOTE)

    @act("order:cancelled", dice=DICE)
    def revive_what_was_cancelled(self, dice: int) -> None:
        """Somebody thinks better of it, and pays once more at the stall."""
        order = one_of(Order.objects.filter(status="cancelled", total__gt=0), dice)
        self._take_at_the_till(order)
        late = Case.objects.unresolved().filter(kind="late_payment").about(*order.payments.all())
        casework.revive(one_of(late, 0), by=self.sam, note=NOTE)

    @act("case:overpaid", "case:amount_mismatch", "case:duplicate_capture", dice=DICE)
    def revive_by_any_case(self, dice: int) -> None:
        """Only a late payment's offers it."""
        casework.revive(one_of(Case.objects.unresolved(), dice), by=self.sam, note=NOTE)

    def _take_step(self, case: Case, step: Step, part: Decimal) -> None:
        amount = self._part_of(case.at_stake or Decimal("1.00"), part)
        by = {"by": self.sam, "note": NOTE}
        order = casework.order_of(case)
        steps: dict[Step, Callable[[], Any]] = {
            Step.REFUND: lambda: casework.refund(case, amount, **by),
            Step.BY_HAND: lambda: casework.give_by_hand(case, amount, **by),
            Step.REVIVE: lambda: casework.revive(case, **by),
            Step.ATTACH: lambda: casework.attach(case, one_of(Order.objects.all(), 0).number, **by),
            Step.CASH: lambda: order and casework.take_cash(order, amount, by=self.sam),
            Step.RETRY: lambda: casework.retry(case, **by),
            Step.GIVE_UP: lambda: casework.give_up(case, **by),
            Step.CLOSE_ATTEMPT: lambda: casework.close_attempt(case, **by),
            Step.ASK: lambda: casework.ask(case),
            Step.ACCEPT: lambda: casework.accept(case, **by),
            Step.SNOOZE: lambda: casework.snooze(case, timezone.now() + timedelta(days=1), note=NOTE),
        }
        steps[step]()

    # Things and days.

    @act("order", dice=DICE, wanted=st.sampled_from([0, 1, 2, 4, None]))
    def set_capacity(self, dice: int, wanted: int | None) -> None:
        capacity.set_capacity(one_of(Pool.objects.all(), dice), wanted)

    @act("cart:full", dice=DICE, price=st.sampled_from([Decimal("4.99"), Decimal("7.77"), Decimal("42.01")]))
    def change_price(self, dice: int, price: Decimal) -> None:
        Product.objects.filter(pk=one_of(Product.objects.all(), dice).pk).update(price=price)

    @act("cart:full", dice=DICE, price=st.sampled_from([Decimal("35.00"), Decimal("29.99"), Decimal("42.01")]))
    def change_price_of_places(self, dice: int, price: Decimal) -> None:
        Entry.objects.filter(pk=one_of(Entry.objects.all(), dice).pk).update(price=price)

    @act("transaction", back=st.integers(0, 2))
    def close_day(self, back: int) -> None:
        closing.close_day(timezone.localdate() - timedelta(days=back))

    @act("dailyclose:closed", dice=DICE)
    def reopen_day(self, dice: int) -> None:
        closing.reopen(one_of(DailyClose.objects.all(), dice), by=self.sam, note=NOTE)

    @act("message:failed", dice=DICE)
    def send_mail_again(self, dice: int) -> None:
        one_of(Message.objects.filter(status="failed"), dice).try_again()
