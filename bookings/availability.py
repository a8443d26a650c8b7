"""What can honestly be said of the places at entries: how many are free for anybody, and what may come back when.

What is said is a snapshot: only a claim (`bookings.capacity`) decides who gets a place.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from django.db.models import Min, Q, Sum
from django.utils import timezone

from bookings import waiting
from bookings.models import Entry, Hold

# From how many on it is worth saying that they are the last, and that others are in baskets.
FEW = 5


class State(StrEnum):
    """What stands between a shopper and a place; each has its words in templates/bookings/_places.html."""

    CALLED_OFF = "called_off"
    OVER = "over"
    BEGUN = "begun"
    NOT_YET = "not_yet"
    CLOSED = "closed"
    QUEUED = "queued"
    SOLD_OUT = "sold_out"
    FEW_LEFT = "few_left"
    FREE = "free"
    UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Places:
    """What a page says of an entry's places.

    `free` are those anybody could claim now (None: without limit), `held` those in baskets or `offered` to somebody who
    waited; `returns_at` (UTC) is the first moment when some of those may come back.
    """

    state: State
    free: int | None
    held: int = 0
    offered: int = 0
    returns_at: datetime | None = None

    @property
    def is_queued(self) -> bool:
        """Whether free ones go to those who wait."""
        return self.state == State.QUEUED

    @property
    def can_be_added(self) -> bool:
        """Whether a shopper may put some into the basket now."""
        return self.state in (State.FREE, State.FEW_LEFT, State.UNLIMITED)

    @property
    def can_be_waited_for(self) -> bool:
        """Whether it is on sale, but there is nothing for anybody to take."""
        return self.state in (State.QUEUED, State.SOLD_OUT)


class Held(NamedTuple):
    """What a pool's holds with an end come to: those whose time is over, which any claim gives back, and the others."""

    expired: int = 0
    live: int = 0
    offered: int = 0
    first_end: datetime | None = None


def held_in(pools: Collection[int]) -> dict[int, Held]:
    """What is held for a while in these pools (primary keys), by pool; in one query."""
    live = Q(until__gt=timezone.now())
    offered = live & Q(waiter__isnull=False)
    sums = {
        "expired": Sum("quantity", filter=~live, default=0),
        "live": Sum("quantity", filter=live, default=0),
        "offered": Sum("quantity", filter=offered, default=0),
        "first_end": Min("until", filter=live),
    }
    holds = Hold.objects.live().filter(pool__in=pools, until__isnull=False)
    rows = holds.order_by().values_list("pool").annotate(**sums)
    return {pool: Held(*counted) for pool, *counted in rows}


def look_at(entries: Collection[Entry]) -> dict[int, Places]:
    """What can be said of the places at these entries, by their primary keys; in two queries for any number of them."""
    pools = {entry.pool_id for entry in entries}
    if not pools:
        return {}
    held, queued = held_in(pools), waiting.is_queued(pools)
    return {entry.pk: _describe(entry, held.get(entry.pool_id, Held()), entry.pool_id in queued) for entry in entries}


def _describe(entry: Entry, held: Held, queued: bool) -> Places:
    pool = entry.pool
    free = None if pool.wanted is None else max(pool.wanted - pool.taken + held.expired, 0)
    return Places(_state_of(entry, free, queued), free, held.live, held.offered, held.first_end)


def _state_of(entry: Entry, free: int | None, queued: bool) -> State:
    """The first thing in a shopper's way; how many are left, if there is none."""
    now = timezone.now()
    hindrances = (
        (State.CALLED_OFF, entry.cancelled_at is not None),
        (State.OVER, entry.ends_at <= now),
        (State.BEGUN, entry.starts_at <= now),
        (State.NOT_YET, entry.opens_at is not None and entry.opens_at > now),
        (State.CLOSED, not entry.is_on_sale),
        (State.QUEUED, queued),
        (State.UNLIMITED, free is None),
        (State.SOLD_OUT, free == 0),
        (State.FEW_LEFT, (free or 0) <= FEW),
    )
    return next((state for state, holds in hindrances if holds), State.FREE)
