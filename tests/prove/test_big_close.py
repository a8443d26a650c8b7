"""A day of very many payments closes too, in memory that does not grow with it."""

import time
import tracemalloc
from datetime import date, timedelta

import pytest
from django.db import connection
from time_machine import TimeMachineFixture

from orders.models import Order
from payments import closing
from payments.models import DailyClose, TheirRow
from payments.simulator import Simulator
from tests.payments.days import DAY, NOON, paid
from tests.payments.many import FIRST, take_many

pytestmark = pytest.mark.django_db

FEW, MANY = 1_000, 100_000
MEBIBYTE = 2**20


class Asked:
    """How many queries are made."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        self.count += 1
        return execute(sql, params, many, context)


def close_and_measure(day: date) -> tuple[DailyClose, int, int]:
    """The day, closed; the peak of what Python allocated meanwhile (bytes), and the number of queries.

    The simulator runs in this process and makes the pages, one at a time: its part is in the peak.
    """
    asked = Asked()
    tracemalloc.start()
    with connection.execute_wrapper(asked):
        close = closing.close_day(day)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return close, peak, asked.count


def test_a_hundred_thousand_payments_close_in_the_memory_of_a_thousand(
    sumup: Simulator, order: Order, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(NOON, tick=False)
    payment = paid(sumup, order)
    take_many(sumup, payment, FEW - 1, NOON)
    next_noon = NOON + timedelta(days=1)
    take_many(sumup, payment, MANY, next_noon, start=FIRST + FEW)
    time_machine.move_to(NOON + timedelta(days=2), tick=False)
    begun = time.perf_counter()

    few, small, few_queries = close_and_measure(DAY)
    many, large, many_queries = close_and_measure(DAY + timedelta(days=1))

    seconds, sizes = time.perf_counter() - begun, f"{small / MEBIBYTE:.1f} and {large / MEBIBYTE:.1f} MiB"
    print(f"{seconds:.0f} s, {sizes}, {few_queries} and {many_queries} queries")  # noqa: T201
    for close, count in ((few, FEW), (many, MANY)):
        assert close.status == DailyClose.Status.CLOSED
        assert (close.figures["matched"], close.figures["explained"], close.figures["unexplained"]) == (count, 0, 0)
    assert large < small + 2 * MEBIBYTE
    assert many_queries / (MANY / closing.ROWS_PER_PAGE) < 10
    assert few_queries < many_queries
    assert not TheirRow.objects.exists()
