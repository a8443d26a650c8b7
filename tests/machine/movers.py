"""Shoppers move places to other dates: as dear, cheaper, dearer by way of an order of its own, and once more."""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import strategies as st

from bookings import capacity
from bookings.models import Booking, Pool
from cartsite.models import Case
from cartsite.refusals import Refusal
from orders.models import Order
from orders.worth import places_of
from payments import calling_off, late, moving, releasing, schedule, starting, sweeping
from payments.models import Payment
from payments.moving import Plan
from tests.machine.acts import DICE, Idle, act, one_of, some
from tests.machine.baskets import WHO
from tests.machine.second_thoughts import SecondThoughts
from tests.machine.world import AWAY, BREADS

# What becomes of the order that a dearer move is.
FATES = ("paid", "paid", "left", "begun", "cancelled", "expired", "paid late", "the old date is called off")
FATE = st.sampled_from(FATES)
BREAD = st.sampled_from(BREADS)
PLACES = st.integers(1, 2)


class Movers(SecondThoughts):
    """Whoever would rather come another day."""

    @act("order:confirmed", dice=DICE, where=DICE, quantity=PLACES, fate=FATE)
    def move(self, dice: int, where: int, quantity: int, fate: str) -> None:
        self.move_something(dice, where, quantity, fate)

    def move_something(self, dice: int, where: int, quantity: int, fate: str) -> None:
        """Places of one of the orders that have some that may be moved."""
        confirmed = Order.objects.filter(status="confirmed", lines__bookings__status="confirmed").distinct()
        self._move(one_of(confirmed, dice), where, quantity, fate)

    @act(who=WHO, bread=BREAD, quantity=PLACES, where=st.tuples(DICE, DICE), fate=FATE)
    def buy_and_move(self, who: int, bread: int, quantity: int, where: tuple[int, int], fate: str) -> None:
        """And then once more, perhaps from the order that paid for the first time."""
        self._buy_one(who, bread, quantity)
        self.quietly(self._move_twice, where, quantity, fate)

    def _move_twice(self, where: tuple[int, int], quantity: int, fate: str) -> None:
        there = self._move(self.placed[-1].order, where[0], quantity, fate)
        self._move(there, where[1], 1, fate)
        self.coverage.rules["moved twice"] += 1

    @act(who=WHO, bread=BREAD, where=DICE)
    def move_and_call_off(self, who: int, bread: int, where: int) -> None:
        """They come to neither."""
        self._buy_one(who, bread, 1)
        self.quietly(self._move_and_call_off, where)

    def _move_and_call_off(self, where: int) -> None:
        self._call_off(self._move(self.placed[-1].order, where, 1, "paid"), [1], everything=False)

    def _buy_one(self, who: int, bread: int, quantity: int) -> None:
        """An order of nothing else: the last one placed."""
        self._empty(who)
        self.buy_at_once(who, [(bread, quantity)], ("", ""), pays=True)

    def _move(self, order: Order, where: int, quantity: int, fate: str) -> Order:
        """Some places of an order, to somewhere; then they click once more. Which order they are in then."""
        order.refresh_from_db()
        offer = some(moving.offers_for(order), where)
        to = some(moving.moves_for(offer), where).to
        which = frozenset(place.number for place in offer.places[-quantity:])
        plan = moving.plan_for(order, offer.key, which, to.pk)
        click = partial(moving.move_for_shopper, order, offer.key, which, to.pk, agreed=plan.fingerprint)
        done, dearer = click(by=order.user)
        assert (done.back, done.move.more) == (plan.back, plan.move.more), "It comes to what was shown"
        with pytest.raises(Refusal):
            click(by=order.user)
        if dearer is None:
            self._check_moved(plan)
            return order
        assert dearer.total == plan.move.costs - plan.move.paid
        self.coverage.rules["moved, dearer"] += 1
        self.quietly(self._meet_fate, dearer, fate)
        dearer.refresh_from_db()
        return dearer

    def _check_moved(self, plan: Plan) -> None:
        """Each place is worth what it was, less what goes back, which is no more than it costs less there."""
        for place, back in zip(plan.move.places, plan.by_place, strict=True):
            there = Booking.objects.get(moved_from=place.booking)
            (now,) = places_of(there.order_line, [there])
            assert now.worth == place.worth - back, f"{now.worth} is not {place.worth} less {back}"
            assert Decimal(0) <= back <= max(place.worth - plan.move.price.amount, Decimal(0))
        self.coverage.rules["moved, cheaper" if plan.back else "moved, same"] += 1

    # The order that pays for a dearer date.

    def _meet_fate(self, dearer: Order, fate: str) -> None:
        if fate == "left":
            return
        payment = starting.start(dearer)
        if fate == "cancelled":
            releasing.release(dearer, to="cancelled", by=Order.Closer.SHOPPER, user=dearer.user)
            self._let_expire()
        if fate == "the old date is called off":
            self._call_old_date_off(dearer)
        if fate in ("expired", "paid late"):
            self._let_expire()
        if fate in ("paid", "paid late", "the old date is called off") and payment.checkout_id:
            self._pay_whenever(payment)
        self._note_fate(dearer, fate)

    def _call_old_date_off(self, dearer: Order) -> None:
        old = Booking.objects.filter(moving_to__order=dearer).earliest("pk")
        calling_off.step(calling_off.begin(old.entry, by=self.world.staff, reason=AWAY))

    def _let_expire(self) -> None:
        for minutes in (50, 2, 2):
            self.world.wait(timedelta(minutes=minutes))
            sweeping.sweep()
            releasing.sweep()

    def _pay_whenever(self, payment: Payment) -> None:
        """On the page, even if SumUp has called it dead; and then the shop is told."""
        simulator = self.world.simulator
        self.world.wait(2 * schedule.BETWEEN_LOOKS)
        with patch.object(simulator, "_payable", simulator._current):
            simulator.pay(payment.checkout_id or "")
        sweeping.look_now(payment.pk)

    def _note_fate(self, dearer: Order, fate: str) -> None:
        """What has become of it, as far as the shop knows."""
        dearer.refresh_from_db()
        if dearer.status == Order.Status.CONFIRMED:
            has_places = Booking.objects.filter(order_line__order=dearer).exists()
            paid = "a dearer move paid late" if fate == "paid late" else "a dearer move paid"
            self.coverage.rules[paid if has_places else "a dearer move in vain"] += 1
        elif dearer.status in (Order.Status.EXPIRED, Order.Status.CANCELLED):
            self.coverage.rules["a dearer move not paid"] += 1

    # Late money.

    @act(who=WHO, bread=BREAD, quantity=PLACES, where=DICE)
    def come_too_late(self, who: int, bread: int, quantity: int, where: int) -> None:
        """They pay when the places are gone, and take another date instead."""
        self._empty(who)
        self._fill(who, [(bread, quantity)])
        order = self._place(who, ("", ""))
        payment = starting.start(order)
        self._let_expire()
        # What another order gave back into the basket at the last moment may be in it too.
        line = order.lines.filter(kind="entry").order_by("pk").first()
        assert line is not None
        assert line.entry is not None
        pool = Pool.objects.get(pk=line.entry.pool_id)
        capacity.set_capacity(pool, pool.taken)
        if payment.checkout_id:
            self._pay_whenever(payment)
        self.quietly(self._take_another_date, order, where)

    @act("case:late_payment", dice=DICE, where=DICE)
    def take_another_date(self, dice: int, where: int) -> None:
        about = Case.objects.unresolved().filter(kind=Case.Kind.LATE_PAYMENT).values("subject_uuid")
        self._take_another_date(one_of(Payment.objects.filter(uuid__in=about), dice).order, where)

    def _take_another_date(self, order: Order, where: int) -> None:
        order.refresh_from_db()
        case, short = late.open_case(order), late.other_dates(order)
        if case is None or not short:
            raise Idle
        chosen = {each.name: some(each.dates, where).value for each in short}
        assert late.take_other_dates(case, chosen, by=order.user)
        assert not late.take_other_dates(case, chosen, by=order.user), "once is enough"
        self.coverage.rules["another date taken"] += 1
