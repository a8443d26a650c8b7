"""What a process may be doing when it is killed, what people do afterwards, and how it must end."""

from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar

from bookings.models import Booking, Pool
from cart import services as carts
from cart.models import Cart, CartItem
from cartsite.models import Case, Message
from orders import mail
from orders.models import LineFact, Order
from payments import (
    calling_off,
    cancelling,
    casework,
    closing,
    history,
    late,
    refunds,
    releasing,
    settling,
    starting,
    sweeping,
)
from payments.models import DailyClose, Movement, Payment, Refund, RefundBatch
from payments.refunds import Wish
from tests.crash.aftermath import assert_all_is_well, open_cases, refunds_at_sumup, statuses
from tests.crash.killing import Failpoint, die_at
from tests.crash.world import START, World
from tests.factories import held_by_another

ALL, PART = Decimal("76.50"), Decimal("40.00")


class Play:
    """One thing that a process does. `modules` are those at whose lines it may be killed."""

    modules: ClassVar[tuple[str, ...]]
    told: ClassVar[list[str]] = ["confirmation"]  # the mails of an order that is confirmed in the end

    def __init__(self, world: World) -> None:
        self.world = world
        self.sumup = world.sumup

    def __str__(self) -> str:
        return type(self).__name__

    def prepare(self) -> None:
        """Until just before."""
        raise NotImplementedError

    def act(self) -> Any:
        """What the process does that may be killed."""
        raise NotImplementedError

    def people(self) -> None:
        """What people do afterwards, who know of no crash."""

    def check(self) -> None:
        """How it must have ended."""
        raise NotImplementedError

    # --- Used by several

    def open_payment(self) -> Payment:
        """A fresh order, with the page open on which it is to be paid."""
        self.order = self.world.place()
        self.payment = starting.start(self.order)
        return self.payment

    def paid_order(self) -> Payment:
        """A confirmed order whose mail is out."""
        payment = self.open_payment()
        self.sumup.pay(payment.checkout_id or "")
        settling.settle(payment)
        mail.send_owed()
        self.world.later(hours=1)
        return payment

    def ended_order(self) -> Payment:
        """An order that expired unpaid, as its shopper was told."""
        payment = self.open_payment()
        self.world.later(minutes=46)
        releasing.sweep()
        self.world.later(minutes=2)
        releasing.sweep()
        assert self.status() == "expired"
        mail.send_owed()
        return payment

    def approved_refund(self, amount: Decimal = PART) -> Refund:
        """A refund of a paid order that only has to be sent."""
        refund = refunds.request(self.paid_order(), Wish(amount, "Goods arrived broken.", self.world.staff))
        refunds.approve(refund, by=self.world.staff)
        return refund

    def status(self) -> str:
        return Order.objects.get(pk=self.order.pk).status

    def taken(self) -> int:
        return Pool.objects.get(pk=self.world.workshop.pool_id).taken

    def assert_confirmed_once(self) -> None:
        assert self.status() == "confirmed"
        assert Movement.objects.filter(kind="capture").count() == 1
        assert Booking.objects.filter(status="confirmed").count() == self.taken() == 2
        assert self.order.events.filter(kind="confirmed").count() == 1
        assert self.mails() == self.told

    def mails(self) -> list[str]:
        return sorted(Message.objects.values_list("kind", flat=True))


def perform(play: Play, failpoint: Failpoint | None) -> None:
    """Play it from the beginning to the end, with the process killed at the failpoint (None: not at all)."""
    play.world.begin()
    play.prepare()
    if failpoint is None:
        play.act()
    else:
        die_at(failpoint, play.act, play.modules)
    play.world.note_what_may_double()
    play.people()
    play.world.sweep_for_hours()
    play.check()
    assert_all_is_well(play.world)


# --- Start


class Start(Play):
    """The shopper is sent to SumUp's page for the first time."""

    modules: ClassVar[tuple[str, ...]] = ("payments.starting", "payments.sending", "payments.schedule")
    create: ClassVar[str] = "ok"

    def prepare(self) -> None:
        self.order = self.world.place()
        if self.create != "ok":
            self.sumup.behave(create=self.create, times={"create": 1})

    def act(self) -> None:
        starting.start(self.order)

    def people(self) -> None:
        """The shopper tries again a little later, and pays."""
        self.sumup.behave(create="ok")
        payment = self.start_again()
        self.sumup.pay(payment.checkout_id or "")

    def start_again(self) -> Payment:
        for _try in range(5):
            self.world.later(minutes=1)
            self.world.sweep()
            with suppress(starting.CannotPay):
                payment = starting.start(self.order)
                if payment.status == Payment.Status.OPEN:
                    return payment
        raise AssertionError("The shopper cannot pay.")

    def check(self) -> None:
        self.assert_confirmed_once()
        assert open_cases() == []
        assert [checkout.status for checkout in self.sumup.checkouts()].count("PENDING") == 0


