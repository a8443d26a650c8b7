"""The machine for a short time, always the same; `make prove` runs it for long (tests/prove/test_machine.py)."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.coverage import Coverage
from tests.machine.machine import Machine
from tests.machine.world import World, open_world

pytestmark = pytest.mark.django_db(transaction=True)

SHORT = profile(
    max_examples=6,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def world(settings: Any) -> Iterator[World]:
    with open_world(settings) as world:
        yield world


def test_no_invariant_breaks_whatever_happens(world: World) -> None:
    class Here(Machine):
        pass

    Here.world, Here.coverage = world, Coverage()

    run_state_machine_as_test(Here, settings=SHORT)
