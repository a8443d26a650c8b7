"""Signs of life of the worker and of beat, kept in the database: they are seen with Redis away as well.

The worker writes its own, from a thread. Beat's is written by a task on its schedule, so it says that timed work
arrives: beat sent it, the broker carried it, and a worker did it.
"""

import logging
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery.signals import worker_ready
from django.db import Error, connection
from django.utils import timezone

from cartsite.models import Heartbeat

logger = logging.getLogger(__name__)

EVERY = 15  # seconds
TOO_LONG = timedelta(minutes=1)

_is_over = threading.Event()  # which a worker's end never waits for: the thread is a daemon
_is_silent: dict[str, bool] = {}  # as this process logged it last
_began = time.monotonic()


def note(who: str) -> None:
    """Write down that `worker` or `beat` is alive."""
    alive = Heartbeat(who=who, at=timezone.now())
    Heartbeat.objects.bulk_create([alive], update_conflicts=True, unique_fields=["who"], update_fields=["at"])


def heard_of(who: str) -> bool:
    """Whether there was a sign of life within the last minute. A change is logged; silence as an error."""
    alive = Heartbeat.objects.filter(who=who, at__gt=timezone.now() - TOO_LONG).exists()
    if not alive and not _is_silent.get(who) and time.monotonic() - _began > TOO_LONG.total_seconds():
        _is_silent[who] = True
        logger.error(SILENCES[who])
    if alive and _is_silent.pop(who, False):
        logger.warning("The %s is heard of again.", who)
    return alive


SILENCES = {
    "worker": "No worker was heard of for a minute: no mail goes out, and payments are looked at by their pages only.",
    "beat": "No timed work arrived for a minute: beat, the broker or every worker is away.",
}


@worker_ready.connect
def keep_noting_worker(**_: Any) -> None:
    """Write the worker's sign of life down for as long as it lives."""
    threading.Thread(target=_keep_noting, name="heartbeat", daemon=True).start()


def _keep_noting() -> None:
    while True:
        with suppress(Error):  # the database is away: so is whoever would read it
            note("worker")
        connection.close()
        if _is_over.wait(EVERY):
            return
