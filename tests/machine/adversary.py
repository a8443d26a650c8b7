"""SumUp at its worst, and those who mean harm."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import strategies as st

from orders.models import Order
from payments import refunds, releasing, starting, sweeping
from payments.models import Payment, Refund
from payments.simulator.behaviour import CHOICES, COUNTABLE
from payments.simulator.checkouts import Checkout, CheckoutStatus
from payments.simulator.events import Statement
from tests.machine.acts import DICE, Acts, Idle, act, one_of, some
from tests.machine.relay import LIES
from tests.machine.staff import PART
from tests.machine.world import BrokenAtTimes

SWITCHES = st.sampled_from([(name, choice) for name, choices in CHOICES.items() for choice in choices[1:]])
NUMBERS = st.sampled_from(
    [("settles_after", n) for n in (0, 20, 3600)]
    + [("challenge_seconds", n) for n in (5, 300, 5400)]
    + [("late_seconds", n) for n in (60, 3600, 86400)]
    + [("event_late_seconds", n) for n in (30, 3600, 86400)]
)
METHODS = st.sampled_from(["GET", "POST", "DELETE"])
SOME_MONEY = st.sampled_from([Decimal("6.50"), Decimal("3.33"), Decimal("35.00"), Decimal("0.01")])


class Adversary(Acts):
    """Everything that may go wrong outside the shop."""

    @act(switch=SWITCHES, times=st.sampled_from([1, 1, 2, 3, 0]))
    def misbehave(self, switch: tuple[str, str], times: int) -> None:
        """So many times, or (0) until further notice."""
        name, choice = switch
        counted = {"times": {name: times}} if times and name in COUNTABLE else {}
        self.world.simulator.behave(**{name: choice}, **counted)

    @act(number=NUMBERS)
    def take_its_time(self, number: tuple[str, int]) -> None:
        self.world.simulator.behave(**dict([number]))

    @act()
    def behave_well_again(self) -> None:
        self.world.simulator.behaviour.reset()
        self.world.relay.tell_lies("", 0)
        BrokenAtTimes.is_broken, self.world.is_up = False, True

    @act("payment", lie=st.sampled_from(sorted(LIES)), times=st.integers(1, 3))
    def lie(self, lie: str, times: int) -> None:
        self.coverage.rules[f"lie about {lie}"] += 1
        self.world.relay.tell_lies(lie, times)

    @act()
    def break_the_mail(self) -> None:
        BrokenAtTimes.is_broken = True

    @act()
    def shop_goes_down(self) -> None:
        """For webhooks: SumUp tries again later."""
        self.world.is_up = False

    @act("payment", dice=DICE, body=st.sampled_from([b"", b"[]", b'{"event_type": "CHECKOUT_STATUS_CHANGED", "id": "x"}']))
    def forge_webhook(self, dice: int, body: bytes) -> None:
        """Whoever guesses a token can only make us look; and one that nobody has gives the same answer."""
        token = one_of(Payment.objects.all(), dice).webhook_token
        self.world.is_up = True
        answers = {self.world.deliver(f"http://shop/webhooks/sumup/{name}/", body) for name in (token, "no-such-token")}
        assert answers == {204}

    @act("payment", dice=DICE)
    def needless_webhook(self, dice: int) -> None:
        checkouts = self.world.simulator.checkouts()
        self.world.simulator.notify(some(checkouts, dice).id, event_type="SOMETHING_NEW")
        self.world.simulator.tick()

    # Money that moves without us.

    def _transaction(self, dice: int) -> Statement:
        statements = self.world.simulator.newest_transactions(0, 100)
        return some([s for s in statements if s.transaction.moved_money], dice)

    @act("transaction", dice=DICE, part=PART)
    def refund_in_dashboard(self, dice: int, part: Decimal) -> None:
        name, left = (found := self._transaction(dice)).transaction.id, found.left
        self.world.simulator.refund_in_dashboard(name, (left * part).quantize(Decimal("0.01")))

    @act("transaction", dice=DICE, part=PART)
    def charge_back(self, dice: int, part: Decimal) -> None:
        statement = self._transaction(dice)
        amount = (statement.transaction.amount * part).quantize(Decimal("0.01"))
        self.world.simulator.charge_back(statement.transaction.id, amount)

    @act(amount=SOME_MONEY, dice=DICE, names_order=st.booleans())
    def stray_payment(self, amount: Decimal, dice: int, names_order: bool) -> None:
        number = one_of(Order.objects.all(), dice).number if names_order and Order.objects.exists() else ""
        self.world.simulator.take_stray_payment(amount, f"At the till {number}")

    @act("transaction")
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

    @act("payment", dice=DICE)
    def pay_on_a_page_never_shown(self, dice: int) -> None:
        shown = set(Payment.objects.exclude(checkout_url="").values_list("checkout_id", flat=True))
        self.world.simulator.pay(some([c.id for c in self.world.simulator.checkouts() if c.id not in shown], dice))

    # Things that happen in the middle of a call.

    @act(
        "payment",
        method=METHODS,
        heard=st.booleans(),
        what=st.sampled_from(["pay", "start", "cancel", "sweep", "release", "refund"]),
        dice=DICE,
    )
    def meanwhile(self, method: str, heard: bool, what: str, dice: int) -> None:
        """While the next such call is under way, somebody else does something, in a connection of their own."""
        happen = partial(self.quietly, self._happen, what, dice)
        (self.world.relay.after if heard else self.world.relay.before)(method, happen)

    def _happen(self, what: str, dice: int) -> None:
        self.coverage.rules[f"meanwhile {what}"] += 1
        if what == "pay":
            live = Payment.objects.live().exclude(checkout_id=None)
            self.world.simulator.pay(one_of(live, dice).checkout_id or "")
        elif what == "start":
            starting.start(one_of(Order.objects.awaiting(), dice))
        elif what == "cancel":
            order = one_of(Order.objects.awaiting(), dice)
            releasing.release(order, to="cancelled", by=Order.Closer.STAFF, user=self.world.staff)
        elif what == "sweep":
            sweeping.sweep()
        elif what == "release":
            releasing.sweep()
        elif not refunds.look_now(one_of(Refund.objects.exclude(method="cash"), dice)):
            raise Idle
