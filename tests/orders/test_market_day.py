"""A small market day: some shoppers at once for fewer places, over HTTP. (The big one is in tests/prove.)"""

from typing import Any

import pytest
from django.db import connection

from bookings.auditing import audit
from payments import releasing, sweeping
from payments.simulator import Simulator
from tests.factories import EntryFactory
from tests.invariants import assert_books_balance
from tests.marketday.day import Backstage, assert_a_good_day, hold_market
from tests.marketday.shopping import Fair

pytestmark = pytest.mark.django_db(transaction=True)

SHOPPERS, AT_ONCE, PLACES = 40, 8, 5


def ask(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def work() -> None:
    """A minute later: what waits for its next step or a second look is due."""
    ask("UPDATE orders_order SET next_step_at = now() WHERE status = 'awaiting_payment'")
    ask("UPDATE payments_payment SET next_look_at = now(), expired_since = expired_since - interval '1 minute'")
    sweeping.sweep()
    releasing.sweep()


def test_of_many_shoppers_at_once_just_as_many_get_a_place_as_there_are(
    live_server: Any, sumup: Simulator, settings: Any
) -> None:
    settings.LIMITS_SPARE_LOOPBACK = True  # one machine plays them all
    settings.PUBLIC_URL = live_server.url
    entry = EntryFactory(places=PLACES, calendar__ask_names=True)
    fair, backstage = Fair(live_server.url, entry.pk), Backstage(ask, work, entry.pk)

    visitors = hold_market(fair, backstage, shoppers=SHOPPERS, at_once=AT_ONCE, places=PLACES)

    assert_a_good_day(fair, backstage, visitors, places=PLACES)
    assert_books_balance()
    assert list(audit()) == []
