"""What is done with places when the process that does it is killed: moved, offered, put off, let in."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Count

from bookings import waiting
from bookings.models import Booking, Entry, Pool, Scan, Waiter
from cart import services as carts
from cart.offers import take_offer
from cartsite.models import Message
from cartsite.refusals import Refusal
from orders import door, mail
from orders.models import LineFact, Order
from orders.placing import place
from orders.quoting import Choices, make_quote
from orders.rescheduling import reschedule
from payments import calling_off, cancelling, moving, settling, starting, sweeping
from payments.cancelling import Part
from payments.models import Movement, Refund, RefundBatch
from tests.bookings.lines import join
from tests.crash.aftermath import open_cases, refunds_at_sumup, statuses
from tests.crash.plays import CallEntryOff, Play
from tests.factories import EntryFactory
from tests.orders.door import begin


class Booked(Play):
    """A paid order has both places at the workshop (£35.00 each), and honey; there are two at another date."""

    price: ClassVar[str] = "35.00"

    def prepare(self) -> None:
        self.paid_order()
        self.make_other_date()

    def make_other_date(self) -> None:
        workshop = self.world.workshop
        self.other: Entry = EntryFactory.create(
            calendar=workshop.calendar,
            title=workshop.title,
            places=2,
            price=Decimal(self.price),
            starts_at=workshop.starts_at + timedelta(weeks=1),
        )

    def taken_there(self) -> int:
        return Pool.objects.get(pk=self.other.pool_id).taken

    def places(self) -> dict[tuple[int, str], int]:
        """How many there are at each entry (by primary key) in each status."""
        rows = Booking.objects.order_by().values_list("entry", "status").annotate(Count("pk"))
        return {(entry, status): count for entry, status, count in rows}

    def count_mails(self, kind: str) -> int:
        return Message.objects.filter(kind=kind).count()


# --- Moving


class Move(Booked):
    """The shopper moves one place to a cheaper date: £10.00 go back."""

    modules: ClassVar[tuple[str, ...]] = (
        "payments.moving",
        "orders.moving",
        "orders.replacing",
        "payments.cancelling",
        "payments.giving_back",
        "payments.refunds",
    )
    price = "25.00"

    def prepare(self) -> None:
        super().prepare()
        self.agreed = moving.plan_for(Order.objects.get(), 1, 1, self.other.pk).fingerprint

    def act(self) -> Any:
        order = Order.objects.earliest("pk")
        return moving.move_for_shopper(order, 1, 1, self.other.pk, agreed=self.agreed, by=None)

    def people(self) -> None:
        """They click again, and once more."""
        for _click in range(2):
            with suppress(Refusal):
                self.act()

    def check(self) -> None:
        here, there = self.world.workshop.pk, self.other.pk
        assert self.places() == {(here, "confirmed"): 1, (here, "moved"): 1, (there, "confirmed"): 1}
        assert (self.taken(), self.taken_there()) == (1, 1)
        assert list(refunds_at_sumup(self.sumup).values()) == [Decimal("10.00")]
        assert statuses(Refund) == ["done"]
        assert Booking.objects.get(entry=there).given_back == Decimal("10.00")
        assert self.order.events.filter(kind="place_moved").count() == self.count_mails("moved") == 1
        assert open_cases() == []


class MoveToDearer(Move):
    """To a dearer one: by way of an order that they pay."""

    price = "45.00"

    def people(self) -> None:
        super().people()
        assert Order.objects.count() == 2, "however often they clicked"
        self.sumup.pay(starting.start(Order.objects.latest("pk")).checkout_id or "")

    def check(self) -> None:
        here, there = self.world.workshop.pk, self.other.pk
        assert self.places() == {(here, "confirmed"): 1, (here, "moved"): 1, (there, "confirmed"): 1}
        assert (self.taken(), self.taken_there()) == (1, 1)
        captured = Movement.objects.filter(kind="capture").order_by("pk").values_list("amount", flat=True)
        assert list(captured) == [Decimal("76.50"), Decimal("10.00")]
        assert list(Order.objects.values_list("status", flat=True)) == ["confirmed"] * 2
        assert list(LineFact.objects.values_list("kind", "quantity")) == [("cancelled", 1)]
        assert self.order.events.filter(kind="place_moved").count() == 1
        assert self.count_mails("confirmation") == 2
        assert not Refund.objects.exists()
        assert open_cases() == []


class ConfirmMove(MoveToDearer):
    """The timer looks at the payment of that order."""

    modules: ClassVar[tuple[str, ...]] = ("payments.settling", "orders.services", "orders.replacing")

    def prepare(self) -> None:
        super().prepare()
        _plan, dearer = super().act()
        self.sumup.pay(starting.start(dearer).checkout_id or "")
        self.world.later(minutes=1)

    def act(self) -> Any:
        sweeping.sweep()

    def people(self) -> None:
        pass


class CallEntryOffAndMove(CallEntryOff, Booked):
    """The co-operative calls the workshop off; both places go to the other date."""

    modules = ("payments.calling_off", "orders.moving", "bookings.capacity")

    def prepare(self) -> None:
        Booked.prepare(self)

    def act(self) -> Any:
        workshop, staff = self.world.workshop, self.world.staff
        calling_off.step(calling_off.begin(workshop, by=staff, reason="The baker is away.", move_to=self.other))

    def people(self) -> None:
        """They try again what did not happen."""
        with suppress(calling_off.CannotCallOff):
            self.act()

    def check(self) -> None:
        assert self.status() == "confirmed"
        assert self.places() == {(self.world.workshop.pk, "moved"): 2, (self.other.pk, "confirmed"): 2}
        assert (self.taken(), self.taken_there()) == (0, 2)
        assert not Refund.objects.exists()
        assert RefundBatch.objects.get().prepared_at is not None
        assert self.order.events.filter(kind="entry_called_off").count() == self.count_mails("moved") == 1
        assert open_cases() == []


class Reschedule(Booked):
    """The co-operative puts the workshop off."""

    modules: ClassVar[tuple[str, ...]] = ("orders.rescheduling",)

    def prepare(self) -> None:
        super().prepare()
        workshop = self.world.workshop
        self.then = (workshop.starts_at + timedelta(days=1), workshop.ends_at + timedelta(days=1))

    def act(self) -> Any:
        reschedule(self.world.workshop, *self.then, by=self.world.staff, reason="The oven is cold.")

    def people(self) -> None:
        """They try again."""
        self.act()

    def check(self) -> None:
        workshop = Entry.objects.get(pk=self.world.workshop.pk)
        assert (workshop.starts_at, workshop.ends_at, workshop.sequence) == (*self.then, 1)
        assert set(Booking.objects.values_list("free_until", flat=True)) == {workshop.starts_at}
        assert self.order.events.filter(kind="entry_rescheduled").count() == self.count_mails("rescheduled") == 1
        assert open_cases() == []


# --- The door


class CheckIn(Booked):
    """Somebody is let in by their ticket's code."""

    modules: ClassVar[tuple[str, ...]] = ("orders.door", "orders.services")

    def prepare(self) -> None:
        super().prepare()
        begin(self.world.workshop)
        self.place = Booking.objects.earliest("pk")
        self.scan: UUID = uuid4()

    def act(self) -> Any:
        return door.check_in(self.world.workshop, self.place.code, self.scan, by=self.world.staff)

    def people(self) -> None:
        """The phone got no answer: it asks again."""
        assert self.act().outcome == Scan.Outcome.WELCOME

    def check(self) -> None:
        here = self.world.workshop.pk
        assert self.places() == {(here, "attended"): 1, (here, "confirmed"): 1}
        assert list(LineFact.objects.values_list("kind", "quantity")) == [("attended", 1)]
        assert Scan.objects.count() == 1
        assert self.taken() == 2
        assert open_cases() == []


