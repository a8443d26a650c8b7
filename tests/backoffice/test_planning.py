"""Planning over HTTP: a series is shown before it is followed, and single entries keep the wall's clock."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from time_machine import travel

from bookings import capacity, planning
from bookings.models import Booking, Calendar, Entry, Pool, PriceKind, Question, Resource, Series, Waiter
from bookings.wall_time import DAY
from cartsite.models import Message
from orders.models import Order
from tests.backoffice.desk import list_of, logged, page_of, said, text_of
from tests.factories import CalendarFactory, EntryFactory, PoolFactory
from tests.support.forms import save_form, shown_by

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)  # a Monday
SERIES, ENTRIES = "/admin/bookings/series/add/", "/admin/bookings/entry/add/"
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
BUTTON = re.compile(r'name="agreed"\s+value="([^"]+)"')
NO_PRICES = {"price_kinds-TOTAL_FORMS": "0", "price_kinds-INITIAL_FORMS": "0"}
NO_OWN_PRICES = {"own_price_kinds-TOTAL_FORMS": "0", "own_price_kinds-INITIAL_FORMS": "0"}


@pytest.fixture(autouse=True)
def _in_june() -> Iterator[None]:
    with travel(NOW, tick=False):
        yield


@pytest.fixture
def chapel(db: None) -> Calendar:
    return CalendarFactory.create(name="The old chapel")


def series_form(calendar: Calendar, **changes: Any) -> dict[str, Any]:
    """What the browser sends for pottery on Wednesdays in June."""
    return {
        "calendar": calendar.pk,
        "title": "Pottery evening",
        "kind": "workshop",
        "weekdays": ["2"],
        "every": "1",
        "starts": "18:00",
        "ends": "20:30",
        "first_day": "2026-06-03",
        "last_day": "2026-06-30",
        "places": "10",
        "price": "0",
        "tax_rate": "20",
        **NO_PRICES,
        **changes,
    }


def entry_form(**changes: Any) -> dict[str, Any]:
    """What the browser sends for one workshop."""
    return {
        "title": "Glaze day",
        "kind": "workshop",
        "starts_at_0": "2026-06-10",
        "starts_at_1": "10:00",
        "ends_at_0": "2026-06-10",
        "ends_at_1": "16:00",
        "places": "8",
        "price": "0",
        "tax_rate": "20",
        **NO_OWN_PRICES,
        **changes,
    }


def say_yes(client: Client, path: str, page: Any, **typed: str) -> Any:
    """Press the button of the page that asks."""
    shown = page.content.decode()
    kept: dict[str, Any] = {}
    for name, value in FIELD.findall(shown):
        kept.setdefault(name, []).append(unescape(value))
    agreed = BUTTON.search(shown)
    assert agreed, text_of(page)
    return client.post(path, kept | {"agreed": unescape(agreed[1])} | typed)


def errors_of(answer: Any) -> dict[str, list[str]]:
    form = answer.context["adminform"].form
    return {name: list(errors) for name, errors in form.errors.items()}


def typed_into(page: Any) -> dict[str, Any]:
    """What a browser would send if nothing were typed into a form's page."""
    form, formsets = page.context["adminform"].form, page.context["inline_admin_formsets"]
    sent: dict[str, Any] = {}
    for each in [form, *(row for formset in formsets for row in formset.formset.forms)]:
        for bound in each:
            widget, value = bound.field.widget, bound.value()
            sent |= _as_sent(bound.html_name, widget, value)
    for formset in formsets:
        for bound in formset.formset.management_form:
            sent[bound.html_name] = bound.value()
    return {name: value for name, value in sent.items() if value is not None and value is not False}


def _as_sent(name: str, widget: Any, value: Any) -> dict[str, Any]:
    if hasattr(widget, "widgets"):
        parts = widget.decompress(value)
        return {
            f"{name}_{n}": part.format_value(each)
            for n, (part, each) in enumerate(zip(widget.widgets, parts, strict=True))
        }
    if isinstance(value, list):
        return {name: value}
    if value is None or isinstance(value, bool):
        return {name: "on" if value else None}
    return {name: widget.format_value(value)}


def every_value() -> list[Any]:
    models = (Series, Entry, Pool, PriceKind)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


