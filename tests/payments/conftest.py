"""More of the cast: a clock that tests move, and a wire to SumUp that they can tap."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from payments.simulator import Simulator
from tests.invariants import assert_books_balance
from tests.payments.records import Later
from tests.payments.wire import Wire


@pytest.fixture
def later(time_machine: TimeMachineFixture) -> Later:
    """Stop the clock, here and at SumUp, and let time pass: `later(minutes=5)`, in all, gives the new time."""
    time_machine.move_to(datetime.now(UTC), tick=False)

    def wait(**how_long: float) -> datetime:
        time_machine.shift(timedelta(**how_long))
        return datetime.now(UTC)

    return wait


@pytest.fixture
def wire(sumup: Simulator, settings: Any) -> Iterator[Wire]:
    """All calls to SumUp go through this."""
    with Wire(sumup) as wire:
        settings.SUMUP_API_URL = settings.SUMUP_ORIGIN = wire.url
        yield wire
    assert not wire.errors


@pytest.fixture
def books_balance(db: None) -> Iterator[None]:
    """Whatever the test does, the books balance after it."""
    yield
    assert_books_balance()
