"""Telling people of faults: by mail to settings.ADMINS, and to the hook settings.ALERT_HOOK_URL, if there are any.

At most one digest a minute, and never in a request's way. No personal data: no messages of exceptions, no names, none
of the addresses that were asked for. The settings name the handler for logging, so no model is imported here.
"""

import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
from django.conf import settings
from django.core.mail import mail_admins
from django.db import connections
from django.utils.translation import ngettext

logger = logging.getLogger(__name__)

BETWEEN = 60.0  # seconds from one digest of faults to the next, in each process
MOST_LINES = 20
MOST_KINDS = 200  # of faults that are told apart between two digests
HOOK_TIMEOUT = (5, 10)  # seconds


Way = Callable[[str, list[str]], None]


def is_anybody_told() -> bool:
    """Whether anybody hears of our faults."""
    return bool(settings.ADMINS or settings.ALERT_HOOK_URL)


def tell(subject: str, lines: Sequence[str]) -> bool:
    """Send a digest by every way there is; False if none of them worked. Nothing is raised."""
    told, more = list(lines[:MOST_LINES]), len(lines) - MOST_LINES
    if more > 0:
        told.append(f"... and {more} more.")
    ways: list[Way] = [_mail] if settings.ADMINS else []
    ways += [_post_to_hook] if settings.ALERT_HOOK_URL else []
    worked = [_try(way, subject, told) for way in ways]  # each of them, whatever became of the one before
    return any(worked)


def _try(way: Way, subject: str, lines: list[str]) -> bool:
    try:
        way(subject, lines)
    except Exception as error:  # whatever a mail server or a hook may do
        logger.warning("Nobody could be told of faults or cases (%s).", type(error).__name__)
        return False
    return True


def _mail(subject: str, lines: list[str]) -> None:
    mail_admins(subject, "\n".join(lines))


def _post_to_hook(subject: str, lines: list[str]) -> None:
    document = {"text": "\n".join([subject, *lines]), "subject": subject, "lines": lines}  # chats show the text
    answer = requests.post(settings.ALERT_HOOK_URL, json=document, timeout=HOOK_TIMEOUT, allow_redirects=False)
    answer.raise_for_status()


# --- Faults -----------------------------------------------------------------------------------------------------------


class AlertHandler(logging.Handler):
    """Collects what is logged as an error, and has a thread tell of it: the first at once, then once a minute."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._changed = threading.Lock()
        self._faults: Counter[str] = Counter()
        self._teller: threading.Thread | None = None
        self._last = -BETWEEN

    def emit(self, record: logging.LogRecord) -> None:
        """Note a fault, and return at once."""
        if not is_anybody_told() or record.name.startswith("django.security"):  # strangers can cause those at will
            return
        line = describe(record)
        with self._changed:
            if line in self._faults or len(self._faults) < MOST_KINDS:
                self._faults[line] += 1
            if self._teller is None or not self._teller.is_alive():  # a thread does not survive a fork
                self._teller = threading.Thread(target=self._tell, name="alerts", daemon=True)
                self._teller.start()

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def _tell(self) -> None:
        while True:
            self._wait(max(0.0, self._last + BETWEEN - time.monotonic()))
            with self._changed:
                faults, self._faults = self._faults, Counter()
                if not faults:
                    self._teller = None
                    return
            self._last = time.monotonic()
            total = sum(faults.values())
            title = ngettext("%(count)d fault in the shop", "%(count)d faults in the shop", total) % {"count": total}
            tell(title, [f"{count} x {line}" for line, count in faults.most_common()])
            connections.close_all()


def describe(record: logging.LogRecord) -> str:
    """What an error says without personal data: kind, place in the code, and which view."""
    error = record.exc_info[1] if record.exc_info else None
    what = f"{type(error).__name__} at {_place_of(error)}" if error else str(record.msg)[:200]
    status = getattr(record, "status_code", None)
    if status is None:
        return f"{record.name}: {what}"
    match = getattr(getattr(record, "request", None), "resolver_match", None)
    return f"HTTP {status} /{match.route if match else '...'}: {what}"


def _place_of(error: BaseException) -> str:
    """Where in the code it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
