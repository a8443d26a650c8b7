"""The Celery application, and the one way to ask for work to be done soon."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import Any

from celery import Celery
from celery.signals import worker_init
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from kombu.exceptions import OperationalError

from cartsite.outages import Outage

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cartsite.settings")

app = Celery("cartsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

logger = logging.getLogger(__name__)

broker_outage = Outage("The broker", "The next sweep will do this work, and no request waits for the broker meanwhile.")

LONGEST_TURN = 120  # seconds; whoever has it so long may have died, and two at once do no harm


@worker_init.connect
def check_before_work(**_: Any) -> None:
    """Refuse to start with an account at SumUp of the wrong kind: Celery runs Django's checks, but goes on."""
    try:
        call_command("check", tags=["sumup"])
        call_command("check_sumup", starting=True)
    except CommandError as error:  # a failed check is one, too
        sys.exit(str(error))


def soon(task: Any, *args: Any) -> None:
    """Ask a worker to run the task once the current transaction has committed.

    A hint only: every task asked for this way has a sweep beneath it. A broker out of reach is logged once, not raised,
    and asked again only now and then, since shoppers wait meanwhile.
    """
    # Not a partial: it has no name, by which Django would log what else may go wrong.
    transaction.on_commit(lambda: _send(task.apply_async, args), robust=True)


def soon_by_name(task: str, *args: Any) -> None:
    """As `soon`, for a task of a room that may not be imported from here, such as `orders.tasks.send_owed_mail`."""
    transaction.on_commit(lambda: _send(partial(app.send_task, task), args), robust=True)


def one_at_a_time(work: Callable[[], None]) -> Callable[[], None]:
    """For the work of a sweep: while one run goes on, the next ones do nothing, so that no sweep fills the workers.

    Only to spare work: rows are leased, so two runs at once would do no harm, nor does a cache that is out of reach.
    """
    turn = f"turn:{work.__module__}.{work.__qualname__}"

    @wraps(work)
    def take_turn() -> None:
        if not _take(turn):
            return
        try:
            work()
        finally:
            _give_back(turn)

    return take_turn


def _take(turn: str) -> bool:
    try:
        return bool(cache.add(turn, True, LONGEST_TURN))
    except Exception:  # whatever its backend raises
        logger.warning("The cache is out of reach; sweeps may run beside each other.", exc_info=True)
        return True


def _give_back(turn: str) -> None:
    with suppress(Exception):  # then it lapses
        cache.delete(turn)


def _send(apply_async: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not broker_outage.may_ask():
        return
    try:
        apply_async(args=args, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        broker_outage.note_silence(error)
    else:
        broker_outage.note_answer()
