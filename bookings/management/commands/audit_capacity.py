"""`manage.py audit_capacity`: does what is taken agree with what holds and bookings say?"""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from bookings.auditing import CHECKS, Finding, audit


class Command(BaseCommand):
    help = "Compare every pool with its holds and bookings. It reports what is off (exit status 1) and repairs nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object on each line, for other programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell each finding on a line of its own, as it is found; how far it is goes to the error stream."""
        self.looked_at = found = 0
        for found, finding in enumerate(audit(self._tell), start=1):  # noqa: B007 - how many is asked for after it
            self.stdout.write(_as_json(finding) if options["json"] else str(finding))
        self.stderr.write(f"{found} finding(s).", self.style.ERROR if found else self.style.SUCCESS)
        if found:
            sys.exit(1)

    def _tell(self, what: str) -> None:
        self.looked_at += 1
        self.stderr.write(f"{self.looked_at} of {len(CHECKS)}: {what}...", self.style.NOTICE)


def _as_json(finding: Finding) -> str:
    return json.dumps(asdict(finding), ensure_ascii=False)
