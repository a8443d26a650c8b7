"""Alive, and ready: what a load balancer asks."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.signals import worker_ready
from django.conf import settings as shop_settings
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from time_machine import TimeMachineFixture

from cartsite import heartbeats, tasks
from cartsite.celery import app
from cartsite.models import Heartbeat
from cartsite.views import health
from tests.dev.conftest import eventually

ALL_WELL = {"worker": True, "beat": True}


@pytest.fixture
def _alive(db: None) -> None:
    """Worker and beat have just been heard of."""
    heartbeats.note("worker")
    heartbeats.note("beat")


@pytest.fixture
def broker() -> Iterator[Any]:
    """Celery's own settings; its broker is put back afterwards."""
    url = app.conf.broker_url
    yield app.conf
    app.conf.broker_url = url


def test_alive_needs_nothing(client: Client) -> None:
    response = client.get("/healthz")  # no database is allowed here

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.usefixtures("_alive")
@pytest.mark.django_db
def test_ready_with_database_migrations_and_broker(client: Client, broker: Any) -> None:
    broker.broker_url = "memory://"

    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": True, "broker": True, **ALL_WELL}


@pytest.mark.usefixtures("_alive")
@pytest.mark.django_db
@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0", "amqp://127.0.0.1:9//"])
def test_a_broker_out_of_reach_is_named(client: Client, broker: Any, url: str) -> None:
    broker.broker_url = url

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "database": True, "broker": False, **ALL_WELL}


@pytest.mark.usefixtures("_alive")
@pytest.mark.django_db
def test_a_missing_migration_is_named(client: Client, broker: Any) -> None:
    broker.broker_url = "memory://"
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("orders")
    MigrationRecorder(connection).record_unapplied(*newest[0])

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "database": False, "broker": True, **ALL_WELL}


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_out_of_reach_is_named(
    client: Client, broker: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(_connection: object) -> None:
        raise error("the database system is shutting down")

    broker.broker_url = "memory://"
    monkeypatch.setattr(health, "MigrationExecutor", refuse)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["database"] is False


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_only_looked_at(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", ["/healthz"])
def test_health_is_told_without_https(client: Client, settings: Any, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert client.get(path).status_code == 200
    assert client.get("/").status_code == 301


# --- Worker and beat --------------------------------------------------------------------------------------------------


@pytest.fixture
def helpers(client: Client, broker: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Any, ...]]:
    """What /readyz says: its HTTP status, and whether worker and beat are heard of. This process is not fresh."""
    broker.broker_url = "memory://"
    monkeypatch.setattr(heartbeats, "_began", float("-inf"))
    monkeypatch.setattr(heartbeats, "_is_silent", {})

    def ask() -> tuple[Any, ...]:
        response = client.get("/readyz")
        return response.status_code, response.json()["worker"], response.json()["beat"]

    return ask


def test_without_worker_and_beat_pages_are_served_and_readyz_says_so(helpers: Any) -> None:
    assert helpers() == (200, False, False)


def test_beat_counts_by_the_task_that_it_sends(helpers: Any) -> None:
    heartbeats.note("worker")
    before = helpers()

    tasks.note_beat()

    assert (before, helpers()) == ((200, True, False), (200, True, True))


@pytest.mark.usefixtures("_alive")
def test_after_a_minute_of_silence_readyz_says_so(helpers: Any, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(timezone.now())
    time_machine.shift(59)
    still = helpers()
    time_machine.shift(2)

    assert (still, helpers()) == ((200, True, True), (200, False, False))


def test_silence_is_logged_once_as_an_error_and_so_is_its_end(helpers: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        helpers()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    heartbeats.note("worker")
    helpers()

    assert len(errors) == 2
    assert errors[0].startswith("No worker was heard of for a minute")
    assert "The worker is heard of again." in caplog.text


def test_a_fresh_process_does_not_complain_yet(
    helpers: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeats, "_began", float("inf"))

    helpers()

    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_ready_writes_its_sign_of_life_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    over.set()  # after the first one
    monkeypatch.setattr(heartbeats, "_is_over", over)

    worker_ready.send(sender=None)

    assert eventually(Heartbeat.objects.filter(who="worker").exists)
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(30)


def test_beat_sends_it_often_enough() -> None:
    planned = [
        each for each in shop_settings.CELERY_BEAT_SCHEDULE.values() if each["task"] == "cartsite.tasks.note_beat"
    ]

    assert [each["schedule"] for each in planned] == [15]


@pytest.mark.django_db
def test_a_database_out_of_reach_cannot_tell_of_them(
    client: Client, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_who: str) -> None:
        raise OperationalError("the database system is shutting down")

    broker.broker_url = "memory://"
    monkeypatch.setattr(heartbeats, "heard_of", refuse)

    assert client.get("/readyz").json()["worker"] is None
