"""Races in slow motion."""

import time

from django.db import connection

WAITING = """SELECT count(*) FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database() AND pid <> pg_backend_pid()"""


def wait_until_somebody_is_blocked() -> None:
    """Return as soon as another connection waits for a lock. (Nobody but the test is here, so it is one of ours.)"""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(WAITING)
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.01)
    raise AssertionError("Nobody ever waited.")