class StartWithLostAnswer(Start):
    """SumUp makes the checkout, but its answer is lost."""

    create = "response_lost"


class StartWithFault(Start):
    """SumUp makes nothing, and does not say so."""

    create = "500"


class StartWhenNearlyOver(Start):
    """The last page is nearly over: it has to be closed first, which takes a minute."""

    modules: ClassVar[tuple[str, ...]] = (*Start.modules, "payments.releasing", "payments.settling")

    def prepare(self) -> None:
        self.open_payment()
        self.world.later(minutes=28)

    def act(self) -> None:
        with suppress(starting.CannotPay):
            super().act()


class StartAnew(StartWhenNearlyOver):
    """The last page is over: it is closed, and a new one made, at once."""

    def prepare(self) -> None:
        payment = self.open_payment()
        self.sumup.delete(payment.checkout_id or "")
        settling.settle(payment)
        self.world.later(minutes=2)


class StartAndWalkAway(Start):
    """The shopper never comes back."""

    def people(self) -> None:
        pass

    def check(self) -> None:
        assert self.status() == "expired"
        assert self.taken() == 0
        assert open_cases() == []
        assert not Payment.objects.live().exists()
        assert {checkout.status for checkout in self.sumup.checkouts()} <= {"EXPIRED"}


# --- Settle


class Settle(Play):
    """The timer looks at a payment that was made."""

    modules: ClassVar[tuple[str, ...]] = (
        "payments.sweeping",
        "payments.schedule",
        "payments.settling",
        "payments.ledger",
        "payments.shares",
        "orders.services",
    )

    def prepare(self) -> None:
        self.sumup.pay(self.open_payment().checkout_id or "")
        self.world.later(minutes=1)

    def act(self) -> None:
        sweeping.sweep()

    def check(self) -> None:
        self.assert_confirmed_once()
        assert open_cases() == []


class SettleLate(Settle):
    """The money comes when the order has expired, while there is room."""

    told = ["confirmation", "expired"]

    def prepare(self) -> None:
        self.world.pay_too_late(self.ended_order().checkout_id or "")
        self.world.later(minutes=5)


class SettleTooLate(SettleLate):
    """The money comes when the places are somebody else's."""

    def prepare(self) -> None:
        super().prepare()
        held_by_another(self.world.workshop, 2)

    def check(self) -> None:
        assert self.status() == "expired"
        assert open_cases() == ["late_payment"]
        assert self.mails() == ["expired", "late_payment"]
        assert not Booking.objects.exists()
        assert not Refund.objects.exists()


class SettleTwice(Settle):
    """The shopper pays on two pages of one order."""

    def prepare(self) -> None:
        first = self.open_payment()
        self.sumup.delete(first.checkout_id or "")
        settling.settle(first)
        self.world.later(minutes=2)
        settling.settle(first)
        second = starting.start(self.order)
        self.world.pay_too_late(first.checkout_id or "")
        self.sumup.pay(second.checkout_id or "")
        self.world.later(minutes=6)

    def check(self) -> None:
        assert self.status() == "confirmed"
        assert statuses(Payment) == ["captured", "captured"]
        assert Booking.objects.count() == self.taken() == 2
        assert self.mails() == ["confirmation"]
        assert open_cases() == ["duplicate_capture"]


# --- Release


class Release(Play):
    """The shopper would rather change the basket."""

    modules: ClassVar[tuple[str, ...]] = (
        "payments.releasing",
        "payments.settling",
        "payments.sending",
        "payments.schedule",
        "payments.giving_back",
        "orders.services",
    )

    def prepare(self) -> None:
        self.open_payment()
        self.cart, _token = carts.open_cart("", None)

    def act(self) -> None:
        releasing.release(self.order, to="cancelled", by="shopper", cart=self.cart)

    def people(self) -> None:
        """Whoever sees that nothing has begun clicks again."""
        order = Order.objects.get(pk=self.order.pk)
        if order.is_awaiting_payment and not order.is_closing:
            self.act()

    def check(self) -> None:
        assert self.status() == "cancelled"
        assert statuses(Payment) == ["closed"]
        assert [checkout.status for checkout in self.sumup.checkouts()] == ["EXPIRED"]
        assert open_cases() == []
        self.check_goods()

    def check_goods(self) -> None:
        items = CartItem.objects.filter(cart=self.cart)
        assert sorted(items.values_list("quantity", flat=True)) == [1, 2]
        held = sum(item.hold.quantity for item in items.select_related("hold") if item.hold and item.entry_id)
        assert self.taken() == held


