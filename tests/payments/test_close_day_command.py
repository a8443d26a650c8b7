"""`manage.py close_day`: closes a day, tells how far it is, and ends with a status that a timer understands."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from time_machine import TimeMachineFixture

from cartsite.models import Case
from orders.models import Order
from payments import casework, closing
from payments.models import DailyClose
from payments.simulator import Simulator
from payments.tasks import close_days
from tests.payments.days import DAY, NEXT_MORNING, NOON, paid
from tests.payments.wire import Wire

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    """A place that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def clock(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    """It is noon in London, and stays so until a test says otherwise."""
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def day_is_over(sumup: Simulator, order: Order, clock: TimeMachineFixture) -> None:
    """One order was paid on the day, which is over."""
    paid(sumup, order)
    clock.move_to(NOON + NEXT_MORNING, tick=False)


def run(*arguments: str, out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    call_command("close_day", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def halve(wire: Wire) -> None:
    """From now on SumUp says half of every amount."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        for row in document.get("items", [document]):
            row["amount"] = row["amount"] / 2
        return document

    wire.change(change)


def test_it_closes_yesterday_unless_told_otherwise(day_is_over: None) -> None:
    said = run()

    digest = DailyClose.objects.get(day=DAY).digest
    assert said == (
        "2026-06-17: Closed: everything matched or explained. 1 rows read: 1 matched, 0 explained, 0 unexplained.\n"
        f"  Digest {digest}\n"
    )


def test_it_closes_the_day_that_it_is_told(day_is_over: None) -> None:
    run("--date", "2026-06-16")

    assert DailyClose.objects.get().day == DAY - timedelta(days=1)


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    with pytest.raises(CommandError):
        run("--date", date)


def test_a_day_that_has_not_begun_is_refused(sumup: Simulator) -> None:
    with pytest.raises(CommandError, match="2026-06-18 has not begun"):
        run("--date", "2026-06-18")

    assert not DailyClose.objects.exists()


def test_a_day_that_is_not_over_is_compared_and_that_is_said(sumup: Simulator, order: Order) -> None:
    paid(sumup, order)

    assert "Compared before the day was over" in run("--date", "2026-06-17")


def test_what_is_explained_is_named(sumup: Simulator, day_is_over: None) -> None:
    sumup.fill([("t1", "T1", 5, NOON)], payment_type="ECOM")

    said = run()

    assert "1 matched, 1 explained, 0 unexplained" in said
    assert "  Unknown money: Payment t1: ours £0.00, SumUp's £5.00\n" in said


def test_what_is_unexplained_is_named_and_ends_it_with_an_error(day_is_over: None, wire: Wire, staff: Any) -> None:
    halve(wire)
    out = io.StringIO()

    with pytest.raises(CommandError, match=r"1 row\(s\) of 2026-06-17 are unexplained"):
        run(out=out)
    casework.accept(Case.objects.unresolved().get(), by=staff, note="seen")

    assert "  UNEXPLAINED: Payment " in out.getvalue()
    assert "1 explained, 0 unexplained" in run()


def test_while_another_process_is_at_it_that_is_said(day_is_over: None) -> None:
    DailyClose.objects.create(day=DAY, leased_until=timezone.now() + closing.LEASE)

    with pytest.raises(CommandError, match="Another process is closing 2026-06-17"):
        run()


def test_where_sumup_gives_no_answer_the_next_run_goes_on(sumup: Simulator, day_is_over: None) -> None:
    sumup.behave(history="500")
    with pytest.raises(CommandError, match="it goes on from here"):
        run()

    sumup.behave(history="ok")

    assert "Closed" in run()


def test_on_a_terminal_it_tells_how_far_it_is(day_is_over: None) -> None:
    said = run(out=Terminal())

    assert said.startswith("\r2026-06-17: Comparing, 1 rows read")
    assert "\n2026-06-17: Closed" in said


def test_elsewhere_the_report_is_enough(day_is_over: None) -> None:
    assert "\r" not in run()


def test_running_it_again_says_the_same(day_is_over: None) -> None:
    assert run() == run()


def test_the_timer_does_the_same(day_is_over: None) -> None:
    close_days()

    assert DailyClose.objects.get().status == DailyClose.Status.CLOSED
