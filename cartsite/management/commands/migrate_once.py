"""`manage.py migrate_once`: migrate, while other processes that want to do the same wait."""

import time

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

LOCK = 20_260_119  # any number that nothing else in this database locks
BETWEEN_TRIES = 0.5  # seconds


class Command(BaseCommand):
    help = "Migrate. Of several processes that do so at once one works, and the others wait for it."

    def handle(self, *args: object, **options: object) -> None:
        """Take the turn, migrate, and give the turn to the next. PostgreSQL takes it from a process that died."""
        self._take_turn()
        try:
            call_command("migrate", interactive=False, verbosity=options["verbosity"])
        finally:
            self._ask("SELECT pg_advisory_unlock(%s)")

    def _take_turn(self) -> None:
        """Ask again and again. A statement that waited for the lock would be one that CREATE INDEX CONCURRENTLY waits
        for: each would wait for the other."""
        if self._ask("SELECT pg_try_advisory_lock(%s)"):
            return
        self.stdout.write("Another process migrates the database; waiting for it.")
        self.stdout.flush()  # it may take a while, and a log that is a pipe would not show it
        while not self._ask("SELECT pg_try_advisory_lock(%s)"):
            time.sleep(BETWEEN_TRIES)

    def _ask(self, question: str) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(question, [LOCK])
            (answer,) = cursor.fetchone()
        return bool(answer)
