"""What every part of the machine needs: to choose from what is there, and to take no for an answer."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from bookings.capacity import SoldOut
from cart.services import UnknownCart
from cartsite.refusals import Refusal
from payments.casework import CannotDo
from payments.closing import BeingClosed
from payments.refunds import CannotRefund
from payments.simulator import Refused
from payments.starting import CannotPay
from payments.sumup import SumUpError
from tests.machine import ledger_of_steps
from tests.machine.coverage import Coverage
from tests.machine.world import World

Row = TypeVar("Row", bound=Model)
Thing = TypeVar("Thing")

# Of these the services say: nothing has moved.
NOTHING_MOVED = (Refusal, UnknownCart, SoldOut)
# With these, what SumUp said on the way may have been written down.
SAID_NO = (CannotPay, CannotRefund, CannotDo, SumUpError, Refused, BeingClosed)

DICE = st.integers(0, 11)  # which of the rows there are


class Idle(Exception):
    """There is nothing to do this with."""


class Acts(RuleBasedStateMachine):
    """The frame of all actors: a world, and what the run has covered."""

    world: World
    coverage: Coverage
    present: Counter[str]  # how many orders, payments, refunds and cases there are, by their status or kind

    def now(self) -> datetime:
        return timezone.now()

    def start_counting(self) -> None:
        """From here on, what is refused must have moved nothing."""
        self.counted_from = ledger_of_steps.count()

    def quietly(self, do: Callable[..., Any], *args: Any) -> None:
        """Do something in the middle of a call, and take no for an answer. Anything else is a fault (see the relay)."""
        try:
            do(*args)
        except (*SAID_NO, *NOTHING_MOVED, Idle) as refusal:
            self.coverage.refusals[type(refusal).__name__] += 1

    @contextmanager
    def acting(self, name: str) -> Iterator[None]:
        """One act: counted, and allowed to be refused or to find nothing to do."""
        self.coverage.rules[name] += 1
        self.start_counting()
        try:
            yield
        except Idle:
            self.coverage.idle[name] += 1
        except SAID_NO as refusal:
            self.coverage.refusals[type(refusal).__name__] += 1
        except NOTHING_MOVED as refusal:
            self.coverage.refusals[type(refusal).__name__] += 1
            if ledger_of_steps.count() != self.counted_from:
                raise AssertionError("It was refused, but something has moved") from refusal


def one_of(rows: QuerySet[Row], dice: int) -> Row:
    """One of the rows, newer ones as likely as older ones; Idle if there is none."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    if not keys:
        raise Idle
    return rows.get(pk=keys[dice % len(keys)])


def some(things: Sequence[Thing], dice: int) -> Thing:
    """One of the things; Idle if there is none."""
    if not things:
        raise Idle
    return things[dice % len(things)]


def act(*needs: str, **choices: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Make a method a rule of the machine. It is tried only while one of what it needs is there (see Acts.present)."""

    def decorate(method: Callable[..., None]) -> Any:
        @wraps(method)
        def perform(self: Acts, **chosen: Any) -> None:
            with self.acting(method.__name__):
                method(self, **chosen)

        found: Any = rule(**choices)(perform)  # type: ignore[call-overload]
        return precondition(lambda self: any(self.present[need] for need in needs))(found) if needs else found

    return decorate
