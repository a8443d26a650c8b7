"""Webs that are started together with MIGRATE=1 on an empty database migrate it once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from cartsite.dev.postgres import CHECKOUT
from cartsite.management.commands.migrate_once import LOCK

NAME = "migrate_once"
PATIENCE = 300  # seconds; only a deadlock takes so long


@pytest.fixture
def empty_database(transactional_db: None) -> Iterator[dict[str, Any]]:
    """How to connect to a database in which there is nothing."""
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    _administer("CREATE DATABASE {}")
    given = connection.get_connection_params()
    yield {name: given[name] for name in ("host", "port", "user", "password") if given.get(name)} | {"dbname": _name()}
    _administer("DROP DATABASE {} WITH (FORCE)")


def _name() -> str:
    """The database's name: each worker of the tests has its own."""
    return f"{NAME}_{connection.settings_dict['NAME']}"


def _administer(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(connection.ops.quote_name(_name())))


def begin(*command: str) -> subprocess.Popen[str]:
    """Start manage.py on the empty database."""
    url = urlsplit(settings.DATABASE_URL)
    address = url._replace(path=f"{url.path.rpartition('/')[0]}/{_name()}").geturl()
    return subprocess.Popen(
        [sys.executable, "manage.py", *command, "--skip-checks"],
        cwd=CHECKOUT,
        env=os.environ | {"DATABASE_URL": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_several_that_start_at_once_on_an_empty_database_all_find_it_migrated(empty_database: dict[str, Any]) -> None:
    started = [begin("migrate_once") for _ in range(3)]

    said = [each.communicate(timeout=PATIENCE)[0] for each in started]

    assert [each.returncode for each in started] == [0, 0, 0], said
    with psycopg.connect(**empty_database) as looking:
        applied = looking.execute("SELECT app, name FROM django_migrations").fetchall()
    assert len(applied) == len(set(applied)) > 50
    assert sum("Applying" in each for each in said) == 1


def test_the_entry_point_of_the_image_migrates_this_way() -> None:
    migrating = [line.strip() for line in (CHECKOUT / "entrypoint.sh").read_text().splitlines() if "migrate_" in line]

    assert migrating == ["python manage.py migrate_once"]


def test_who_waits_does_not_hold_an_index_up_that_is_built_concurrently(empty_database: dict[str, Any]) -> None:
    with psycopg.connect(**empty_database, autocommit=True) as migrating:
        migrating.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        migrating.execute("CREATE TABLE jar (honey int)")
        waiting = begin("migrate_once")
        assert waiting.stdout
        assert waiting.stdout.readline() == "Another process migrates the database; waiting for it.\n"

        migrating.execute("SET statement_timeout = '60s'")
        migrating.execute("CREATE INDEX CONCURRENTLY jar_honey ON jar (honey)")

        waiting.kill()
        waiting.wait()