@pytest.fixture
def pottery(chapel: Calendar) -> Series:
    """Four Wednesdays in June, free of charge, on the calendar."""
    series = Series.objects.create(
        calendar=chapel,
        title="Pottery evening",
        starts=time(18),
        ends=time(20, 30),
        weekdays=[2],
        first_day=date(2026, 6, 3),
        last_day=date(2026, 6, 30),
        places=10,
        price=Decimal(0),
    )
    planning.apply(series)
    return series


def on(series: Series, day: int) -> Entry:
    return series.entries.get(series_day=date(2026, 6, day))


# --- A series ---------------------------------------------------------------------------------------------------------


def test_a_new_series_is_shown_first_and_made_on_yes(staff_client: Client, chapel: Calendar) -> None:
    page = staff_client.post(SERIES, series_form(chapel))
    made_before_yes = Series.objects.count() + Entry.objects.count() + Pool.objects.count()

    answer = say_yes(staff_client, SERIES, page)

    shown = text_of(page)
    assert "Nothing is saved yet." in shown
    assert "New (4)" in shown
    assert "Wed 3 Jun 2026, 18:00 to 20:30 BST" in shown
    assert made_before_yes == 0
    assert answer.status_code == 302
    assert Series.objects.get().weekdays == [2]
    assert [entry.local_start.hour for entry in Entry.objects.all()] == [18] * 4
    assert "4 made, 0 changed, 0 off the calendar, 0 set apart." in said(answer)


def test_the_preview_shows_the_next_two_changes_of_the_clocks(staff_client: Client, chapel: Calendar) -> None:
    form = series_form(chapel, first_day="2026-09-02", last_day="2027-04-28", weekdays=["6"], starts="01:30")

    shown = text_of(staff_client.post(SERIES, form))

    assert "Sun 25 Oct 2026: at 02:00 the clocks go back to 01:00; those 60 minutes come twice." in shown
    assert "Last day before: Sun 25 Oct 2026, 01:30 BST to 20:30 GMT" in shown
    assert "First day after: Sun 1 Nov 2026, 01:30 to 20:30 GMT" in shown
    assert "Sun 28 Mar 2027: at 01:00 the clocks go forward to 02:00; those 60 minutes are missing." in shown
    assert "it begins at the first 01:30 BST." in shown
    assert "it begins at 02:30 BST." in shown


def test_going_back_from_the_preview_keeps_what_was_typed(staff_client: Client, chapel: Calendar) -> None:
    page = staff_client.post(SERIES, series_form(chapel, title="Wheel night"))

    answer = say_yes(staff_client, SERIES, page, back="1", agreed="")

    assert "Nothing is saved yet." in text_of(answer)
    assert 'value="Wheel night"' in answer.content.decode()
    assert not Series.objects.exists()


