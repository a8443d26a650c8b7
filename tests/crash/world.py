"""A shop that can be begun anew as often as a test likes: its database, its SumUp, its clock and its letter box."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

from django.core.cache import cache
from time_machine import TimeMachineFixture

from bookings import waiting
from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, Message, User
from orders import mail
from orders.models import Order
from payments import calling_off, history, late, refunds, releasing, sweeping
from payments.simulator import Simulator
from tests.emptying import empty_tables
from tests.factories import EntryFactory, ProductFactory, UserFactory

START = datetime(2026, 6, 3, 9, 0, tzinfo=UTC)  # a Wednesday morning; the shop's day is not over for 14 hours
MESSAGE_ID = re.compile(rb"^Message-ID: <([0-9a-f-]{36})@", re.MULTILINE)
# How long to wait before each round of sweeps: every lease lapses, and what was put off is tried again.
AFTERWARDS = [timedelta(minutes=n) for n in (2.1, 6, 12, 30, 180)]


@dataclass
class World:
    """The cast and the stage."""

    sumup: Simulator
    clock: TimeMachineFixture
    letters: Path  # a folder with all mail that the mail server said yes to
    place_order: Callable[..., Order]
    workshop: Entry = field(init=False)
    honey: Product = field(init=False)
    staff: User = field(init=False)
    may_double: set[UUID] = field(default_factory=set)  # mail whose sender died between the server's yes and our mark

    def begin(self) -> None:
        """Forget everything, and stop the clock in the morning of the first day."""
        empty_tables()
        cache.clear()
        self.sumup.reset()
        self.sumup.behave(webhooks="never")
        self.clock.move_to(START, tick=False)
        for letter in self.letters.iterdir():
            letter.unlink()
        self.may_double.clear()
        self.workshop, self.honey, self.staff = _open_shop()

    def place(self) -> Order:
        """An order of one jar of honey and both places at the workshop: £76.50."""
        return self.place_order((self.honey, 1), (self.workshop, 2))

    def later(self, **how_long: float) -> None:
        """Let time pass, here and at SumUp."""
        self.clock.shift(timedelta(**how_long))

    def sweep(self) -> None:
        """All that the timers do."""
        sweeping.sweep()
        releasing.sweep()
        calling_off.sweep()
        refunds.sweep()
        late.send_back_by_itself()
        history.sweep()
        waiting.sweep()
        mail.send_owed()
        Case.wake_up()

    def sweep_for_hours(self) -> None:
        """Let four hours pass, with the timers running."""
        for wait in AFTERWARDS:
            self.clock.shift(wait)
            self.sweep()

    def delivered(self) -> Counter[UUID]:
        """How often the mail server took each mail."""
        ids = (name for letter in self.letters.iterdir() for name in MESSAGE_ID.findall(letter.read_bytes()))
        return Counter(UUID(name.decode()) for name in ids)

    def note_what_may_double(self) -> None:
        """Just after a death: what was sent, but is not marked so."""
        unmarked = Message.objects.filter(uuid__in=self.delivered()).exclude(status=Message.Status.SENT)
        self.may_double |= set(unmarked.values_list("uuid", flat=True))

    def pay_too_late(self, checkout_id: str) -> None:
        """SumUp takes money on a checkout that it had called EXPIRED."""
        with patch.object(self.sumup, "_payable", self.sumup._current):
            self.sumup.pay(checkout_id)


def _open_shop() -> tuple[Entry, Product, User]:
    """Two places at a workshop, five jars of honey, and somebody of the staff."""
    return (
        EntryFactory(title="Bread workshop", places=2),
        ProductFactory(title="Heather honey", sku="HONEY", stock=5),
        UserFactory(username="sam", email="sam@example.org", is_staff=True, is_superuser=True),
    )
