"""The long run: the machine for STEPS steps or MINUTES, whichever ends first, and what it covered.

make prove STEPS=10000             a seed of its own, which is printed
make machine MINUTES=3             what CI runs: by the clock, however fast the computer is
SEED=123 make prove STEPS=10000    the same run again
SEED=123 BATCH=7 make machine      only those histories of it in which something broke (SHRINK=1 shortens them)
"""

import os
import random
import secrets
from time import perf_counter

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import seed as seeded
from hypothesis import settings as profile
from hypothesis.stateful import run_state_machine_as_test

from payments.simulator.behaviour import CHOICES
from tests.machine.conftest import world
from tests.machine.coverage import Coverage
from tests.machine.machine import Machine
from tests.machine.world import World

__all__ = ["world"]

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = int(os.environ.get("STEPS", "10000"))
MINUTES = float(os.environ.get("MINUTES") or "inf")
SEED = int(os.environ.get("SEED") or secrets.randbelow(2**32))
BATCH = os.environ.get("BATCH", "")  # the number of the only batch to run
SHRINK = os.environ.get("SHRINK", "1") == "1"  # whether to look for the shortest history that fails
STEPS_OF_A_HISTORY = 50
HISTORIES_OF_A_BATCH = 2  # Hypothesis's first is always nearly empty; more would overrun MINUTES by more
TROUBLES = [(switch, how) for switch, choices in CHOICES.items() for how in choices[1:]]
# Fewer steps than this miss something by mere chance: then what was never seen is only printed.
ENOUGH_FOR_EVERYTHING = 20_000


def find_trouble(number: int) -> tuple[str, str]:
    """How SumUp misbehaves as the histories of this batch begin: each way comes up in its turn."""
    turns = random.Random(SEED).sample(TROUBLES, len(TROUBLES))
    return turns[number % len(turns)]


def run(world: World, coverage: Coverage, number: int) -> None:
    """One batch of histories. Its number and SEED decide what happens in it."""

    @seeded(SEED + number)
    class Here(Machine):
        pass

    Here.world, Here.coverage, Here.trouble = world, coverage, find_trouble(number)
    long = profile(
        max_examples=HISTORIES_OF_A_BATCH,
        stateful_step_count=STEPS_OF_A_HISTORY,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Here, settings=long)
    except BaseException as broken:
        switch, how = Here.trouble
        broken.add_note(
            f"The trouble it began with: {switch} = {how}\n"
            f"Run it again:        SEED={SEED} BATCH={number} make machine\n"
            f"Make it shorter:     SEED={SEED} BATCH={number} SHRINK=1 make machine\n"
            "Once it is mended:   keep it in tests/machine/test_histories.py"
        )
        raise


def run_until_it_is_enough(world: World, coverage: Coverage) -> None:
    """Batch after batch. (The clock of the histories stands still; this one does not.)"""
    ends_at = perf_counter() + MINUTES * 60
    number = 0
    while coverage.steps < STEPS and perf_counter() < ends_at:
        run(world, coverage, number)
        number += 1


def test_no_invariant_breaks_in_a_long_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    coverage = Coverage()
    with capsys.disabled():
        print(f"\nThe machine runs with SEED={SEED} (SEED={SEED} make machine: the same again)", flush=True)  # noqa: T201

    try:
        if BATCH:
            run(world, coverage, int(BATCH))
        else:
            run_until_it_is_enough(world, coverage)
    finally:
        with capsys.disabled():
            print(f"\nSEED={SEED}: {coverage}\n\nnever seen: {coverage.find_unseen()}")  # noqa: T201

    unseen = coverage.find_unseen()
    assert coverage.steps < ENOUGH_FOR_EVERYTHING or not unseen, f"Never seen: {unseen}"
