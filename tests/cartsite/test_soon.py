"""Asking for work to be done soon: a hint that costs a shopper next to nothing, even with Redis out of reach."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from cartsite import celery
from cartsite.dev.postgres import CHECKOUT

pytestmark = pytest.mark.django_db(transaction=True)

ASK_THREE_TIMES = """
import json, django
django.setup()
from cartsite.celery import app, soon
from payments.tasks import look_at
for payment in range(3):
    soon(look_at, payment)
conf = app.conf
print(json.dumps([conf.broker_transport_options, conf.broker_connection_max_retries]))
"""


class DeadRedis:
    """Something at Redis's address that counts who comes, and hangs up on them."""

    def __init__(self) -> None:
        self.visits = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}/0"
        threading.Thread(target=self._hang_up, daemon=True).start()

    def _hang_up(self) -> None:
        while True:
            try:
                visitor, _address = self._door.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()

    def close(self) -> None:
        self._door.close()


@pytest.fixture
def dead_redis() -> Iterator[DeadRedis]:
    redis = DeadRedis()
    yield redis
    redis.close()


def ask_three_times(broker: str) -> subprocess.CompletedProcess[str]:
    """What a process of the shop says that asks for work thrice, with this broker."""
    return subprocess.run(
        [sys.executable, "-c", ASK_THREE_TIMES],
        cwd=CHECKOUT,
        env=os.environ | {"CELERY_BROKER_URL": broker, "DJANGO_SETTINGS_MODULE": "cartsite.settings"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_redis_out_of_reach_is_asked_once_and_not_for_long_and_then_left_alone(dead_redis: DeadRedis) -> None:
    ended = ask_three_times(dead_redis.url)

    options, max_retries = json.loads(ended.stdout)
    assert (ended.returncode, dead_redis.visits) == (0, 1)
    assert ended.stderr.count("The broker is out of reach") == 1
    # A Redis that does not even hang up is waited for no longer than this; a worker waits in it for a second at a time.
    assert options["socket_connect_timeout"] <= 2
    assert 1 < options["socket_timeout"] <= 5
    # Workers and beat have terms of their own: they come back however long it takes.
    assert max_retries is None


class Task:
    """A task whose broker is as the test says."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Any] = []

    def apply_async(self, **options: Any) -> None:
        """Take the message, or not."""
        self.asked.append(options)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [OperationalError("gone"), ConnectionRefusedError(), TimeoutError()])
def test_a_broker_out_of_reach_is_logged_and_stops_nothing(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    task = Task(error)

    with transaction.atomic():
        celery.soon(task, 7)

    assert task.asked == [{"args": (7,), "retry": False, "ignore_result": True}]
    assert "The broker is out of reach" in caplog.text


def test_whatever_else_goes_wrong_the_next_one_is_still_asked_for() -> None:
    broken, well = Task(ZeroDivisionError()), Task()

    with transaction.atomic():
        celery.soon(broken)
        celery.soon(well)

    assert len(well.asked) == 1


def test_nothing_is_asked_for_before_the_change_is_committed_nor_if_it_never_is() -> None:
    kept, dropped = Task(), Task()

    with transaction.atomic():
        celery.soon(kept)
        early = len(kept.asked)
    with transaction.atomic():
        celery.soon(dropped)
        transaction.set_rollback(True)

    assert (early, len(kept.asked), len(dropped.asked)) == (0, 1, 0)
