"""A SumUp that hangs closes no shop: pages wait for it so long, so many and so often, and everybody else is served."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
import requests
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.test import Client
from django.utils import timezone

from cart.models import Cart, Product
from orders.models import Order
from payments import page_calls, refunds, settling, starting, sumup, sweeping
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.concurrency import PATIENCE
from tests.orders.acts import HTMX, holder_of, typed
from tests.payments.far_side import Frost
from tests.payments.records import fresh, open_cases
from tests.payments.wire import Wire

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
SHOPPERS = 40


class Shop(WSGIServer):
    """The shop as gunicorn serves it: all requests share a few threads."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Quiet)
        self.set_app(WSGIHandler())
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._threads = ThreadPoolExecutor(THREADS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._threads.submit(self._serve, request, client_address)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)
            connections.close_all()

    def close(self) -> None:
        self.shutdown()
        self._threads.shutdown()
        self.server_close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    settings.LIMITS_SPARE_LOOPBACK = True
    settings.SUMUP_PAGE_CALLS = THREADS // 2
    shop = Shop()
    threading.Thread(target=shop.serve_forever, args=(0.01,), daemon=True).start()
    yield shop
    shop.close()


@pytest.fixture
def frost(wire: Wire) -> Iterator[Frost]:
    """A SumUp that takes calls and says nothing, until it thaws."""
    frost = Frost()
    wire.on_every_call = frost
    yield frost
    frost.thaw()


class Shopper:
    """Somebody who has filled a basket, and is about to place the order."""

    def __init__(self, shop: Shop, cart: Cart, token: str) -> None:
        self._shop, self._form = shop, typed(cart)
        self._browser = requests.Session()
        self._browser.cookies.set("cart", token)
        page = self._browser.get(f"{shop.url}/checkout/", timeout=PATIENCE)
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert found, page.text
        self._form["csrfmiddlewaretoken"] = found.group(1)

    def place(self) -> requests.Response:
        return self._browser.post(
            f"{self._shop.url}/checkout/", data=self._form, allow_redirects=False, timeout=2 * PATIENCE
        )


@pytest.fixture
def shoppers(shop: Shop, fill_cart: Callable[..., tuple[Cart, str]], honey: Product) -> list[Shopper]:
    return [Shopper(shop, *fill_cart((honey, 1))) for _ in range(SHOPPERS)]


def posts_per_reference(simulator: Simulator) -> list[int]:
    references = [checkout.reference for checkout in simulator.checkouts()]
    return [references.count(reference) for reference in set(references)]


def sweep_until_all_are_open() -> None:
    for _round in range(3):
        Payment.objects.exclude(status="open").update(next_look_at=None, last_look_at=None)
        for payment in Payment.objects.exclude(status="open"):
            sweeping.look_now(payment.pk)


