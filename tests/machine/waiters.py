"""Who waits for what is sold out: they join the line, and take, decline or forget what they are offered."""

from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from hypothesis import strategies as st

from bookings import capacity, waiting
from bookings.models import Entry, Pool, Waiter
from cart.offers import take_offer
from cart.services import Unavailable
from tests.machine.acts import DICE, Idle, act, one_of, some
from tests.machine.baskets import WHO
from tests.machine.movers import BREAD, PLACES, Movers

WHEN = st.sampled_from(["at once", "at the last moment"])


class Waiters(Movers):
    """A line before each pool."""

    @act(dice=DICE, thing=st.integers(4, 13), quantity=PLACES, person=DICE)
    def join_line(self, dice: int, thing: int, quantity: int, person: int) -> None:
        self._join_line(thing, quantity, person)

    @act(who=WHO, bread=BREAD, quantity=PLACES, people=st.lists(DICE, min_size=1, max_size=3))
    def buy_the_last_and_let_others_wait(self, who: int, bread: int, quantity: int, people: list[int]) -> None:
        self._take_all_and_be_awaited(who, bread, quantity, people)
        if not waiting.is_queued([self._entry(bread).pool_id]):
            raise Idle

    def _take_all_and_be_awaited(self, who: int, bread: int, quantity: int, people: list[int]) -> None:
        """Put all that is left into a basket, and let these people stand in line."""
        for _place in range(4):
            self.quietly(self._fill, who, [(bread, 1)])
        for person in people:
            self.quietly(self._join_line, bread, quantity, person)

    @act(who=WHO, bread=BREAD, quantity=PLACES, people=st.lists(DICE, min_size=1, max_size=3))
    def let_others_wait_and_give_it_back(self, who: int, bread: int, quantity: int, people: list[int]) -> None:
        """So that those who waited are offered what is free."""
        self.quietly(self._take_all_and_be_awaited, who, bread, quantity, people)
        self.quietly(self._empty, who)
        waiting.sweep()

    def _entry(self, thing: int) -> Entry:
        entry, _kind = some(self.world.things, thing)
        assert isinstance(entry, Entry)
        return Entry.objects.select_related("calendar").get(pk=entry.pk)

    @act(dice=DICE, thing=st.integers(4, 13), quantity=PLACES, person=DICE)
    def ask_without_confirming(self, dice: int, thing: int, quantity: int, person: int) -> None:
        """Perhaps they do so later: they have no place in the line before."""
        entry, (_thing, kind) = self._entry(thing), some(self.world.things, thing)
        queued = waiting.is_queued([entry.pool_id])
        waiting.join(entry, quantity, email=f"asks-{person}@example.org", price_kind=kind)
        assert waiting.is_queued([entry.pool_id]) == queued, "who only asked keeps nobody from booking"

    @act("waiter:asked", dice=DICE)
    def confirm_late(self, dice: int) -> None:
        standing = waiting.confirm(one_of(Waiter.objects.filter(status="asked"), dice))
        assert waiting.confirm(standing) == standing, "once is enough"

    @act("waiter:asked", dice=DICE)
    def say_that_they_did_not_ask(self, dice: int) -> None:
        assert waiting.leave(one_of(Waiter.objects.filter(status="asked"), dice))

    @act("waiter:asked", dice=DICE)
    def never_confirm(self, dice: int) -> None:
        waiter = one_of(Waiter.objects.filter(status="asked"), dice)
        self.world.wait(max(waiter.joined_at + waiting.CONFIRM_WITHIN - self.now(), timedelta(0)))
        waiting.forget_unconfirmed()
        waiter.refresh_from_db()
        assert (waiter.status, waiter.email) == (Waiter.Status.LAPSED, "")

    def _join_line(self, thing: int, quantity: int, person: int) -> None:
        """Ask and confirm, twice: whoever is in it stays where they are."""
        entry, (_thing, kind) = self._entry(thing), some(self.world.things, thing)
        who = {"email": f"waits-{person}@example.org", "price_kind": kind}
        user = self.world.people[person] if person < len(self.world.people) else None
        if user is not None:
            EmailAddress.objects.get_or_create(user=user, email=who["email"], verified=True)
        waiter = waiting.join(entry, quantity, user=user, **who)
        if waiter.status == Waiter.Status.ASKED:
            waiter = waiting.confirm(waiter)
        assert waiting.join(entry, 1, user=user, **who) == waiter

    @act("waiter:offered", dice=DICE, who=WHO, when=WHEN)
    def take_an_offer(self, dice: int, who: int, when: str) -> None:
        waiter = one_of(Waiter.objects.filter(status="offered"), dice)
        if when == "at the last moment" and waiter.offer_until:
            self.world.wait(max(waiter.offer_until - self.now() - timedelta(seconds=1), timedelta(0)))
        before = _taken(waiter)
        for _click in range(2):
            with transaction.atomic():
                take_offer(self._cart_of(who), waiter)
        assert _taken(waiter) == before, "What was offered is what they have"
        self.coverage.rules["an offer taken"] += 1

    @act("waiter:offered", dice=DICE, who=WHO)
    def take_what_is_over(self, dice: int, who: int) -> None:
        """A second too late."""
        waiter = one_of(Waiter.objects.filter(status="offered"), dice)
        if waiter.offer_until:
            self.world.wait(max(waiter.offer_until - self.now(), timedelta(0)))
        try:
            with transaction.atomic():
                take_offer(self._cart_of(who), waiter)
        except Unavailable:
            return
        raise AssertionError("An offer that was over was taken")

    @act("waiter:offered", dice=DICE)
    def decline_an_offer(self, dice: int) -> None:
        waiter = one_of(Waiter.objects.filter(status="offered"), dice)
        assert waiting.decline(waiter)
        assert not waiting.decline(waiter), "once is enough"

    @act("waiter:offered", dice=DICE)
    def let_an_offer_lapse(self, dice: int) -> None:
        waiter = one_of(Waiter.objects.filter(status="offered"), dice)
        self.world.wait(timedelta(hours=6, minutes=1))
        waiting.sweep()
        waiter.refresh_from_db()
        assert waiter.status in (Waiter.Status.PASSED, Waiter.Status.CLOSED)

    @act("waiter:waiting", "waiter:offered", dice=DICE)
    def leave_the_line(self, dice: int) -> None:
        waiter = one_of(Waiter.objects.filter(status__in=["waiting", "offered"]), dice)
        assert waiting.leave(waiter)
        assert not waiting.leave(waiter), "once is enough"

    @act("waiter:waiting", dice=DICE, step=st.sampled_from(["first", "up", "down", "last"]))
    def move_within_the_line(self, dice: int, step: waiting.Step) -> None:
        waiting.move(one_of(Waiter.objects.filter(status="waiting"), dice), step)

    @act("waiter:waiting", dice=DICE, wanted=st.integers(0, 6))
    def make_room_for_who_waits(self, dice: int, wanted: int) -> None:
        """Or less of it; and the sweep sees to it."""
        waiter = one_of(Waiter.objects.filter(status="waiting"), dice)
        capacity.set_capacity(Pool.objects.get(pk=waiter.entry.pool_id), wanted)
        waiting.sweep()


def _taken(waiter: Waiter) -> int:
    return Pool.objects.get(pk=waiter.entry.pool_id).taken
