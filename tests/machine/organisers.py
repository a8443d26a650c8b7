"""What those do who put things on: they call off, put off, and stand at the door."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from hypothesis import strategies as st

from bookings.models import Booking, Entry, Scan
from orders import door
from orders.models import Order, OrderLine
from orders.rescheduling import reschedule
from payments import calling_off
from payments.models import RefundBatch
from tests.machine.acts import DICE, Idle, act, one_of, some
from tests.machine.baskets import WHO
from tests.machine.movers import BREAD, PLACES
from tests.machine.waiters import Waiters
from tests.machine.world import AWAY

STEPS = st.integers(0, 2)  # how many orders are put right at once; the rest is left to the timers
HOURS = st.sampled_from([-26, -1, 3, 24, 75])


class Organisers(Waiters):
    """Sam again."""

    # Calling off.

    @act("order", dice=DICE, to=st.one_of(st.none(), DICE), steps=STEPS)
    def call_entry_off(self, dice: int, to: int | None, steps: int) -> None:
        self.call_an_entry_off(one_of(Entry.objects.all(), dice), to, steps)

    @act(who=st.tuples(WHO, WHO), bread=BREAD, quantity=PLACES, to=st.one_of(st.none(), DICE), steps=STEPS)
    def sell_and_call_entry_off(
        self, who: tuple[int, int], bread: int, quantity: int, to: int | None, steps: int
    ) -> None:
        """One has paid for places there, another waits to pay."""
        self.quietly(self._buy_one, who[0], bread, quantity)
        self.quietly(partial(self.buy_at_once, who[1], [(bread, 1)], pays=False))
        self.call_an_entry_off(self._entry(bread), to, steps)

    def call_an_entry_off(self, entry: Entry, to: int | None, steps: int) -> None:
        """With its places moved to another one of its price, if there is one and `to` chooses."""
        entry = Entry.objects.get(pk=entry.pk)
        others = [other for other in Entry.objects.all() if calling_off.may_move_to(entry, other)]
        move_to = some(others, to) if to is not None and others else None
        batch = calling_off.begin(entry, by=self.world.staff, reason=AWAY, move_to=move_to)
        if steps:
            calling_off.step(batch, most=steps)
        self._note_called_off(batch)

    @act("batch", dice=DICE, most=PLACES)
    def go_on_calling_off(self, dice: int, most: int) -> None:
        batch = one_of(RefundBatch.objects.filter(prepared_at=None), dice)
        calling_off.step(batch, most=most)
        self._note_called_off(batch)

    def _note_called_off(self, batch: RefundBatch) -> None:
        """Nobody is left there once it is done, and what it came to."""
        if batch.prepared_at is None:
            return
        left = Booking.objects.filter(entry=batch.entry_id, status="confirmed", order_line__order__status="confirmed")
        assert not [place for place in left if not _is_missed(place)], f"{batch.entry} is called off, but not for all"
        gone = set(Booking.objects.filter(entry=batch.entry_id).values_list("status", flat=True))
        self.coverage.rules["the organiser moved all"] += gone == {"moved"}
        self.coverage.rules["the organiser called all off"] += gone == {"cancelled"}

    @act("batch", dice=DICE)
    def approve_batch(self, dice: int) -> None:
        batch = one_of(RefundBatch.objects.all(), dice)
        calling_off.approve(batch, by=self.world.staff)
        assert calling_off.approve(batch, by=self.world.staff) == 0, "once is enough"

    # Another time.

    @act("order", dice=DICE, hours=HOURS)
    def put_off(self, dice: int, hours: int) -> None:
        entry, later = one_of(Entry.objects.all(), dice), timedelta(hours=hours)
        starts_at, ends_at = entry.starts_at + later, entry.ends_at + later
        reschedule(entry, starts_at, ends_at, by=self.world.staff, reason=AWAY)
        assert reschedule(entry, starts_at, ends_at, by=self.world.staff, reason=AWAY) == 0, "the same is nothing"

    # The door.

    @act("place:confirmed", dice=DICE, right_door=st.booleans(), by_name=st.booleans())
    def scan(self, dice: int, right_door: bool, by_name: bool) -> None:
        """Somebody comes; the phone asks twice, and then they come once more."""
        place = one_of(Booking.objects.filter(status="confirmed"), dice)
        there = place.entry if right_door else one_of(Entry.objects.exclude(pk=place.entry_id), dice)
        show = partial(door.let_in, place) if by_name else partial(door.check_in, there, f" {place.code.lower()}")
        name = uuid4()
        first = show(name, by=self.world.staff)
        assert show(name, by=self.world.staff) == first, "the same question gets the same answer"
        if first.outcome == Scan.Outcome.EARLY:
            assert not door.is_open(place.entry)
            first = door.let_in(place, uuid4(), by=self.world.staff, even_early=True)
            self.coverage.rules["let in early"] += 1
        place.refresh_from_db()
        is_in = first.outcome == Scan.Outcome.WELCOME
        assert is_in == (place.status == Booking.Status.ATTENDED)
        if is_in:
            assert show(uuid4(), by=self.world.staff).outcome == Scan.Outcome.ALREADY_IN
        self.coverage.rules["let in"] += is_in

    @act("place:attended", dice=DICE, again=st.booleans())
    def take_back_who_was_let_in(self, dice: int, again: bool) -> None:
        scan = one_of(Scan.objects.filter(outcome="welcome", undone_at=None), dice)
        assert door.undo(scan, by=self.world.staff)
        assert not door.undo(scan, by=self.world.staff), "once is enough"
        self.coverage.rules["let in by mistake"] += 1
        place = Booking.objects.get(pk=scan.booking_id)
        assert place.status == Booking.Status.CONFIRMED
        if again:
            answer = door.let_in(place, uuid4(), by=self.world.staff, even_early=True).outcome
            is_off = place.entry.cancelled_at is not None  # it may have been called off while they were in
            assert answer == (Scan.Outcome.GONE if is_off else Scan.Outcome.WELCOME)
            self.coverage.rules["let in again"] += not is_off

    @act("place:confirmed", dice=DICE, all_come=st.booleans(), change=st.booleans())
    def the_day_comes(self, dice: int, all_come: bool, change: bool) -> None:
        """Sooner than planned: some were let in, and the rest is marked; one of them was only late."""
        entry = one_of(Entry.objects.filter(bookings__status="confirmed").distinct(), dice)
        now = self.now()
        Entry.objects.filter(pk=entry.pk).update(starts_at=now, ends_at=now + timedelta(hours=2))
        entry.refresh_from_db()
        mark = door.mark_rest_attended if all_come else door.mark_rest_missed
        if not mark(entry, by=self.world.staff):
            raise Idle
        assert mark(entry, by=self.world.staff) == 0, "once is enough"
        if change and not all_come:
            place = one_of(Booking.objects.filter(entry=entry, status="no_show"), dice)
            assert door.undo_missed(place, by=self.world.staff)
            assert not door.undo_missed(place, by=self.world.staff), "once is enough"
            self.coverage.rules["missed by mistake"] += 1


def _is_missed(place: Booking) -> bool:
    """Whether nothing of its line is left to be accounted for."""
    line = OrderLine.objects.with_counts().get(pk=place.order_line_id)
    return line.quantity == line.counted or line.order.status != Order.Status.CONFIRMED
