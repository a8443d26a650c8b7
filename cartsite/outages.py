"""A server that we can do without for a while: it is asked again only now and then, and the log says so once."""

import logging
import time
from threading import Lock

logger = logging.getLogger(__name__)


class Outage:
    """Whether a server is out of reach, as this process knows it. All threads share it."""

    def __init__(self, server: str, meanwhile: str, *, tolerated: int = 0, pause: float = 5) -> None:
        """`server` and `meanwhile` are for the log: who is out of reach, and what we do until it is back.

        An outage begins after more than `tolerated` silences in a row; then one thread tries every `pause` seconds.
        """
        self._server, self._meanwhile = server, meanwhile
        self._tolerated, self.pause = tolerated, pause
        self._lock = Lock()
        self._silences = 0  # in a row
        self._next_try: float | None = None  # None: there is no outage

    def may_ask(self) -> bool:
        """Whether to ask the server now. During an outage one thread at a time may, after each pause."""
        with self._lock:
            now = time.monotonic()
            if self._next_try is not None and now < self._next_try:
                return False
            if self._next_try is not None:
                self._next_try = now + self.pause
            return True

    def note_silence(self, error: Exception) -> None:
        """The server gave no answer. The first silence of an outage is logged."""
        with self._lock:
            self._silences += 1
            if self._silences <= self._tolerated:
                return
            is_first = self._next_try is None
            self._next_try = time.monotonic() + self.pause
        if is_first:
            logger.warning("%s is out of reach (%s). %s", self._server, type(error).__name__, self._meanwhile)

    def note_answer(self) -> None:
        """The server answered. The end of an outage is logged."""
        if not self._silences:
            return
        with self._lock:
            was_out = self._next_try is not None
            self._silences, self._next_try = 0, None
        if was_out:
            logger.warning("%s answers again.", self._server)
