"""How long, how many and how often calls to SumUp may hold up pages, so that a SumUp that hangs closes no shop.

Each process counts for itself. Workers, on whom nobody waits, are not bound by any of this (docs/adr/0018).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, local

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from cartsite.outages import Outage

MOMENT = 0.25  # seconds to wait for a call of another page to end
WORTH_ASKING = 1 / 8  # of a page's time: with less of it left, a call would only leave doubt

_page = local()  # what the page that this thread makes may still spend


class NoTurn(Exception):
    """SumUp is not to be asked now, for a page waits; nothing was sent."""


class Slots:
    """The calls that pages wait for at this moment."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._taken = 0

    def take(self) -> bool:
        """Take a slot, if one is free within a moment."""
        with self._changed:
            is_free: bool = self._changed.wait_for(lambda: self._taken < settings.SUMUP_PAGE_CALLS, MOMENT)
            self._taken += is_free
            return is_free

    def give_back(self) -> None:
        with self._changed:
            self._taken -= 1
            self._changed.notify()


slots = Slots()
silence = Outage(
    "SumUp", "Pages ask it again only now and then; the worker goes on with what they began.", tolerated=2, pause=15
)


@contextmanager
def page_waits(seconds: float) -> Iterator[None]:
    """Somebody waits for what this thread does: all its calls together end within so many seconds of the first."""
    former = getattr(_page, "seconds", None), getattr(_page, "deadline", None)
    _page.seconds, _page.deadline = seconds, None
    try:
        yield
    finally:
        _page.seconds, _page.deadline = former


@contextmanager
def turn(longest: float) -> Iterator[float]:
    """A turn to call SumUp: how many seconds it may take, at most `longest`. Raises NoTurn.

    An OSError (which the exceptions of `requests` are) counts as silence.
    """
    if getattr(_page, "seconds", None) is None:
        yield longest
        return
    if not (_is_worth_asking() and silence.may_ask() and slots.take()):
        raise NoTurn
    try:
        yield min(longest, _left())
    except OSError as error:
        silence.note_silence(error)
        raise
    else:
        silence.note_answer()
    finally:
        slots.give_back()


def _left() -> float:
    """The seconds of the page's time that are left; it begins with the first call."""
    if _page.deadline is None:
        _page.deadline = time.monotonic() + _page.seconds
    return float(_page.deadline - time.monotonic())


def _is_worth_asking() -> bool:
    return bool(_left() >= _page.seconds * WORTH_ASKING)


def limit_page_calls(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware: a shopper waits for SumUp for so long and no longer. Staff may wait for one call to end."""

    def middleware(request: HttpRequest) -> HttpResponse:
        is_staff = request.path_info.startswith("/admin/")
        with page_waits(settings.SUMUP_TIMEOUT[1] if is_staff else settings.SUMUP_PAGE_SECONDS):
            return get_response(request)

    return middleware
