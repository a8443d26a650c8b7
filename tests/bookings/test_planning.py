"""A series' plan becomes entries: the right days, once each, and nothing that people have places at moves unseen."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.forms import model_to_dict, modelform_factory
from django.utils import timezone
from time_machine import travel

from bookings import capacity, planning
from bookings.models import Entry, Hold, Pool, Resource, Series
from bookings.planning import CannotPlan, Fate, Reason
from cart import services as carts
from tests.bookings.blocked import wait_until_somebody_is_blocked
from tests.concurrency import PATIENCE, Outcome, run_at_once
from tests.factories import CalendarFactory, EntryFactory, held_by_another

pytestmark = pytest.mark.django_db

MONDAY, WEDNESDAY, FRIDAY = 0, 2, 4
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)  # a Monday


@pytest.fixture(autouse=True)
def _in_june() -> Any:
    with travel(NOW, tick=False):
        yield


@pytest.fixture
def plan_series(db: None) -> Callable[..., Series]:
    """Pottery on Wednesdays in June at 18:00, with 10 places; say what is different."""

    def make(**different: Any) -> Series:
        values = {
            "title": "Pottery evening",
            "starts": time(18),
            "ends": time(20, 30),
            "weekdays": [WEDNESDAY],
            "first_day": date(2026, 6, 3),
            "last_day": date(2026, 6, 30),
            "places": 10,
            "price": Decimal("26.50"),
        }
        calendar = different.pop("calendar", None) or CalendarFactory.create()
        return Series.objects.create(calendar=calendar, **{**values, **different})

    return make


@pytest.fixture
def series(plan_series: Callable[..., Series]) -> Series:
    return plan_series()


def days(series: Series) -> list[int]:
    return [occurrence.day.day for occurrence in planning.occurrences(series)]


def rows() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Entry, Pool, Series)]


def unversioned(tables: list[Any]) -> list[Any]:
    """The same rows, whatever number of edits made them what they are."""
    return [[{**row, "version": None} for row in table] for table in tables]


def first_entry() -> Entry:
    return Entry.objects.listed().order_by("starts_at")[0]


def fates(plan: planning.Plan) -> dict[int, Fate]:
    return {step.day.day: step.fate for step in plan.steps}


def change(series: Series, **values: Any) -> Series:
    for name, value in values.items():
        setattr(series, name, value)
    series.save()
    return series


# --- Which days -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ({}, [3, 10, 17, 24]),
        ({"weekdays": [FRIDAY, MONDAY]}, [5, 8, 12, 15, 19, 22, 26, 29]),
        ({"every": 2}, [3, 17]),
        ({"every": 2, "weekdays": [MONDAY, FRIDAY]}, [5, 15, 19, 29]),
        ({"skipped_days": [date(2026, 6, 10), date(2026, 6, 11)]}, [3, 17, 24]),
        ({"extra_days": [date(2026, 6, 6), date(2026, 6, 10)]}, [3, 6, 10, 17, 24]),
        ({"weekdays": [], "extra_days": [date(2026, 6, 6)]}, [6]),
        ({"last_day": date(2026, 6, 24)}, [3, 10, 17, 24]),
        ({"last_day": date(2026, 6, 3)}, [3]),
        ({"archived_at": NOW}, []),
    ],
)
def test_a_series_is_on_the_days_of_its_rule(
    plan_series: Callable[..., Series], different: dict[str, Any], expected: list[int]
) -> None:
    assert days(plan_series(**different)) == expected


def test_what_ends_before_it_starts_ends_on_the_next_day(plan_series: Callable[..., Series]) -> None:
    night = planning.occurrences(plan_series(starts=time(22), ends=time(1)))[0]
    round_the_clock = planning.occurrences(plan_series(starts=time(10), ends=time(10)))[0]

    assert (night.starts_at, night.ends_at) == (
        datetime(2026, 6, 3, 21, 0, tzinfo=UTC),
        datetime(2026, 6, 4, 0, 0, tzinfo=UTC),
    )
    assert round_the_clock.ends_at - round_the_clock.starts_at == timedelta(days=1)


def test_a_plan_without_end_is_refused_in_words(plan_series: Callable[..., Series]) -> None:
    series = plan_series(last_day=date(2199, 1, 1))

    with pytest.raises(CannotPlan, match="more than 400 entries") as refused:
        planning.apply(series)

    assert refused.value.field == "last_day"
    assert not Entry.objects.exists()


# --- Making and changing ----------------------------------------------------------------------------------------------


def test_each_day_gets_an_entry_with_places_of_its_own(series: Series) -> None:
    plan = planning.apply(series)

    made = list(Entry.objects.select_related("pool").order_by("starts_at"))
    assert set(fates(plan).values()) == {Fate.NEW}
    assert [entry.series_day and entry.series_day.day for entry in made] == [3, 10, 17, 24]
    assert len({entry.pool_id for entry in made}) == 4
    assert {(e.title, e.price, e.pool.wanted, e.pool.capacity, e.by_hand) for e in made} == {
        ("Pottery evening", Decimal("26.50"), 10, 10, False)
    }


def test_a_shared_pool_serves_every_day(plan_series: Callable[..., Series]) -> None:
    pool = capacity.new_pool("The course", 6)

    planning.apply(plan_series(pool=pool, places=None))

    assert set(Entry.objects.values_list("pool", flat=True)) == {pool.pk}
    assert Pool.objects.get() == pool


def test_applying_twice_changes_nothing(series: Series) -> None:
    planning.apply(series)
    before = rows()

    plan = planning.apply(series)

    assert plan.is_idle
    assert rows() == before


def test_a_preview_changes_nothing(series: Series) -> None:
    before = rows()

    plan = planning.preview(series)

    assert not plan.is_idle
    assert rows() == before


def test_what_is_over_is_neither_made_nor_changed(series: Series) -> None:
    planning.apply(series)
    with travel(datetime(2026, 6, 10, 17, 0, tzinfo=UTC), tick=False):  # as it begins
        change(series, title="Clay evening", extra_days=[date(2026, 6, 1)])

        plan = planning.apply(series)

    assert fates(plan) == {1: Fate.LEFT, 3: Fate.LEFT, 10: Fate.LEFT, 17: Fate.CHANGED, 24: Fate.CHANGED}
    assert {step.reason for step in plan.of(Fate.LEFT)} == {Reason.PAST}
    assert Entry.objects.filter(title="Pottery evening").count() == 2
    assert Entry.objects.count() == 4


def test_unsold_entries_are_changed_in_place(series: Series) -> None:
    planning.apply(series)
    keys = set(Entry.objects.values_list("pk", flat=True))
    change(series, starts=time(19), price=Decimal("30.00"), places=12)

    plan = planning.apply(series)

    assert plan.moves == []
    assert set(Entry.objects.values_list("pk", flat=True)) == keys
    assert {(e.local_start.hour, e.price, e.pool.wanted, e.pool.capacity) for e in Entry.objects.all()} == {
        (19, Decimal("30.00"), 12, 12)
    }
    assert set(Entry.objects.values_list("sequence", flat=True)) == {0}


def test_a_day_that_leaves_the_plan_leaves_the_calendar_and_may_return(series: Series) -> None:
    planning.apply(series)
    before = unversioned(rows()[:2])

    dropped = planning.apply(change(series, skipped_days=[date(2026, 6, 10)]))
    archived = Entry.objects.get(archived_at__isnull=False)
    again = planning.preview(series)
    back = planning.apply(change(series, skipped_days=[]))

    assert fates(dropped)[10] == Fate.DROPPED
    assert archived.series_day == date(2026, 6, 10)
    assert again.is_idle
    assert [each.name for each in back.of(Fate.CHANGED)[0].changes] == ["archived_at"]
    assert unversioned(rows()[:2]) == before


def test_entries_with_nothing_taken_swap_their_places_for_shared_ones_and_back(series: Series) -> None:
    planning.apply(series)
    own = set(Pool.objects.values_list("pk", flat=True))
    pool = capacity.new_pool("The course", 6)

    planning.apply(change(series, pool=pool, places=None))
    shared = set(Entry.objects.values_list("pool", flat=True))
    archived = set(Pool.objects.filter(archived_at__isnull=False).values_list("pk", flat=True))
    planning.apply(change(series, pool=None, places=4))

    assert shared == {pool.pk}
    assert archived == own
    assert list(Entry.objects.values_list("pool__wanted", flat=True)) == [4] * 4
    assert planning.preview(series).is_idle


def test_a_basket_whose_places_lapsed_claims_them_from_the_pool_that_its_entry_has_now(series: Series) -> None:
    planning.apply(series)
    cart, _token = carts.open_cart("", None)
    carts.add(cart, first_entry(), 3)
    shared = capacity.new_pool("The course", 6)

    with travel(NOW + timedelta(minutes=16), tick=False):
        capacity.give_expired_back()
        planning.apply(change(series, pool=shared, places=None))
        basket = carts.renew(cart)

    assert not basket.gone
    assert Hold.objects.values_list("pool", "quantity").get() == (shared.pk, 3)
    assert Pool.objects.get(pk=shared.pk).taken == 3


def add_while_it_is_planned(entry: Entry, series: Series) -> tuple[Outcome, Outcome]:
    """Somebody who has read of the entry adds a place while staff follow the plan: how that went, and the adding."""
    has_planned = threading.Event()

    def follow() -> None:
        with transaction.atomic():
            planning.apply(series)
            has_planned.set()
            wait_until_somebody_is_blocked()

    def add() -> None:
        assert has_planned.wait(PATIENCE)
        with transaction.atomic():
            carts.add(carts.open_cart("", None)[0], entry, 1)

    planned, added = run_at_once(follow, add)
    return planned, added


@pytest.mark.django_db(transaction=True)
def test_whoever_read_of_an_entry_before_its_places_were_swapped_gets_none_of_the_old_ones(series: Series) -> None:
    planning.apply(series)
    shared = capacity.new_pool("The course", 6)

    planned, added = add_while_it_is_planned(first_entry(), change(series, pool=shared, places=None))

    assert planned.error is None
    assert isinstance(added.error, carts.Unavailable)
    assert set(Pool.objects.values_list("taken", flat=True)) == {0}


@pytest.mark.django_db(transaction=True)
def test_nor_any_from_a_shared_pool_that_others_still_take_from(plan_series: Callable[..., Series]) -> None:
    shared = capacity.new_pool("The course", 6)
    series = plan_series(pool=shared, places=None)
    planning.apply(series)
    held_by_another(Entry.objects.latest("starts_at"), 1)

    planned, added = add_while_it_is_planned(first_entry(), change(series, pool=None, places=4))

    assert planned.error is None
    assert "changed just now" in str(added.error)
    assert Pool.objects.get(pk=shared.pk).taken == 1


# --- What people have places at ---------------------------------------------------------------------------------------


def sell(series: Series, day: int, sell_places: Callable[..., Any], quantity: int = 1) -> Entry:
    entry = series.entries.get(series_day=date(2026, 6, day))
    sell_places(entry, quantity)
    return entry


@pytest.fixture
def sell_places(place_order: Callable[..., Any]) -> Callable[..., Any]:
    """Places that are paid for: free ones are, at once."""

    def sell(entry: Entry, quantity: int) -> None:
        Entry.objects.filter(pk=entry.pk).update(price=Decimal(0))
        entry.refresh_from_db()
        place_order((entry, quantity))

    return sell


def test_a_sold_entry_keeps_its_time_until_people_are_told(
    plan_series: Callable[..., Series], sell_places: Callable[..., Any]
) -> None:
    series = plan_series(price=Decimal(0))
    planning.apply(series)
    entry = sell(series, 10, sell_places, 2)
    change(series, starts=time(19), title="Late pottery")

    plan = planning.apply(series)

    moved = [(step.entry, step.claims.sold) for step in plan.moves]
    assert moved == [(entry, 2)]
    kept = Entry.objects.get(pk=entry.pk)
    assert (kept.local_start.hour, kept.title, kept.sequence) == (18, "Late pottery", 0)
    assert {e.local_start.hour for e in Entry.objects.exclude(pk=entry.pk)} == {19}


def test_a_place_in_a_basket_counts_like_a_sold_one(series: Series, fill_cart: Callable[..., Any]) -> None:
    planning.apply(series)
    entry = series.entries.get(series_day=date(2026, 6, 17))
    fill_cart((entry, 3))

    plan = planning.apply(change(series, starts=time(19), skipped_days=[date(2026, 6, 3)]))

    assert [(step.entry, step.claims.sold, step.claims.held) for step in plan.moves] == [(entry, 0, 3)]
    assert Entry.objects.get(pk=entry.pk).local_start.hour == 18


def test_a_sold_day_that_leaves_the_plan_stands_by_itself(
    plan_series: Callable[..., Series], sell_places: Callable[..., Any]
) -> None:
    series = plan_series(price=Decimal(0))
    planning.apply(series)
    entry = sell(series, 10, sell_places)

    plan = planning.apply(change(series, skipped_days=[date(2026, 6, 10), date(2026, 6, 17)]))

    assert (fates(plan)[10], fates(plan)[17]) == (Fate.SET_APART, Fate.DROPPED)
    entry.refresh_from_db()
    assert (entry.by_hand, entry.archived_at, entry.local_start.hour) == (True, None, 18)
    assert planning.preview(series).is_idle


def test_with_shared_places_only_the_entry_itself_counts_as_sold(
    plan_series: Callable[..., Series], sell_places: Callable[..., Any]
) -> None:
    series = plan_series(pool=capacity.new_pool("The room", 6), places=None, price=Decimal(0))
    planning.apply(series)
    sell(series, 10, sell_places)

    plan = planning.preview(change(series, weekdays=[FRIDAY]))

    assert {day: fate for day, fate in fates(plan).items() if fate != Fate.NEW} == {
        3: Fate.DROPPED,
        10: Fate.SET_APART,
        17: Fate.DROPPED,
        24: Fate.DROPPED,
    }


@pytest.mark.parametrize(
    ("changed", "reason"), [({"by_hand": True}, Reason.BY_HAND), ({"cancelled_at": NOW}, Reason.CALLED_OFF)]
)
def test_what_was_changed_by_hand_or_called_off_is_left_alone(
    series: Series, changed: dict[str, Any], reason: Reason
) -> None:
    planning.apply(series)
    Entry.objects.filter(series_day=date(2026, 6, 10)).update(title="With a guest", **changed)

    plan = planning.apply(change(series, title="Clay evening", starts=time(17), skipped_days=[date(2026, 6, 17)]))

    left = plan.of(Fate.LEFT)
    assert [(step.day.day, step.reason) for step in left] == [(10, reason)]
    entry = Entry.objects.get(series_day=date(2026, 6, 10))
    assert (entry.title, entry.local_start.hour) == ("With a guest", 18)


def test_places_are_lowered_to_what_is_taken_at_most(
    plan_series: Callable[..., Series], sell_places: Callable[..., Any]
) -> None:
    series = plan_series(price=Decimal(0))
    planning.apply(series)
    entry = sell(series, 10, sell_places, 3)

    planning.apply(change(series, places=2))

    pool = Pool.objects.get(pk=entry.pool_id)
    assert (pool.wanted, pool.capacity, pool.taken) == (2, 3, 3)
    assert planning.preview(series).is_idle


def test_the_fingerprint_tells_when_something_more_was_sold(
    plan_series: Callable[..., Series], sell_places: Callable[..., Any]
) -> None:
    series = plan_series(price=Decimal(0))
    planning.apply(series)
    change(series, title="Clay evening")
    first, same = planning.preview(series).fingerprint, planning.preview(series).fingerprint

    sell(series, 10, sell_places)

    assert first == same != planning.preview(series).fingerprint


# --- What an entry has for itself alone -------------------------------------------------------------------------------


@pytest.fixture
def kiln(db: None) -> Resource:
    return Resource.objects.create(name="The kiln")


@pytest.fixture
def glaze_firing(kiln: Resource) -> Entry:
    """In the kiln on one of the Wednesdays, from 18:00 to 21:00."""
    starts_at = datetime(2026, 6, 17, 17, 0, tzinfo=UTC)
    return EntryFactory.create(title="Glaze firing", resource=kiln, starts_at=starts_at)


@pytest.mark.usefixtures("glaze_firing")
def test_a_resource_that_another_entry_has_is_refused_with_the_day(
    plan_series: Callable[..., Series], kiln: Resource
) -> None:
    series = plan_series(resource=kiln)

    with pytest.raises(CannotPlan, match="The kiln is taken: Glaze firing, Wed 17 Jun 2026, 18:00 to 21:00") as refused:
        planning.apply(series)

    assert refused.value.field == "resource"
    assert (Entry.objects.count(), Pool.objects.count()) == (1, 1)


@pytest.mark.usefixtures("glaze_firing")
def test_the_database_refuses_it_too(
    plan_series: Callable[..., Series], kiln: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "check_resource", lambda plan: None)

    with pytest.raises(CannotPlan, match="Another entry has The kiln") as refused:
        planning.apply(plan_series(resource=kiln))

    assert refused.value.field == "resource"
    assert (Entry.objects.count(), Pool.objects.count()) == (1, 1)


def test_a_form_of_some_of_an_entry_says_that_its_resource_is_taken(glaze_firing: Entry) -> None:
    form_of_some = modelform_factory(Entry, fields=["resource", "starts_at", "ends_at"])
    entry = EntryFactory.create()
    typed = model_to_dict(glaze_firing, fields=["resource", "starts_at", "ends_at"])

    while_taken = form_of_some(typed, instance=entry).errors
    Entry.objects.filter(pk=glaze_firing.pk).update(cancelled_at=NOW)
    once_free = form_of_some(typed, instance=entry).errors

    assert while_taken == {"resource": ["Another entry has this resource at that time."]}
    assert once_free == {}


def test_a_resource_is_free_again_from_the_minute_an_entry_ends(
    plan_series: Callable[..., Series], kiln: Resource
) -> None:
    planning.apply(plan_series(resource=kiln, starts=time(10), ends=time(18)))

    series = plan_series(resource=kiln)
    planning.check_resource(planning.preview(series))
    planning.apply(series)

    assert Entry.objects.filter(resource=kiln).count() == 8


@pytest.mark.parametrize("hour", [9, 11])
def test_days_without_a_break_move_without_meeting_each_other(
    plan_series: Callable[..., Series], kiln: Resource, hour: int
) -> None:
    every_day = {"weekdays": list(range(7)), "starts": time(10), "ends": time(10)}
    series = plan_series(resource=kiln, **every_day)
    planning.apply(series)

    planning.apply(change(series, starts=time(hour), ends=time(hour)))

    assert {entry.local_start.hour for entry in Entry.objects.all()} == {hour}


def test_only_what_is_missing_is_made_if_so_asked(series: Series) -> None:
    planning.apply(series)
    Entry.objects.filter(series_day=date(2026, 6, 10)).update(title="With a guest")
    before = rows()[0]

    planning.apply(change(series, extra_days=[date(2026, 6, 12)], skipped_days=[date(2026, 6, 3)]), only_new=True)

    after = rows()[0]
    assert after[: len(before)] == before
    assert [row["series_day"] for row in after[len(before) :]] == [date(2026, 6, 12)]


def test_an_hour_does_not_depend_on_the_shops_own_clock(plan_series: Callable[..., Series]) -> None:
    calendar = CalendarFactory.create(time_zone="Asia/Kathmandu")

    first = planning.occurrences(plan_series(calendar=calendar))[0]

    assert first.starts_at == datetime(2026, 6, 3, 12, 15, tzinfo=UTC)
    assert timezone.get_current_timezone_name() != "Asia/Kathmandu"
