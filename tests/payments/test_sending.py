"""Whatever gets lost on the way to SumUp and back, an attempt has exactly one checkout there."""

from datetime import timedelta
from typing import Any

import pytest

from bookings.models import Entry
from cartsite.models import Case
from orders.models import Order
from payments import releasing, sending, settling, starting, sweeping
from payments.models import Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.payments.records import Later, events_of, fresh, open_cases, sweep, sweep_until_quiet, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

NOTHING_CREATED = ["429", "429_retry_after", "500", "html"]
CREATED_UNHEARD = ["response_lost", "504"]


def assert_one_checkout(simulator: Simulator, payment: Payment) -> None:
    """The attempt has one checkout at SumUp, and we know it; no other reference was ever posted."""
    (checkout,) = simulator.checkouts()
    assert checkout.reference == payment.reference
    assert payment.checkout_id == checkout.id
    posted = {call.checkout_reference for call in simulator.requests if call.method == "POST"}
    assert posted == {payment.reference}


# --- A lost answer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", CREATED_UNHEARD)
def test_a_checkout_whose_making_was_not_heard_of_is_found_by_its_reference(
    order: Order, sumup: Simulator, fault: str
) -> None:
    sumup.behave(create=fault, times={"create": 1})

    payment = starting.start(order)

    assert payment.status == "open"
    assert payment.checkout_url
    assert [call.method for call in sumup.requests] == ["POST", "GET"]
    assert_one_checkout(sumup, payment)


@pytest.mark.parametrize("fault", NOTHING_CREATED)
def test_a_post_that_came_to_nothing_is_repeated_with_the_same_reference(
    order: Order, sumup: Simulator, fault: str
) -> None:
    sumup.behave(create=fault, times={"create": 1})

    payment = starting.start(order)

    assert payment.status == "open"
    assert [call.method for call in sumup.requests] == ["POST", "GET", "POST"]
    assert_one_checkout(sumup, payment)


@pytest.mark.parametrize("fault", NOTHING_CREATED)
def test_an_attempt_in_doubt_is_finished_by_the_sweep(later: Later, order: Order, sumup: Simulator, fault: str) -> None:
    sumup.behave(create=fault)
    doubtful = starting.start(order)
    assert (doubtful.status, doubtful.checkout_url) == ("unknown", "")
    sumup.behave(create="ok")
    later(seconds=13)

    sweeping.sweep()

    payment = fresh(doubtful)
    assert payment.status == "open"
    assert payment.valid_until == doubtful.valid_until
    assert_one_checkout(sumup, payment)
    assert open_cases() == []


def test_an_answer_that_comes_too_late_is_doubt(order: Order, sumup: Simulator, settings: Any) -> None:
    settings.SUMUP_TIMEOUT = (5, 0.2)
    sumup.behave(create="slow", slow_seconds=1, times={"create": 1})

    payment = starting.start(order)

    assert payment.status == "open"
    assert_one_checkout(sumup, payment)


def test_while_sumup_is_out_of_reach_the_attempt_stays_in_doubt(later: Later, order: Order, wire: Wire) -> None:
    wire.is_cut = True

    payment = starting.start(order)
    for _look in range(3):
        later(minutes=3)
        sweeping.sweep()

    assert fresh(payment).status == "unknown"
    assert fresh(order).status == "awaiting_payment"
    assert wire.simulator.checkouts() == []


def test_a_second_tab_gets_the_attempt_in_doubt_and_posts_nothing(order: Order, sumup: Simulator) -> None:
    sumup.behave(create="500")
    payment = starting.start(order)
    asked = len(sumup.requests)

    again = starting.start(order)

    assert (again, again.status) == (payment, "unknown")
    assert len(sumup.requests) == asked


def test_a_duplicate_reference_is_looked_up_and_not_taken_for_a_refusal(order: Order, wire: Wire) -> None:
    """409 says that SumUp has it, but not under which id."""
    payment, _ = starting._find_or_reserve(order)
    sending._post(payment)

    sending.send(payment)

    assert fresh(payment).status == "open"
    assert wire.calls == ["POST", "POST", "GET"]
    assert_one_checkout(wire.simulator, fresh(payment))


