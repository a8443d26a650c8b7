"""Processes that are killed (kill -9) at a named line: the shop's own code knows nothing of it.

The work is done in a forked process. A tracer tells it which line of ours is about to run; at the chosen one the
process kills itself. A first run without killing lists the lines that do run, so the list looks after itself.
"""

import json
import linecache
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, FrameType
from typing import Any
from unittest.mock import patch

from django.core.mail import EmailMessage
from django.db import connection

from payments import sumup
from tests.support.forked import PATIENCE, fork

Act = Callable[[], Any]
Notice = Callable[[str, str], None]

END = "(end)"  # what stands for a line where a function has done all, but has not been left


@dataclass(frozen=True)
class Failpoint:
    """A moment: just before this line of this function runs for the nth time, such as
    `refunds.send: _conclude(refund, answer, refused=refused)`."""

    where: str  # module and function
    line: str  # the line's text, or how it begins
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.line}" + (f" (time {self.nth})" if self.nth > 1 else "")

    @property
    def module(self) -> str:
        return self.where.partition(".")[0]

    def is_at(self, where: str, line: str) -> bool:
        return self.where == where and line.startswith(self.line)


@dataclass(frozen=True)
class Step:
    """A line that ran, and how much had happened by then that no death undoes."""

    where: str
    line: str
    lasting: int


def list_failpoints(act: Act, modules: tuple[str, ...]) -> list[Failpoint]:
    """Do the work in a process of its own to its end; every line of these modules that ran, for the first time and for
    the last, in order."""
    steps = _record(act, modules)
    times = Counter((step.where, step.line) for step in steps)
    named = _name_steps(steps)
    return [point for step, point, time in named if time in (1, times[step.where, step.line])]


def list_boundaries(act: Act, modules: tuple[str, ...]) -> list[Failpoint]:
    """Of those, only the last before each commit, call of SumUp and mail: what a death there leaves differs."""
    return list({step.lasting: point for step, point, _time in _name_steps(_record(act, modules))}.values())


def _record(act: Act, modules: tuple[str, ...]) -> list[Step]:
    reader, writer = os.pipe()

    def work() -> None:
        steps: list[tuple[str, str, int]] = []
        with _count_what_lasts() as lasting:
            _run_traced(act, modules, lambda where, line: steps.append((where, line, lasting.total())))
        with os.fdopen(writer, "w") as out:
            json.dump(steps, out)

    pid = fork(work)
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    _pid, status = os.waitpid(pid, 0)
    assert status == 0, "It did not come to its end."
    return [Step(*step) for step in json.loads(text)]


def _name_steps(steps: list[Step]) -> Iterator[tuple[Step, Failpoint, int]]:
    """Each step as a failpoint (the nth that begins with its line), and how often its very line has run by then."""
    seen: Counter[tuple[str, str]] = Counter()
    for step in steps:
        seen[step.where, step.line] += 1
        nth = sum(n for (at, text), n in seen.items() if at == step.where and text.startswith(step.line))
        yield step, Failpoint(step.where, step.line, nth), seen[step.where, step.line]


@contextmanager
def _count_what_lasts() -> Iterator[Counter[str]]:
    """Count commits, statements outside of transactions, calls of SumUp and mails."""
    lasting: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> Any:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return real(*args, **kwargs)
            finally:
                lasting[name] += 1

        return patch.object(owner, name, call)

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        lasting["statement"] += not connection.in_atomic_block and not sql.startswith("SELECT")
        return result

    with (
        counted(connection, "_commit"),
        counted(sumup._session, "request"),
        counted(EmailMessage, "send"),
        connection.execute_wrapper(note),
    ):
        yield lasting


def die_at(failpoint: Failpoint, act: Act, modules: tuple[str, ...]) -> None:
    """Do the work in a process of its own, which is killed there; when this returns, nothing of it is left."""
    seen = 0

    def notice(where: str, line: str) -> None:
        nonlocal seen
        seen += failpoint.is_at(where, line)
        if seen == failpoint.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    pid = fork(lambda: _run_traced(act, modules, notice))
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"It never came to {failpoint}"
    wait_for_the_dead()


def wait_for_the_dead() -> None:
    """Wait until the database has noticed that nobody is there any more, and has undone what was not committed."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    for _try in range(PATIENCE * 200):
        with connection.cursor() as cursor:
            cursor.execute(others)
            if cursor.fetchone()[0] == 0:
                return
        time.sleep(0.005)
    raise AssertionError("The database still has a connection of the dead.")


def _run_traced(act: Act, modules: tuple[str, ...], notice: Notice) -> None:
    """Do the work, and tell of every line of these modules before it runs."""
    names = {str(import_module(name).__file__): name.rpartition(".")[2] for name in modules}

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in names:
            return None
        if event in ("line", "return"):
            text = END if event == "return" else linecache.getline(code.co_filename, frame.f_lineno).strip()
            notice(f"{names[code.co_filename]}.{_name(code)}", text)
        return trace

    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(None)


def _name(code: CodeType) -> str:
    return code.co_qualname.replace(".<locals>", "")
