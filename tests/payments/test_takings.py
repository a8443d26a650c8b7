"""Sales at card readers of the same merchant are takings: one row each, one case a day, no red day."""

from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cartsite.models import Case, User
from payments import casework, closing, history, payouts, settling, statements, takings
from payments import sumup as door_to_sumup
from payments.models import DailyClose, Movement, Payment, Reopening, Stray, Taking, TakingsDay
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.payments.money import pay, pounds
from tests.payments.records import Later, fresh, open_cases
from tests.payments.wire import Wire

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


def rows() -> list[tuple[str, Decimal]]:
    return list(Taking.objects.order_by("pk").values_list("kind", "amount"))


def case_of_day() -> Case:
    return Case.objects.unresolved().get(kind=Case.Kind.TAKINGS)


def row_of(name: str, **changes: Any) -> door_to_sumup.HistoryRow:
    """A payment at a card reader as the history tells it, but for these facts."""
    facts = {
        "id": name,
        "kind": "PAYMENT",
        "transaction_id": name,
        "transaction_code": "TREADER",
        "status": "SUCCESSFUL",
        "amount": Decimal("12.00"),
        "refunded": Decimal(0),
        "currency": "GBP",
        "at": timezone.now() - timedelta(hours=1),
        "summary": "Two coffees",
        "payment_type": "POS",
        "entry_mode": "CONTACTLESS",
    }
    return door_to_sumup.HistoryRow(**facts | changes)


def test_each_sale_is_one_row_and_the_day_is_one_case(later: Later, sumup: Simulator) -> None:
    for amount in (12, 3, 5):
        sumup.take_reader_payment(amount, "Coffee")

    history.sweep()
    history.sweep()

    assert rows() == [("capture", pounds(12)), ("capture", pounds(3)), ("capture", pounds(5))]
    assert open_cases() == ["takings"]
    assert case_of_day().at_stake == pounds(20)
    assert not Stray.objects.exists()
    assert not Movement.objects.exists()


def test_a_tip_is_taken_with_it(sumup: Simulator) -> None:
    sumup.take_reader_payment(12, "Coffee", tip=Decimal("1.50"))

    history.sweep()

    assert rows() == [("capture", pounds("13.50"))]


def test_what_comes_after_staff_accepted_the_day_is_a_new_case_of_the_rest(
    later: Later, sumup: Simulator, staff: User
) -> None:
    sumup.take_reader_payment(12)
    history.sweep()
    casework.accept(case_of_day(), by=staff, note="The coffee stall")

    sumup.take_reader_payment(3)
    history.sweep()

    assert case_of_day().at_stake == pounds(3)


def test_another_day_is_another_case(later: Later, sumup: Simulator) -> None:
    sumup.take_reader_payment(12)
    history.sweep()
    later(days=1)
    sumup.take_reader_payment(3)

    history.sweep()

    assert list(Case.objects.order_by("pk").values_list("at_stake", flat=True)) == [pounds(12), pounds(3)]
    assert TakingsDay.objects.count() == 2


def test_what_goes_back_of_it_is_told_and_makes_no_day_red(later: Later, sumup: Simulator) -> None:
    taken = sumup.take_reader_payment(12)
    lost = sumup.take_reader_payment(30)
    sumup.refund_in_dashboard(taken.id, 5)
    sumup.charge_back(lost.id)

    close = closing.close_day(timezone.localdate())

    assert close.status == "early"
    assert close.figures["unexplained"] == 0
    assert close.figures["takings"] == {
        "capture": {"rows": 2, "sum": "42.00"},
        "refund": {"rows": 1, "sum": "-5.00"},
        "chargeback": {"rows": 1, "sum": "-30.00"},
    }
    assert open_cases() == ["takings"]
    assert case_of_day().at_stake == pounds(7)


def test_a_day_of_takings_closes_and_keeps_its_digest(later: Later, sumup: Simulator, payment: Payment) -> None:
    pay(payment, sumup)
    sumup.take_reader_payment(12)
    day = timezone.localdate()
    later(days=1)

    close = closing.close_day(day)

    assert (close.status, close.figures["matched"]) == ("closed", 2)
    Taking.objects.create(
        day=TakingsDay.objects.get(),
        kind="refund",
        merchant_code="MROSEASH",
        sumup_id="late",
        transaction_id="t",
        amount=-1,
        currency="GBP",
        happened_at=Taking.objects.get().happened_at,
    )
    assert closing.digest(day) != close.digest


def test_where_sumup_forgets_a_sale_the_day_is_red_until_a_person_accepts_that(
    later: Later, sumup: Simulator, staff: User
) -> None:
    sumup.take_reader_payment(12)
    history.sweep()
    sumup.reset()
    day = timezone.localdate()
    later(days=1)

    first = closing.close_day(day)
    case = Case.objects.unresolved().get(kind=Case.Kind.MISSING_AT_SUMUP)
    offered = [step.value for step in casework.steps_for(case)]
    casework.accept(case, by=staff, note="The reader's app does not show it either.")
    second = closing.close_day(day)

    assert (first.status, case.at_stake, offered) == ("red", pounds(12), ["accept", "snooze"])
    assert (second.status, second.figures["explained"]) == ("closed", 1)


