"""More of the cast: the clock and the wire of the tests about payments, and the machine's world."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.machine.world import World, open_world
from tests.payments.conftest import later, wire

__all__ = ["later", "wire"]


@pytest.fixture
def world(settings: Any) -> Iterator[World]:
    with open_world(settings) as world:
        yield world
