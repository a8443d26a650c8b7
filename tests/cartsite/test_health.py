"""Alive, and ready: what a load balancer asks."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from cartsite.celery import app
from cartsite.views import health


@pytest.fixture
def broker() -> Iterator[Any]:
    """Celery's own settings; its broker is put back afterwards."""
    url = app.conf.broker_url
    yield app.conf
    app.conf.broker_url = url


def test_alive_needs_nothing(client: Client) -> None:
    response = client.get("/healthz")  # no database is allowed here

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
def test_ready_with_database_migrations_and_broker(client: Client, broker: Any) -> None:
    broker.broker_url = "memory://"

    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": True, "broker": True}


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0", "amqp://127.0.0.1:9//"])
def test_a_broker_out_of_reach_is_named(client: Client, broker: Any, url: str) -> None:
    broker.broker_url = url

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "database": True, "broker": False}


@pytest.mark.django_db
def test_a_missing_migration_is_named(client: Client, broker: Any) -> None:
    broker.broker_url = "memory://"
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("orders")
    MigrationRecorder(connection).record_unapplied(*newest[0])

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "database": False, "broker": True}


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
