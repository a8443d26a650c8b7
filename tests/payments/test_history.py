"""The sweep of SumUp's history: what was refunded, charged back or paid without our hearing of it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from cart.models import Product
from cartsite.models import Case
from orders.models import Order
from payments import history, starting
from payments import sumup as door
from payments.models import Movement, Payment, Reading, Refund, Stray
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.payments.days import movements, pages_asked, paid, transaction_of, unheard
from tests.payments.records import Later, fresh, open_cases
from tests.payments.wire import Wire

PlaceOrder = Callable[..., Order]

pytestmark = pytest.mark.django_db


# --- What it finds ----------------------------------------------------------------------------------------------------


def test_a_refund_made_in_the_dashboard_is_written_down_and_shown_to_a_person(sumup: Simulator, order: Order) -> None:
    payment = paid(sumup, order)
    sumup.refund_in_dashboard(payment.transaction_code, Decimal("6.50"))

    history.sweep()

    assert movements() == [("capture", Decimal("76.50")), ("refund", Decimal("-6.50"))]
    assert Refund.objects.get().status == Refund.Status.EXTERNAL
    assert open_cases() == ["external_refund"]


def test_a_chargeback_is_written_down_and_shown_to_a_person(sumup: Simulator, order: Order) -> None:
    payment = paid(sumup, order)
    sumup.charge_back(payment.transaction_code)

    history.sweep()

    assert movements() == [("capture", Decimal("76.50")), ("chargeback", Decimal("-76.50"))]
    assert open_cases() == ["chargeback"]


def test_money_that_no_order_knows_becomes_a_stray_and_a_case(sumup: Simulator) -> None:
    stray = sumup.take_stray_payment(12, "Two teas")

    history.sweep()

    found = Stray.objects.get()
    assert (found.transaction_id, found.transaction_code, found.amount) == (stray.id, stray.code, Decimal("12.00"))
    case = Case.objects.unresolved().get()
    assert (case.kind, case.subject_uuid, case.at_stake) == ("unknown_money", found.uuid, Decimal("12.00"))


def test_our_own_payment_is_found_though_webhook_and_sweep_were_lost(sumup: Simulator, order: Order) -> None:
    payment = unheard(sumup, order)

    history.sweep()

    assert fresh(payment).status == Payment.Status.CAPTURED
    assert fresh(order).status == Order.Status.CONFIRMED
    assert open_cases() == []


def test_a_capture_on_an_attempt_that_we_had_closed_is_found_by_its_orders_number(
    sumup: Simulator, order: Order
) -> None:
    payment = unheard(sumup, order)
    Payment.objects.filter(pk=payment.pk).update(status=Payment.Status.CLOSED)

    history.sweep()

    assert fresh(payment).status == Payment.Status.CAPTURED
    assert not Stray.objects.exists()


def test_tries_that_failed_are_no_news(sumup: Simulator, payment: Payment) -> None:
    sumup.decline(payment.checkout_id)

    history.sweep()

    assert movements() == []
    assert open_cases() == []


def test_a_refund_of_money_that_nobody_knows_changes_nothing(sumup: Simulator) -> None:
    stray = sumup.take_stray_payment(12)
    sumup.refund_in_dashboard(stray.id)

    history.sweep()

    assert movements() == []
    assert open_cases() == ["unknown_money"]


# --- Strays -----------------------------------------------------------------------------------------------------------


def test_a_fresh_payment_that_names_an_order_is_not_called_a_stray_before_it_had_its_time(
    later: Later, sumup: Simulator, order: Order
) -> None:
    sumup.take_stray_payment(76.5, f"Rose Ash order {order.number}")

    history.sweep()
    early = Stray.objects.count()
    later(minutes=11)
    history.sweep()

    assert early == 0
    assert Stray.objects.count() == 1
    assert open_cases() == ["unknown_money"]


def test_a_stray_is_reported_once_even_after_a_person_has_accepted_it(sumup: Simulator, later: Later) -> None:
    sumup.take_stray_payment(12)
    history.sweep()
    Case.objects.unresolved().get().resolve(by=None, note="the tea stall's")

    later(minutes=5)
    history.sweep()

    assert Stray.objects.count() == 1
    assert Case.objects.count() == 1


def test_the_case_of_a_stray_settles_itself_when_our_payment_turns_out_to_be_it(
    later: Later, sumup: Simulator, wire: Wire, order: Order
) -> None:
    payment = unheard(sumup, order)
    later(minutes=11)
    wire.before("GET", lambda: sumup.behave(read="500"))
    history.sweep()
    reported = open_cases()

    sumup.behave(read="ok")
    later(minutes=1)
    history.sweep()  # it is known as a stray, so nobody asks
    Payment.objects.filter(pk=payment.pk).update(last_look_at=None)
    history.sweeping.look_now(payment.pk)

    assert reported == ["unknown_money"]
    assert open_cases() == []
    assert [kind for kind, _amount in movements()] == ["capture"]


@pytest.mark.django_db(transaction=True)
def test_no_stray_is_reported_where_another_process_has_just_written_the_payment_down(
    later: Later, sumup: Simulator, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = unheard(sumup, order)
    later(minutes=11)
    lock = history.orders.lock

    def settle_first(order_id: int) -> Order:
        monkeypatch.setattr(history.orders, "lock", lock)
        history.settle_elsewhere()  # type: ignore[attr-defined]
        return lock(order_id)

    elsewhere = partial(run_at_once, lambda: history.sweeping.settling.settle(payment))
    monkeypatch.setattr(history, "settle_elsewhere", elsewhere, raising=False)
    monkeypatch.setattr(
        history.sweeping, "look_now", lambda pk: monkeypatch.setattr(history.orders, "lock", settle_first)
    )
    history.sweep()

    assert fresh(payment).status == Payment.Status.CAPTURED
    assert not Stray.objects.exists()
    assert open_cases() == []


def test_a_payment_goes_by_its_transaction_even_if_its_row_is_called_otherwise(sumup: Simulator, order: Order) -> None:
    payment = paid(sumup, order)
    (row,) = door.get_history(door.history_since(timezone.now() - timedelta(hours=1))).rows
    other = door.HistoryRow(**{**vars(row), "id": "4711", "summary": ""})

    history.take_in([other])

    assert not Stray.objects.exists()
    assert fresh(payment).movements.count() == 1


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_all_pages_are_read_whatever_their_size(sumup: Simulator, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    sumup.fill(23, amount=5, seconds_apart=1, payment_type="ECOM")
    monkeypatch.setattr(history.sumup, "history_since", partial(door.history_since, limit=size))

    history.sweep()

    assert Stray.objects.count() == 23
    assert pages_asked(sumup) == -(-23 // size)


def test_all_pages_are_read_where_sumup_gives_ten_rows_whatever_was_asked(
    sumup: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sumup.fill(23, amount=5, payment_type="ECOM")
    usual = door.history_since
    monkeypatch.setattr(history.sumup, "history_since", lambda moment: usual(moment).replace("limit=100&", ""))

    history.sweep()

    assert Stray.objects.count() == 23
    assert pages_asked(sumup) == 3


def test_the_next_sweep_reads_on_from_where_this_one_began_less_an_hour(later: Later, sumup: Simulator) -> None:
    begun = timezone.now()
    history.sweep()
    later(hours=3)

    history.sweep()

    since = (begun - timedelta(hours=1)).strftime("%Y-%m-%dT%H%%3A%M%%3A%S")
    assert f"changes_since={since}" in sumup.requests[-1].query


def test_a_refund_of_an_old_payment_is_found_for_its_payment_has_changed(
    later: Later, sumup: Simulator, order: Order
) -> None:
    payment = paid(sumup, order)
    history.sweep()
    later(days=40)
    history.sweep()
    sumup.refund_in_dashboard(payment.transaction_code, 5)

    later(minutes=5)
    history.sweep()

    assert ("refund", Decimal("-5.00")) in movements()


def test_where_sumup_stops_answering_midway_the_next_sweep_finds_the_rest(
    later: Later, sumup: Simulator, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    sumup.fill(25, amount=5, payment_type="ECOM")
    monkeypatch.setattr(history.sumup, "history_since", partial(door.history_since, limit=10))
    wire.before("GET", lambda: None)
    wire.before("GET", lambda: sumup.behave(history="500"))
    history.sweep()
    found, until = Stray.objects.count(), Reading.objects.get().read_up_to

    sumup.behave(history="ok")
    later(minutes=5)
    history.sweep()

    assert found == 10
    assert until < timezone.now() - timedelta(hours=23)
    assert Stray.objects.count() == 25
    assert Reading.objects.get().read_up_to == timezone.now()


def test_a_row_that_cannot_be_understood_now_delays_no_other_and_is_read_again(
    later: Later, sumup: Simulator, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid(sumup, order)
    sumup.refund_in_dashboard(payment.transaction_code, 5)
    sumup.take_stray_payment(12)
    sumup.behave(transaction_read="500", times={"transaction_read": 1})

    history.sweep()
    at_first = len(movements())
    later(minutes=5)
    history.sweep()

    assert at_first == 1
    assert Stray.objects.count() == 1
    assert len(movements()) == 2


def test_a_row_that_fails_for_the_first_time_is_read_again_however_long_nobody_had_read(
    later: Later, sumup: Simulator, order: Order
) -> None:
    history.sweep()
    payment = paid(sumup, order)
    sumup.refund_in_dashboard(payment.transaction_code, 5)
    later(days=8)
    sumup.behave(transaction_read="500", times={"transaction_read": 1})

    history.sweep()
    at_first = len(movements())
    later(minutes=5)
    history.sweep()

    assert (at_first, len(movements())) == (1, 2)
    assert Reading.objects.get().failing_since is None


def test_what_fails_for_a_week_is_left_to_the_daily_close(later: Later, sumup: Simulator, order: Order) -> None:
    payment = paid(sumup, order)
    sumup.refund_in_dashboard(payment.transaction_code, 5)
    sumup.behave(transaction_read="500")
    history.sweep()
    began = Reading.objects.get().read_up_to

    later(days=6)
    history.sweep()
    stayed = Reading.objects.get().read_up_to
    now = later(days=1, minutes=1)
    history.sweep()

    assert (stayed, Reading.objects.get().read_up_to) == (began, now)


def test_a_row_that_breaks_us_delays_no_other(sumup: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    sumup.take_stray_payment(11.5, "breaks")
    sumup.take_stray_payment(12)
    find_order = history._find_order

    def break_down(row: door.HistoryRow) -> Order | None:
        if row.summary == "breaks":
            raise ZeroDivisionError
        return find_order(row)

    monkeypatch.setattr(history, "_find_order", break_down)
    history.sweep()

    assert Stray.objects.get().amount == Decimal("12.00")
    assert Reading.objects.get().leased_until is None


# --- At once, and again -----------------------------------------------------------------------------------------------


def test_reading_twice_changes_nothing(sumup: Simulator, order: Order, later: Later) -> None:
    payment = paid(sumup, order)
    sumup.refund_in_dashboard(payment.transaction_code, 5)
    sumup.charge_back(payment.transaction_code, 7)
    sumup.take_stray_payment(12)
    history.sweep()
    before = movements(), open_cases(), order.events.count()
    later(minutes=1)

    history.sweep()

    assert (movements(), open_cases(), order.events.count()) == before


def test_what_is_known_costs_three_queries_a_page(
    sumup: Simulator, order: Order, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid(sumup, order)
    sumup.fill(50, amount=5)
    history.sweep()
    rows = door.get_history(door.history_since(timezone.now() - timedelta(hours=1))).rows

    with django_assert_num_queries(3):
        history.take_in(rows)

    assert len(rows) == 51


@pytest.mark.django_db(transaction=True)
def test_while_one_process_reads_another_does_not(sumup: Simulator) -> None:
    history.sweep()
    Reading.objects.update(leased_until=timezone.now() + timedelta(minutes=1))

    history.sweep()

    assert pages_asked(sumup) == 1


def test_a_sweep_that_died_is_followed_by_another_once_its_lease_has_lapsed(later: Later, sumup: Simulator) -> None:
    history.sweep()
    Reading.objects.update(leased_until=timezone.now() + history.LEASE)
    later(minutes=3)

    history.sweep()

    assert pages_asked(sumup) == 2


@pytest.mark.django_db(transaction=True)
def test_two_at_once_without_a_lease_do_no_harm(
    sumup: Simulator, order: Order, place_order: PlaceOrder, honey: Product
) -> None:
    payment = paid(sumup, order)
    unheard(sumup, place_order((honey, 1)))
    sumup.refund_in_dashboard(payment.transaction_code, 5)
    sumup.charge_back(payment.transaction_code, 7)
    sumup.take_stray_payment(12)
    rows = door.get_history(door.history_since(timezone.now() - timedelta(hours=1))).rows

    results_of(run_at_once(*[partial(history.take_in, rows)] * 4))

    assert sorted(kind for kind, _amount in movements()) == ["capture", "capture", "chargeback", "refund"]
    assert open_cases() == ["chargeback", "external_refund", "unknown_money"]
    assert Refund.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_find_everything_once(sumup: Simulator, order: Order) -> None:
    unheard(sumup, order)
    sumup.take_stray_payment(12)

    results_of(run_at_once(history.sweep, history.sweep))
    Reading.objects.update(leased_until=None)
    history.sweep()

    assert Movement.objects.count() == 1
    assert open_cases() == ["unknown_money"]


def test_transactions_are_named_by_what_sumup_calls_them(sumup: Simulator, order: Order) -> None:
    payment = unheard(sumup, order)

    history.sweep()

    assert Movement.objects.get().transaction_id == transaction_of(sumup, payment)
    assert starting.Payment.objects.get().transaction_code
