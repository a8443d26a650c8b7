"""The clock on the wall: what it shows, when it is changed, and which hours it leaves out or shows twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
# Zones that change their clocks at all do so within this time.
AHEAD = timedelta(days=2 * 366)


class Oddity(StrEnum):
    """What may be odd about an hour on the wall's clock on a certain day."""

    MISSING = "missing"  # the clock is put forward over it
    TWICE = "twice"  # the clock is put back, and shows it again


def moment_of(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When (UTC) the clock on the wall shows that time of that day.

    An hour that is missing is moved forward by as much as the clock is; of one that comes twice the first is meant.
    """
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(UTC)


def oddity_of(day: date, clock: time, zone: ZoneInfo) -> Oddity | None:
    """Whether that time of that day is missing or comes twice; None on nearly all days."""
    first = datetime.combine(day, clock.replace(fold=0), zone)
    if first.utcoffset() == first.replace(fold=1).utcoffset():
        return None
    shown = first.astimezone(UTC).astimezone(zone)
    return Oddity.TWICE if shown.replace(tzinfo=None) == first.replace(tzinfo=None) else Oddity.MISSING


def shown_at(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows at a moment (UTC), to the minute and without a zone."""
    return moment.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None, fold=0)


@dataclass(frozen=True)
class ClockChange:
    """The clocks of a zone are put forward or back."""

    at: datetime  # UTC
    before: timedelta  # from UTC, until then
    after: timedelta  # from UTC, from then on

    @property
    def leap(self) -> timedelta:
        """By how much the clock is put forward; negative if back."""
        return self.after - self.before

    @property
    def is_forward(self) -> bool:
        return self.after > self.before

    @property
    def minutes(self) -> int:
        """By how many minutes the clock is changed, either way."""
        return int(abs(self.leap).total_seconds() // 60)

    @property
    def shown_before(self) -> datetime:
        """What the clock would show without the change."""
        return self.at.replace(tzinfo=None) + self.before

    @property
    def shown_after(self) -> datetime:
        """What it shows instead."""
        return self.at.replace(tzinfo=None) + self.after


def clock_changes(zone: ZoneInfo, after: datetime, *, most: int = 2) -> list[ClockChange]:
    """The next changes of a zone's clocks after a moment, soonest first; fewer or none where they are left alone."""
    return list(islice(_changes(zone, after.astimezone(UTC)), most))


def _changes(zone: ZoneInfo, after: datetime) -> Iterator[ClockChange]:
    """Look day by day, and closer where the offset differs from the day before."""
    day = after.replace(microsecond=0)
    while day < after + AHEAD:
        before, later = _offset(day, zone), _offset(day + DAY, zone)
        if before != later:
            yield ClockChange(_first_second_unlike(day, zone), before, later)
        day += DAY


def _first_second_unlike(early: datetime, zone: ZoneInfo) -> datetime:
    """The second (UTC), within a day of `early`, from which the zone's offset is another one."""
    before = _offset(early, zone)
    same, unlike = 0, int(DAY.total_seconds())
    while unlike - same > 1:
        middle = (same + unlike) // 2
        is_same = _offset(early + timedelta(seconds=middle), zone) == before
        same, unlike = (middle, unlike) if is_same else (same, middle)
    return early + timedelta(seconds=unlike)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
