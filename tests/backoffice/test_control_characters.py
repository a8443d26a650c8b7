"""What staff write may be mailed: it has no control characters, whichever form it is written in."""

from collections.abc import Iterator

import pytest
from django import forms
from django.contrib import admin
from django.db import models
from django.test import Client, RequestFactory

from cart.models import Stall
from cartsite.backoffice import GuardedAdmin, NoteForm
from cartsite.models import User
from cartsite.plain_text import check_line, check_note
from payments.desk.fields import reason_field
from tests.factories import StallFactory
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

# Lists that staff type line by line; each line is tidied when it is read.
LISTS = {"choices", "skipped_days", "extra_days"}


def forms_of(model_admin: GuardedAdmin, person: User) -> Iterator[tuple[type[models.Model], dict[str, forms.Field]]]:
    """The fields of an admin's form and of those of its inlines, by their model."""
    request = RequestFactory().get("/")
    request.user = person
    yield model_admin.model, model_admin.get_form(request).base_fields
    for inline in model_admin.get_inline_instances(request):
        yield inline.model, inline.get_formset(request).form.base_fields


def texts_in(model: type[models.Model], fields: dict[str, forms.Field]) -> Iterator[str]:
    """The names of the fields that are kept as text."""
    kept = {field.name for field in model._meta.fields if isinstance(field, (models.CharField, models.TextField))}
    for name, field in fields.items():
        if name in kept - LISTS and isinstance(field, forms.CharField):
            yield name


def test_every_text_of_the_back_office_refuses_them(staff: User) -> None:
    ours = [each for each in admin.site._registry.values() if isinstance(each, GuardedAdmin)]
    checked = {
        f"{model._meta.label}.{name}": fields[name].validators
        for each in ours
        for model, fields in forms_of(each, staff)
        for name in texts_in(model, fields)
    }

    assert {"cart.Product.title", "bookings.PriceKind.note", "bookings.Calendar.place"} <= checked.keys()
    assert [name for name, found in checked.items() if check_line not in found and check_note not in found] == []


@pytest.mark.parametrize(
    ("text", "status"), [("Hill\x1b[2J Bees", 200), ("Hill\r\nBees", 200), ("Hill Bees & Sons.Ltd", 302)]
)
def test_it_is_said_beside_the_field(staff_client: Client, text: str, status: int) -> None:
    stall = StallFactory.create(name="Bees")

    answer = save_form(staff_client, f"/admin/cart/stall/{stall.pk}/change/", name=text)

    assert answer.status_code == status
    if status == 200:
        assert list(answer.context["adminform"].form.errors) == ["name"]
        assert Stall.objects.get().name == "Bees"


@pytest.mark.parametrize("field", [NoteForm.base_fields["note"], reason_field()])
def test_a_note_may_have_lines(field: forms.CharField) -> None:
    assert field.clean("It rained.\r\nSo we went home.") == "It rained.\r\nSo we went home."
    with pytest.raises(forms.ValidationError, match="cannot be shown"):
        field.clean("It rained.\x07")
