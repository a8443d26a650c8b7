"""What will fall due: a heap, so that a look at the clock touches only what is due."""

import heapq
import itertools
from collections.abc import Iterator
from datetime import datetime


class Agenda:
    """Appointments of checkouts, or of one of their webhooks.

    None is ever taken back: one that no longer holds means nothing when its time comes.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, str, str]] = []
        self._numbers = itertools.count()

    def note(self, when: datetime, checkout_id: str, notice_id: str = "") -> None:
        """Something will be due then: the settlement of a payment, or a webhook."""
        heapq.heappush(self._heap, (when, next(self._numbers), checkout_id, notice_id))

    def take_due(self, now: datetime) -> Iterator[tuple[datetime, str, str]]:
        """When, which checkout and which webhook: what is due by now, and with that off the agenda."""
        while self._heap and self._heap[0][0] <= now:
            when, _, checkout_id, notice_id = heapq.heappop(self._heap)
            yield when, checkout_id, notice_id

    def due(self, now: datetime) -> set[str]:
        """The checkouts for which something is due by now. It stays on the agenda."""
        return {checkout_id for when, _, checkout_id, _ in self._heap if when <= now}

    def clear(self) -> None:
        """Nothing is to be done any more."""
        self._heap.clear()
