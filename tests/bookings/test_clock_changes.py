"""18:00 stays 18:00: the clocks of four zones, the hours they skip, and the hours they show twice."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings import planning
from bookings.models import Calendar, Series
from bookings.planning import Occurrence
from bookings.wall_time import Oddity, clock_changes, moment_of, oddity_of, shown_at

LONDON, NEW_YORK, LORD_HOWE, KATHMANDU = "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"
EVERY_DAY = list(range(7))
HALF_PAST_ONE = time(1, 30)


def series_in(zone: str, days: tuple[date, date], starts: time, ends: time, weekdays: list[int] = EVERY_DAY) -> Series:
    """A plan that is nowhere saved."""
    calendar = Calendar(name="Somewhere", time_zone=zone)
    return Series(
        calendar=calendar, starts=starts, ends=ends, weekdays=weekdays, every=1, first_day=days[0], last_day=days[1]
    )


def on(series: Series, day: date) -> Occurrence:
    return next(each for each in planning.occurrences(series) if each.day == day)


@pytest.mark.parametrize("zone", [LONDON, NEW_YORK, LORD_HOWE, KATHMANDU])
def test_six_in_the_evening_stays_six_all_year(zone: str) -> None:
    series = series_in(zone, (date(2026, 1, 1), date(2026, 12, 31)), time(18), time(20, 15))

    planned = planning.occurrences(series)

    assert len(planned) == 365
    assert {shown_at(each.starts_at, ZoneInfo(zone)).time() for each in planned} == {time(18)}
    assert {shown_at(each.ends_at, ZoneInfo(zone)).time() for each in planned} == {time(20, 15)}
    assert {each.ends_at - each.starts_at for each in planned} == {timedelta(hours=2, minutes=15)}
    assert not any(each.is_odd for each in planned)


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        (LONDON, {23: 1, 24: 362, 25: 1}),
        (NEW_YORK, {23: 1, 24: 362, 25: 1}),
        (LORD_HOWE, {23.5: 1, 24: 362, 24.5: 1}),
        (KATHMANDU, {24: 364}),
    ],
)
def test_between_two_evenings_lie_as_many_hours_as_the_clocks_leave(zone: str, hours: dict[float, int]) -> None:
    planned = planning.occurrences(series_in(zone, (date(2026, 1, 1), date(2026, 12, 31)), time(18), time(19)))

    gaps = [(after.starts_at - before.starts_at) / timedelta(hours=1) for before, after in pairwise(planned)]

    assert {length: gaps.count(length) for length in set(gaps)} == hours


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        (
            LONDON,
            [
                (datetime(2026, 3, 29, 1, tzinfo=UTC), 60, "29 at 01:00", "29 at 02:00"),
                (datetime(2026, 10, 25, 1, tzinfo=UTC), -60, "25 at 02:00", "25 at 01:00"),
            ],
        ),
        (
            NEW_YORK,
            [
                (datetime(2026, 3, 8, 7, tzinfo=UTC), 60, "8 at 02:00", "8 at 03:00"),
                (datetime(2026, 11, 1, 6, tzinfo=UTC), -60, "1 at 02:00", "1 at 01:00"),
            ],
        ),
        (
            LORD_HOWE,
            [
                (datetime(2026, 4, 4, 15, tzinfo=UTC), -30, "5 at 02:00", "5 at 01:30"),
                (datetime(2026, 10, 3, 15, 30, tzinfo=UTC), 30, "4 at 02:00", "4 at 02:30"),
            ],
        ),
        (KATHMANDU, []),
    ],
)
def test_the_next_two_changes_are_known_to_the_second(zone: str, changes: list[tuple[object, ...]]) -> None:
    found = clock_changes(ZoneInfo(zone), datetime(2026, 1, 1, 11, 22, 33, 444, tzinfo=UTC))

    told = [
        (
            each.at,
            each.leap / timedelta(minutes=1),
            f"{each.shown_before:%-d at %H:%M}",
            f"{each.shown_after:%-d at %H:%M}",
        )
        for each in found
    ]
    assert told == changes


def test_a_change_that_was_is_not_the_next() -> None:
    found = clock_changes(ZoneInfo(LONDON), datetime(2026, 10, 25, 1, 0, tzinfo=UTC))

    assert [each.at for each in found] == [
        datetime(2027, 3, 28, 1, tzinfo=UTC),
        datetime(2027, 10, 31, 1, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("zone", "day", "clock", "begins", "shown"),
    [
        (LONDON, date(2026, 3, 29), time(1, 30), datetime(2026, 3, 29, 1, 30, tzinfo=UTC), time(2, 30)),
        (LONDON, date(2026, 3, 29), time(1), datetime(2026, 3, 29, 1, tzinfo=UTC), time(2)),
        (NEW_YORK, date(2026, 3, 8), time(2, 15), datetime(2026, 3, 8, 7, 15, tzinfo=UTC), time(3, 15)),
        (LORD_HOWE, date(2026, 10, 4), time(2, 10), datetime(2026, 10, 3, 15, 40, tzinfo=UTC), time(2, 40)),
    ],
)
def test_an_hour_that_is_missing_moves_forward_by_the_gap(
    zone: str, day: date, clock: time, begins: datetime, shown: time
) -> None:
    series = series_in(zone, (day - timedelta(days=3), day + timedelta(days=3)), clock, time(12))

    occurrence = on(series, day)

    assert (occurrence.starts_at, occurrence.starts_oddly) == (begins, Oddity.MISSING)
    assert shown_at(occurrence.starts_at, ZoneInfo(zone)).time() == shown
    assert [each.day for each in planning.occurrences(series) if each.is_odd] == [day]


@pytest.mark.parametrize(
    ("zone", "day", "clock", "begins"),
    [
        (LONDON, date(2026, 10, 25), time(1, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (NEW_YORK, date(2026, 11, 1), time(1), datetime(2026, 11, 1, 5, 0, tzinfo=UTC)),
        (LORD_HOWE, date(2026, 4, 5), time(1, 45), datetime(2026, 4, 4, 14, 45, tzinfo=UTC)),
    ],
)
def test_an_hour_that_comes_twice_means_its_first_pass(zone: str, day: date, clock: time, begins: datetime) -> None:
    occurrence = on(series_in(zone, (day, day), clock, time(12)), day)

    assert (occurrence.starts_at, occurrence.starts_oddly) == (begins, Oddity.TWICE)
    assert shown_at(occurrence.starts_at, ZoneInfo(zone)).time() == clock


def test_the_minutes_around_are_not_odd() -> None:
    zone = ZoneInfo(LONDON)

    spring = [oddity_of(date(2026, 3, 29), clock, zone) for clock in (time(0, 59), time(1), time(1, 59), time(2))]
    autumn = [oddity_of(date(2026, 10, 25), clock, zone) for clock in (time(0, 59), time(1), time(1, 59), time(2))]

    assert spring == [None, Oddity.MISSING, Oddity.MISSING, None]
    assert autumn == [None, Oddity.TWICE, Oddity.TWICE, None]


def test_a_night_across_the_change_ends_by_the_walls_clock() -> None:
    series = series_in(LONDON, (date(2026, 10, 24), date(2026, 10, 24)), time(22), time(6))

    night = planning.occurrences(series)[0]

    assert night.ends_at == datetime(2026, 10, 25, 6, tzinfo=UTC)
    assert night.ends_at - night.starts_at == timedelta(hours=9)


def test_what_would_end_before_it_begins_lasts_as_long_as_planned() -> None:
    day = date(2026, 3, 29)  # 01:30 becomes 02:30, and is then after 02:15

    occurrence = on(series_in(LONDON, (day, day), HALF_PAST_ONE, time(2, 15)), day)

    assert occurrence.starts_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert occurrence.ends_at - occurrence.starts_at == timedelta(minutes=45)


def test_the_preview_shows_the_last_day_before_each_change_and_the_first_after() -> None:
    wednesdays = series_in(LONDON, (date(2031, 9, 3), date(2032, 5, 26)), time(18), time(20), [2])

    around = planning.around_clock_changes(wednesdays)

    days = [(each.last_before and each.last_before.day, each.first_after and each.first_after.day) for each in around]
    assert days == [(date(2031, 10, 22), date(2031, 10, 29)), (date(2032, 3, 24), date(2032, 3, 31))]
    assert [each.odd for each in around] == [[], []]


def test_the_preview_names_what_falls_into_an_odd_hour() -> None:
    nights = series_in(LONDON, (date(2031, 9, 1), date(2032, 5, 26)), HALF_PAST_ONE, time(3))

    around = planning.around_clock_changes(nights)

    assert [[odd.day for odd in each.odd] for each in around] == [[date(2031, 10, 26)], [date(2032, 3, 28)]]


def test_where_the_clocks_are_left_alone_there_is_nothing_to_show() -> None:
    assert (
        planning.around_clock_changes(series_in(KATHMANDU, (date(2031, 9, 1), date(2032, 5, 26)), time(18), time(20)))
        == []
    )


ZONES = [LONDON, NEW_YORK, LORD_HOWE, KATHMANDU, "Africa/Casablanca", "Pacific/Apia", "America/St_Johns", "UTC"]
CLOCKS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
DAYS = st.dates(date(2011, 1, 1), date(2037, 1, 1))


@given(
    zone=st.sampled_from(ZONES),
    first=DAYS,
    length=st.integers(0, 120),
    weekdays=st.sets(st.integers(0, 6)),
    every=st.integers(1, 5),
    starts=CLOCKS,
    ends=CLOCKS,
    extra=st.lists(DAYS, max_size=3),
)
def test_every_day_begins_when_the_wall_says_so_or_is_told_as_missing(
    *,
    zone: str,
    first: date,
    length: int,
    weekdays: set[int],
    every: int,
    starts: time,
    ends: time,
    extra: list[date],
) -> None:
    series = series_in(zone, (first, first + timedelta(days=length)), starts, ends, sorted(weekdays))
    series.every, series.extra_days = every, extra

    planned = planning.occurrences(series)

    assert [each.day for each in planned] == sorted({each.day for each in planned})
    assert set(extra) <= {each.day for each in planned}
    for each in planned:
        shown = shown_at(each.starts_at, ZoneInfo(zone))
        is_as_planned = (shown.date(), shown.time()) == (each.day, starts)
        assert is_as_planned == (each.starts_oddly != Oddity.MISSING)
        assert each.ends_at > each.starts_at
        assert each.day in extra or each.day.weekday() in weekdays


@given(zone=st.sampled_from(ZONES), day=DAYS, clock=CLOCKS)
def test_reading_a_clock_and_showing_it_again_agree_but_where_the_hour_is_missing(
    zone: str, day: date, clock: time
) -> None:
    moment = moment_of(day, clock, ZoneInfo(zone))

    agrees = shown_at(moment, ZoneInfo(zone)) == datetime.combine(day, clock)

    assert agrees == (oddity_of(day, clock, ZoneInfo(zone)) != Oddity.MISSING)