class Expire(Release):
    """The timer lets an order go whose time is over."""

    def prepare(self) -> None:
        self.open_payment()
        self.world.later(minutes=46)

    def act(self) -> None:
        releasing.sweep()

    def people(self) -> None:
        pass

    def check(self) -> None:
        assert self.status() == "expired"
        assert statuses(Payment) == ["closed"]
        assert open_cases() == []
        assert self.taken() == 0
        assert not Cart.objects.open().exists()


class ReleaseOfPaid(Release):
    """The shopper paid, and then clicked on it all the same."""

    def prepare(self) -> None:
        super().prepare()
        self.sumup.pay(self.payment.checkout_id or "")

    def people(self) -> None:
        pass

    def check(self) -> None:
        self.assert_confirmed_once()
        assert open_cases() == []


class ReleaseOfPartPaid(Release):
    """Staff cancel an order of which a part was paid: that goes back."""

    modules: ClassVar[tuple[str, ...]] = (*Release.modules, "payments.refunds", "payments.ledger")

    def prepare(self) -> None:
        super().prepare()
        self.sumup.take_stray_payment(10)
        self.world.later(minutes=15)
        history.sweep()
        casework.attach(Case.objects.get(), self.order.number, by=self.world.staff, note="Paid at the door.")

    def act(self) -> None:
        releasing.release(self.order, to="cancelled", by="staff", user=self.world.staff)

    def check(self) -> None:
        assert self.status() == "cancelled"
        assert self.taken() == 0
        assert statuses(Payment) == ["closed", "captured"]
        assert statuses(Refund) == ["done"]
        assert list(refunds_at_sumup(self.sumup).values()) == [10]
        assert open_cases() == []


class FinishRelease(Release):
    """The timer goes on with it a minute later, when SumUp has called the page dead for long enough."""

    def prepare(self) -> None:
        super().prepare()
        super().act()
        self.world.later(minutes=1.5)

    def act(self) -> None:
        releasing.sweep()


class FinishReleaseOfPartPaid(ReleaseOfPartPaid):
    """The timer goes on cancelling an order of which a part was paid."""

    def prepare(self) -> None:
        super().prepare()
        super().act()
        self.world.later(minutes=1.5)

    def act(self) -> None:
        releasing.sweep()


class PaidWhileCancelled(Play):
    """Staff cancel the unpaid order while it is being paid: all of it goes back."""

    modules: ClassVar[tuple[str, ...]] = ("payments.settling", "payments.giving_back", "payments.ledger")

    def prepare(self) -> None:
        self.open_payment()
        self.sumup.behave(settles_after=40)
        self.sumup.pay(self.payment.checkout_id or "")
        releasing.release(self.order, to="cancelled", by="staff", user=self.world.staff)
        self.world.later(minutes=1)

    def act(self) -> None:
        settling.settle(self.payment)

    def check(self) -> None:
        assert self.status() == "cancelled"
        assert self.taken() == 0
        assert statuses(Payment) == ["captured"]
        assert statuses(Refund) == ["done"]
        assert list(refunds_at_sumup(self.sumup).values()) == [self.order.total]
        assert open_cases() == []


# --- Refund


class CallEntryOff(Play):
    """The co-operative calls the workshop off; a paid order has both of its places, and honey."""

    modules: ClassVar[tuple[str, ...]] = ("payments.calling_off", "payments.refunds", "orders.services")

    def prepare(self) -> None:
        self.paid_order()

    def act(self) -> Any:
        batch = calling_off.begin(self.world.workshop, by=self.world.staff, reason="The baker is away.")
        calling_off.step(batch)

    def people(self) -> None:
        """They try again what did not happen, and approve the refunds once they are prepared."""
        with suppress(calling_off.CannotCallOff):
            self.act()
        self.world.sweep()
        calling_off.approve(RefundBatch.objects.get(), by=self.world.staff)

    def check(self) -> None:
        assert self.status() == "confirmed"  # its honey stands
        assert list(refunds_at_sumup(self.sumup).values()) == [Decimal("70.00")]
        assert list(Refund.objects.values_list("amount", "batch")) == [(Decimal("70.00"), RefundBatch.objects.get().pk)]
        assert list(LineFact.objects.values_list("kind", "quantity")) == [("cancelled", 2)]
        assert self.taken() == 0
        assert self.order.events.filter(kind="entry_called_off").count() == 1
        assert self.order.events.filter(kind="refund_approved").count() == 1
        assert Message.objects.filter(kind="cancelled").count() == 1
        assert open_cases() == []


