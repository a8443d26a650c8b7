"""Whatever is typed into a form of the back office, what is wrong is said in words beside its field."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db import transaction
from django.db.models import CheckConstraint, Model, UniqueConstraint
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from bookings.models import Calendar, Entry, Pool, PriceKind, Question, Resource, Series
from cart.models import Product, Stall
from cartsite.backoffice import RecordAdmin
from cartsite.models import User
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from tests.backoffice.desk import list_of, page_of
from tests.factories import (
    CalendarFactory,
    CollectionSlotFactory,
    DeliveryZoneFactory,
    EntryFactory,
    PoolFactory,
    ProductFactory,
    QuestionFactory,
    SeriesFactory,
    StallFactory,
    UserFactory,
    VoucherFactory,
)

pytestmark = pytest.mark.django_db

NUMBERS = ["-3", "100", "150", "1e30", "9" * 40, "0.001", "NaN", "zzz"]
MOMENTS = ["zzz", "0001-01-01", "2000-01-01", "9999-12-31"]
TEXTS = ["", "x" * 5000, "\0", "one\ntwo"]
CHOICES = ["zzz", "-1", "9" * 40]


def make_entry() -> Entry:
    entry = EntryFactory.create()
    PriceKind.objects.create(entry=entry, name="Child", price=5)
    return entry


MAKE: dict[type[Model], Callable[[], Any]] = {
    Calendar: CalendarFactory,
    CollectionSlot: CollectionSlotFactory,
    DeliveryZone: lambda: DeliveryZoneFactory(postcodes=f"BS{DeliveryZone.objects.count() + 1}"),
    Entry: make_entry,
    Group: lambda: Group.objects.create(name=f"Group {Group.objects.count()}"),
    Pool: PoolFactory,
    Product: ProductFactory,
    Question: QuestionFactory,
    Resource: lambda: Resource.objects.create(name=f"Kiln {Resource.objects.count()}"),
    Series: lambda: SeriesFactory(last_day=timezone.localdate()),
    Stall: StallFactory,
    User: UserFactory,
    Voucher: VoucherFactory,
}
OF_ROWS = [each for each in admin.site._registry.values() if not isinstance(each, RecordAdmin)]


@pytest.fixture
def post(staff: User) -> Callable[..., HttpResponse]:
    """Save a row's page with these things typed in, and undo it; its answer is not drawn yet."""

    def post(kept: Any, row: Model, typed: dict[str, Any]) -> HttpResponse:
        request = RequestFactory().post(page_of(row), typed)
        vars(request).update(user=staff, session={}, _dont_enforce_csrf_checks=True)
        vars(request)["_messages"] = FallbackStorage(request)
        with transaction.atomic():
            answer: HttpResponse = kept.change_view(request, str(row.pk))
            transaction.set_rollback(True)
        return answer

    return post


def parts_of(bound: forms.BoundField) -> Iterator[tuple[str, Any]]:
    """The names that a browser sends for a field, each with what it would send if nothing were changed."""
    widget = getattr(bound.field.widget, "widget", bound.field.widget)
    shown = widget.get_context(bound.html_name, bound.value(), {})["widget"]
    is_choice = isinstance(widget, forms.CheckboxSelectMultiple)
    for part in [shown] if is_choice else shown.get("subwidgets") or [shown]:
        if part.get("type") != "checkbox" or is_choice or part["attrs"].get("checked"):
            yield part["name"], "" if part["value"] is None else part["value"]


def forms_on(page: Any) -> list[Any]:
    """The form of a page, and those of the rows that belong to it."""
    inline = [each.formset for each in page.context["inline_admin_formsets"]]
    return [page.context["adminform"].form, *(form for formset in inline for form in formset.forms)]


def fields_on(page: Any) -> list[forms.BoundField]:
    return [bound for form in forms_on(page) for bound in form if not bound.field.disabled and not bound.is_hidden]


def untouched(page: Any) -> dict[str, Any]:
    """What a browser sends if nothing is changed."""
    managed = [each.formset.management_form for each in page.context["inline_admin_formsets"]]
    bound = [one for form in [*forms_on(page), *managed] for one in form if not one.field.disabled]
    return dict(part for each in bound for part in parts_of(each))