@committed
def test_eight_sweeps_and_senders_at_once_make_one_checkout(later: Later, order: Order, sumup: Simulator) -> None:
    payment, _ = starting._find_or_reserve(order)
    later(minutes=3)

    run_at_once(*[lambda: sending.send(fresh(payment))] * 3, *[lambda: sending.resolve(fresh(payment))] * 5)

    assert fresh(payment).status == "open"
    assert_one_checkout(sumup, fresh(payment))
    assert open_cases() == []
    assert events_of(order).count("attempt_open") == 1


def test_posting_again_keeps_the_promise_made_at_first(later: Later, order: Order, sumup: Simulator) -> None:
    sumup.behave(create="500")
    payment = starting.start(order)
    sumup.behave(create="ok")
    later(minutes=20)

    sweeping.sweep()

    (checkout,) = sumup.checkouts()
    assert checkout.valid_until is not None
    assert abs(checkout.valid_until - payment.valid_until) < timedelta(seconds=1)


def test_an_attempt_whose_time_is_nearly_over_is_not_posted_again(later: Later, order: Order, sumup: Simulator) -> None:
    sumup.behave(create="500")
    payment = starting.start(order)
    sumup.behave(create="ok")
    later(minutes=29, seconds=30)

    sweeping.sweep()

    assert fresh(payment).status == "unknown"
    assert sumup.checkouts() == []


def test_an_attempt_that_never_reached_sumup_is_given_up_long_after_its_end(
    later: Later, order: Order, sumup: Simulator
) -> None:
    sumup.behave(create="500")
    payment = starting.start(order)
    sumup.behave(create="ok")

    later(minutes=40)
    sweeping.sweep()
    held = fresh(payment).status
    later(minutes=21)
    sweeping.sweep()

    assert held == "unknown"
    assert fresh(payment).status == "closed"
    assert sumup.checkouts() == []


# --- A definite no ----------------------------------------------------------------------------------------------------


def test_a_definite_no_closes_the_attempt_and_asks_a_person_to_look(
    order: Order, sumup: Simulator, settings: Any
) -> None:
    settings.SUMUP_API_KEY = "sup_sk_wrong"

    payment = starting.start(order)

    assert payment.status == "closed"
    case = Case.objects.get()
    assert (case.kind, case.subject_uuid, case.at_stake) == ("attempt_stuck", payment.uuid, payment.amount)
    assert "401" in case.what_happened
    assert "sup_sk_wrong" not in case.what_happened
    assert fresh(order).status == "awaiting_payment"


def test_after_a_definite_no_a_new_attempt_has_a_new_reference(order: Order, sumup: Simulator, settings: Any) -> None:
    settings.SUMUP_API_KEY = "sup_sk_wrong"
    refused = starting.start(order)
    settings.SUMUP_API_KEY = "sup_sk_simulator"

    payment = starting.start(order)

    assert payment.status == "open"
    assert payment.reference != refused.reference


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_these_are_a_definite_no(order: Order, wire: Wire, status: int) -> None:
    wire.reply(status, b'{"message": "No", "error_code": "NO"}')

    payment = starting.start(order)

    assert payment.status == "closed"
    assert open_cases() == ["attempt_stuck"]
    assert wire.calls == ["POST"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_no_to_a_later_question_leaves_the_attempt_in_doubt(order: Order, wire: Wire, status: int) -> None:
    """The first POST may have made a checkout: only its own answer could tell."""
    wire.reply(500)
    wire.reply(status, b"{}")

    payment = starting.start(order)

    assert payment.status == "unknown"
    assert open_cases() == ["attempt_stuck"]


def test_the_case_about_a_lost_create_resolves_itself(later: Later, order: Order, wire: Wire) -> None:
    wire.reply(500)
    wire.reply(500)
    starting.start(order)
    later(minutes=1)

    sweeping.sweep()

    assert open_cases() == []
    case = Case.objects.get()
    assert (case.kind, case.resolved_by) == ("attempt_stuck", None)


@committed
def test_a_no_that_comes_after_the_lease_lapsed_decides_nothing(later: Later, order: Order, wire: Wire) -> None:
    """The sweep has taken over, and may have posted meanwhile."""

    def lapse() -> None:
        later(minutes=3)
        sweeping.sweep()

    wire.before("POST", lapse)
    wire.before("GET", lambda: wire.reply(200, b"[]"))
    wire.after("POST", lambda: wire.reply(400, b"{}"))

    payment = starting.start(order)

    assert payment.status == "open"
    assert_one_checkout(wire.simulator, payment)


# --- What SumUp answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/pay/1",
        "https://sumup.com.evil.example/pay/1",
        "https://evilsumup.com/pay/1",
        "http://checkout.sumup.com/pay/1",
        "https://checkout.sumup.com@evil.example/pay/1",
        "https://evil.example\\@checkout.sumup.com/pay/1",
        "https://[checkout.sumup.com/pay/1",
        "javascript:alert(1)//.sumup.com",
        "//checkout.sumup.com/pay/1",
        "",
        None,
    ],
)
def test_a_page_elsewhere_is_never_shown_and_its_checkout_is_deleted(order: Order, wire: Wire, url: str | None) -> None:
    wire.change(lambda checkout: checkout | {"hosted_checkout_url": url})

    payment = starting.start(order)

    assert (payment.status, payment.checkout_url) == ("closed", "")
    assert [checkout.status for checkout in wire.simulator.checkouts()] == ["EXPIRED"]
    assert fresh(order).status == "awaiting_payment"


