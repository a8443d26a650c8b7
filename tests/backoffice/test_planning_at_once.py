"""Two people plan the same table at the same moment: one has it, the other reads who."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from bookings.models import Calendar, Entry, Pool, Resource, Series
from cartsite.models import User
from tests.backoffice.test_planning import ENTRIES, SERIES, entry_form, errors_of, say_yes, series_form
from tests.concurrency import results_of, run_at_once
from tests.factories import CalendarFactory
from tests.support.forms import shown_by

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kiln(db: None) -> Resource:
    return Resource.objects.create(name="The kiln")


@pytest.fixture
def colleagues(staff: User) -> list[Client]:
    """The same person at two desks."""
    desks = [Client(), Client()]
    for desk in desks:
        desk.force_login(staff)
    return desks


def in_summer(form: Callable[..., dict[str, Any]], *args: Any, **changes: Any) -> dict[str, Any]:
    """The form, in a year that is not over."""
    typed = form(*args, **changes)
    return {name: value.replace("2026-", "2031-") if isinstance(value, str) else value for name, value in typed.items()}


def the_refused(answers: list[Any]) -> list[Any]:
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    return [answer for answer in answers if answer.status_code == 200]


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_single_entries_for_one_kiln_one_is_made(colleagues: list[Client], kiln: Resource, attempt: int) -> None:
    chapel: Calendar = CalendarFactory.create()
    forms = [in_summer(entry_form, calendar=chapel.pk, resource=kiln.pk, title=title) for title in ("One", "Two")]

    answers = results_of(
        run_at_once(*(lambda c=c, f=f: c.post(ENTRIES, f) for c, f in zip(colleagues, forms, strict=True)))
    )

    refused = the_refused(answers)[0]
    assert list(errors_of(refused)) == ["resource"]
    assert (Entry.objects.count(), Pool.objects.count()) == (1, 1)


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_series_for_one_kiln_one_is_made(colleagues: list[Client], kiln: Resource, attempt: int) -> None:
    chapel: Calendar = CalendarFactory.create()
    forms = [in_summer(series_form, chapel, resource=kiln.pk, title=title) for title in ("One", "Two")]
    pages = [client.post(SERIES, form) for client, form in zip(colleagues, forms, strict=True)]

    answers = results_of(
        run_at_once(*(lambda c=c, p=p: say_yes(c, SERIES, p) for c, p in zip(colleagues, pages, strict=True)))
    )

    refused = the_refused(answers)[0]
    assert list(errors_of(refused)) == ["resource"]
    assert "The kiln" in errors_of(refused)["resource"][0]
    made = Series.objects.get()
    assert set(Entry.objects.values_list("series", flat=True)) == {made.pk}
    assert Pool.objects.count() == Entry.objects.count() > 0


def test_pressing_yes_twice_at_once_makes_each_day_once(colleagues: list[Client], staff_client: Client) -> None:
    chapel: Calendar = CalendarFactory.create()
    say_yes(staff_client, SERIES, staff_client.post(SERIES, in_summer(series_form, chapel)))
    path = f"/admin/bookings/series/{Series.objects.get().pk}/change/"
    longer = in_summer(series_form, chapel, last_day="2026-07-31")
    pages = [client.post(path, longer | shown_by(client, path)) for client in colleagues]

    answers = results_of(
        run_at_once(*(lambda c=c, p=p: say_yes(c, path, p) for c, p in zip(colleagues, pages, strict=True)))
    )

    assert {answer.status_code for answer in answers} == {302}
    days = [str(day) for day in Entry.objects.values_list("series_day", flat=True)]
    assert len(days) == len(set(days)) == Pool.objects.count() == 9
