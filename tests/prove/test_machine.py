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

from payments.simulator.behaviour import CHOICES
from tests.machine.coverage import Coverage
from tests.machine.machine import Machine
from tests.machine.world import World, open_world

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = int(os.environ.get("STEPS", "10000"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(2**32))
STEPS_OF_A_HISTORY = 50
SHRINK = os.environ.get("SHRINK", "1") == "1"  # whether to look for the shortest history that fails
TROUBLES = [(switch, how) for switch, choices in CHOICES.items() for how in choices[1:]]
# Fewer steps than this may miss something by mere chance.
ENOUGH_FOR_EVERYTHING = 10_000


@pytest.fixture
def world(settings: Any) -> Iterator[World]:
    with open_world(settings) as world:
        yield world


def run(world: World, coverage: Coverage, trouble: tuple[str, str], number: int) -> None:
    """Some histories that begin with SumUp misbehaving in one way. (Hypothesis's first is always nearly empty.)"""

    @seeded(SEED + number)
    class Here(Machine):
        pass

    Here.world, Here.coverage, Here.trouble = world, coverage, trouble
    long = profile(
        max_examples=1 + -(-STEPS // (STEPS_OF_A_HISTORY * len(TROUBLES))),
        stateful_step_count=STEPS_OF_A_HISTORY,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=long)


def test_no_invariant_breaks_in_a_long_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    coverage = Coverage()

    try:
        for number, trouble in enumerate(TROUBLES):
            run(world, coverage, trouble, number)
    finally:
        with capsys.disabled():
            print(f"\nSEED={SEED}: {coverage}")  # noqa: T201 - it is what the long run is for

    if STEPS >= ENOUGH_FOR_EVERYTHING:
        assert not (unseen := coverage.find_unseen()), f"Never seen: {unseen}"