@pytest.mark.parametrize("url", ["https://checkout.sumup.com/pay/c-1", "https://pay.sumup.com/b2c/Q1?x=1&y=%20#top"])
def test_sumups_own_pages_are_shown(order: Order, wire: Wire, url: str) -> None:
    wire.change(lambda checkout: checkout | {"hosted_checkout_url": url})

    payment = starting.start(order)

    assert (payment.status, payment.checkout_url) == ("open", url)


@pytest.mark.parametrize("lost", ["id", "status"])
def test_an_answer_without_what_matters_is_doubt(order: Order, wire: Wire, lost: str) -> None:
    wire.reply(201, b'{"checkout_reference": "x", "%s": "1"}' % (b"status" if lost == "id" else b"id"))

    payment = starting.start(order)

    assert payment.status == "open"
    assert wire.calls == ["POST", "GET", "POST"]
    assert_one_checkout(wire.simulator, payment)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"not JSON", b"<html>Created</html>", b"\xff\xfe\xfd"])
def test_an_unreadable_yes_is_doubt(order: Order, wire: Wire, body: bytes) -> None:
    wire.reply(201, body)

    payment = starting.start(order)

    assert payment.status == "open"
    assert_one_checkout(wire.simulator, payment)


def test_a_checkout_of_another_reference_is_not_taken(order: Order, wire: Wire) -> None:
    wire.change(lambda checkout: checkout | {"checkout_reference": "somebody-elses"})

    payment = starting.start(order)

    assert (payment.status, payment.checkout_url) == ("closed", "")


def test_several_checkouts_of_one_reference_are_a_case_and_only_one_can_be_paid(order: Order, wire: Wire) -> None:
    payment, _ = starting._find_or_reserve(order)
    sending._post(payment)
    (first,) = wire.simulator.checkouts()
    wire.simulator.behave(references="freed_when_dead")
    wire.simulator.decline(first.id)
    sending._post(payment)

    sending.send(payment)

    settling.settle(fresh(payment))
    assert open_cases() == ["attempt_stuck"]
    kept = fresh(payment).checkout_id
    dead = [checkout for checkout in wire.simulator.checkouts() if checkout.id != kept]
    assert [checkout.status for checkout in dead] == ["EXPIRED"]


@committed
def test_silence_after_an_odd_answer_does_not_break_the_shoppers_request(order: Order, wire: Wire) -> None:
    """A checkout that is not PENDING when it is found is looked at at once; that look may fail like any other."""
    payment, _ = starting._find_or_reserve(order)
    sending._post(payment)
    wire.simulator.decline(wire.simulator.checkouts()[0].id)
    wire.after("GET", lambda: wire.reply(500))

    sending.send(payment)

    assert fresh(payment).status in Payment.AT_SUMUP


