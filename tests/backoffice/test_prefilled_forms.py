"""An address may fill in the fields of a new record; what a field cannot read, it leaves out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest
from django.test import Client, RequestFactory

from cartsite.models import User
from tests.backoffice.desk import list_of
from tests.factories import CalendarFactory

pytestmark = pytest.mark.django_db

NONSENSE = ["zzz", "", "(", "-1", "9" * 40, "1e999", "NaN", "2026-99-99 99:99", "\0", "1,zzz", "\N{SUPERSCRIPT TWO}"]


def as_staff(staff: User) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = staff
    return request


def addable(staff: User) -> list[Any]:
    """Every admin in which staff with all rights may add a row."""
    kept = sorted(admin.site._registry.values(), key=lambda each: each.model._meta.label)
    return [each for each in kept if each.has_add_permission(as_staff(staff))]


def names_in(kept: Any, staff: User) -> set[str]:
    """What an address could name: the fields of the model, and those that the form has besides."""
    return {field.name for field in kept.model._meta.fields} | set(kept.get_form(as_staff(staff)).base_fields)


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_in_the_address_leaves_every_new_form_usable(staff_client: Client, staff: User, value: str) -> None:
    asked = {f"{list_of(kept.model)}add/": dict.fromkeys(names_in(kept, staff), value) for kept in addable(staff)}

    codes = {path: staff_client.get(path, nonsense).status_code for path, nonsense in asked.items()}

    assert len(codes) > 8
    assert codes == dict.fromkeys(codes, 200)


def test_a_moment_that_cannot_be_read_is_left_out(staff_client: Client) -> None:
    page = staff_client.get("/admin/orders/voucher/add/", {"valid_from": "zzz", "title": "Spring"})

    assert page.context["adminform"].form.initial == {"title": "Spring", "limit": None}


def test_what_can_be_read_is_filled_in(staff_client: Client) -> None:
    calendar = CalendarFactory()
    filled = {"calendar": str(calendar.pk), "title": "Walk", "starts_at": "2031-07-05 10:00"}
    moment = {"valid_from": "2031-07-05T10:00:00+00:00"}

    entry = staff_client.get("/admin/bookings/entry/add/", filled).content.decode()
    voucher = staff_client.get("/admin/orders/voucher/add/", moment)

    assert f'<option value="{calendar.pk}" selected>' in entry
    assert 'value="Walk"' in entry
    assert 'value="2031-07-05"' in entry
    assert voucher.context["adminform"].form.initial["valid_from"] == datetime(2031, 7, 5, 10, tzinfo=UTC)