def test_statements_add_up_to_what_sumup_pays_out(later: Later, sumup: Simulator, payment: Payment) -> None:
    pay(payment, sumup)
    sumup.take_reader_payment(100)
    refunded = sumup.take_reader_payment(20)
    sumup.refund_in_dashboard(refunded.id, 20)
    history.sweep()
    day = timezone.localdate()
    sumup.pay_out(day)
    records = sumup_records(day)

    payouts.write(records)
    payouts.write(records)

    told = statements.statement(day, day)
    (readers,) = [row for row in told.rows if row.stall == "Takings at card readers"]
    assert (readers.sold, readers.refunded) == (pounds(120), pounds(-20))
    assert told.total.paid_out == sum(record.amount for record in records)
    assert readers.paid_out == readers.sold + readers.fees + readers.refunded
    assert readers.at_sumup == 0


def sumup_records(day: date) -> list[door_to_sumup.PayoutRecord]:
    return door_to_sumup.get_payouts(day, day)


# --- Of another merchant, or tried out --------------------------------------------------------------------------------


@pytest.fixture(params=["another merchant", "tried out"])
def taken_before(request: pytest.FixtureRequest, sumup: Simulator, later: Later, settings: Any) -> Taking:
    """A sale from the time when the shop was one for trying out, at this merchant or at its sandbox."""
    here = (settings.SUMUP_MERCHANT_CODE, settings.ORDERS_ARE_TESTS)
    there = ("MSANDBOX", False) if request.param == "another merchant" else (here[0], True)
    settings.SUMUP_MERCHANT_CODE, settings.ORDERS_ARE_TESTS = there
    history.take_in([row_of("t-before", amount=Decimal("80.00"), at=timezone.now())])
    settings.SUMUP_MERCHANT_CODE, settings.ORDERS_ARE_TESTS = here
    return Taking.objects.get()


def test_the_statement_adds_up_the_readers_of_this_shop_only(taken_before: Taking, sumup: Simulator) -> None:
    sumup.take_reader_payment(12)
    history.sweep()
    today = timezone.localdate()

    (row,) = statements.statement(today, today).rows

    assert (row.stall, row.sold) == ("Takings at card readers", pounds(12))


def test_the_close_adds_up_the_readers_of_this_shop_only(taken_before: Taking, sumup: Simulator) -> None:
    sumup.take_reader_payment(12)

    close = closing.close_day(timezone.localdate())

    assert close.figures["takings"] == close.figures["theirs"] == {"capture": {"rows": 1, "sum": "12.00"}}
    assert (close.figures["matched"], close.figures["unexplained"]) == (1, 0)


def test_the_digest_of_a_day_is_about_the_readers_of_this_shop_only(taken_before: Taking, sumup: Simulator) -> None:
    sumup.take_reader_payment(12)
    history.sweep()
    mine = Taking.objects.exclude(pk=taken_before.pk).get()

    said = f"\ntaking|capture|{mine.sumup_id}|12.00|GBP"

    assert closing.digest(timezone.localdate()) == sha256(said.encode()).hexdigest()


def test_the_first_page_of_the_back_office_counts_no_day_that_was_tried_out(
    sumup: Simulator, settings: Any, staff_client: Client
) -> None:
    settings.ORDERS_ARE_TESTS = True
    history.take_in([row_of("t-before")])
    settings.ORDERS_ARE_TESTS = False
    sumup.take_reader_payment(12)
    history.sweep()

    (kind,) = staff_client.get(reverse("admin:index")).context["open_cases"]["kinds"]

    assert (kind["kind"], kind["count"], kind["at_stake"]) == ("takings", 1, pounds(12))


def test_the_first_page_of_the_back_office_counts_no_stray_that_was_tried_out(
    sumup: Simulator, settings: Any, staff_client: Client
) -> None:
    settings.ORDERS_ARE_TESTS = True
    history.take_in([row_of("t-before", payment_type="ECOM")])
    settings.ORDERS_ARE_TESTS = False

    assert Stray.objects.get().is_test
    assert staff_client.get(reverse("admin:index")).context["open_cases"]["kinds"] == []


def test_a_day_that_was_closed_before_there_were_takings_stays_closed(
    later: Later, sumup: Simulator, payment: Payment, staff_client: Client
) -> None:
    """Its figures say nothing of takings, and its digest is about movements alone."""
    pay(payment, sumup)
    moved = Movement.objects.get()
    said = f"capture|{moved.sumup_id}|{moved.transaction_id}|{moved.order_id}|{moved.amount}|GBP"
    closed = DailyClose.objects.create(
        day=timezone.localdate(),
        status=DailyClose.Status.CLOSED,
        figures={"ours": {"capture": {"rows": 1, "sum": str(moved.amount)}}, "matched": 1},
        digest=sha256(said.encode()).hexdigest(),
    )

    closing.reopen_changed_days()
    page = staff_client.get(reverse("admin:payments_dailyclose_change", args=[closed.pk]))

    assert not Reopening.objects.exists()
    assert (page.status_code, page.context["digest_holds"], page.context["takings"]) == (200, True, [])


