"""What happened stays as it was written down, and every step is taken by one hand."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import ProtectedError

from cartsite.models import User
from orders import services
from orders.models import LineAllocation, LineFact, Order, OrderContact, OrderEvent, OrderLine
from payments import settling
from payments.models import Movement, Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import all_rows

pytestmark = pytest.mark.django_db

STATUSES = ["awaiting_payment", "confirmed", "expired", "cancelled", "completed"]
OPEN_STEPS = {
    ("awaiting_payment", "confirmed"),
    ("awaiting_payment", "expired"),
    ("awaiting_payment", "cancelled"),
    ("confirmed", "cancelled"),
    ("confirmed", "completed"),
}


@pytest.fixture
def lived(order: Order, staff: User) -> Order:
    """An order that went through everything there is a row for."""
    services.confirm(order, cause="paid")
    services.record_fact(order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 1, by=staff)
    return order


# --- Steps


@pytest.mark.parametrize("here", STATUSES)
@pytest.mark.parametrize("there", STATUSES[1:])
def test_an_order_takes_open_steps_only(order: Order, here: str, there: str) -> None:
    Order.objects.update(status=here)
    events = order.events.count()

    moved = order.move_to(there, cause="a test")

    is_open = (here, there) in OPEN_STEPS
    assert moved == is_open
    assert order.status == Order.objects.get().status == (there if is_open else here)
    assert order.events.count() == events + is_open


def test_a_step_is_written_down_with_cause_and_person(order: Order, staff: User) -> None:
    order.move_to("cancelled", cause="staff", by=staff)

    event = order.events.last()
    assert event is not None
    assert (event.kind, event.cause, event.by) == ("cancelled", "staff", staff)


def test_there_is_no_way_back_to_awaiting_payment(order: Order) -> None:
    assert "awaiting_payment" not in Order.COMES_FROM
    assert "awaiting_payment" not in Order.REVIVES_FROM


@pytest.mark.django_db(transaction=True)
def test_of_hands_that_take_different_steps_at_once_one_is_told_true(order: Order) -> None:
    def step(to: str) -> bool:
        return Order.objects.get().move_to(to, cause=to)

    for _again in range(3):
        Order.objects.update(status="awaiting_payment")
        to = ["confirmed", "expired"] * 4

        answers = results_of(run_at_once(*(lambda to=to: step(to) for to in to)))

        assert answers.count(True) == 1
        assert Order.objects.get().status == to[answers.index(True)] == order.events.last().kind  # type: ignore[union-attr]


# --- Rows that stay


@pytest.mark.parametrize("model", [OrderEvent, LineFact, LineAllocation])
def test_what_was_written_down_is_never_changed(lived: Order, model: type[models.Model]) -> None:
    field = model._meta.pk.name if model is OrderEvent else "id"  # any assignment at all is refused
    before = all_rows()

    with pytest.raises(DatabaseError, match=r"UPDATE of .* is refused"), transaction.atomic():
        model._default_manager.update(**{field: models.F(field)})

    assert all_rows() == before


@pytest.mark.parametrize("model", [OrderEvent, LineFact, LineAllocation, Order, OrderLine])
def test_what_happened_is_never_deleted(lived: Order, model: type[models.Model]) -> None:
    before = all_rows()

    with pytest.raises((DatabaseError, ProtectedError)), transaction.atomic():
        model._default_manager.all().delete()
    with (
        pytest.raises(DatabaseError, match=r"DELETE of .* is refused"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"DELETE FROM {model._meta.db_table}")

    assert all_rows() == before


def test_a_contact_may_be_erased(lived: Order) -> None:
    OrderContact.objects.all().delete()

    assert Order.objects.get() == lived


def test_a_person_who_did_something_cannot_be_deleted(lived: Order, staff: User) -> None:
    with pytest.raises((ProtectedError, IntegrityError)):
        staff.delete()

    assert User.objects.filter(pk=staff.pk).exists()


# --- The feed


@pytest.mark.django_db(transaction=True)
def test_an_event_names_the_transaction_that_wrote_it(order: Order) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        order.record("one")
        order.record("two")
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (ours,) = cursor.fetchone()
    order.record("three")

    found = dict(order.events.values_list("kind", "transaction_id"))
    assert found["one"] == found["two"] == ours
    assert found["three"] > ours > found["placed"]


@pytest.mark.django_db(transaction=True)
def test_an_event_of_a_nested_step_names_the_whole_transaction(order: Order) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        services.confirm(order, cause="paid")
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (ours,) = cursor.fetchone()

    assert order.events.get(kind="confirmed").transaction_id == ours


# --- Personal data


def test_a_whole_life_leaves_no_personal_data_outside_its_own_rows(
    payment: Payment, sumup: Simulator, staff: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    OrderContact.objects.update(name="Grace Example", email="grace@mail.example")
    order = payment.order
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    order.refresh_from_db()
    services.cancel_confirmed(order, by=staff, cause="staff")

    assert Movement.objects.exists()
    elsewhere = {label: str(rows) for label, rows in all_rows().items() if label != "orders.OrderContact"}
    assert [label for label, rows in elsewhere.items() if "Grace" in rows or "grace@" in rows] == []
    assert "grace@" not in str(sumup.requests) + str(sumup.checkouts())
    assert "grace@" not in caplog.text
