"""The machine for a short time, always the same; `make prove` runs it for long (tests/prove/test_machine.py)."""

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.conftest import world
from tests.machine.coverage import Coverage
from tests.machine.machine import Machine
from tests.machine.world import World

__all__ = ["world"]

pytestmark = pytest.mark.django_db(transaction=True)

SHORT = profile(
    max_examples=6,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_no_invariant_breaks_whatever_happens(world: World) -> None:
    class Here(Machine):
        pass

    Here.world, Here.coverage = world, Coverage()

    run_state_machine_as_test(Here, settings=SHORT)
