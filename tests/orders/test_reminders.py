"""Reminders: one for each order and entry, a day before, and never a surprise."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite.models import Message, User
from orders import mail, reminders, services
from orders.models import Order
from orders.tasks import owe_reminders
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory
from tests.orders.acts import statements
from tests.orders.letterbox import Outbox

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def booked(order: Order) -> Order:
    """Two places at the workshop next week, paid for."""
    services.confirm(order, cause="paid")
    return order


def reminded() -> list[tuple[Any, str, str]]:
    rows = Message.objects.filter(kind="reminder").order_by("pk")
    return list(rows.values_list("subject_uuid", "occurrence", "status"))


def before(entry: Entry, **how_long: float) -> Any:
    """At so long before it begins, with the clock standing still."""
    return time_machine.travel(entry.starts_at - timedelta(**how_long), tick=False)


def test_a_shopper_is_reminded_the_day_before(booked: Order, workshop: Entry, mailoutbox: Outbox) -> None:
    with before(workshop, hours=24):
        owe_reminders()
        mail.send_owed()

    assert reminded() == [(booked.uuid, str(workshop.uuid), "sent")]
    assert mailoutbox[-1].subject == f"A reminder of what you booked in order {booked.number}"


@pytest.mark.parametrize(("hours", "count"), [(24.01, 0), (24, 1), (0.01, 1), (0, 0), (-1, 0)])
def test_not_too_early_and_not_too_late(booked: Order, workshop: Entry, hours: float, count: int) -> None:
    with before(workshop, hours=hours):
        assert reminders.owe_due() == count


def test_the_shop_says_how_long_before(booked: Order, workshop: Entry, settings: Any) -> None:
    settings.REMIND_BEFORE = 48

    with before(workshop, hours=47):
        assert reminders.owe_due() == 1


def test_one_reminder_is_enough(booked: Order, workshop: Entry) -> None:
    with before(workshop, hours=20):
        assert (reminders.owe_due(), reminders.owe_due()) == (1, 0)

    assert len(reminded()) == 1


def test_two_places_at_one_entry_are_one_reminder_and_two_entries_are_two(
    place_order: PlaceOrder, workshop: Entry
) -> None:
    other = EntryFactory(starts_at=workshop.starts_at + timedelta(hours=1))
    services.confirm(place_order((workshop, 3), (other, 1)), cause="paid")

    with before(workshop, hours=20):
        reminders.owe_due()

    assert [occurrence for _order, occurrence, _status in reminded()] == [str(workshop.uuid), str(other.uuid)]


@pytest.mark.parametrize(("hours", "count"), [(5.99, 0), (6, 1)])
def test_who_has_just_had_the_confirmation_is_left_alone(
    place_order: PlaceOrder, workshop: Entry, hours: float, count: int
) -> None:
    with before(workshop, hours=20) as clock:
        services.confirm(place_order((workshop, 1)), cause="paid")
        clock.shift(timedelta(hours=hours))

        assert reminders.owe_due() == count


def test_nobody_is_reminded_of_what_they_have_not_bought(order: Order, workshop: Entry) -> None:
    with before(workshop, hours=20):
        assert reminders.owe_due() == 0


def test_nobody_is_reminded_of_goods(place_order: PlaceOrder, honey: Product, workshop: Entry) -> None:
    services.confirm(place_order((honey, 1)), cause="paid")

    with before(workshop, hours=20):
        assert reminders.owe_due() == 0


def test_nobody_is_reminded_of_what_is_called_off(booked: Order, workshop: Entry) -> None:
    Entry.objects.update(cancelled_at=timezone.now())

    with before(workshop, hours=20):
        assert reminders.owe_due() == 0


def test_nobody_is_reminded_of_places_they_gave_back(booked: Order, workshop: Entry, staff: User) -> None:
    services.cancel_some(booked.lines.get(kind="entry"), 2, by=staff)

    with before(workshop, hours=20):
        assert reminders.owe_due() == 0


def test_places_given_back_after_it_was_owed_are_not_reminded_of(
    booked: Order, workshop: Entry, staff: User, mailoutbox: Outbox
) -> None:
    with before(workshop, hours=20):
        reminders.owe_due()
        services.cancel_confirmed(booked, by=staff, cause="staff")
        mail.send_owed()

    assert reminded() == [(booked.uuid, str(workshop.uuid), "dropped")]


def test_one_run_owes_so_many_the_soonest_first_and_the_next_goes_on(place_order: PlaceOrder, workshop: Entry) -> None:
    later = EntryFactory(starts_at=workshop.starts_at + timedelta(hours=1))
    for entry in (later, later, workshop):
        services.confirm(place_order((entry, 1)), cause="paid")

    with before(workshop, hours=20):
        assert reminders.owe_due(most=2) == 2
        assert [occurrence for _order, occurrence, _status in reminded()] == [str(workshop.uuid), str(later.uuid)]
        assert (reminders.owe_due(most=2), reminders.owe_due(most=2)) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_owe_each_once(place_order: PlaceOrder, workshop: Entry) -> None:
    for _order in range(5):
        services.confirm(place_order((workshop, 1)), cause="paid")

    with before(workshop, hours=20):
        results_of(run_at_once(*[reminders.owe_due] * 4))

    assert len(reminded()) == 5


# --- Among very many

COPIES = 8_000
FIRST = 1_000_000  # the keys of copies lie above all others
AGAIN = """INSERT INTO {table}
SELECT (jsonb_populate_record(NULL::{table}, to_jsonb(old) || jsonb_build_object({new}))).*
FROM (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) old, generate_series(1, {copies}) n"""
KEY, FRESH, NAME = f"{FIRST} + n", "gen_random_uuid()", "'N' || n"
# Orders as the last one, each with a line and a place of its own, at entries that are an hour apart over the years.
MANY: dict[str, dict[str, str]] = {
    "bookings_entry": {
        "uuid": FRESH,
        "starts_at": f"old.starts_at + (n - {COPIES} / 2) * interval '1 hour'",
        "ends_at": f"old.ends_at + (n - {COPIES} / 2) * interval '1 hour'",
    },
    "cart_cart": {"uuid": FRESH, "token_hash": "md5(n::text)"},
    "orders_order": {"uuid": FRESH, "number": NAME, "cart_id": KEY},
    "orders_orderline": {"uuid": FRESH, "order_id": KEY, "entry_id": KEY, "hold_id": "NULL"},
    "orders_orderevent": {"order_id": KEY},
    "bookings_hold": {"uuid": FRESH, "quantity": "0"},
    "bookings_booking": {"uuid": FRESH, "code": NAME, "entry_id": KEY, "order_line_id": KEY, "hold_id": KEY},
    "cartsite_message": {"uuid": FRESH, "subject_uuid": FRESH},
}


def copy_many(table: str, columns: dict[str, str]) -> None:
    new = ", ".join(f"'{name}', {value}" for name, value in {"id": KEY, **columns}.items())
    with connection.cursor() as cursor:
        cursor.execute(AGAIN.format(table=table, new=new, copies=COPIES))
        cursor.execute(f"ANALYZE {table}")


@pytest.fixture
def crowd(place_order: PlaceOrder, workshop: Entry) -> None:
    """Thousands of orders with a place each, of which a few begin within any day."""
    services.confirm(place_order((workshop, 1)), cause="paid")
    for table, columns in MANY.items():
        copy_many(table, columns)


def nodes_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """All steps of a plan."""
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes_of(child))]


@pytest.mark.usefixtures("crowd")
def test_among_many_the_sweep_reads_only_what_begins_soon_and_asks_no_more_often(workshop: Entry) -> None:
    with before(workshop, hours=24):
        plan = json.loads(reminders.find_due()[:500].explain(analyze=True, format="json"))[0]["Plan"]

    steps = nodes_of(plan)
    assert [step["Relation Name"] for step in steps if step["Node Type"] == "Seq Scan"] == []
    assert plan["Actual Rows"] >= 24
    assert max(step["Actual Rows"] * step["Actual Loops"] for step in steps) < 200

    with before(workshop, hours=24), statements() as sent:
        owed = reminders.owe_due()

    assert owed >= 24
    assert len([sql for sql in sent if sql.startswith("SELECT")]) == 2
    assert Booking.objects.count() == COPIES + 1
