"""SumUp at its worst, and those who mean harm."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

from django.utils import timezone
from hypothesis import strategies as st

from bookings import waiting
from bookings.models import Booking, Entry
from cart import services as carts
from cartsite.models import Message
from orders import door, mail
from orders.models import Order
from payments import calling_off, closing, history, refunds, releasing, schedule, starting, sweeping
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator.behaviour import CHOICES
from payments.simulator.checkouts import Checkout, CheckoutStatus
from payments.simulator.events import Statement
from tests.machine.acts import DICE, act, one_of, some
from tests.machine.organisers import Organisers
from tests.machine.relay import LIES
from tests.machine.staff import PART
from tests.machine.world import BrokenAtTimes

TIMES = st.sampled_from([1, 1, 2, 3, 0])  # 0: until further notice
MANNERS = ("references", "session_over", "challenge", "refunded_status", "partial_refunds", "merchant_sandbox")
CANDLE = (1, 1)  # one of the things that never run out
NUMBERS = st.sampled_from(
    [("settles_after", n) for n in (0, 20, 3600)]
    + [("challenge_seconds", n) for n in (5, 300, 5400)]
    + [("late_seconds", n) for n in (60, 3600, 86400)]
    + [("event_late_seconds", n) for n in (30, 3600, 86400)]
)


def bad(switch: str) -> st.SearchStrategy[str]:
    """Each way in which a switch can stand but the good one."""
    return st.sampled_from(CHOICES[switch][1:])


MEANWHILE = st.sampled_from(
    (
        *("pay", "start", "cancel", "sweep", "release", "refund", "call off", "move the basket"),
        *("move a place", "call an entry off", "go on calling off", "offer", "let in"),
    )
)
METHODS = st.sampled_from(["GET", "POST", "DELETE"])
SOME_MONEY = st.sampled_from([Decimal("6.50"), Decimal("3.33"), Decimal("35.00"), Decimal("0.01")])


class Adversary(Organisers):
    """Everything that may go wrong outside the shop."""

    def _misbehave(self, switch: str, how: str, times: int = 0) -> None:
        counted = {"times": {switch: times}} if times else {}
        self.world.simulator.behave(**{switch: how}, **counted)

    # At each of these somebody is just about to ask, so that it is felt.

    @act("order:awaiting_payment", how=bad("create"), times=TIMES, dice=DICE)
    def fail_to_create(self, how: str, times: int, dice: int) -> None:
        self._misbehave("create", how, times)
        starting.start(one_of(Order.objects.awaiting(), dice))

    @act("order:awaiting_payment", dice=DICE)
    def refuse_to_create(self, dice: int) -> None:
        """A definite no to an attempt's first POST: SumUp does not like one of its fields."""
        wire = self.world.relay
        order = one_of(Order.objects.awaiting().exclude(payments__status__in=Payment.LIVE), dice)
        wire.before("POST", lambda: wire.reply(400, b"{}"))
        try:
            starting.start(order)
        finally:
            wire.be_honest()

    @act("payment", how=bad("read"), times=TIMES, dice=DICE)
    def fail_to_read(self, how: str, times: int, dice: int) -> None:
        self._misbehave("read", how, times)
        sweeping.look_now(one_of(Payment.objects.all(), dice).pk)

    @act("order:awaiting_payment", how=bad("delete"), times=TIMES, dice=DICE)
    def fail_to_delete(self, how: str, times: int, dice: int) -> None:
        self._misbehave("delete", how, times)
        order = one_of(Order.objects.awaiting(), dice)
        releasing.release(order, to="cancelled", by=Order.Closer.SHOPPER, user=order.user)

    @act("order:awaiting_payment", dice=DICE, approve=st.booleans())
    def finish_a_challenge_after_delete(self, dice: int, approve: bool) -> None:
        """The payer is at the bank while the shop deletes the checkout: the payment under way wins."""
        self._misbehave("delete", "payment_in_flight_wins", 1)
        payment = one_of(Payment.objects.filter(status__in=Payment.AT_SUMUP), dice)
        checkout = payment.checkout_id or ""
        happen = partial(self.quietly, self.world.simulator.challenge, checkout)
        self.world.relay.before("DELETE", happen)
        releasing.release(payment.order, to="cancelled", by=Order.Closer.SHOPPER, user=payment.order.user)
        self.world.simulator.answer_challenge(checkout, approve=approve)

    @act("payment:captured", how=bad("refund"), times=TIMES, dice=DICE, part=PART)
    def fail_to_refund(self, how: str, times: int, dice: int, part: Decimal) -> None:
        self._misbehave("refund", how, times)
        payment = one_of(Payment.objects.filter(status="captured"), dice)
        amount = (payment.amount * part).quantize(Decimal("0.01"))
        refund = refunds.request(payment, Wish(amount, "because", self.world.staff))
        refunds.approve(refund, by=self.world.staff)
        refunds.look_now(refund)

    @act("refund", how=bad("transaction_read"), times=TIMES, dice=DICE)
    def fail_to_show_transactions(self, how: str, times: int, dice: int) -> None:
        self._misbehave("transaction_read", how, times)
        refunds.look_now(one_of(Refund.objects.filter(method="sumup"), dice))

    @act("payment:captured", how=bad("transaction_read"), times=TIMES)
    def fail_to_show_what_is_new(self, how: str, times: int) -> None:
        self._misbehave("transaction_read", how, times)
        history.sweep()

    @act(how=bad("history"), times=TIMES)
    def fail_to_show_history(self, how: str, times: int) -> None:
        self._misbehave("history", how, times)
        history.sweep()

    @act(how=bad("payouts"), times=TIMES)
    def fail_to_show_payouts(self, how: str, times: int) -> None:
        self._misbehave("payouts", how, times)
        closing.close_day(timezone.localdate())

    def run_into(self, switch: str, how: str) -> None:
        """SumUp misbehaves this way, and somebody asks it for just that: one order paid, one that waits."""
        if switch in (*MANNERS, "webhooks"):
            self._misbehave(switch, how)
        self.buy_at_once(0, [CANDLE], pays=True)
        self._fill(1, [CANDLE])
        waiting = self._place(1)
        if switch == "create":
            self._misbehave(switch, how, times=1)
        payment = starting.start(waiting)
        self.world.wait(2 * schedule.BETWEEN_LOOKS)
        if switch == "challenge":
            self.world.simulator.challenge(payment.checkout_id or "")
        acts: dict[str, Callable[[], Any]] = {
            "read": lambda: self.fail_to_read(how=how, times=2, dice=1),
            "delete": lambda: self.fail_to_delete(how=how, times=1, dice=0),
            "refund": lambda: self.fail_to_refund(how=how, times=1, dice=0, part=Decimal("1.00")),
            "transaction_read": lambda: (self._misbehave(switch, how, times=1), self._refund_all()),
            "history": lambda: self.fail_to_show_history(how=how, times=1),
            "payouts": lambda: self.fail_to_show_payouts(how=how, times=1),
        }
        acts.get(switch, self._refund_all)()

    def _refund_all(self) -> None:
        self.fail_to_refund(how="204", times=1, dice=0, part=Decimal("1.00"))

    @act(how=bad("webhooks"), times=TIMES)
    def misdeliver_webhooks(self, how: str, times: int) -> None:
        self._misbehave("webhooks", how, times)

    @act(manner=st.sampled_from([(name, how) for name in MANNERS for how in CHOICES[name][1:]]))
    def have_other_manners(self, manner: tuple[str, str]) -> None:
        self._misbehave(*manner)

    @act(number=NUMBERS)
    def take_its_time(self, number: tuple[str, int]) -> None:
        self.world.simulator.behave(**dict([number]))

    @act(what=st.sampled_from(["honest again", "mail breaks", "mail works", "no webhooks get through"]))
    def weather_changes(self, what: str) -> None:
        if what == "honest again":
            self.world.simulator.behaviour.reset()
            self.world.relay.tell_lies("", 0)
            self.world.is_up = True
        elif what == "no webhooks get through":
            self.world.is_up = False
        else:
            BrokenAtTimes.is_broken = what == "mail breaks"

    @act("payment", lie=st.sampled_from(sorted(LIES)), times=st.integers(1, 3), dice=DICE)
    def lie(self, lie: str, times: int, dice: int) -> None:
        self.coverage.rules[f"lie about {lie}"] += 1
        self.world.relay.tell_lies(lie, times)
        sweeping.look_now(one_of(Payment.objects.all(), dice).pk)

    @act("payment", dice=DICE, body=st.sampled_from([b"", b"[]", b'{"event_type": "SOMETHING_NEW", "id": "x"}']))
    def forge_webhook(self, dice: int, body: bytes) -> None:
        """Whoever guesses a token can only make us look; and one that nobody has gives the same answer."""
        token = one_of(Payment.objects.all(), dice).webhook_token
        self.world.is_up = True
        answers = {self.world.deliver(f"http://shop/webhooks/sumup/{name}/", body) for name in (token, "no-such-token")}
        assert answers == {204}
        self.world.simulator.notify(some(self.world.simulator.checkouts(), dice).id, event_type="SOMETHING_NEW")
        self.world.simulator.tick()

    # Money that moves without us.

    def _transaction(self, dice: int) -> Statement:
        statements = self.world.simulator.newest_transactions(0, 100)
        return some([s for s in statements if s.transaction.moved_money], dice)

    @act("transaction", dice=DICE, part=PART)
    def refund_in_dashboard(self, dice: int, part: Decimal) -> None:
        name, left = (found := self._transaction(dice)).transaction.id, found.left
        self.world.simulator.refund_in_dashboard(name, (left * part).quantize(Decimal("0.01")))

    @act("refund:failed", dice=DICE)
    def failed_refund_turns_up(self, dice: int) -> None:
        """SumUp said no, or nothing for a day, and did it all the same."""
        refund = one_of(Refund.objects.filter(status="failed", method="sumup"), dice)
        self.world.simulator.refund(refund.transaction_id, refund.amount)
        refunds.look_now(refund)

    @act("message:owed", dice=DICE, repaired=st.booleans())
    def mail_is_broken_for_days(self, dice: int, repaired: bool) -> None:
        BrokenAtTimes.is_broken = True
        for _try in range(Message.MOST_TRIES):
            self.world.wait(timedelta(hours=6, minutes=dice))
            mail.send_owed()
        BrokenAtTimes.is_broken = not repaired

    @act("transaction", dice=DICE, part=PART)
    def charge_back(self, dice: int, part: Decimal) -> None:
        statement = self._transaction(dice)
        amount = (statement.transaction.amount * part).quantize(Decimal("0.01"))
        self.world.simulator.charge_back(statement.transaction.id, amount)

    @act(amount=SOME_MONEY, dice=DICE, names_order=st.booleans())
    def stray_payment(self, amount: Decimal, dice: int, names_order: bool) -> None:
        number = one_of(Order.objects.all(), dice).number if names_order and Order.objects.exists() else ""
        take = self.world.simulator.take_reader_payment if dice % 2 else self.world.simulator.take_stray_payment
        take(amount, f"At the till {number}")

    @act(amount=SOME_MONEY, tip=st.sampled_from([Decimal("0.00"), Decimal("1.50")]))
    def sell_at_a_card_reader(self, amount: Decimal, tip: Decimal) -> None:
        self.world.simulator.take_reader_payment(amount, "Two coffees", tip=tip)

    @act("payment:captured", "transaction")
    def pay_out(self) -> None:
        self.world.simulator.pay_out()

    # Money that is not what we asked for: here the lie is the truth.

    def _change_checkout(self, dice: int, change: Callable[[Checkout], dict[str, Any]]) -> None:
        simulator = self.world.simulator
        unpaid = [c for c in simulator.checkouts() if c.status is CheckoutStatus.PENDING and not c.transactions]
        checkout = some(unpaid, dice)
        simulator._shelf.put(replace(checkout, **change(checkout)))

    @act("payment:open", dice=DICE, more=st.sampled_from([Decimal("-1.00"), Decimal("2.50")]))
    def ask_for_another_amount(self, dice: int, more: Decimal) -> None:
        self._change_checkout(dice, lambda checkout: {"amount": max(checkout.amount + more, Decimal("0.50"))})

    @act("payment:open", dice=DICE)
    def ask_in_another_currency(self, dice: int) -> None:
        self._change_checkout(dice, lambda checkout: {"currency": "EUR"})

    @act("payment:unknown", "payment:created", "payment:closed", dice=DICE)
    def pay_on_a_page_never_shown(self, dice: int) -> None:
        shown = set(Payment.objects.exclude(checkout_url="").values_list("checkout_id", flat=True))
        unpaid = [c.id for c in self.world.simulator.checkouts() if c.status is CheckoutStatus.PENDING]
        self.world.simulator.pay(some([name for name in unpaid if name not in shown], dice))

    # Things that happen in the middle of a call.

    @act(
        "payment",
        method=METHODS,
        heard=st.booleans(),
        what=MEANWHILE,
        dice=DICE,
    )
    def meanwhile(self, method: str, heard: bool, what: str, dice: int) -> None:
        """While the next such call is under way, somebody else does something, in a connection of their own."""
        happen = partial(self.quietly, self._happen, what, dice)
        (self.world.relay.after if heard else self.world.relay.before)(method, happen)

    def _happen(self, what: str, dice: int) -> None:
        self.coverage.rules[f"meanwhile {what}"] += 1
        acts: dict[str, Callable[[int], Any]] = {
            "pay": self._pay_somewhere,
            "start": lambda dice: starting.start(one_of(Order.objects.awaiting(), dice)),
            "cancel": self._cancel_something,
            "sweep": lambda _dice: sweeping.sweep(),
            "release": lambda _dice: releasing.sweep(),
            "refund": lambda dice: refunds.look_now(one_of(Refund.objects.exclude(method="cash"), dice)),
            "call off": lambda dice: self.call_off_something(dice, [1], everything=dice % 2 == 0),
            "move the basket": self._move_a_basket,
            "move a place": lambda dice: self.move_something(dice, dice, 1, "left"),
            "call an entry off": lambda dice: self.call_an_entry_off(one_of(Entry.objects.all(), dice), None, dice % 2),
            "go on calling off": lambda _dice: calling_off.sweep(),
            "offer": lambda _dice: waiting.sweep(),
            "let in": self._let_in,
        }
        acts[what](dice)

    def _pay_somewhere(self, dice: int) -> None:
        live = Payment.objects.live().exclude(checkout_id=None)
        self.world.simulator.pay(one_of(live, dice).checkout_id or "")

    def _cancel_something(self, dice: int) -> None:
        order = one_of(Order.objects.awaiting(), dice)
        releasing.release(order, to="cancelled", by=Order.Closer.STAFF, user=self.world.staff)

    def _move_a_basket(self, dice: int) -> None:
        """To where an order is just about to go back to."""
        device = some([device for device in self.devices if device.token and not device.user], dice)
        carts.adopt(device.token, some(self.world.people, dice))

    def _let_in(self, dice: int) -> None:
        place = one_of(Booking.objects.filter(status="confirmed"), dice)
        door.let_in(place, uuid4(), by=self.world.staff, even_early=True)
