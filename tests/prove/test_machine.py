"""The long run: STEPS steps of the machine, and what they covered.

make prove STEPS=10000            a seed of its own, which is printed
SEED=123 make prove STEPS=10000   the same run again
"""

import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import seed as seeded
from hypothesis import settings as profile
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.coverage import Coverage
from tests.machine.machine import Machine
from tests.machine.world import World, open_world

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = int(os.environ.get("STEPS", "10000"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(2**32))
STEPS_OF_A_HISTORY = 50
# Fewer steps than this may miss something by mere chance.
ENOUGH_FOR_EVERYTHING = 10_000


@pytest.fixture
def world(settings: Any) -> Iterator[World]:
    with open_world(settings) as world:
        yield world


def test_no_invariant_breaks_in_a_long_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    @seeded(SEED)
    class Here(Machine):
        pass

    Here.world, Here.coverage = world, Coverage()
    long = profile(
        max_examples=max(STEPS // STEPS_OF_A_HISTORY, 1),
        stateful_step_count=STEPS_OF_A_HISTORY,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if os.environ.get("SHRINK", "1") == "1" else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    try:
        run_state_machine_as_test(Here, settings=long)
    finally:
        with capsys.disabled():
            print(f"\nSEED={SEED}: {Here.coverage}")  # noqa: T201 - it is what the long run is for

    if STEPS >= ENOUGH_FOR_EVERYTHING:
        assert not (unseen := Here.coverage.find_unseen()), f"Never seen: {unseen}"