def test_all_there_is_to_choose_from_is_on_the_page(staff_client: Client, chapel: Calendar) -> None:
    kiln, room = Resource.objects.create(name="Kiln"), PoolFactory.create(name="The room")
    over = EntryFactory.create(calendar=chapel, starts_at=NOW - DAY, ends_at=NOW)

    for path in (SERIES, ENTRIES):
        page = staff_client.get(path).content.decode()

        for row in (chapel, kiln, room):
            assert f'<option value="{row.pk}">{row}</option>' in page
        assert str(over.pool) not in page


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"calendar": "x"}, "calendar"),
        ({"pool": "x", "places": ""}, "pool"),
        ({"resource": "x"}, "resource"),
        ({"last_day": "2026-05-01"}, "last_day"),
        ({"last_day": "2190-05-01"}, "last_day"),
        ({"first_day": "0001-01-01"}, "first_day"),
        ({"skipped_days": "2026-06-10, soon"}, "skipped_days"),
        ({"extra_days": "2026-06-10", "skipped_days": "10/06/2026"}, "extra_days"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": ["7"]}, "weekdays"),
        ({"every": "0"}, "every"),
        ({"starts": "25:00"}, "starts"),
        ({"price": "-1"}, "price"),
        ({"tax_rate": "100"}, "tax_rate"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_beside_its_field(
    staff_client: Client, chapel: Calendar, wrong: dict[str, Any], field: str
) -> None:
    answer = staff_client.post(SERIES, series_form(chapel) | wrong)

    assert list(errors_of(answer)) == [field]
    assert not Series.objects.exists()


def test_places_of_a_shared_pool_are_not_given_twice(staff_client: Client, chapel: Calendar) -> None:
    answer = staff_client.post(SERIES, series_form(chapel, pool=PoolFactory.create().pk))

    assert list(errors_of(answer)) == ["places"]


def test_saving_a_series_as_it_is_shown_changes_nothing(staff_client: Client, pottery: Series) -> None:
    before = every_value()
    form = typed_into(staff_client.get(page_of(pottery)))

    answer = staff_client.post(page_of(pottery), form)

    assert answer.status_code == 302, text_of(answer)
    assert every_value() == before
    assert form["weekdays"] == [2]
    assert form["starts"] == "18:00"


def test_sold_days_are_shown_in_bold_and_told_with_a_reason(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    order = place_order((on(pottery, 10), 2))
    Message.objects.all().delete()
    path = page_of(pottery)

    page = staff_client.post(
        path, series_form(pottery.calendar, starts="19:00", skipped_days="2026-06-17") | shown_by(staff_client, path)
    )
    without_reason = say_yes(staff_client, path, page)
    untouched = [on(pottery, day).local_start.hour for day in (3, 10, 17, 24)]
    answer = say_yes(staff_client, path, page, note="The room is late.")

    shown = text_of(page)
    assert "Wed 10 Jun 2026, 18:00 to 20:30 BST: 2 sold." in shown
    assert "1 order is told of the new time." in shown
    assert "Starts: Wed 10 Jun 2026, 18:00 BST, then Wed 10 Jun 2026, 19:00 BST" in shown
    assert "This field is required." in text_of(without_reason)
    assert untouched == [18] * 4
    assert answer.status_code == 302
    assert [on(pottery, day).local_start.hour for day in (3, 10, 24)] == [19] * 3
    moved = on(pottery, 10)
    assert (moved.sequence, moved.by_hand, on(pottery, 3).sequence) == (1, False, 0)
    assert Booking.objects.filter(free_until=moved.starts_at).count() == 2
    assert order.events.filter(kind="entry_rescheduled").count() == 1
    assert Message.objects.get().kind == "rescheduled"
    assert on(pottery, 17).archived_at is not None
    assert logged(moved) == ["Moved with its series: The room is late."]


def test_prices_are_shown_to_the_penny(staff_client: Client, pottery: Series) -> None:
    page = staff_client.post(
        page_of(pottery), series_form(pottery.calendar, price="12") | shown_by(staff_client, page_of(pottery))
    )

    assert "Price: £0.00, then £12.00" in text_of(page)


def test_a_sold_day_that_leaves_the_plan_is_kept(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    place_order((on(pottery, 10), 2))
    path = page_of(pottery)

    page = staff_client.post(
        path, series_form(pottery.calendar, skipped_days="2026-06-10\n2026-06-17") | shown_by(staff_client, path)
    )
    answer = say_yes(staff_client, path, page)

    assert "It stays on the calendar by itself" in text_of(page)
    assert answer.status_code == 302
    assert (on(pottery, 10).by_hand, on(pottery, 10).archived_at) == (True, None)
    assert on(pottery, 17).archived_at is not None


def test_what_was_sold_since_the_preview_is_shown_before_it_is_touched(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    path = page_of(pottery)
    page = staff_client.post(path, series_form(pottery.calendar, starts="19:00") | shown_by(staff_client, path))
    place_order((on(pottery, 10), 1))

    again = say_yes(staff_client, path, page)
    untouched = {entry.local_start.hour for entry in pottery.entries.all()}
    answer = say_yes(staff_client, path, again, note="The room is late.")

    assert "Something has changed since you looked." in text_of(again)
    assert untouched == {18}
    assert answer.status_code == 302
    assert {entry.local_start.hour for entry in pottery.entries.all()} == {19}


def test_what_is_sold_while_it_is_saved_is_asked_about(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = page_of(pottery)
    page = staff_client.post(
        path, series_form(pottery.calendar, skipped_days="2026-06-10") | shown_by(staff_client, path)
    )
    previews: list[planning.Plan] = []
    preview = planning.preview

    def sell_after_the_first(series: Series) -> planning.Plan:
        previews.append(preview(series))
        if len(previews) == 1:
            place_order((on(pottery, 10), 1))
        return previews[-1]

    monkeypatch.setattr(planning, "preview", sell_after_the_first)

    say_yes(staff_client, path, page)

    # The first preview and what was done after it did not agree: so all was undone (here the sale too), and tried anew.
    assert [fate for plan in previews for fate in (step.fate for step in plan.steps if step.day.day == 10)] == [
        "dropped",
        "set_apart",
        "dropped",
        "dropped",
    ]
    assert not Order.objects.exists()


def test_other_prices_are_kept_with_the_series(staff_client: Client, pottery: Series) -> None:
    path = page_of(pottery)
    prices = {
        "price_kinds-TOTAL_FORMS": "1",
        "price_kinds-0-name": "Child",
        "price_kinds-0-price": "5",
        "price_kinds-0-position": "1",
    }

    staff_client.post(path, series_form(pottery.calendar, **prices) | shown_by(staff_client, path))
    kind = PriceKind.objects.get()
    prices |= {
        "price_kinds-INITIAL_FORMS": "1",
        "price_kinds-0-id": str(kind.pk),
        "price_kinds-0-series": str(pottery.pk),
        "price_kinds-0-archived": "on",
    }
    staff_client.post(path, series_form(pottery.calendar, **prices) | shown_by(staff_client, path))

    assert (kind.series, kind.price, kind.archived_at) == (pottery, Decimal(5), None)
    assert PriceKind.objects.get().archived_at == NOW


def test_another_price_is_not_negative(staff_client: Client, chapel: Calendar) -> None:
    child = {"price_kinds-TOTAL_FORMS": "1", "price_kinds-0-name": "Child", "price_kinds-0-position": "0"}

    answer = staff_client.post(SERIES, series_form(chapel, **child, **{"price_kinds-0-price": "-1"}))

    assert list(answer.context["inline_admin_formsets"][0].formset.errors[0]) == ["price"]
    assert not Series.objects.exists()


def test_a_series_that_ends_takes_what_is_unsold_off_the_calendar(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    place_order((on(pottery, 24), 1))

    page = staff_client.post(
        page_of(pottery), series_form(pottery.calendar, archived="on") | shown_by(staff_client, page_of(pottery))
    )
    say_yes(staff_client, page_of(pottery), page)

    pottery.refresh_from_db()
    assert pottery.archived_at == NOW
    assert [on(pottery, day).archived_at for day in (3, 10, 17, 24)] == [NOW, NOW, NOW, None]


def test_a_resource_that_is_taken_is_an_error_beside_its_field(staff_client: Client, chapel: Calendar) -> None:
    kiln = Resource.objects.create(name="The kiln")
    EntryFactory.create(title="Firing", resource=kiln, starts_at=datetime(2026, 6, 10, 16, 0, tzinfo=UTC))

    answer = staff_client.post(SERIES, series_form(chapel, resource=kiln.pk))

    assert errors_of(answer) == {"resource": ["The kiln is taken: Firing, Wed 10 Jun 2026, 17:00 to 20:00."]}
    assert not Series.objects.exists()


# --- A single entry ---------------------------------------------------------------------------------------------------


def test_a_single_entry_is_typed_on_its_calendars_own_clock(staff_client: Client) -> None:
    calendar = CalendarFactory.create(time_zone="America/New_York")

    answer = staff_client.post(
        ENTRIES, entry_form(calendar=calendar.pk, booking_closes_at_0="2026-06-09", booking_closes_at_1="18:00")
    )

    entry = Entry.objects.get()
    assert answer.status_code == 302
    assert (entry.starts_at, entry.ends_at) == (
        datetime(2026, 6, 10, 14, 0, tzinfo=UTC),
        datetime(2026, 6, 10, 20, 0, tzinfo=UTC),
    )
    assert entry.booking_closes_at == datetime(2026, 6, 9, 22, 0, tzinfo=UTC)
    assert (entry.pool.wanted, entry.pool.capacity, entry.by_hand) == (8, 8, False)
    assert 'value="10:00"' in staff_client.get(page_of(entry)).content.decode()


def test_entries_may_share_a_pool(staff_client: Client, chapel: Calendar) -> None:
    room = PoolFactory.create(name="The room")

    for title in ("Morning", "Evening"):
        staff_client.post(ENTRIES, entry_form(calendar=chapel.pk, title=title, places="", pool=room.pk))

    assert list(Entry.objects.values_list("pool", flat=True)) == [room.pk, room.pk]
    shown = text_of(staff_client.get(page_of(Entry.objects.all()[0])))
    assert "Several entries share these" in shown


@pytest.mark.parametrize(
    ("zone", "starts_at"),
    [
        ("Europe/London", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),  # the second 01:30
        ("Europe/London", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the first
        ("America/New_York", datetime(2026, 11, 1, 6, 59, 30, 123, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, 15, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 1, 6, 59, tzinfo=UTC)),
    ],
)
def test_saving_an_entry_as_it_is_shown_changes_nothing(staff_client: Client, zone: str, starts_at: datetime) -> None:
    calendar = CalendarFactory.create(time_zone=zone)
    entry = EntryFactory.create(
        calendar=calendar, starts_at=starts_at, booking_opens_at=starts_at.replace(day=1, month=7)
    )
    before = every_value()
    form = typed_into(staff_client.get(page_of(entry)))

    answer = staff_client.post(page_of(entry), form)
    staff_client.post(page_of(entry), form | {"title": "Another name"} | shown_by(staff_client, page_of(entry)))

    assert answer.status_code == 302, errors_of(answer)
    assert form["starts_at_1"]
    entry.refresh_from_db()
    assert (entry.title, entry.starts_at) == ("Another name", starts_at)
    before[1][0] |= {"title": "Another name", "version": 2}
    assert every_value() == before


def test_another_end_leaves_a_beginning_in_the_second_pass_where_it_is(
    staff_client: Client, chapel: Calendar, place_order: Callable[..., Order]
) -> None:
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    entry = EntryFactory.create(calendar=chapel, starts_at=second, price=Decimal(0))
    place_order((entry, 1))
    form = typed_into(staff_client.get(page_of(entry))) | {"ends_at_1": "05:00"}

    answer = say_yes(staff_client, page_of(entry), staff_client.post(page_of(entry), form), note="A long night.")

    assert answer.status_code == 302
    entry.refresh_from_db()
    assert (entry.starts_at, entry.ends_at) == (second, datetime(2026, 10, 25, 5, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("typed", "moment", "shown"),
    [
        ("2027-03-28 01:30", datetime(2027, 3, 28, 1, 30, tzinfo=UTC), "02:30"),
        ("2026-10-25 01:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "01:30"),
    ],
)
def test_an_odd_hour_is_taken_as_the_wall_shows_it(
    staff_client: Client, chapel: Calendar, typed: str, moment: datetime, shown: str
) -> None:
    day, hour = typed.split()

    staff_client.post(
        ENTRIES, entry_form(calendar=chapel.pk, starts_at_0=day, starts_at_1=hour, ends_at_0=day, ends_at_1="06:00")
    )

    entry = Entry.objects.get()
    assert entry.starts_at == moment
    assert f'value="{shown}"' in staff_client.get(page_of(entry)).content.decode()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends_at_1": "09:00"}, "ends_at"),
        ({"starts_at_1": ""}, "starts_at"),
        ({"starts_at_0": "20260-06-10"}, "starts_at"),
        ({"booking_opens_at_0": "2026-06-02"}, "booking_opens_at"),
        ({"places": "-1"}, "places"),
        ({"places": "3000000000"}, "places"),
        ({"calendar": ""}, "calendar"),
        ({"price": "-1"}, "price"),
        ({"tax_rate": "-1"}, "tax_rate"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(
    staff_client: Client, chapel: Calendar, wrong: dict[str, str], field: str
) -> None:
    answer = staff_client.post(ENTRIES, entry_form(**{"calendar": chapel.pk, **wrong}))

    assert list(errors_of(answer)) == [field]
    assert (Entry.objects.count(), Pool.objects.count()) == (0, 0)


def test_an_unsold_entry_of_a_series_that_is_changed_is_then_on_its_own(staff_client: Client, pottery: Series) -> None:
    entry = on(pottery, 10)
    form = typed_into(staff_client.get(page_of(entry)))

    staff_client.post(page_of(entry), form | {"starts_at_1": "17:00", "places": "4"})
    changed = on(pottery, 10)
    again = typed_into(staff_client.get(page_of(entry)))
    again.pop("on_its_own")
    staff_client.post(page_of(entry), again)

    assert (changed.local_start.hour, changed.by_hand, changed.sequence, changed.pool.wanted) == (17, True, 0, 4)
    assert on(pottery, 10).by_hand is False


def test_another_time_of_a_sold_entry_is_asked_about_and_told(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    entry = on(pottery, 10)
    order = place_order((entry, 2))
    form = typed_into(staff_client.get(page_of(entry))) | {"starts_at_1": "17:00", "title": "Early pottery"}

    page = staff_client.post(page_of(entry), form)
    untouched = (on(pottery, 10).local_start.hour, on(pottery, 10).title)
    answer = say_yes(staff_client, page_of(entry), page, note="An early train.")

    assert "1 order is told of the new time" in text_of(page)
    assert "Wed 10 Jun 2026, 18:00 to 20:30 BST" in text_of(page)
    assert untouched == (18, "Pottery evening")
    assert answer.status_code == 302, text_of(answer)
    moved = on(pottery, 10)
    assert (moved.local_start.hour, moved.title, moved.sequence, moved.by_hand) == (17, "Early pottery", 1, True)
    assert order.events.get(kind="entry_rescheduled").data["reason"] == "An early train."
    assert "Another time: An early train." in logged(moved)


def test_the_page_that_asked_about_another_time_moves_it_once(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    entry = on(pottery, 10)
    place_order((entry, 2))
    path = page_of(entry)
    earlier = typed_into(staff_client.get(path)) | {"starts_at_1": "17:00"}
    page = staff_client.post(path, earlier)
    say_yes(staff_client, path, page, note="An early train.")
    back = staff_client.post(path, typed_into(staff_client.get(path)) | {"starts_at_1": "18:00"})
    say_yes(staff_client, path, back, note="The train is late.")
    before = every_value()

    again = say_yes(staff_client, path, page, note="An early train.")

    assert every_value() == before
    assert (again.status_code, again["Location"]) == (302, path)
    assert said(again)[-1].startswith("This was done already, and not again.")


def test_the_page_that_asked_about_a_new_series_makes_it_once(staff_client: Client, chapel: Calendar) -> None:
    page = staff_client.post(SERIES, series_form(chapel))
    say_yes(staff_client, SERIES, page)
    before = every_value()

    again = say_yes(staff_client, SERIES, page)

    assert every_value() == before
    assert (again.status_code, again["Location"]) == (302, page_of(Series.objects.get()))


def test_whoever_may_not_change_orders_moves_nothing_that_people_have_places_at(
    hire: Callable[..., Client], pottery: Series, place_order: Callable[..., Order]
) -> None:
    organiser = hire("bookings.view_entry", "bookings.change_entry", "bookings.view_series", "bookings.change_series")
    sold, unsold = on(pottery, 10), on(pottery, 17)
    place_order((sold, 2))
    earlier = {"starts_at_1": "17:00"}

    refused = organiser.post(page_of(sold), typed_into(organiser.get(page_of(sold))) | earlier)
    series = organiser.post(
        page_of(pottery), series_form(pottery.calendar, starts="19:00") | shown_by(organiser, page_of(pottery))
    )
    moved = organiser.post(page_of(unsold), typed_into(organiser.get(page_of(unsold))) | earlier)

    assert list(errors_of(refused)) == ["starts_at"]
    assert list(errors_of(series)) == ["starts"]
    assert moved.status_code == 302
    assert [on(pottery, day).local_start.hour for day in (10, 17)] == [18, 17]


def test_what_is_sold_while_its_time_is_saved_is_asked_about(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = on(pottery, 10)
    form = typed_into(staff_client.get(page_of(entry))) | {"starts_at_1": "17:00"}
    locked = capacity.lock_pools
    sold: list[Order] = []

    def sell_first(pools: Iterable[int]) -> None:
        if not sold:
            sold.append(place_order((entry, 1)))
        locked(pools)

    monkeypatch.setattr(capacity, "lock_pools", sell_first)

    answer = staff_client.post(page_of(entry), form)

    # (What was sold in the same transaction is undone with it: the second try finds nobody to ask about.)
    assert sold
    assert answer.status_code == 302
    assert not Order.objects.exists()
    assert on(pottery, 10).local_start.hour == 17


def test_an_entry_that_people_have_places_at_is_not_just_hidden(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    entry = on(pottery, 10)
    place_order((entry, 2))
    form = typed_into(staff_client.get(page_of(entry)))

    answer = staff_client.post(page_of(entry), form | {"archived": "on"})

    assert list(errors_of(answer)) == ["archived"]
    assert on(pottery, 10).archived_at is None


def test_what_is_sold_while_an_entry_is_hidden_is_asked_about(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = on(pottery, 10)
    form = typed_into(staff_client.get(page_of(entry))) | {"archived": "on"}
    locked = capacity.lock_pools
    sold: list[Order] = []

    def sell_first(pools: Iterable[int]) -> None:
        if not sold:
            sold.append(place_order((entry, 1)))
        locked(pools)

    monkeypatch.setattr(capacity, "lock_pools", sell_first)

    answer = staff_client.post(page_of(entry), form)

    # (What was sold in the same transaction is undone with it: the second try finds nobody there.)
    assert sold
    assert answer.status_code == 302
    assert not Order.objects.exists()
    assert on(pottery, 10).archived_at is not None


def test_a_table_that_is_taken_is_an_error_beside_its_field(staff_client: Client, chapel: Calendar) -> None:
    kiln = Resource.objects.create(name="The kiln")
    staff_client.post(ENTRIES, entry_form(calendar=chapel.pk, resource=kiln.pk))

    answer = staff_client.post(ENTRIES, entry_form(calendar=chapel.pk, resource=kiln.pk, starts_at_1="09:00"))
    right_after = staff_client.post(
        ENTRIES, entry_form(calendar=chapel.pk, resource=kiln.pk, starts_at_1="16:00", ends_at_1="17:00")
    )

    assert errors_of(answer) == {"resource": ["The kiln is taken: Glaze day, Wed 10 Jun 2026, 10:00 to 16:00."]}
    assert right_after.status_code == 302
    assert Entry.objects.count() == 2


# --- Lists, calendars, pools ------------------------------------------------------------------------------------------


def test_the_list_shows_what_is_coming_on_the_local_clock(staff_client: Client, pottery: Series) -> None:
    with travel(datetime(2026, 6, 12, tzinfo=UTC), tick=False):
        coming = text_of(staff_client.get(list_of(Entry)))
        past = text_of(staff_client.get(list_of(Entry), {"when": "past"}))
        july = text_of(staff_client.get(list_of(Entry), {"when": "2026-07"}))
        odd = staff_client.get(list_of(Entry), {"when": "soon"})

    assert "Wed 17 Jun 2026, 18:00 BST" in coming
    assert "0 / 10" in coming
    assert "Wed 03 Jun" not in coming
    assert "Wed 3 Jun 2026, 18:00 BST" in past
    assert "Wed 17" not in july
    assert odd.status_code == 200


def test_a_calendar_keeps_its_rules_and_questions(staff_client: Client, chapel: Calendar) -> None:
    form = typed_into(staff_client.get(page_of(chapel)))
    form |= {
        "notice_hours": "12",
        "horizon_days": "60",
        "ask_names": "on",
        "questions-0-text": "What do you not eat?",
        "questions-0-kind": "text",
        "questions-0-position": "0",
    }

    answer = staff_client.post(page_of(chapel), form)

    assert answer.status_code == 302, errors_of(answer)
    chapel.refresh_from_db()
    assert (chapel.notice_hours, chapel.horizon_days, chapel.ask_names) == (12, 60, True)
    assert (Question.objects.get().calendar, Question.objects.get().series) == (chapel, None)


@pytest.mark.parametrize("rule", ["notice_hours", "horizon_days", "cancel_hours", "move_hours"])
def test_a_rule_from_which_no_date_can_be_reckoned_is_refused(
    staff_client: Client, chapel: Calendar, rule: str
) -> None:
    form = typed_into(staff_client.get(page_of(chapel))) | {rule: "2147483647"}
    before = Calendar.objects.values().get(pk=chapel.pk)

    answer = staff_client.post(page_of(chapel), form)

    assert answer.status_code == 200
    assert "that is ten years" in text_of(answer)
    assert Calendar.objects.values().get(pk=chapel.pk) == before


@pytest.mark.parametrize("percent", ["-1", "100.01"])
def test_what_is_kept_is_a_percentage(staff_client: Client, chapel: Calendar, percent: str) -> None:
    form = typed_into(staff_client.get(page_of(chapel))) | {"kept_percent": percent}

    answer = staff_client.post(page_of(chapel), form)

    assert list(errors_of(answer)) == ["kept_percent"]


def test_the_zone_of_a_calendar_with_entries_stays(staff_client: Client, pottery: Series) -> None:
    page = staff_client.get(page_of(pottery.calendar)).content.decode()

    assert 'name="time_zone"' not in page
    assert 'name="name"' in page


def test_a_pools_page_shows_what_it_serves_and_who_has_it(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order], fill_cart: Callable[..., Any]
) -> None:
    entry = on(pottery, 10)
    place_order((entry, 2))
    fill_cart((entry, 3))
    Waiter.objects.create(entry=entry, email="kim@example.org", quantity=4)

    shown = text_of(staff_client.get(page_of(entry.pool)))

    assert "Pottery evening Wed 10 Jun 2026, 18:00 BST" in shown
    assert "Sold places: 2" in shown
    assert "In baskets: 3" in shown
    assert "1 waiting, for 4 places" in shown


def test_a_new_pool_is_made_by_the_service(staff_client: Client) -> None:
    staff_client.post("/admin/bookings/pool/add/", {"name": "The room", "wanted": "6"})

    assert (Pool.objects.get().capacity, Pool.objects.get().taken) == (6, 0)


def test_a_series_keeps_its_pool_when_its_days_are_over(staff_client: Client, pottery: Series) -> None:
    room = PoolFactory.create(name="The room")
    Entry.objects.update(pool=room, starts_at=NOW - DAY, ends_at=NOW)
    Series.objects.update(pool=room, places=None)

    page = staff_client.get(page_of(pottery))

    assert f'<option value="{room.pk}" selected>The room</option>' in page.content.decode()


def test_who_only_reads_an_entry_sees_its_own_clock_and_its_places(hire: Callable[..., Client]) -> None:
    starts = datetime(2026, 6, 10, 16, 0, tzinfo=UTC)
    tasting = EntryFactory.create(calendar__time_zone="Europe/Amsterdam", starts_at=starts, places=9)

    shown = text_of(hire("bookings.view_entry").get(page_of(tasting)))

    assert "Wed 10 Jun 2026, 18:00 CEST" in shown
    assert "Wed 10 Jun 2026, 21:00 CEST" in shown
    assert "0 / 9" in shown
    assert "at once" in shown


def test_places_that_were_sold_tell_the_clock_of_their_calendar(
    staff_client: Client, place_order: Callable[..., Order]
) -> None:
    starts = datetime(2026, 6, 10, 16, 0, tzinfo=UTC)
    place_order((EntryFactory.create(calendar__time_zone="Europe/Amsterdam", starts_at=starts, price=0), 1))

    assert "Wed 10 Jun 2026, 18:00 CEST" in text_of(staff_client.get(list_of(Booking)))


def test_fewer_places_than_are_taken_are_said_at_once(
    staff_client: Client, pottery: Series, place_order: Callable[..., Order]
) -> None:
    place_order((on(pottery, 10), 4))
    entry = on(pottery, 10)

    form = typed_into(staff_client.get(page_of(entry))) | {"places": "3"}
    by_entry = said(staff_client.post(page_of(entry), form))
    by_pool = said(save_form(staff_client, page_of(entry.pool), wanted="2"))
    enough = said(save_form(staff_client, page_of(entry.pool), wanted="4"))

    assert "4 are taken or promised already: it sinks to 3 as they are given back." in by_entry
    assert "4 are taken or promised already: it sinks to 2 as they are given back." in by_pool
    assert not any("it sinks to 4" in words for words in enough)
    entry.pool.refresh_from_db()
    assert (entry.pool.wanted, entry.pool.capacity, entry.pool.taken) == (4, 4, 4)
