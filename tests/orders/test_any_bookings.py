"""Whatever shoppers, staff and the clock do about places, in whatever order: the audit finds nothing.

What is taken is what holds and bookings say, each hold has its one reason, and no pool is taken beyond what it has.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from time_machine import Traveller, travel

from bookings import capacity, waiting
from bookings.auditing import audit
from bookings.models import Booking, Pool, Waiter
from cart import offers
from cart import services as carts
from cart.basket import new_cart
from cart.models import Cart
from cartsite.refusals import Refusal
from orders import moving, services
from orders.models import Order
from tests.bookings.lines import join
from tests.factories import CalendarFactory, EntryFactory
from tests.orders.acts import place_cart

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
REFUSALS = (capacity.SoldOut, Refusal)


class History:
    """Three entries, two of which share their places, and a clock: each method is something that may happen."""

    def __init__(self, clock: Traveller) -> None:
        calendar = CalendarFactory(most_held=100)
        one, two = EntryFactory(calendar=calendar, places=3), EntryFactory(calendar=calendar, places=4)
        self.entries = [one, two, EntryFactory(calendar=calendar, pool=one.pool)]
        self.clock, self.carts = clock, list[tuple[Cart, str]]()

    def _order(self, dice: int, *statuses: str) -> Order | None:
        orders = list(Order.objects.filter(status__in=statuses).order_by("pk"))
        return orders[dice % len(orders)] if orders else None

    def _booking(self, dice: int) -> Booking | None:
        places = list(Booking.objects.filter(status="confirmed").select_related("order_line").order_by("pk"))
        return places[dice % len(places)] if places else None

    def _waiter(self, dice: int, *statuses: str) -> Waiter | None:
        line = list(Waiter.objects.filter(status__in=statuses).order_by("pk"))
        return line[dice % len(line)] if line else None

    def fill(self, dice: int, n: int) -> None:
        cart, token = carts.open_cart("", None)
        carts.add(cart, self.entries[dice % 3], n)
        self.carts.append((cart, token or ""))

    def change(self, dice: int, n: int) -> None:
        """Of a cart that was ordered, no page changes a line."""
        still_open = Cart.objects.open().filter(pk__in=[cart.pk for cart, _token in self.carts]).order_by("pk")
        if still_open and (item := still_open[dice % len(still_open)].items.first()):
            carts.set_quantity(item.cart, item.pk, n - 1)

    def place(self, dice: int, n: int) -> None:
        if self.carts:
            place_cart(*self.carts[dice % len(self.carts)])

    def confirm(self, dice: int, n: int) -> None:
        if order := self._order(dice, "awaiting_payment"):
            services.confirm(order, cause="paid")

    def end_unpaid(self, dice: int, n: int) -> None:
        if order := self._order(dice, "awaiting_payment"):
            ending = Order.objects.filter(pk=order.pk)
            ending.update(closing_since=timezone.now(), closing_to="expired", closing_by="timer")
            services.let_go(ending.get(), new_cart(None)[0] if n % 2 else None)

    def revive(self, dice: int, n: int) -> None:
        if order := self._order(dice, "expired"):
            services.revive(order, cause="late money")

    def cancel(self, dice: int, n: int) -> None:
        if order := self._order(dice, "confirmed"):
            services.cancel_confirmed(order, by=None, cause="staff")

    def cancel_some(self, dice: int, n: int) -> None:
        if booking := self._booking(dice):
            services.cancel_some(booking.order_line, n, by=None)

    def move(self, dice: int, n: int) -> None:
        if booking := self._booking(dice):
            alike = Booking.objects.filter(order_line=booking.order_line, entry=booking.entry, status="confirmed")
            some = list(alike.select_related("order_line")[:n])
            moving.move_in_place(some, self.entries[n % 3], by=None, cause="asked")

    def join(self, dice: int, n: int) -> None:
        join(self.entries[dice % 3], f"waiter{dice}", n)

    def offer(self, dice: int, n: int) -> None:
        waiting.offer_freed(self.entries[dice % 3].pool_id)

    def take_offer(self, dice: int, n: int) -> None:
        if waiter := self._waiter(dice, "offered"):
            cart, token = carts.open_cart("", None)
            offers.take_offer(cart, waiting.lock(waiter))
            self.carts.append((cart, token or ""))

    def step_out(self, dice: int, n: int) -> None:
        if waiter := self._waiter(dice, "waiting", "offered"):
            (waiting.leave if n % 2 else waiting.decline)(waiter)

    def give_expired_back(self, dice: int, n: int) -> None:
        capacity.give_expired_back(most=n)

    def set_capacity(self, dice: int, n: int) -> None:
        pool = Pool.objects.get(pk=self.entries[dice % 3].pool_id)
        capacity.set_capacity(pool, None if dice % 7 == 0 else n)

    def pass_time(self, dice: int, n: int) -> None:
        self.clock.shift(timedelta(minutes=10 * n) if dice % 3 else timedelta(hours=12 * n))


HAPPENINGS: dict[str, Callable[[History, int, int], Any]] = {
    name: happening for name, happening in vars(History).items() if not name.startswith("_")
}
# What leads to most of the rest has a second ticket in the draw.
DRAWN = [*sorted(HAPPENINGS), "fill", "place", "confirm", "move", "join", "offer"]
STEPS = st.lists(st.tuples(st.sampled_from(DRAWN), st.integers(0, 20), st.integers(1, 4)), min_size=5, max_size=16)
SOLD = [("fill", 0, 3), ("place", 0, 1), ("confirm", 0, 1)]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
@example(steps=[("fill", 0, 1), ("place", 0, 1), ("change", 0, 2)])
@example(steps=[*SOLD, ("join", 0, 2), ("cancel_some", 0, 1), ("offer", 0, 1), ("take_offer", 0, 1), ("place", 1, 1)])
@example(steps=[*SOLD, ("join", 0, 2), ("move", 0, 1), ("offer", 0, 1), ("pass_time", 0, 4), ("offer", 0, 1)])
@example(steps=[*SOLD, ("move", 0, 2), ("move", 0, 1), ("cancel", 0, 1)])
@example(steps=[("fill", 1, 4), ("place", 0, 1), ("end_unpaid", 0, 2), ("fill", 1, 1), ("revive", 0, 1)])
def test_the_audit_finds_nothing_after_any_step_of_any_history(db: None, steps: list[tuple[str, int, int]]) -> None:
    with travel(NOON, tick=False) as clock, transaction.atomic():
        history = History(clock)

        for name, dice, n in steps:
            with suppress(*REFUSALS), transaction.atomic():  # what is refused moves nothing
                HAPPENINGS[name](history, dice, n)

            assert list(audit()) == [], name
            assert not Pool.objects.exclude(wanted=None).filter(taken__gt=0, capacity__lt=1).exists()
        transaction.set_rollback(True)


def test_these_histories_get_somewhere(db: None) -> None:
    with travel(NOON, tick=False) as clock:
        history = History(clock)
        for name, dice, n in [*SOLD, ("join", 0, 2), ("move", 0, 1), ("offer", 0, 1), ("take_offer", 0, 1)]:
            HAPPENINGS[name](history, dice, n)

    assert sorted(Booking.objects.values_list("status", flat=True)) == ["confirmed"] * 3 + ["moved"]
    assert Waiter.objects.get().status == "taken"