class ApproveBatch(CallEntryOff):
    """Somebody approves what was prepared."""

    modules: ClassVar[tuple[str, ...]] = ("payments.calling_off",)

    def prepare(self) -> None:
        super().prepare()
        batch = calling_off.begin(self.world.workshop, by=self.world.staff, reason="The baker is away.")
        assert calling_off.step(batch)

    def act(self) -> Any:
        calling_off.approve(RefundBatch.objects.get(), by=self.world.staff)

    def people(self) -> None:
        """They press the button again."""
        self.act()


class SendRefund(Play):
    """The timer sends an approved refund."""

    modules: ClassVar[tuple[str, ...]] = ("payments.refunds", "payments.events", "payments.ledger", "payments.shares")
    answer: ClassVar[str] = "201"

    def prepare(self) -> None:
        self.refund = self.approved_refund()
        self.sumup.behave(refund=self.answer)

    def act(self) -> None:
        refunds.sweep()

    def people(self) -> None:
        """The timers try for hours; whatever is in doubt then, staff end it after a day."""
        self.world.sweep_for_hours()
        self.sumup.behave(refund="201")
        self.refund.refresh_from_db()
        assert (self.refund.status == "done") == bool(refunds_at_sumup(self.sumup))
        if self.refund.status == "unknown":
            assert open_cases() == ["refund_unknown"]
            self.world.later(days=1)
            refunds.give_up(self.refund, by=self.world.staff, note="Not in the dashboard either.")
        if self.refund.status != "done":
            refunds.retry(Refund.objects.get(), by=self.world.staff, note="Once more.")

    def check(self) -> None:
        assert statuses(Refund) in (["done"], ["failed", "done"])
        assert list(refunds_at_sumup(self.sumup).values()) == [PART]
        assert sorted(self.mails()) == ["confirmation", "refund"]
        assert open_cases() == []


class SendRefundWithLostAnswer(SendRefund):
    answer = "response_lost"


class SendRefundThatIsRefused(SendRefund):
    answer = "422"


class SendRefundThatShowsLate(SendRefund):
    answer = "event_late"


class FindDashboardRefund(Play):
    """The timer reads SumUp's history: somebody refunded by hand, and the bank took the rest back."""

    modules: ClassVar[tuple[str, ...]] = ("payments.history", "payments.events", "payments.ledger", "payments.sweeping")

    def prepare(self) -> None:
        (payment,) = self.sumup.newest_transactions(0, 1) if self.paid_order() else ()
        self.sumup.refund_in_dashboard(payment.transaction.id, PART)
        self.sumup.charge_back(payment.transaction.id, ALL - PART)
        self.sumup.take_stray_payment(5)
        self.world.later(minutes=15)

    def act(self) -> None:
        history.sweep()

    def check(self) -> None:
        assert statuses(Refund) == ["external"]
        assert Movement.objects.all().net() == 0
        assert open_cases() == ["chargeback", "external_refund", "unknown_money"]
        assert self.mails() == ["confirmation", "refund"]


class CancelOrder(Play):
    """Staff call a confirmed order off, and approve that its money goes back."""

    modules: ClassVar[tuple[str, ...]] = (
        "payments.cancelling",
        "payments.giving_back",
        "payments.refunds",
        "payments.ledger",
        "orders.services",
    )

    def prepare(self) -> None:
        self.paid_order()

    def act(self) -> None:
        for refund in cancelling.cancel_order(self.order, by=self.world.staff, reason="No bread today."):
            refunds.approve(refund, by=self.world.staff)

    def people(self) -> None:
        """Staff see what is still to be done."""
        if self.status() == "confirmed":
            self.act()
        for refund in Refund.objects.filter(approved_at=None):
            refunds.approve(refund, by=self.world.staff)

    def check(self) -> None:
        assert self.status() == "cancelled"
        assert self.taken() == 0
        assert statuses(Refund) == ["done"]
        assert list(refunds_at_sumup(self.sumup).values()) == [ALL]
        assert not Booking.objects.filter(status="confirmed").exists()
        assert self.mails() == ["cancelled", "confirmation", "refund"]
        assert open_cases() == []