# --- An order that closes meanwhile -----------------------------------------------------------------------------------


@committed
def test_an_answer_that_comes_after_closing_began_is_deleted_and_never_shown(
    order: Order, wire: Wire, workshop: Entry
) -> None:
    wire.after("POST", lambda: releasing.begin(order, to="cancelled", by="shopper"))

    payment = starting.start(order)

    assert (payment.status, payment.checkout_url) == ("closed", "")
    (checkout,) = wire.simulator.checkouts()
    assert checkout.status == "EXPIRED"
    assert payment.checkout_id == checkout.id
    assert taken(workshop) == 2


@committed
def test_an_answer_that_comes_after_the_order_was_let_go_is_deleted_and_never_shown(
    order: Order, wire: Wire, workshop: Entry
) -> None:
    wire.before("POST", lambda: releasing.release(order, to="cancelled", by="shopper"))

    payment = starting.start(order)

    assert (payment.status, payment.checkout_url) == ("closed", "")
    assert [checkout.status for checkout in wire.simulator.checkouts()] == ["EXPIRED"]
    assert fresh(order).status == "cancelled"
    assert taken(workshop) == 0


@committed
def test_a_lost_answer_of_an_order_that_closes_meanwhile_is_found_and_deleted(order: Order, wire: Wire) -> None:
    wire.simulator.behave(create="response_lost", times={"create": 1})
    wire.after("POST", lambda: releasing.begin(order, to="cancelled", by="shopper"))

    payment = starting.start(order)

    assert (payment.status, payment.checkout_url) == ("closed", "")
    assert [checkout.status for checkout in wire.simulator.checkouts()] == ["EXPIRED"]


def test_nothing_is_posted_again_for_an_order_that_closes(later: Later, order: Order, sumup: Simulator) -> None:
    sumup.behave(create="500")
    payment = starting.start(order)
    releasing.begin(order, to="cancelled", by="shopper")
    sumup.behave(create="ok")
    later(seconds=15)

    sweeping.sweep()

    assert fresh(payment).status == "closed"
    assert sumup.checkouts() == []


@committed
def test_a_checkout_that_could_not_be_deleted_is_never_shown_but_watched(
    later: Later, order: Order, wire: Wire
) -> None:
    wire.simulator.behave(delete="500")
    wire.after("POST", lambda: releasing.begin(order, to="cancelled", by="shopper"))
    payment = starting.start(order)
    wire.simulator.pay(wire.simulator.checkouts()[0].id)  # which nobody could, not knowing the page

    releasing.sweep()
    later(minutes=6)
    sweep()

    assert payment.checkout_url == ""
    assert fresh(payment).status == "captured"
    assert fresh(order).status == "cancelled"
    assert open_cases() == ["late_payment"]


@committed
def test_two_tabs_and_a_release_at_once_leave_nothing_that_can_be_paid(
    later: Later, order: Order, sumup: Simulator, workshop: Entry
) -> None:
    def start() -> None:
        try:
            starting.start(order)
        except starting.CannotPay:
            return

    results_of(run_at_once(start, start, lambda: releasing.release(order, to="cancelled", by="shopper")))
    sweep_until_quiet(later)

    assert fresh(order).status == "cancelled"
    assert all(checkout.status == "EXPIRED" for checkout in sumup.checkouts())
    assert taken(workshop) == 0
    assert not Payment.objects.live().exists()


@committed
def test_an_attempt_opened_by_two_looks_at_once_is_opened_once(later: Later, order: Order, sumup: Simulator) -> None:
    sumup.behave(create="response_lost", times={"create": 1})
    payment, _ = starting._find_or_reserve(order)
    sumup.behave(create="ok")
    sending._post(payment)

    results_of(run_at_once(*[lambda: sending.resolve(fresh(payment))] * 6))

    assert fresh(payment).status == "open"
    assert events_of(order).count("attempt_open") == 1
    assert [checkout.status for checkout in sumup.checkouts()] == ["PENDING"]
    assert settling.settle(fresh(payment)) is not None
