"""A call to SumUp ends by its deadline whatever comes of it, and a lease outlasts the call of its holder."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders.models import Order
from payments import deadlines, page_calls, schedule, sending, starting, sumup, sweeping
from payments.models import Payment
from tests.payments.far_side import Drip
from tests.payments.records import Later, fresh, open_cases
from tests.payments.wire import Wire, die_in_call

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["the head drips", "the body drips"])
def drip(request: pytest.FixtureRequest, settings: Any) -> Iterator[Drip]:
    """A SumUp that answers a byte at a time, for ever."""
    settings.SUMUP_TIMEOUT = (5, 0.2)
    with Drip(head_first=request.param) as drip:
        settings.SUMUP_API_URL = drip.url
        yield drip


def test_an_answer_that_drips_ends_with_the_deadline_of_the_call(drip: Drip) -> None:
    with pytest.raises(sumup.SumUpInDoubt):
        sumup.get_checkout("some-id")

    assert drip.calls == 1


def test_an_attempt_whose_answer_drips_is_in_doubt(drip: Drip, order: Order) -> None:
    payment = starting.start(order)

    assert payment.status == "unknown"
    assert payment.leased_until is None


def test_nothing_is_sent_after_the_deadline(wire: Wire) -> None:
    with deadlines.ends_within(0), pytest.raises(OSError, match="deadline"):
        sumup._session.get(f"{wire.url}/v0.1/checkouts/some-id")

    assert wire.calls == []


def test_where_one_of_a_servers_addresses_is_dead_the_next_one_is_asked(
    monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    monkeypatch.setattr(deadlines, "_addresses_of", lambda _host, _port: ["127.0.0.9", "127.0.0.1"])

    with deadlines.ends_within(5):
        answer = sumup._session.get(f"{wire.url}/nowhere")

    assert answer.status_code == 404
    assert wire.calls == ["GET"]


# --- The lease --------------------------------------------------------------------------------------------------------


def leases_during(wire: Wire, method: str) -> list[timedelta]:
    """How long the lease still is when SumUp hears of a call of this method."""
    seen: list[timedelta] = []

    def note() -> None:
        lapse = Payment.objects.get().leased_until
        assert lapse is not None
        seen.append(lapse - timezone.now())

    wire.before(method, note)
    return seen


@committed
def test_before_each_call_the_lease_is_renewed_to_its_deadline_and_five_seconds(
    later: Later, order: Order, wire: Wire
) -> None:
    wire.reply(500)
    wire.after("POST", lambda: later(seconds=19))
    look_up = leases_during(wire, "GET")
    again = leases_during(wire, "POST")  # of the second POST: the first one's reply is taken before

    starting.start(order)

    assert look_up == [timedelta(seconds=25)]
    assert wire.calls == ["POST", "GET", "POST"]
    assert again[-1] == timedelta(seconds=25)


@committed
def test_while_one_process_is_in_a_call_up_to_its_deadline_no_other_posts(
    later: Later, order: Order, wire: Wire
) -> None:
    others: list[list[str]] = []

    def come_by() -> None:
        later(seconds=24.9)  # of 20 seconds for the call, and five more
        sweeping.sweep()
        sweeping.look_now(Payment.objects.get().pk)
        starting.start(order)
        others.append(list(wire.calls))

    wire.before("POST", come_by)

    payment = starting.start(order)

    assert others == [["POST"]]
    assert payment.status == "open"
    assert len(wire.simulator.checkouts()) == 1


@committed
def test_a_look_at_a_doubtful_attempt_keeps_others_from_posting_through_each_of_its_calls(
    later: Later, order: Order, wire: Wire
) -> None:
    wire.is_cut = True
    starting.start(order)
    wire.is_cut = False
    wire.calls.clear()
    later(seconds=30)

    def come_by() -> None:
        later(seconds=24)
        sweeping.sweep()
        sweeping.look_now(Payment.objects.get().pk)

    wire.before("GET", come_by)
    wire.before("POST", come_by)
    sweeping.sweep()

    assert wire.calls == ["GET", "POST"]
    assert Payment.objects.get().status == "open"


@committed
def test_whoever_has_lost_the_lease_posts_nothing(later: Later, order: Order, wire: Wire) -> None:
    """A process that was held up between two of its calls finds that another one has taken over."""
    wire.reply(500)
    payment = starting._find_or_reserve(order)[0]

    def be_overtaken() -> None:
        later(seconds=26)
        sweeping.sweep()

    wire.after("GET", be_overtaken)
    sending.send_leased(payment)

    assert wire.calls.count("POST") == 2
    assert len(wire.simulator.checkouts()) == 1
    assert fresh(payment).status == "open"


@committed
@pytest.mark.parametrize("heard", [False, True])
def test_the_payer_of_a_killed_page_waits_for_its_deadline_and_five_seconds_and_one_sweep(
    later: Later, order: Order, wire: Wire, settings: Any, heard: bool
) -> None:
    def show_page() -> None:
        with page_calls.page_waits(settings.SUMUP_PAGE_SECONDS):
            starting.start(order)

    later()
    die_in_call(wire, "POST", show_page, heard=heard)
    later(seconds=8 + 5 + 0.1)

    sweeping.sweep()

    assert Payment.objects.get().status == "open"
    assert open_cases() == []


@committed
def test_the_payer_of_a_killed_look_waits_no_longer(later: Later, payment: Payment, wire: Wire, settings: Any) -> None:
    def show_page() -> None:
        with page_calls.page_waits(settings.SUMUP_PAGE_SECONDS):
            sweeping.look_now(payment.pk)

    later(seconds=5)
    wire.simulator.pay(payment.checkout_id)
    die_in_call(wire, "GET", show_page, heard=True)
    later(seconds=8 + 5 + 0.1)

    sweeping.sweep()

    assert fresh(payment).status == "captured"


def test_giving_a_lease_back_late_does_not_take_it_from_another(later: Later, payment: Payment) -> None:
    later(minutes=1)
    assert schedule.take(payment.pk)
    late = schedule.Lease(payment.pk, fresh(payment).leased_until or timezone.now())
    later(seconds=26)
    assert schedule.take(payment.pk)

    schedule.put_back(late, answered=True)
    schedule.hand_over(late)

    assert fresh(payment).leased_until is not None
