"""A market day over HTTP against the real demo: 500 shoppers, 80 at once, for 20 places.

The site, the worker, beat, PostgreSQL and SumUp's simulator are processes of their own, from a copy of the checkout
with fresh data. Time passes by moving deadlines in the database; everything else goes over the pages.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cartsite.dev.demo import environment
from tests.dev.conftest import nothing_left, place  # noqa: F401 - fixtures
from tests.dev.whole import copy_checkout, database, free_ports, make_demo
from tests.marketday.day import Backstage, assert_a_good_day, hold_market
from tests.marketday.shopping import Fair

SHOPPERS, AT_ONCE, PLACES = 500, 80, 20

NEW_ENTRY = f"""
from datetime import timedelta
from django.utils import timezone
from bookings import capacity
from bookings.models import Calendar, Entry
calendar = Calendar.objects.filter(questions__isnull=False).first()
Calendar.objects.filter(pk=calendar.pk).update(ask_names=True)
starts = timezone.now() + timedelta(days=7)
entry = Entry.objects.create(calendar=calendar, title="Market day", pool=capacity.new_pool("Market day", {PLACES}),
    starts_at=starts, ends_at=starts + timedelta(hours=2), price=12, tax_rate=0)
print(entry.pk)
"""


class Demo:
    """A demo of its own, which runs."""

    def __init__(self, checkout: Path, ports: tuple[int, int]) -> None:
        self.checkout, self.ports = checkout, ports
        self.process = make_demo(checkout, ports)
        self.shop, self.sumup = (f"http://127.0.0.1:{port}" for port in ports)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the shop beside it."""
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        told = inherited | environment(*self.ports, inherited | {"DATABASE_URL": ""})
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.checkout,
            env=told,
            capture_output=True,
            text=True,
            check=False,
        )

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement on its database."""
        with database(self.checkout) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def charged(self) -> int:
        """How many payments SumUp knows to have gone through."""
        path = "/v2.1/merchants/MROSEASH/transactions/history?limit=100&types%5B%5D=PAYMENT"
        answer = requests.get(self.sumup + path, headers={"Authorization": "Bearer sup_sk_simulator"}, timeout=30)
        return sum(row["status"] == "SUCCESSFUL" for row in answer.json()["items"])


@pytest.fixture
def demo(place: Path) -> Iterator[Demo]:  # noqa: F811
    demo = Demo(copy_checkout(place), free_ports())
    yield demo
    demo.process.terminate()
    demo.process.communicate()


def test_five_hundred_shoppers_want_twenty_places(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    entry = int(demo.manage("shell", "-v", "0", "-c", NEW_ENTRY).stdout)
    fair, backstage = Fair(demo.shop, entry), Backstage(demo.ask, lambda: None, entry)
    began = time.monotonic()

    visitors = hold_market(fair, backstage, shoppers=SHOPPERS, at_once=AT_ONCE, places=PLACES)

    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{seconds:.0f} s, {fair.answers.total()} answers: {dict(sorted(fair.answers.items()))}")  # noqa: T201
    assert_a_good_day(fair, backstage, visitors, places=PLACES)
    assert demo.charged() == backstage.count("payments_movement WHERE kind = 'capture'")
    audit = demo.manage("audit_capacity", "--json")
    assert (audit.returncode, [json.loads(line) for line in audit.stdout.splitlines()]) == (0, [])