def test_while_forty_shoppers_place_and_sumup_is_frozen_everybody_else_is_served(
    shop: Shop, shoppers: list[Shopper], wire: Wire, frost: Frost, settings: Any
) -> None:
    settings.SUMUP_PAGE_SECONDS = settings.SUMUP_TIMEOUT[1]  # longer than the test lasts: nobody is saved by it
    with ThreadPoolExecutor(SHOPPERS) as crowd:
        placing: list[Future[requests.Response]] = [crowd.submit(shopper.place) for shopper in shoppers]
        assert frost.wait_until(waiting=THREADS // 2)

        read = [requests.get(f"{shop.url}{path}", timeout=PATIENCE).status_code for path in ("/healthz", "/", "/cart/")]
        still_waiting = frost.waiting
        frost.thaw()
        answers = [each.result() for each in placing]

    assert read == [200, 200, 200]
    assert still_waiting == frost.most_waiting == THREADS // 2
    assert {answer.status_code for answer in answers} == {302}
    assert Order.objects.count() == Payment.objects.count() == SHOPPERS


def test_after_the_thaw_every_attempt_ends_well_and_no_reference_is_there_twice(
    shop: Shop, shoppers: list[Shopper], wire: Wire, frost: Frost, settings: Any
) -> None:
    settings.SUMUP_PAGE_SECONDS = 1.0
    with ThreadPoolExecutor(SHOPPERS) as crowd:
        answers = list(crowd.map(Shopper.place, shoppers))  # all of them get an answer while SumUp is frozen
    statuses = set(Payment.objects.values_list("status", flat=True))
    leased = Payment.objects.filter(leased_until__isnull=False).count()

    frost.thaw()
    sweep_until_all_are_open()

    assert {answer.headers["Location"].split("/")[1] for answer in answers} == {"orders"}
    assert (statuses, leased) == ({"created", "unknown"}, 0)
    assert set(Payment.objects.values_list("status", flat=True)) == {"open"}
    assert set(posts_per_reference(wire.simulator)) == {1}
    assert len(wire.simulator.checkouts()) == SHOPPERS
    assert open_cases() == []


# --- One page ---------------------------------------------------------------------------------------------------------


def test_a_page_is_shown_while_sumup_is_silent_and_its_attempt_is_in_doubt(
    order: Order, wire: Wire, frost: Frost, settings: Any
) -> None:
    settings.SUMUP_PAGE_SECONDS = 0.2

    page = holder_of(order).post(f"{order.get_absolute_url()}pay/", follow=True)

    assert "We are reaching the payment page" in page.content.decode()
    assert Payment.objects.get().status == "unknown"
    assert wire.calls == ["POST"]  # there was no time for a look-up


def test_all_calls_of_a_page_share_its_time(wire: Wire, frost: Frost) -> None:
    with page_calls.page_waits(0.2):
        for _ in range(3):
            with pytest.raises(sumup.SumUpInDoubt):
                sumup.get_checkout("some-id")

    assert wire.calls == ["GET"]


def test_a_worker_is_bound_by_nothing_that_binds_pages(sumup: Simulator, order: Order, settings: Any) -> None:
    settings.SUMUP_PAGE_CALLS = 0
    for _ in range(3):
        page_calls.silence.note_silence(TimeoutError())

    assert starting.start(order).status == "open"


# --- Not asked --------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(order: Order, sumup: Simulator, settings: Any) -> Payment:
    """An attempt that a page was not allowed to send."""
    settings.SUMUP_PAGE_CALLS = 0
    holder_of(order).post(f"{order.get_absolute_url()}pay/")
    settings.SUMUP_PAGE_CALLS = 4
    return Payment.objects.get()


def test_an_attempt_that_was_not_sent_is_as_it_was_created(refused: Payment, sumup: Simulator) -> None:
    assert (refused.status, refused.leased_until, refused.sent_at) == ("created", None, None)
    assert open_cases() == []
    assert sumup.requests == []


def test_the_next_sweep_sends_it_at_once_and_asks_nothing_before(refused: Payment, sumup: Simulator) -> None:
    sweeping.sweep()

    assert Payment.objects.get().status == "open"
    assert [call.method for call in sumup.requests] == ["POST"]
    assert open_cases() == []


def test_the_page_that_waits_for_it_leads_to_sumup_as_soon_as_it_is_there(refused: Payment, sumup: Simulator) -> None:
    order = refused.order
    shopper = holder_of(order)
    sweeping.sweep()

    answer = shopper.post(f"{order.get_absolute_url()}pay/")

    assert answer["Location"] == Payment.objects.get().checkout_url


def test_the_page_that_polls_leads_to_sumup_by_itself(refused: Payment, sumup: Simulator, settings: Any) -> None:
    order, shopper = refused.order, holder_of(refused.order)
    settings.SUMUP_PAGE_CALLS = 0
    page = shopper.get(order.get_absolute_url()).content.decode()
    sweeping.sweep()

    onward = shopper.get(f"{order.get_absolute_url()}?onward", headers=HTMX)
    reading = shopper.get(order.get_absolute_url(), headers=HTMX)

    assert f'hx-get="{order.get_absolute_url()}?onward"' in page
    assert onward["HX-Redirect"] == Payment.objects.get().checkout_url
    assert "HX-Redirect" not in reading
    assert "?onward" not in reading.content.decode()


def test_a_page_that_polls_sends_it_too_when_sumup_may_be_asked_again(refused: Payment, sumup: Simulator) -> None:
    holder_of(refused.order).get(refused.order.get_absolute_url())

    assert Payment.objects.get().status == "open"


def test_polling_pages_do_not_keep_the_sweep_from_it(refused: Payment, sumup: Simulator, settings: Any) -> None:
    shopper = holder_of(refused.order)
    settings.SUMUP_PAGE_CALLS = 0
    shopper.get(refused.order.get_absolute_url())

    sweeping.sweep()

    assert Payment.objects.get().status == "open"


def test_an_attempt_that_was_never_sent_is_not_sent_for_an_order_that_closes(
    refused: Payment, sumup: Simulator
) -> None:
    order = refused.order
    holder_of(order).post(f"{order.get_absolute_url()}change-basket/")

    sweeping.sweep()

    assert Payment.objects.get().status == "closed"
    assert sumup.checkouts() == []


def test_a_refund_that_was_not_sent_is_not_in_doubt(payment: Payment, wire: Wire, settings: Any) -> None:
    wire.simulator.pay(payment.checkout_id)
    settling.settle(payment)
    refund = refunds.request(fresh(payment), Wish(Decimal("5.00"), "Goods arrived broken.", None))
    refunds.approve(refund, by=None)

    def use_up_the_slots() -> None:
        settings.SUMUP_PAGE_CALLS = 0

    wire.after("GET", use_up_the_slots)
    with page_calls.page_waits(5):
        refunds.look_now(refund)
    meanwhile = (fresh(refund).status, fresh(refund).sent_at)
    Refund.objects.update(next_look_at=timezone.now())
    refunds.sweep()

    assert meanwhile == ("requested", None)
    assert fresh(refund).status == "done"
    assert wire.calls.count("POST") == 1


# --- After a few silences ---------------------------------------------------------------------------------------------


def ask_as_a_page() -> str:
    """What a page hears that asks SumUp something: the kind of error, since SumUp knows no such checkout."""
    with page_calls.page_waits(5):
        try:
            sumup.get_checkout("some-id")
        except sumup.SumUpError as error:
            return type(error).__name__
    return ""


def test_after_three_silences_in_a_row_pages_ask_no_more(wire: Wire) -> None:
    wire.is_cut = True

    heard = [ask_as_a_page() for _ in range(5)]

    assert heard == ["SumUpInDoubt"] * 3 + ["SumUpNotAsked"] * 2
    assert len(wire.calls) == 3


def test_an_answer_in_between_begins_the_count_anew(wire: Wire) -> None:
    for _ in range(3):
        wire.is_cut = True
        ask_as_a_page()
        ask_as_a_page()
        wire.is_cut = False

        assert ask_as_a_page() == "SumUpNotFound"


def test_after_a_pause_one_page_tries_and_what_it_hears_counts_for_all(wire: Wire) -> None:
    wire.is_cut = True
    for _ in range(3):
        ask_as_a_page()
    wire.calls.clear()
    page_calls.silence._next_try = 0.0  # the pause is over

    first, second = ask_as_a_page(), ask_as_a_page()
    page_calls.silence._next_try = 0.0
    wire.is_cut = False
    third, fourth = ask_as_a_page(), ask_as_a_page()

    assert (first, second, third, fourth) == ("SumUpInDoubt", "SumUpNotAsked", "SumUpNotFound", "SumUpNotFound")
    assert len(wire.calls) == 3


def test_a_refusal_is_no_silence(wire: Wire) -> None:
    for _ in range(5):
        wire.reply(500)

    assert [ask_as_a_page() for _ in range(5)] == ["SumUpInDoubt"] * 5


def test_a_slot_is_given_back_whatever_comes_of_the_call(wire: Wire, settings: Any) -> None:
    settings.SUMUP_PAGE_CALLS = 1
    wire.reply(200, b"no JSON")
    wire.reply(401)

    heard = [ask_as_a_page() for _ in range(3)]

    assert "SumUpNotAsked" not in heard


def test_health_and_reading_pages_do_not_ask_sumup(client: Client, sumup: Simulator, honey: Product) -> None:
    for path in ("/healthz", "/", "/cart/", "/calendars/"):
        assert client.get(path).status_code == 200

    assert sumup.requests == []
