"""Whatever SumUp answers, or does not, a refund goes out once, and is believed only when SumUp's own events show it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from cartsite.models import Case, User
from payments import refunds, starting
from payments import sumup as sumup_client
from payments.models import Movement, Payment, Refund
from payments.refunds import CannotRefund
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.payments.money import (
    ask_back,
    case,
    hide_events,
    pay,
    posts,
    pounds,
    show_all,
    sweep_for_days,
    sweep_money,
    transaction_of,
    went_back,
)
from tests.payments.records import Later, events_of, fresh, open_cases
from tests.payments.wire import Wire, die_in_call

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

# What SumUp does when it is asked to refund: how the refund stands at once, how it ends, and how many SumUp made.
ANSWERS = {
    "201": ("done", "done", 1),
    "204": ("done", "done", 1),
    "200_failed": ("failed", "failed", 0),
    "409": ("failed", "failed", 0),
    "422": ("failed", "failed", 0),
    "event_late": ("unknown", "done", 1),
    "response_lost": ("done", "done", 1),
    "504": ("done", "done", 1),
    "500": ("unknown", "unknown", 0),
    "429": ("unknown", "unknown", 0),
    "html": ("unknown", "unknown", 0),
}
every_answer = pytest.mark.parametrize("answer", ANSWERS)


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """The order is paid: £76.50."""
    return pay(payment, sumup)


@pytest.fixture
def in_doubt(later: Later, paid: Payment, staff: User, sumup: Simulator) -> Refund:
    """Of £20 nobody knows: SumUp said 500 when it was asked, and did nothing, which we cannot know."""
    sumup.behave(refund="500", times={"refund": 1})
    refund = ask_back(paid, "20.00", staff)
    refunds.sweep()
    assert fresh(refund).status == "unknown"
    return fresh(refund)


@pytest.fixture
def failed(later: Later, paid: Payment, staff: User, sumup: Simulator) -> Refund:
    """SumUp said no to £20."""
    sumup.behave(refund="422", times={"refund": 1})
    refund = ask_back(paid, "20.00", staff)
    refunds.sweep()
    assert fresh(refund).status == "failed"
    return fresh(refund)


@pytest.fixture
def place_paid(place_order: Callable[..., object], honey: object, workshop: object, sumup: Simulator) -> object:
    """Place an order and pay it; as often as one likes."""
    return lambda: pay(starting.start(place_order((honey, 1), (workshop, 2))), sumup)


# --- Every answer -----------------------------------------------------------------------------------------------------


@every_answer
def test_an_answer_proves_nothing_but_the_events_do(
    later: Later, paid: Payment, staff: User, sumup: Simulator, answer: str
) -> None:
    at_once, in_the_end, made = ANSWERS[answer]
    sumup.behave(refund=answer)
    refund = ask_back(paid, "20.00", staff)

    refunds.sweep()
    assert fresh(refund).status == at_once

    sweep_for_days(later, 1)
    assert fresh(refund).status == in_the_end
    assert went_back(sumup, paid) == [pounds(20)] * made


@every_answer
def test_no_machine_sends_a_refund_twice(later: Later, paid: Payment, staff: User, wire: Wire, answer: str) -> None:
    wire.simulator.behave(refund=answer)
    ask_back(paid, "20.00", staff)
    wire.calls.clear()

    for _round in range(10):
        sweep_money()
        later(minutes=2)
    sweep_for_days(later, 9, every=9)

    assert wire.calls.count("POST") == 1


@pytest.mark.parametrize("answer", [name for name, (_, end, _) in ANSWERS.items() if end == "failed"])
def test_a_definite_no_is_a_case_that_says_why(paid: Payment, staff: User, sumup: Simulator, answer: str) -> None:
    sumup.behave(refund=answer)
    refund = ask_back(paid, "20.00", staff)

    sweep_money()

    said = case(Case.Kind.REFUND_FAILED)
    assert (said.subject_uuid, said.at_stake) == (refund.uuid, pounds(20))
    assert fresh(refund).answer in said.what_happened
    assert "refund_failed" in events_of(paid.order)
    assert not Movement.objects.filter(kind="refund").exists()


def test_a_refund_answered_too_late_is_found(paid: Payment, staff: User, sumup: Simulator, settings: object) -> None:
    settings.SUMUP_TIMEOUT = (5, 0.2)
    sumup.behave(refund="slow", slow_seconds=1, times={"refund": 1})
    refund = ask_back(paid, "20.00", staff)

    refunds.sweep()

    assert fresh(refund).status == "done"
    assert posts(sumup) == 1


def test_a_no_is_not_believed_while_the_transaction_cannot_be_read(paid: Payment, staff: User, wire: Wire) -> None:
    """The answer to the second question, after the no, is lost: perhaps there was an event."""
    wire.simulator.behave(refund="409")
    refund = ask_back(paid, "20.00", staff)
    wire.after("POST", lambda: wire.simulator.behave(transaction_read="500"))

    refunds.sweep()

    assert fresh(refund).status == "unknown"


def test_an_event_is_believed_even_if_sumup_said_no(paid: Payment, staff: User, wire: Wire) -> None:
    refund = ask_back(paid, "20.00", staff)
    name = transaction_of(paid)
    wire.simulator.behave(refund="200_failed")
    wire.after("POST", lambda: wire.simulator.refund_in_dashboard(name, Decimal(20)))

    refunds.sweep()

    assert fresh(refund).status == "done"
    assert open_cases() == []


def test_a_plan_or_a_try_is_not_yet_an_event(later: Later, in_doubt: Refund, wire: Wire) -> None:
    planned = {"id": 1, "event_type": "REFUND", "amount": 20, "timestamp": "2026-01-02T03:04:05Z"}

    for status in ("PENDING", "SCHEDULED", "FAILED"):
        tell_of_events(wire, planned | {"status": status})
        later(minutes=5)
        refunds.sweep()

    assert fresh(in_doubt).status == "unknown"


def tell_of_events(wire: Wire, *events: dict[str, object]) -> None:
    """From now on SumUp tells of these events and no others."""
    show_all(wire)
    wire.change(lambda doc: doc | {"transaction_events": events, "events": []} if "simple_status" in doc else doc)


# --- In doubt ---------------------------------------------------------------------------------------------------------


def test_a_doubt_becomes_done_by_a_new_event_of_its_amount(later: Later, in_doubt: Refund, sumup: Simulator) -> None:
    sumup.refund_in_dashboard(in_doubt.transaction_id, Decimal(20))
    later(minutes=1)

    refunds.sweep()

    assert fresh(in_doubt).status == "done"
    assert Movement.objects.get(kind="refund").refund == in_doubt


def test_an_equal_event_from_before_it_was_sent_does_not_count(
    later: Later, paid: Payment, staff: User, sumup: Simulator
) -> None:
    sumup.refund_in_dashboard(transaction_of(paid), Decimal(20))
    sumup.behave(refund="500")
    refund = ask_back(paid, "20.00", staff)

    refunds.sweep()
    sweep_for_days(later, 2)

    assert fresh(refund).status == "unknown"
    assert [other.status for other in Refund.objects.exclude(pk=refund.pk)] == ["external"]
    assert Movement.objects.filter(kind="refund").count() == 1


def test_an_equal_event_seen_before_it_was_sent_does_not_count_even_if_it_only_happens_later(
    later: Later, paid: Payment, staff: User, wire: Wire
) -> None:
    """A refund planned in the dashboard, which is shown before we send and comes about afterwards."""
    planned = {"id": 7, "event_type": "REFUND", "amount": 20, "timestamp": "2026-01-02T03:04:05Z"}
    tell_of_events(wire, planned | {"status": "PENDING"})
    wire.simulator.behave(refund="500")
    refund = ask_back(paid, "20.00", staff)
    refunds.sweep()
    assert fresh(refund).seen_events == ["7"]

    tell_of_events(wire, planned | {"status": "REFUNDED"})
    later(minutes=5)
    refunds.sweep()

    assert fresh(refund).status == "unknown"
    assert case(Case.Kind.EXTERNAL_REFUND)


def test_an_event_of_another_amount_does_not_count(later: Later, in_doubt: Refund, sumup: Simulator) -> None:
    sumup.refund_in_dashboard(in_doubt.transaction_id, Decimal("19.99"))
    later(minutes=1)

    refunds.sweep()

    assert fresh(in_doubt).status == "unknown"
    assert Refund.objects.get(status="external").amount == pounds("19.99")


def test_one_event_ends_one_of_two_equal_refunds(later: Later, paid: Payment, staff: User, sumup: Simulator) -> None:
    """The first is called failed, the second is sent and done, and the first stays failed."""
    sumup.behave(refund="422", times={"refund": 1})
    first = ask_back(paid, "20.00", staff)
    refunds.sweep()
    second = ask_back(paid, "20.00", staff)

    refunds.sweep()
    sweep_for_days(later, 2)

    assert (fresh(first).status, fresh(second).status) == ("failed", "done")
    assert went_back(sumup, paid) == [pounds(20)]


def test_a_doubt_never_ends_by_itself(later: Later, in_doubt: Refund) -> None:
    sweep_for_days(later, 30, every=24)

    assert fresh(in_doubt).status == "unknown"
    assert fresh(in_doubt).next_look_at is not None


def test_a_doubt_that_lasts_is_a_case_and_the_event_resolves_it(
    later: Later, in_doubt: Refund, sumup: Simulator
) -> None:
    cases = []
    for _round in range(3):
        later(minutes=5)
        refunds.sweep()
        cases.append(open_cases())
    assert cases[0] == []
    assert cases[2] == ["refund_unknown"]

    sumup.refund_in_dashboard(in_doubt.transaction_id, Decimal(20))
    sweep_for_days(later, 1)

    assert fresh(in_doubt).status == "done"
    assert open_cases() == []


def test_a_doubtful_refund_counts_as_gone(in_doubt: Refund, paid: Payment, staff: User) -> None:
    with pytest.raises(CannotRefund):
        ask_back(paid, "56.51", staff)


def test_a_machine_does_not_call_a_doubt_failed_whatever_else_goes_back(
    later: Later, paid: Payment, staff: User, wire: Wire
) -> None:
    """The bank takes all of it back, while SumUp does not show our refund yet."""
    hide_events(wire)
    refund = ask_back(paid, "20.00", staff)
    refunds.sweep()
    assert fresh(refund).status == "unknown"
    bank = {"id": 9, "event_type": "CHARGE_BACK", "status": "SUCCESSFUL", "amount": 76.5}
    tell_of_events(wire, bank | {"timestamp": "2026-01-02T03:04:05Z"})

    later(minutes=5)
    refunds.sweep()

    assert fresh(refund).status == "unknown"
    assert "chargeback" in open_cases()


@committed
@pytest.mark.parametrize("heard", [True, False])
def test_a_sender_killed_while_sending_leaves_a_doubt_and_nobody_sends_it_again(
    later: Later, paid: Payment, staff: User, wire: Wire, *, heard: bool
) -> None:
    refund = ask_back(paid, "20.00", staff)
    wire.calls.clear()
    if not heard:  # SumUp's part of the call after the reading is played by us
        wire.after("GET", lambda: wire.reply(500))
    die_in_call(wire, "POST", refunds.sweep, heard=heard)
    assert fresh(refund).status == "sending"

    for _round in range(3):
        later(minutes=10)
        sweep_money()
    sweep_for_days(later, 2)

    assert fresh(refund).status == ("done" if heard else "unknown")
    assert wire.calls.count("POST") == 1
    assert went_back(wire.simulator, paid) == [pounds(20)] * heard


@committed
def test_a_sender_killed_before_sending_is_replaced(later: Later, paid: Payment, staff: User, wire: Wire) -> None:
    refund = ask_back(paid, "20.00", staff)
    die_in_call(wire, "GET", refunds.sweep, heard=False)
    assert fresh(refund).status == "requested"

    later(minutes=3)
    refunds.sweep()

    assert fresh(refund).status == "done"
    assert went_back(wire.simulator, paid) == [pounds(20)]


# --- What only a person may decide ------------------------------------------------------------------------------------


def test_a_doubt_is_not_given_up_within_a_day(later: Later, in_doubt: Refund, staff: User) -> None:
    later(hours=23, minutes=59)

    with pytest.raises(CannotRefund):
        refunds.give_up(in_doubt, by=staff, note="I looked")

    assert fresh(in_doubt).status == "unknown"


def test_a_person_calls_a_doubt_of_a_day_failed_with_a_note(later: Later, in_doubt: Refund, staff: User) -> None:
    sweep_for_days(later, 1)
    later(minutes=1)

    refunds.give_up(in_doubt, by=staff, note="I looked")

    given_up = fresh(in_doubt)
    assert (given_up.status, given_up.note) == ("failed", "I looked")
    assert given_up.order.events.get(kind="refund_given_up").by == staff
    assert open_cases() == ["refund_failed"]
    assert Case.objects.get(kind="refund_unknown").resolved_by == staff


def test_giving_up_looks_once_more_first(later: Later, paid: Payment, staff: User, wire: Wire) -> None:
    hide_events(wire)
    refund = ask_back(paid, "20.00", staff)
    refunds.sweep()
    later(hours=25)
    show_all(wire)

    with pytest.raises(CannotRefund):
        refunds.give_up(fresh(refund), by=staff, note="I looked")

    assert fresh(refund).status == "done"
    assert fresh(refund).note == ""


def test_nothing_is_given_up_while_sumup_is_silent(later: Later, in_doubt: Refund, staff: User, wire: Wire) -> None:
    later(hours=25)
    wire.is_cut = True

    with pytest.raises(sumup_client.SumUpError):
        refunds.give_up(in_doubt, by=staff, note="I looked")

    assert fresh(in_doubt).status == "unknown"


def test_only_a_doubt_can_be_given_up(later: Later, paid: Payment, staff: User) -> None:
    refund = ask_back(paid, "20.00", staff)
    with pytest.raises(CannotRefund):
        refunds.give_up(refund, by=staff, note="I looked")
    refunds.sweep()
    later(hours=25)

    with pytest.raises(CannotRefund):
        refunds.give_up(fresh(refund), by=staff, note="I looked")

    assert fresh(refund).status == "done"


def test_a_failed_refund_is_done_if_its_event_turns_up_after_all(
    later: Later, paid: Payment, staff: User, wire: Wire
) -> None:
    hide_events(wire)
    refund = ask_back(paid, "20.00", staff)
    refunds.sweep()
    later(hours=25)
    refunds.give_up(fresh(refund), by=staff, note="I looked")
    assert fresh(refund).status == "failed"

    show_all(wire)
    sweep_for_days(later, 2)

    assert fresh(refund).status == "done"
    assert went_back(wire.simulator, paid) == [pounds(20)]
    assert open_cases() == []


def test_a_refund_that_sumup_refused_is_done_if_its_event_turns_up_after_all(
    later: Later, failed: Refund, sumup: Simulator
) -> None:
    sumup.refund_in_dashboard(failed.transaction_id, Decimal(20))

    sweep_for_days(later, 1)

    assert fresh(failed).status == "done"
    assert open_cases() == []
    assert Refund.objects.count() == 1


def test_a_failed_refund_is_sent_again_as_a_new_one(
    later: Later, failed: Refund, paid: Payment, staff: User, sumup: Simulator
) -> None:
    again = refunds.retry(failed, by=staff, note="The bank was down")

    assert (again.status, again.amount, again.retry_of, again.note) == (
        "requested",
        pounds(20),
        failed,
        "The bank was down",
    )
    sweep_for_days(later, 2)
    assert (fresh(failed).status, fresh(again).status) == ("failed", "done")
    assert posts(sumup) == 2
    assert went_back(sumup, paid) == [pounds(20)]
    assert open_cases() == []
    assert Case.objects.get(kind="refund_failed").resolved_by == staff


def test_a_refund_is_sent_again_only_after_looking_once_more(
    later: Later, failed: Refund, staff: User, paid: Payment, sumup: Simulator
) -> None:
    sumup.refund_in_dashboard(failed.transaction_id, Decimal(20))

    with pytest.raises(CannotRefund):
        refunds.retry(failed, by=staff, note="The bank was down")

    assert fresh(failed).status == "done"
    assert Refund.objects.count() == 1
    assert went_back(sumup, paid) == [pounds(20)]


def test_nothing_is_sent_again_while_sumup_is_silent(failed: Refund, staff: User, wire: Wire) -> None:
    wire.is_cut = True

    with pytest.raises(sumup_client.SumUpError):
        refunds.retry(failed, by=staff, note="The bank was down")

    assert Refund.objects.count() == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_refund_is_sent_again_once(failed: Refund, staff: User, times: int) -> None:
    refunds.retry(failed, by=staff, note="The bank was down")

    for _time in range(times):
        with pytest.raises(CannotRefund):
            refunds.retry(failed, by=staff, note="The bank was down")

    assert Refund.objects.count() == 2


@committed
def test_of_eight_who_send_a_refund_again_at_once_one_does(
    failed: Refund, staff: User, paid: Payment, sumup: Simulator
) -> None:
    outcomes = run_at_once(*[lambda: refunds.retry(failed, by=staff, note="Again")] * 8)
    refunds.sweep()

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotRefund | None) for outcome in outcomes)
    assert went_back(sumup, paid) == [pounds(20)]


def test_a_refund_that_turns_up_before_its_second_sending_is_not_sent_again(
    later: Later, paid: Payment, staff: User, wire: Wire
) -> None:
    """SumUp shows the first one late: after a person had it sent again, but before it went out."""
    hide_events(wire)
    first = ask_back(paid, "20.00", staff)
    refunds.sweep()
    later(hours=25)
    refunds.give_up(fresh(first), by=staff, note="I looked")
    again = refunds.retry(fresh(first), by=staff, note="Once more")
    show_all(wire)

    sweep_for_days(later, 1)

    assert fresh(first).status == "done"
    assert went_back(wire.simulator, paid) == [pounds(20)]
    assert fresh(again).status == "failed"


@pytest.mark.parametrize("end", ["done", "unknown", "requested"])
def test_only_a_failed_refund_is_sent_again(
    paid: Payment, staff: User, sumup: Simulator, end: str, later: Later
) -> None:
    refund = ask_back(paid, "20.00", staff)
    if end != "requested":
        sumup.behave(refund="201" if end == "done" else "500")
        refunds.sweep()
    assert fresh(refund).status == end

    with pytest.raises(CannotRefund):
        refunds.retry(fresh(refund), by=staff, note="Once more")

    assert Refund.objects.count() == 1


def test_a_refund_is_not_sent_again_beyond_what_is_left(
    failed: Refund, paid: Payment, staff: User, sumup: Simulator
) -> None:
    ask_back(paid, "60.00", staff)
    refunds.sweep()

    with pytest.raises(CannotRefund):
        refunds.retry(failed, by=staff, note="Once more")


# --- When to look -----------------------------------------------------------------------------------------------------


def test_a_doubt_is_looked_at_soon_and_then_with_patience(later: Later, in_doubt: Refund, wire: Wire) -> None:
    looks: list[timedelta] = []
    began = timezone.now()
    wire.on_every_call = lambda: looks.append(timezone.now() - began)

    for _minute in range(60):
        later(minutes=1)
        refunds.sweep()

    assert 5 <= len(looks) <= 12
    assert looks[0] <= timedelta(minutes=1)


def test_one_refund_that_breaks_our_code_delays_no_other(
    place_paid: Callable[[], Payment], staff: User, wire: Wire
) -> None:
    broken, good = (ask_back(place_paid(), "20.00", staff) for _payment in range(2))
    Refund.objects.filter(pk=broken.pk).update(amount=Decimal("30.00"))
    tell_of = {"transaction_events": [{"id": 1, "event_type": "REFUND", "status": "REFUNDED", "amount": 1e9}]}
    wire.change(lambda doc: doc | tell_of if doc.get("id") == broken.transaction_id else doc)

    refunds.sweep()

    assert fresh(good).status == "done"
