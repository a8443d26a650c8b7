"""Whatever happens to a line, in whatever order: nothing is oversold, and nobody is passed over."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from time_machine import Traveller, travel

from bookings import capacity, waiting
from bookings.models import Entry, Hold, Waiter
from bookings.waiting import CannotJoin
from cart import services as carts
from cart.offers import take_offer
from cart.services import Unavailable
from tests.bookings.books import assert_pools_balance
from tests.bookings.lines import ask, join
from tests.factories import CalendarFactory, EntryFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
STEPS_IN_LINE: tuple[waiting.Step, ...] = ("first", "up", "down", "last")


class History:
    """A pool of four places that two entries share, a line for it, and a clock: each method is something that may
    happen."""

    def __init__(self, clock: Traveller) -> None:
        self.clock = clock
        calendar = CalendarFactory.create(offer_hours=2)
        times = {"starts_at": NOON + timedelta(days=2), "calendar": calendar}
        first = EntryFactory.create(places=4, **times)
        self.entries = [
            first,
            EntryFactory.create(pool=first.pool, booking_closes_at=NOON + timedelta(hours=9), **times),
        ]
        self.sold: list[Hold] = [capacity.claim(first.pool_id, 1, None) for _ in range(4)]
        self.joined = 0

    def some(self, dice: int, **which: Any) -> Waiter | None:
        found = list(Waiter.objects.filter(**which).select_related("entry").order_by("pk"))
        return found[dice % len(found)] if found else None

    def join(self, dice: int, n: int) -> None:
        self.joined += 1
        entry = Entry.objects.get(pk=self.entries[dice % 2].pk)
        join(entry, f"person{self.joined}", n or 1)

    def ask(self, dice: int, n: int) -> None:
        self.joined += 1
        ask(Entry.objects.get(pk=self.entries[dice % 2].pk), f"person{self.joined}", n or 1)

    def confirm(self, dice: int, n: int) -> None:
        if waiter := self.some(dice, status="asked"):
            waiting.confirm(waiter)

    def forget_unconfirmed(self, dice: int, n: int) -> None:
        self.clock.shift(timedelta(hours=6 * n))
        waiting.forget_unconfirmed()

    def free_places(self, dice: int, n: int) -> None:
        holds, self.sold = self.sold[:n], self.sold[n:]
        capacity.give_back(hold.pk for hold in holds)

    def buy(self, dice: int, n: int) -> None:
        """The public: refused while somebody waits for what they could have."""
        queued = self.is_anybody_first()
        with transaction.atomic():
            cart, _token = carts.open_cart("", None)
            carts.add(cart, Entry.objects.listed().get(pk=self.entries[dice % 2].pk), n or 1)
            assert not queued, "The public went past the line."

    def is_anybody_first(self) -> bool:
        waiters = Waiter.objects.filter(status="waiting").select_related("entry__calendar")
        return any(waiting.offer_ends(waiter.entry) for waiter in waiters)

    def take(self, dice: int, n: int) -> None:
        if waiter := self.some(dice, status="offered"):
            with transaction.atomic():
                cart, _token = carts.open_cart("", None)
                take_offer(cart, waiter)

    def decline(self, dice: int, n: int) -> None:
        if waiter := self.some(dice):
            waiting.decline(waiter)

    def leave(self, dice: int, n: int) -> None:
        if waiter := self.some(dice):
            waiting.leave(waiter)

    def move(self, dice: int, n: int) -> None:
        if waiter := self.some(dice):
            waiting.move(waiter, STEPS_IN_LINE[n % 4])

    def resize(self, dice: int, n: int) -> None:
        capacity.set_capacity(self.entries[0].pool, 2 + n)

    def sweep(self, dice: int, n: int) -> None:
        waiting.sweep()

    def give_expired_back(self, dice: int, n: int) -> None:
        capacity.give_expired_back()

    def let_time_pass(self, dice: int, n: int) -> None:
        self.clock.shift(timedelta(minutes=25 * n))

    def call_off(self, dice: int, n: int) -> None:
        if dice == 7:
            Entry.objects.filter(pk=self.entries[1].pk).update(cancelled_at=NOON)


HAPPENINGS: dict[str, Callable[[History, int, int], Any]] = {
    name: happening
    for name, happening in vars(History).items()
    if not name.startswith("_") and name not in {"some", "is_anybody_first"}
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.integers(0, 9), st.integers(0, 4)), max_size=25)


def line_now() -> list[Waiter]:
    return list(Waiter.objects.select_related("entry__calendar", "hold").order_by("place", "pk"))


def assert_nobody_was_passed_over(before: list[Waiter], after: list[Waiter]) -> None:
    """Whoever got an offer in this step was before all who still wait and could have had one."""
    was_waiting = {waiter.pk for waiter in before if waiter.status == "waiting"}
    fresh_offers = [n for n, waiter in enumerate(after) if waiter.pk in was_waiting and waiter.status == "offered"]
    still = [n for n, w in enumerate(after) if w.status == "waiting" and waiting.offer_ends(w.entry)]
    assert not fresh_offers or not still or max(fresh_offers) < min(still), "Somebody was passed over."


def assert_who_only_asked_is_behind_all_others(before: list[Waiter], after: list[Waiter]) -> None:
    """Nobody is offered anything before they have confirmed; who does that in this step is behind all who wait."""
    asked = {waiter.pk for waiter in before if waiter.status == "asked"}
    waits = [waiter.pk for waiter in after if waiter.status == "waiting"]
    assert not [waiter for waiter in after if waiter.pk in asked and waiter.status in ("offered", "taken")]
    assert not asked & set(waits[:-1]), "Somebody was put before others."


def assert_offers_are_held(line: list[Waiter]) -> None:
    """An offer is a hold that ends with it, of no more than was asked for; who only waits holds nothing."""
    for waiter in line:
        if waiter.status == "offered":
            assert waiter.hold is not None
            assert waiter.hold.until == waiter.offer_until
            assert 0 <= waiter.hold.quantity <= waiter.quantity
        elif waiter.hold is not None:
            assert waiter.hold.quantity == 0, "Whoever has no offer holds nothing."


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[("join", 0, 2), ("join", 0, 1), ("free_places", 0, 1), ("buy", 0, 1), ("sweep", 0, 0), ("take", 0, 0)])
@example(steps=[("join", 1, 1), ("join", 0, 4), ("free_places", 0, 3), ("sweep", 0, 0), ("let_time_pass", 0, 4),
                ("let_time_pass", 0, 2), ("buy", 1, 1), ("sweep", 0, 0), ("move", 1, 0), ("call_off", 7, 0),
                ("sweep", 0, 0)])  # fmt: skip
@example(steps=[("ask", 0, 2), ("join", 0, 1), ("free_places", 0, 1), ("sweep", 0, 0), ("confirm", 0, 0),
                ("free_places", 0, 2), ("sweep", 0, 0), ("ask", 1, 1), ("forget_unconfirmed", 0, 4)])  # fmt: skip
def test_after_every_step_of_any_history_the_line_is_fair(db: None, steps: list[tuple[str, int, int]]) -> None:
    with travel(NOON, tick=False) as clock, transaction.atomic():
        history = History(clock)

        for name, dice, n in steps:
            before = line_now()
            with suppress(Unavailable, CannotJoin):
                HAPPENINGS[name](history, dice, n)

            after = line_now()
            assert_pools_balance()
            assert_nobody_was_passed_over(before, after)
            assert_who_only_asked_is_behind_all_others(before, after)
            assert_offers_are_held(after)
        transaction.set_rollback(True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_a_sweep_nothing_is_free_while_somebody_waits_who_could_have_it(
    db: None, steps: list[tuple[str, int, int]]
) -> None:
    with travel(NOON, tick=False) as clock, transaction.atomic():
        history = History(clock)
        for name, dice, n in steps:
            with suppress(Unavailable, CannotJoin):
                HAPPENINGS[name](history, dice, n)

        waiting.sweep()

        pool = history.entries[0].pool
        pool.refresh_from_db()
        assert not history.is_anybody_first() or pool.free == 0
        assert not Waiter.objects.filter(status="offered", offer_until__lte=NOON).exists()
        transaction.set_rollback(True)
