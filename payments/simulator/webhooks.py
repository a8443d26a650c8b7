"""Webhooks of the first generation: an unsigned note to the address the checkout was created with."""

import json
import threading
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import IO, Any

from payments.simulator.checkouts import Checkout, CheckoutStatus, Notice

STATUS_CHANGED = "CHECKOUT_STATUS_CHANGED"
RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 20, 120))
SLOWEST_ANSWER = 10
OVERTAKEN_BY = timedelta(seconds=60)

# Takes an address and a body, gives the HTTP status of the answer (0 when there was none).
Post = Callable[[str, bytes], int]


def plan_notices(checkout: Checkout, mode: str, now: datetime, late: timedelta) -> tuple[Notice, ...]:
    """The webhooks that are owed because the checkout has just become what it is now."""
    if not checkout.return_url:
        return ()
    failed = checkout.status is CheckoutStatus.FAILED
    delays = {
        "never": [],
        "twice": [timedelta(0), timedelta(seconds=1)],
        "concurrent": [timedelta(0), timedelta(0)],
        "late": [late],
        "out_of_order": [OVERTAKEN_BY if failed else timedelta(0)],
    }.get(mode, [timedelta(0)])
    return tuple(make_notice(STATUS_CHANGED, checkout.id, now + delay) for delay in delays)


def make_notice(event_type: str, subject: str, due_at: datetime) -> Notice:
    """A webhook about a checkout, to be sent at a given time."""
    return Notice(id=str(uuid.uuid4()), event_type=event_type, subject=subject, due_at=due_at)


def note_answer(notice: Notice, status: int, now: datetime) -> Notice:
    """The notice after an attempt to deliver it: done, due again later, or given up."""
    if 200 <= status < 300:
        return replace(notice, due_at=None)
    due_at = now + RETRY_AFTER[notice.failures] if notice.failures < len(RETRY_AFTER) else None
    return replace(notice, due_at=due_at, failures=notice.failures + 1)


def write_body(notice: Notice) -> bytes:
    """What is posted: a hint where to look, and no status."""
    return json.dumps({"event_type": notice.event_type, "id": notice.subject}).encode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is not an acceptance, and following it would turn the POST into a GET."""

    def redirect_request(  # noqa: PLR0917 - the standard library's signature
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Never go there."""


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def post_over_http(url: str, body: bytes) -> int:
    """Post to an address and give the status of the answer, 0 when none came in time."""
    headers = {"Content-Type": "application/json", "User-Agent": "SumUp simulator"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - only http(s) is let in
    try:
        with _opener.open(request, timeout=SLOWEST_ANSWER) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, HTTPException, ValueError):
        return 0


class Courier:
    """Runs deliveries in a few threads that live only as long as there is something to deliver.

    With no threads at all it delivers at once, in the thread of whoever asks.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0
        self._change = threading.Condition()

    def deliver(self, errand: Callable[[], None]) -> None:
        """Run an errand soon; without threads, now."""
        if not self._threads:
            errand()
            return
        with self._change:
            self._waiting.append(errand)
            if self._running < self._threads:
                self._running += 1
                # Daemons: a receiver that does not answer must not keep the program from ending.
                threading.Thread(target=self._work, name="webhooks", daemon=True).start()

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait for all errands to be done; False when they were not done in time."""
        with self._change:
            return self._change.wait_for(lambda: not self._running, timeout)

    def _work(self) -> None:
        try:
            while errand := self._next():
                errand()
        except BaseException:
            # A delivery that breaks ends its thread, which must not be counted as running for ever.
            self._leave()
            raise

    def _next(self) -> Callable[[], None] | None:
        with self._change:
            if self._waiting:
                return self._waiting.popleft()
            self._leave()
            return None

    def _leave(self) -> None:
        with self._change:
            self._running -= 1
            self._change.notify_all()