# --- What never is one ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_type": "ECOM"},
        {"payment_type": ""},
        {"payment_type": "MOTO"},
        {"payment_type": "RECURRING"},
        {"payment_type": "BALANCE"},
        {"entry_mode": "CUSTOMER_ENTRY"},
        {"entry_mode": "APPLE_PAY"},
        {"entry_mode": "SOMETHING_NEW"},
        {"currency": "EUR"},
    ],
)
def test_in_doubt_it_is_unknown_money(sumup: Simulator, changes: dict[str, str]) -> None:
    history.take_in([row_of("t-1", **changes)])

    assert not Taking.objects.exists()
    assert open_cases() == ["unknown_money"]


@pytest.mark.parametrize("name", ["id", "transaction code", "reference", "client id", "checkout", "text"])
def test_nothing_with_a_name_of_ours_is_one(payment: Payment, sumup: Simulator, name: str) -> None:
    paid = pay(payment, sumup)
    movement = Movement.objects.get(kind="capture")
    names: dict[str, dict[str, Any]] = {
        "id": {"transaction_id": movement.transaction_id, "id": "event", "kind": "REFUND"},
        "transaction code": {"transaction_code": paid.transaction_code},
        "reference": {"reference": paid.reference},
        "client id": {"client_id": paid.reference},
        "checkout": {"reference": paid.checkout_id},
        "text": {"summary": f"Rose Ash order {paid.order.number}"},
    }

    history.take_in([row_of("t-1", **names[name])])

    assert not Taking.objects.exists()


def test_money_that_a_person_looks_into_already_is_none(sumup: Simulator) -> None:
    history.take_in([row_of("t-1", payment_type="ECOM")])

    history.take_in([row_of("event", transaction_id="t-1", kind="REFUND")])

    assert not Taking.objects.exists()


def test_a_checkout_that_shows_a_taking_as_its_own_is_not_counted_twice(payment: Payment, wire: Wire) -> None:
    taken = wire.simulator.take_reader_payment(payment.amount)
    history.sweep()

    def tell(answer: dict[str, Any]) -> dict[str, Any]:
        tried = {
            "id": taken.id,
            "transaction_code": taken.code,
            "amount": float(taken.amount),
            "currency": "GBP",
            "timestamp": taken.started_at.isoformat(),
            "status": "SUCCESSFUL",
        }
        return answer | {"status": "PAID", "transactions": [tried]}

    wire.change(tell)
    with pytest.raises(door_to_sumup.SumUpInDoubt):
        settling.settle(payment)

    assert not Movement.objects.exists()
    assert fresh(payment).status == "open"


# --- At once, and for good --------------------------------------------------------------------------------------------


@committed
def test_two_readers_of_the_history_at_once_make_one_row_each(sumup: Simulator) -> None:
    for amount in (12, 3, 5):
        sumup.take_reader_payment(amount)
    page = list(read_all())

    run_at_once(*[lambda: history.take_in(page)] * 4)

    assert Taking.objects.aggregate(sum=Sum("amount"))["sum"] == 20
    assert Taking.objects.count() == 3
    assert case_of_day().at_stake == 20


def read_all() -> tuple[door_to_sumup.HistoryRow, ...]:
    return door_to_sumup.get_history(door_to_sumup.history_since(timezone.now() - timedelta(hours=1))).rows


@pytest.mark.parametrize("change", [lambda row: row.save(), lambda row: row.delete()])
def test_rows_are_never_changed(sumup: Simulator, change: Any) -> None:
    sumup.take_reader_payment(12)
    history.sweep()

    with pytest.raises(DatabaseError), transaction.atomic():
        change(Taking.objects.get())


def test_the_database_keeps_them_unique(sumup: Simulator) -> None:
    sumup.take_reader_payment(12)
    history.sweep()
    again = Taking.objects.get()
    again.pk = None

    with pytest.raises(IntegrityError), transaction.atomic():
        again.save(force_insert=True)


# --- In the back office -----------------------------------------------------------------------------------------------


def test_staff_read_them_and_accept_their_day(sumup: Simulator, staff_client: Client) -> None:
    sumup.take_reader_payment(12)
    history.sweep()

    listed = staff_client.get(reverse("admin:payments_taking_changelist"))
    day = staff_client.get(reverse("admin:payments_takingsday_change", args=[TakingsDay.objects.get().pk]))
    case = staff_client.get(reverse("admin:cartsite_case_change", args=[case_of_day().pk]))

    assert [page.status_code for page in (listed, day, case)] == [200] * 3
    assert "12.00" in listed.content.decode()
    assert [step.value for step in casework.steps_for(case_of_day())] == ["accept", "snooze"]
    assert takings.is_taking(Taking.objects.get().transaction_id)