class UndoCheckIn(CheckIn):
    """It was somebody else."""

    def prepare(self) -> None:
        super().prepare()
        self.scanned = super().act()

    def act(self) -> Any:
        return door.undo(Scan.objects.get(), by=self.world.staff)

    def people(self) -> None:
        """They press it again."""
        self.act()

    def check(self) -> None:
        assert self.places() == {(self.world.workshop.pk, "confirmed"): 2}
        assert list(LineFact.objects.order_by("pk").values_list("kind", "quantity")) == [
            ("attended", 1),
            ("attended", -1),
        ]
        assert self.taken() == 2
        assert open_cases() == []


# --- The waiting list


class OfferFreed(Booked):
    """One of two places came free; two people wait."""

    modules: ClassVar[tuple[str, ...]] = ("bookings.waiting", "bookings.capacity")

    def prepare(self) -> None:
        super().prepare()
        self.first = join(self.world.workshop, "ada", 2)
        self.second = join(self.world.workshop, "bob")
        mail.send_owed()
        line = self.order.lines.get(kind="entry")
        cancelling.cancel_parts([Part(line, 1)], by=self.world.staff, reason="One is ill.")

    def act(self) -> Any:
        return waiting.offer_freed(self.world.workshop.pool_id)

    def check(self) -> None:
        assert list(Waiter.objects.order_by("place").values_list("status", flat=True)) == ["offered", "waiting"]
        offer = Waiter.objects.get(pk=self.first.pk).hold
        assert offer is not None
        assert offer.quantity == 1
        self.check_rest()

    def check_rest(self) -> None:
        assert self.taken() == 2
        assert self.count_mails("waiting_offer") == 1
        assert open_cases() == []


class TakeOffer(OfferFreed):
    """Who was offered it takes it, buys it and has it."""

    modules = ("cart.offers", "bookings.waiting", "bookings.capacity")

    def prepare(self) -> None:
        super().prepare()
        super().act()
        with transaction.atomic():
            self.cart, self.token = carts.open_cart("", None)

    def act(self) -> Any:
        with transaction.atomic():
            cart, _token = carts.open_cart(self.token or "", None)
            take_offer(cart, self.first)

    def people(self) -> None:
        """They click again, twice, and order."""
        self.act()
        self.act()
        agreed = make_quote(carts.basket_of(self.token or "", None), Choices()).fingerprint
        who = {"name": "Ada", "email": "ada@example.org"}
        order, _is_new = place(
            self.cart.uuid, token=self.token or "", user=None, agreed=agreed, chosen=Choices(), **who
        )
        payment = starting.start(order)
        self.sumup.pay(payment.checkout_id or "")
        settling.settle(payment)

    def check(self) -> None:
        here = self.world.workshop.pk
        assert self.places() == {(here, "confirmed"): 2, (here, "cancelled"): 1}
        assert list(Waiter.objects.order_by("place").values_list("status", flat=True)) == ["taken", "waiting"]
        self.check_rest()


BOOKING: list[type[Play]] = [
    Move,
    MoveToDearer,
    ConfirmMove,
    CallEntryOffAndMove,
    Reschedule,
    CheckIn,
    UndoCheckIn,
    OfferFreed,
    TakeOffer,
]
