"""`manage.py close_day`: compare a day's books with SumUp's, and close it."""

from argparse import ArgumentParser
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from payments import closing
from payments.models import DailyClose
from payments.sumup import SumUpError


class Command(BaseCommand):
    help = "Compare one day (yesterday, unless told) with SumUp's history, both ways; it closes if all is explained."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--date", type=date.fromisoformat, help="The day, as YYYY-MM-DD in the shop's time zone.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Close the day, telling how far it is; exit status 1 if something is unexplained."""
        day: date = options["date"] or timezone.localdate() - timedelta(days=1)
        if day > timezone.localdate():
            raise CommandError(f"{day} has not begun.")
        try:
            close = closing.close_day(day, progress=self._tell)
        except closing.BeingClosed as error:
            raise CommandError(f"Another process is closing {day}; if it died, try again in a minute.") from error
        except SumUpError as error:
            raise CommandError(f"SumUp gives no answer ({error}); run it again, it goes on from here.") from error
        self._report(close)

    def _tell(self, close: DailyClose) -> None:
        """One line that changes on a terminal; nothing elsewhere, where the report is enough."""
        if self.stdout.isatty():
            self.stdout.write(f"\r{close.day}: {close.get_status_display()}, {close.rows_read:,} rows read", ending="")
            self.stdout.flush()

    def _report(self, close: DailyClose) -> None:
        figures = close.figures
        judged = ", ".join(f"{figures[name]:,} {name}" for name in ("matched", "explained", "unexplained"))
        if self.stdout.isatty():
            self.stdout.write("")
        self.stdout.write(f"{close.day}: {close.get_status_display()}. {figures['rows_read']:,} rows read: {judged}.")
        for finding in close.findings.select_related("case").order_by("kind", "transaction_id")[:50]:
            self.stdout.write(f"  {finding.case or 'UNEXPLAINED'}: {finding.what}")
        if close.status == DailyClose.Status.CLOSED:
            self.stdout.write(f"  Digest {close.digest}")
        elif figures["unexplained"]:
            raise CommandError(f"{figures['unexplained']} row(s) of {close.day} are unexplained.")
