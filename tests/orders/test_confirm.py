"""The money is ours: what was bought is made good, once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from bookings.models import Booking, Entry, Hold, Pool
from cart.models import Product
from cartsite.models import Case, Message
from orders import services
from orders.models import Order
from orders.tasks import send_owed_mail
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, ProductFactory
from tests.orders.acts import all_rows

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


def test_confirming_issues_a_booking_for_every_place(order: Order, workshop: Entry) -> None:
    assert services.confirm(order, cause="paid")

    bookings = list(Booking.objects.all())
    assert [(booking.entry, booking.status) for booking in bookings] == [(workshop, "confirmed")] * 2
    assert len({booking.code for booking in bookings}) == 2
    assert {booking.order_line for booking in bookings} == {order.lines.get(kind="entry")}


def test_every_booking_has_a_hold_of_its_own_and_nothing_is_claimed(order: Order) -> None:
    services.confirm(order, cause="paid")

    assert [(b.hold.quantity, b.hold.until) for b in Booking.objects.select_related("hold")] == [(1, None)] * 2
    assert Pool.objects.get().taken == 2
    assert sum(Hold.objects.values_list("quantity", flat=True)) == 2


def test_places_at_several_entries_of_one_pool_go_to_their_own_entry(place_order: PlaceOrder, workshop: Entry) -> None:
    seated = EntryFactory(pool=workshop.pool, title="With a seat")
    order = place_order((workshop, 1), (seated, 3))

    services.confirm(order, cause="paid")

    assert (workshop.bookings.count(), seated.bookings.count()) == (1, 3)
    assert Pool.objects.get().taken == 4


def test_confirmed_goods_stay_held_until_they_are_collected(place_order: PlaceOrder) -> None:
    order = place_order((ProductFactory(stock=5), 2))

    services.confirm(order, cause="paid")

    hold = order.lines.get().hold
    assert hold is not None
    assert (hold.quantity, hold.until) == (2, None)


def test_a_second_confirmation_does_nothing(order: Order) -> None:
    services.confirm(order, cause="paid")
    before = all_rows()

    assert not services.confirm(order, cause="paid")

    assert all_rows() == before


@pytest.mark.parametrize("status", ["expired", "cancelled", "completed"])
def test_an_order_that_does_not_wait_for_money_is_not_confirmed(order: Order, status: str) -> None:
    Order.objects.update(status=status)
    before = all_rows()

    assert not services.confirm(order, cause="paid")

    assert all_rows() == before
    assert order.status == status


def test_confirming_ends_a_closing(order: Order) -> None:
    Order.objects.update(closing_since=timezone.now(), closing_to="expired", closing_by="timer")

    assert services.confirm(order, cause="paid")

    order.refresh_from_db()
    assert (order.closing_since, order.closing_to, order.closing_by) == (None, "", "")


def test_confirming_owes_one_mail(order: Order) -> None:
    services.confirm(order, cause="paid")

    message = Message.objects.get()
    assert (message.subject_type, message.subject_uuid, message.kind) == ("orders.order", order.uuid, "confirmation")
    assert message.status == "owed"


def test_confirming_asks_a_worker_to_send_the_mail_once_it_is_committed(
    order: Order, django_capture_on_commit_callbacks: Callable[..., list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("cartsite.celery.app.send_task", lambda name, **_options: asked.append(name))

    with django_capture_on_commit_callbacks(execute=True):
        services.confirm(order, cause="paid")
        assert asked == []

    assert asked == [send_owed_mail.name]


def test_a_broker_out_of_reach_delays_no_confirmation(
    order: Order, django_capture_on_commit_callbacks: Callable[..., list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str, **_options: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("cartsite.celery.app.send_task", refuse)

    with django_capture_on_commit_callbacks(execute=True):
        assert services.confirm(order, cause="paid")

    assert Message.objects.get().status == "owed"


def test_a_place_at_an_entry_called_off_meanwhile_is_a_case_and_no_booking(
    place_order: PlaceOrder, honey: Product, workshop: Entry
) -> None:
    other = EntryFactory()
    order = place_order((honey, 1), (workshop, 2), (other, 1))
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=timezone.now())

    assert services.confirm(order, cause="paid")

    assert [booking.entry for booking in Booking.objects.all()] == [other]
    case = Case.objects.get()
    assert (case.kind, case.subject_uuid) == ("entry_cancelled", order.lines.get(entry=workshop).uuid)
    assert (str(case.at_stake), case.status) == ("70.00", "open")
    assert order.number in case.what_happened
    assert Message.objects.count() == 1


# --- Late money


def expire(order: Order) -> None:
    """Let the order go as its timer would."""
    Order.objects.filter(pk=order.pk).update(closing_since=timezone.now(), closing_to="expired", closing_by="timer")
    order.refresh_from_db()
    assert services.let_go(order, None)


def test_late_money_claims_everything_again(place_order: PlaceOrder, workshop: Entry) -> None:
    order = place_order((workshop, 2), (ProductFactory(stock=5), 3))
    expire(order)
    assert set(Pool.objects.values_list("taken", flat=True)) == {0}

    assert services.revive(order, cause="late payment")

    assert order.status == "confirmed"
    assert list(Pool.objects.order_by("pk").values_list("taken", flat=True)) == [2, 3]
    assert Booking.objects.count() == 2
    assert list(Message.objects.order_by("pk").values_list("kind", flat=True)) == ["expired", "confirmation"]
    assert [event.kind for event in order.events.all()] == ["placed", "expired", "confirmed"]


def test_late_money_for_what_is_sold_out_moves_nothing(place_order: PlaceOrder, workshop: Entry) -> None:
    counted = ProductFactory(stock=5)
    order = place_order((counted, 3), (workshop, 2))
    expire(order)
    place_order((workshop, 9))
    before = all_rows()

    assert not services.revive(order, cause="late payment")

    assert all_rows() == before
    assert order.status == "expired"


def test_late_money_for_an_entry_that_is_over_moves_nothing(place_order: PlaceOrder, workshop: Entry) -> None:
    order = place_order((workshop, 2))
    expire(order)
    Entry.objects.update(booking_closes_at=timezone.now() - timedelta(minutes=1))
    before = all_rows()

    assert not services.revive(order, cause="late payment")

    assert all_rows() == before


def test_an_order_is_revived_once(order: Order) -> None:
    expire(order)
    services.revive(order, cause="late payment")
    before = all_rows()

    assert not services.revive(order, cause="late payment")

    assert all_rows() == before


@pytest.mark.parametrize("status", ["awaiting_payment", "confirmed", "cancelled", "completed"])
def test_a_machine_revives_expired_orders_only(order: Order, status: str) -> None:
    Order.objects.update(status=status)
    before = all_rows()

    assert not services.revive(order, cause="late payment")

    assert all_rows() == before


def test_a_person_may_revive_what_was_cancelled(order: Order, staff: object) -> None:
    Order.objects.update(closing_since=timezone.now(), closing_to="cancelled", closing_by="staff")
    order.refresh_from_db()
    services.let_go(order, None)

    assert services.revive(order, cause="staff", by=staff)  # type: ignore[arg-type]

    assert order.status == "confirmed"
    assert Pool.objects.get().taken == 2


def test_a_place_revived_at_a_cancelled_entry_is_a_case(place_order: PlaceOrder, workshop: Entry) -> None:
    order = place_order((workshop, 2))
    expire(order)
    Entry.objects.update(cancelled_at=timezone.now())

    assert services.revive(order, cause="late payment")

    assert not Booking.objects.exists()
    assert Case.objects.get().kind == "entry_cancelled"


# --- At once


@pytest.mark.django_db(transaction=True)
def test_an_order_confirmed_by_eight_at_once_is_confirmed_once(order: Order) -> None:
    def confirm() -> bool:
        return services.confirm(Order.objects.get(), cause="paid")

    answers = results_of(run_at_once(*[confirm] * 8))

    assert sorted(answers) == [False] * 7 + [True]
    assert Booking.objects.count() == 2
    assert Message.objects.count() == 1
    assert order.events.filter(kind="confirmed").count() == 1
    assert Pool.objects.get().taken == 2


@pytest.mark.django_db(transaction=True)
def test_an_order_revived_by_eight_at_once_is_revived_once(order: Order) -> None:
    expire(order)

    def revive() -> bool:
        return services.revive(Order.objects.get(), cause="late payment")

    answers = results_of(run_at_once(*[revive] * 8))

    assert sorted(answers) == [False] * 7 + [True]
    assert Pool.objects.get().taken == 2
    assert Booking.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_last_places_go_to_one_of_two_late_payments(place_order: PlaceOrder, workshop: Entry) -> None:
    orders = []
    for _rival in range(4):
        orders.append(place_order((workshop, 6)))
        expire(orders[-1])

    answers = results_of(run_at_once(*(lambda order=order: services.revive(order, cause="late") for order in orders)))

    assert sorted(answers) == [False, False, False, True]
    assert Pool.objects.get().taken == 6