def bad_values_for(field: forms.Field) -> list[str]:
    if isinstance(field, forms.MultiValueField | forms.DateField | forms.TimeField):
        return MOMENTS
    if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
        return CHOICES
    return NUMBERS if isinstance(field, forms.IntegerField) else TEXTS


def complaints_of(answer: Any) -> list[str] | None:
    """What a page says is wrong; nothing if it was saved, or if it asks whether it should be."""
    told = getattr(answer, "context_data", None) or {}
    return [str(each) for errors in told["errors"] for each in errors] if "adminform" in told else None


def is_beside_a_field(answer: Any) -> bool:
    """Whether nothing is said of a whole form."""
    told = answer.context_data
    all_forms = [told["adminform"].form]
    for each in told["inline_admin_formsets"]:
        if each.formset.non_form_errors():
            return False
        all_forms += each.formset.forms
    return not any(form.non_field_errors() for form in all_forms)


@pytest.mark.parametrize("kept", OF_ROWS, ids=lambda each: each.model.__name__)
def test_what_is_wrong_is_said_in_words_beside_its_field(
    kept: Any, staff_client: Client, post: Callable[..., HttpResponse]
) -> None:
    other, row = MAKE[kept.model](), MAKE[kept.model]()
    page = staff_client.get(page_of(row))
    as_it_is, wrong, refused = untouched(page), [], 0
    assert complaints_of(post(kept, row, as_it_is)) is None

    for bound in fields_on(page):
        taken = str(getattr(other, bound.name, ""))
        for value in [*bad_values_for(bound.field), taken, taken.swapcase()]:
            typed = as_it_is | {name: value for name, _before in list(parts_of(bound))[:1]}
            answer = post(kept, row, typed)
            complaints = complaints_of(answer)
            refused += bool(complaints)
            if complaints is not None and (
                not complaints or not is_beside_a_field(answer) or any("onstraint" in each for each in complaints)
            ):
                wrong.append((bound.html_name, value[:20], complaints))

    assert wrong == []
    assert refused > 1


def test_every_constraint_that_staff_can_break_has_a_sentence_and_a_field() -> None:
    models = {kept.model for kept in OF_ROWS if kept.model is not Group} | {PriceKind}
    never_asked_for = {
        "entry_of_a_series_knows_its_day",
        "entry_once_per_series_and_day",
        "pool_capacity_not_below_wanted",
        "pool_taken_not_negative",
        "pool_taken_within_capacity",
        "pricekind_either_of_a_series_or_an_entry",
    }

    silent = {
        each.name
        for model in models
        for each in model._meta.constraints
        if isinstance(each, CheckConstraint | UniqueConstraint)
        and (
            each.violation_error_message == each.default_violation_error_message
            or each.violation_error_code not in {field.name for field in model._meta.fields}
        )
    }

    assert silent == never_asked_for


def test_a_sign_in_name_and_an_address_that_are_taken_are_refused_beside_their_fields(staff_client: Client) -> None:
    UserFactory(username="ada", email="ada@example.org")
    typed = {"username": "Ada", "email": "ADA@example.org", "password1": "horse-battery", "password2": "horse-battery"}

    answer = staff_client.post(f"{list_of(User)}add/", typed)

    assert set(answer.context["adminform"].form.errors) == {"username", "email"}
    assert "onstraint" not in answer.content.decode()


def test_a_price_below_zero_and_a_rate_beyond_all_are_drawn_beside_their_fields(staff_client: Client) -> None:
    typed = {"sku": "J-1", "title": "Jam", "stall": StallFactory().pk, "price": "-3", "tax_rate": "100"}

    page = staff_client.post(f"{list_of(Product)}add/", typed)

    assert page.context["adminform"].form.errors == {
        "price": ["Please give a price of 0 or more."],
        "tax_rate": ["Please give a rate from 0 to 99.99 per cent."],
    }
    assert "Please give a price of 0 or more." in page.content.decode()