class SendLateMoneyBack(SettleTooLate):
    """Nobody decided for three days."""

    modules: ClassVar[tuple[str, ...]] = ("payments.late", "payments.refunds", "payments.ledger")

    def prepare(self) -> None:
        super().prepare()
        sweeping.sweep()
        self.world.later(days=3, minutes=1)

    def act(self) -> None:
        late.send_back_by_itself()

    def check(self) -> None:
        assert self.status() == "expired"
        assert statuses(Refund) == ["done"]
        assert list(refunds_at_sumup(self.sumup).values()) == [ALL]
        assert self.mails() == ["expired", "late_payment", "refund"]
        assert open_cases() == []


# --- Mail


class SendMail(Play):
    """The timer sends the mail of two orders."""

    modules: ClassVar[tuple[str, ...]] = ("orders.mail",)

    def prepare(self) -> None:
        for things in [((self.world.honey, 1),), ((self.world.workshop, 1),)]:
            payment = starting.start(self.world.place_order(*things))
            self.sumup.pay(payment.checkout_id or "")
            settling.settle(payment)

    def act(self) -> None:
        mail.send_owed()

    def check(self) -> None:
        assert self.mails() == ["confirmation"] * 2
        assert open_cases() == []


class PutMailOff(SendMail):
    """The mail server does not take the first mail."""

    def act(self) -> None:
        Message.objects.filter(pk=Message.objects.earliest("pk").pk).update(kind="unheard_of")
        try:
            mail.send_owed()
        finally:
            Message.objects.filter(kind="unheard_of").update(kind="confirmation")

    def people(self) -> None:
        Message.objects.update(kind="confirmation")


# --- The daily close


class Close(Play):
    """The day is compared with SumUp, three rows at a time."""

    modules: ClassVar[tuple[str, ...]] = (
        "payments.closing",
        "payments.payouts",
        "payments.history",
        "payments.takings",
        "payments.events",
        "payments.ledger",
    )

    def prepare(self) -> None:
        self.paid_order()
        (paid,) = self.sumup.newest_transactions(0, 1)
        self.sumup.fill(2, amount=5, payment_type="ECOM")
        self.sumup.take_reader_payment(5)
        self.sumup.refund_in_dashboard(paid.transaction.id, PART)
        self.sumup.charge_back(paid.transaction.id, ALL - PART)
        self.unheard = starting.start(self.world.place_order((self.world.honey, 1)))
        self.sumup.pay(self.unheard.checkout_id or "")
        self.sumup.pay_out(START.date())
        self.world.later(days=1)

    def act(self) -> None:
        closing.close_day(START.date())

    def check(self) -> None:
        self.act()
        close = DailyClose.objects.get(day=START.date())
        assert (close.status, close.round, close.leased_until) == ("closed", 1, None)
        assert close.findings.filter(case=None).count() == 0
        assert close.figures["explained"] == 4
        assert {kind: row["rows"] for kind, row in close.figures["theirs"].items()} == {
            "capture": 5,
            "refund": 1,
            "chargeback": 1,
        }
        assert close.figures["ours"]["capture"]["rows"] == 2
        assert {kind: row["rows"] for kind, row in close.figures["takings"].items()} == {
            "capture": 1,
            "fee": 1,
            "payout": 1,
        }
        assert close.rows_read == 7
        assert close.digest == closing.digest(close.day)


PLAYS: list[type[Play]] = [
    Start,
    StartWithLostAnswer,
    StartWithFault,
    StartWhenNearlyOver,
    StartAnew,
    StartAndWalkAway,
    Settle,
    SettleLate,
    SettleTooLate,
    SettleTwice,
    Release,
    Expire,
    ReleaseOfPaid,
    ReleaseOfPartPaid,
    FinishRelease,
    FinishReleaseOfPartPaid,
    PaidWhileCancelled,
    SendRefund,
    SendRefundWithLostAnswer,
    SendRefundThatIsRefused,
    SendRefundThatShowsLate,
    FindDashboardRefund,
    CancelOrder,
    CallEntryOff,
    ApproveBatch,
    SendLateMoneyBack,
    SendMail,
    PutMailOff,
    Close,
]
