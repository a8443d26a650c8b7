"""A picture that staff name must be among the static files, or the shop would show a broken one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.backoffice.desk import page_of, text_of
from tests.factories import CalendarFactory, ProductFactory
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

MAKERS = [CalendarFactory, ProductFactory]
NO_FILES = ["demo/nonsense.png", "img", "../manage.py", "/etc/passwd", "https://elsewhere.example/jam.png"]


@pytest.mark.parametrize("path", NO_FILES)
@pytest.mark.parametrize("make", MAKERS)
def test_a_picture_that_is_not_there_is_refused_beside_its_field(
    staff_client: Client, make: Callable[[], Any], path: str
) -> None:
    row = make()

    answer = save_form(staff_client, page_of(row), picture=path)

    row.refresh_from_db()
    assert (answer.status_code, row.picture) == (200, "")
    assert answer.context["adminform"].form.errors["picture"] == [f"There is no picture {path} among the static files."]
    assert "among the static files." in text_of(answer)


@pytest.mark.parametrize("make", MAKERS)
def test_a_picture_that_is_there_is_taken(staff_client: Client, make: Callable[[], Any]) -> None:
    row = make()

    answer = save_form(staff_client, page_of(row), picture="img/no-picture.svg")

    row.refresh_from_db()
    assert (answer.status_code, row.picture) == (302, "img/no-picture.svg")
    assert save_form(staff_client, page_of(row), picture="").status_code == 302


@pytest.mark.parametrize("make", MAKERS)
def test_a_picture_that_went_away_keeps_nobody_from_changing_the_rest(
    staff_client: Client, make: Callable[..., Any]
) -> None:
    row = make(picture="demo/gone.png", description="Old.")

    answer = save_form(staff_client, page_of(row), description="New.")

    row.refresh_from_db()
    assert (answer.status_code, row.description) == (302, "New.")
