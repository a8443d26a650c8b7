"""Doing things at the same moment, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections

PATIENCE = 30  # seconds; only a deadlock takes so long


@dataclass
class Outcome:
    """What became of one of the things that were done at once."""

    result: Any = None
    error: BaseException | None = None


def run_at_once(*functions: Callable[[], Any]) -> list[Outcome]:
    """Call all the functions at the same moment; their outcomes, in the order of the functions.

    What they raise is an outcome too: see `results_of` for when nothing should be raised.
    """
    outcomes = [Outcome() for _ in functions]
    start = threading.Barrier(len(functions))

    def run(function: Callable[[], Any], outcome: Outcome) -> None:
        try:
            start.wait(PATIENCE)
            outcome.result = function()
        except BaseException as error:
            outcome.error = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in zip(functions, outcomes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "It waits for something that never comes."
    return outcomes


def results_of(outcomes: Sequence[Outcome]) -> list[Any]:
    """What was returned, in order; the first error is raised again."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.result for outcome in outcomes]
