"""Kill -9 at every line that runs: whatever a process was doing, the next ones put it right.

The list of lines is made by a run without killing. Each line is the end of one process, the first and the last time
that it runs; then the timers go on, people do what they would do, and the books are compared with SumUp's.
"""

import time
import traceback
from collections import Counter

import pytest

from tests.crash.booking import BOOKING
from tests.crash.conftest import letters, world  # noqa: F401 - fixtures
from tests.crash.killing import Failpoint, list_failpoints
from tests.crash.plays import PLAYS, Play, perform
from tests.crash.shopping import SHOPPING
from tests.crash.world import World

pytestmark = pytest.mark.django_db(transaction=True)

MOST_SHOWN = 5


@pytest.mark.parametrize("kind", [*PLAYS, *SHOPPING, *BOOKING], ids=lambda kind: kind.__name__)
def test_a_process_may_die_at_any_line(
    world: World,  # noqa: F811
    kind: type[Play],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    failpoints, began = find_failpoints(kind(world)), time.perf_counter()

    violated = {}
    for failpoint in failpoints:
        caplog.clear()
        if trouble := try_to_die(kind(world), failpoint):
            violated[str(failpoint)] = trouble

    seconds = time.perf_counter() - began
    by_module = ", ".join(f"{module} {count}" for module, count in Counter(f.module for f in failpoints).items())
    with capsys.disabled():
        print(f"\n{kind.__name__}: died {len(failpoints)} times in {seconds:.0f} s ({by_module})", end=" ")  # noqa: T201 - whoever runs it wants to see how far it is
    assert not violated, report(violated)


def find_failpoints(play: Play) -> list[Failpoint]:
    """Every line that runs when nobody dies, which must end well too."""
    perform(play, None)
    play.world.begin()
    play.prepare()
    return list_failpoints(play.act, play.modules)


def try_to_die(play: Play, failpoint: Failpoint) -> str:
    """What is wrong after a death there; nothing if all is well."""
    try:
        perform(play, failpoint)
    except Exception:
        return traceback.format_exc(limit=-4)
    return ""


def report(violated: dict[str, str]) -> str:
    """All lines with trouble, and the first few troubles in full."""
    full = [f"--- {name}\n{trouble}" for name, trouble in list(violated.items())[:MOST_SHOWN]]
    return "\n".join([f"{len(violated)} of them did not end well:", *violated, *full])
