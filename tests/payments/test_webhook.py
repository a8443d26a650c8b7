"""A webhook is a knock at the door: it brings a look forward, and decides nothing."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from kombu import pools

from cart.models import Product
from cartsite.celery import app
from orders.models import Order
from payments import releasing, starting, sweeping, tasks
from payments.models import Movement, Payment
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.payments.records import Later, fresh, sweep, tallies

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

KNOCK = {"event_type": "CHECKOUT_STATUS_CHANGED", "id": "b5a6c1c0-0000-0000-0000-000000000000"}


def knock(payment: Payment | None, body: Any = KNOCK, **headers: Any) -> Any:
    """What SumUp does when a checkout has changed; no payment: somebody who guesses at addresses."""
    token = payment.webhook_token if payment else "x" * 32
    document = body if isinstance(body, bytes) else json.dumps(body).encode()
    address = reverse("payments:webhook", args=[token])
    return Client(enforce_csrf_checks=True).post(address, document, content_type="application/json", **headers)


@pytest.fixture
def broker_out_of_reach() -> Iterator[None]:
    """Nobody listens where the broker should be."""
    before = app.conf.broker_url, app.conf.broker_transport_options
    use_broker("redis://127.0.0.1:1/0", {"max_retries": 1, "interval_start": 0})
    yield
    use_broker(*before)


def use_broker(url: str, options: dict[str, Any]) -> None:
    """Celery keeps connections: forget those, too."""
    app.conf.broker_url, app.conf.broker_transport_options = url, options
    app.amqp._producer_pool = app._pool = None
    pools.reset()


def test_a_knock_brings_the_look_forward(payment: Payment) -> None:
    assert payment.next_look_at is not None
    assert payment.next_look_at > datetime.now(UTC)

    answer = knock(payment)

    due = fresh(payment).next_look_at
    assert answer.status_code == 204
    assert due is not None
    assert due <= datetime.now(UTC)


def test_a_known_and_an_unknown_token_get_the_same_answer(payment: Payment) -> None:
    known, unknown = knock(payment), knock(None)

    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
    assert dict(known.headers) == dict(unknown.headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{not JSON",
        b"null",
        b"[1, 2]",
        b"\x00\xff\xfe",
        b"{" * 100_000,
        b" " * 1_000_000,
        b'{"id": {"$gt": ""}}',
        b'{"event_type": "SOMETHING_NEW"}',
    ],
    ids=["empty", "broken", "null", "list", "binary", "deep", "1 MB", "odd id", "unknown type"],
)
@pytest.mark.parametrize("known", [True, False])
def test_any_body_gets_the_same_answer(payment: Payment, body: bytes, known: bool) -> None:
    answer = knock(payment if known else None, body)

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("token", ["%00", "a%00b", "%FF%FE", "é", "' OR 1=1 --", "x" * 4000])
def test_any_token_is_taken_calmly(payment: Payment, token: str) -> None:
    answer = Client().post(f"/webhooks/sumup/{token}/", b"{}", content_type="application/json")

    assert answer.status_code in (204, 404)


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "patch"])
def test_only_a_post_is_a_knock(payment: Payment, method: str) -> None:
    address = reverse("payments:webhook", args=[payment.webhook_token])

    assert getattr(Client(), method)(address).status_code == 405
    assert fresh(payment).next_look_at == payment.next_look_at


def test_a_forged_knock_confirms_nothing(payment: Payment, sumup: Simulator) -> None:
    forged = {"event_type": "CHECKOUT_STATUS_CHANGED", "id": payment.checkout_id, "status": "PAID", "amount": 76.5}

    knock(payment, forged)
    make_rest(payment)
    sweeping.sweep()

    assert fresh(payment).status == "open"
    assert not Movement.objects.exists()


def make_rest(payment: Payment) -> None:
    """As if the last look were long ago."""
    Payment.objects.filter(pk=payment.pk).update(last_look_at=None)


def test_a_knock_itself_asks_sumup_nothing(payment: Payment, sumup: Simulator) -> None:
    asked = len(sumup.requests)

    knock(payment)

    assert len(sumup.requests) == asked


def test_the_token_names_the_payment_and_the_body_does_not(
    place_order: Callable[..., Order], honey: Product, sumup: Simulator
) -> None:
    mine, other = (starting.start(place_order((honey, 1))) for _order in range(2))

    knock(mine, {"event_type": "CHECKOUT_STATUS_CHANGED", "id": other.checkout_id})

    assert fresh(mine).next_look_at != mine.next_look_at
    assert fresh(other).next_look_at == other.next_look_at


def test_a_paid_checkout_is_confirmed_by_the_look_that_follows_a_knock(
    later: Later, payment: Payment, sumup: Simulator
) -> None:
    later(seconds=4)
    sumup.pay(payment.checkout_id)
    knock(payment)

    tasks.look_at(payment.pk)

    assert fresh(payment.order).status == "confirmed"


def test_a_knock_just_after_a_look_is_answered_by_the_next_sweep(
    later: Later, payment: Payment, sumup: Simulator
) -> None:
    sumup.pay(payment.checkout_id)
    knock(payment)
    tasks.look_at(payment.pk)  # too soon: three seconds have not passed
    assert fresh(payment).status == "open"

    later(seconds=5)
    tasks.sweep_payments()

    assert fresh(payment.order).status == "confirmed"


@committed
def test_sixteen_knocks_at_once_confirm_once(later: Later, payment: Payment, sumup: Simulator) -> None:
    later(seconds=4)
    sumup.pay(payment.checkout_id)

    def knock_and_look() -> int:
        status = knock(payment).status_code
        tasks.look_at(payment.pk)
        return int(status)

    assert results_of(run_at_once(*[knock_and_look] * 16)) == [204] * 16
    assert fresh(payment.order).status == "confirmed"
    assert tallies() == {"movements": 1, "bookings": 2, "messages": 1}


def test_a_knock_about_a_captured_payment_does_nothing(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    make_rest(payment)
    sweeping.look_now(payment.pk)
    asked = len(sumup.requests)

    assert knock(payment).status_code == 204
    make_rest(payment)
    sweep()

    assert len(sumup.requests) == asked


def test_a_knock_about_a_closed_payment_is_looked_into_however_late(
    later: Later, order: Order, payment: Payment, sumup: Simulator
) -> None:
    """Closed means: as far as we know. SumUp knocking after our last look must not be ignored."""
    releasing.release(order, to="cancelled", by="shopper")
    later(minutes=1)
    releasing.step(order)
    for _look in range(5):
        later(days=1)
        sweeping.sweep()
    assert fresh(payment).next_look_at is None
    asked = len(sumup.requests)

    knock(payment)
    sweeping.sweep()
    later(days=1)
    sweeping.sweep()

    assert len(sumup.requests) == asked + 1


@committed
@pytest.mark.usefixtures("broker_out_of_reach")
def test_a_broker_out_of_reach_breaks_no_knock(
    payment: Payment, sumup: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    sumup.pay(payment.checkout_id)

    assert knock(payment).status_code == 204

    assert "broker is out of reach" in caplog.text
    make_rest(payment)
    sweeping.sweep()
    assert fresh(payment.order).status == "confirmed"


def test_without_any_webhook_the_sweep_confirms(later: Later, payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)

    later(seconds=13)
    tasks.sweep_payments()

    assert fresh(payment.order).status == "confirmed"
    assert tallies() == {"movements": 1, "bookings": 2, "messages": 1}


def test_the_secrets_of_an_attempt_are_in_none_of_its_texts(payment: Payment) -> None:
    assert payment.webhook_token not in f"{payment!r}{payment}"
    assert payment.return_token not in f"{payment!r}{payment}"
