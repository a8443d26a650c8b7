"""Work done in a process of its own that a test can kill (kill -9): a fork, since the work is a test's own closure."""

import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from django.db import connections

from payments import sumup

PATIENCE = 60  # seconds; only a deadlock takes so long


def fork(work: Callable[[], Any]) -> int:
    """Start a process that does this work and ends; returns its process id.

    It shares no connection with this process. Python 3.12 and later warn that a fork copies locks which other threads
    hold. Here those threads belong to the simulator's server, and the child takes none of their locks; should it wait
    for one all the same, its alarm ends it and the test fails.
    """
    connections.close_all()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _work_and_exit(work)
    return pid


def _work_and_exit(work: Callable[[], Any]) -> NoReturn:
    """Be the child: status 0 if the work came to its end, else 1. Nothing of the test's own ending runs."""
    status = 1
    try:
        signal.alarm(PATIENCE)  # the alarm's death is no SIGKILL, so no test takes it for the one it asked for
        sumup._session.close()
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
