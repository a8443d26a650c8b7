"""What a list of the back office does not show can not be found out by filtering, sorting, searching or choosing."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.contrib import admin
from django.contrib.admin import FieldListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import IGNORED_PARAMS, ChangeList
from django.db.models import Model
from django.test import Client, RequestFactory

from bookings.models import Waiter
from cart.models import Cart
from cartsite.models import User
from orders.models import Order
from payments.models import Payment
from tests.backoffice.desk import list_of, page_of

pytestmark = pytest.mark.django_db

EVERY_ADMIN = sorted(admin.site._registry.values(), key=lambda each: each.model._meta.label)
LOOKUPS = ["", "__exact", "__regex", "__iregex", "__startswith", "__contains", "__gt", "__lt", "__in", "__isnull"]
SECRETS = [(Order, "key"), (Payment, "return_token"), (Payment, "webhook_token"), (Waiter, "key"), (Cart, "token_hash")]

of_every_admin = pytest.mark.parametrize("kept", EVERY_ADMIN, ids=lambda each: each.model._meta.label)


@pytest.fixture
def narrow(staff: User) -> Callable[..., ChangeList]:
    """The list of an admin as an address narrows it: `narrow(kept, {"key__regex": "^a"})`."""

    def narrow(kept: Any, query: dict[str, str]) -> ChangeList:
        request = RequestFactory().get("/", query)
        request.user = staff
        found: ChangeList = kept.get_changelist_instance(request)
        return found

    return narrow


def lookups_of(model: type[Model]) -> Iterator[str]:
    """Every way to ask for a field of the model, or of one that is a relation away, there or back."""
    for field in model._meta.get_fields():
        paths = [field.name]
        if field.is_relation and isinstance(field.related_model, type):
            paths += [f"{field.name}__{other.name}" for other in field.related_model._meta.get_fields()]
        for path in paths:
            yield from (path + lookup for lookup in LOOKUPS)


def read_by_filters(kept: Any) -> set[str]:
    """What may stand in the address of this list: what its own filters put there."""
    simple = {each.parameter_name for each in kept.list_filter if not isinstance(each, str)}
    fields = [(each, get_fields_from_path(kept.model, each)[-1]) for each in kept.list_filter if isinstance(each, str)]
    request = RequestFactory().get("/")
    filters = [FieldListFilter.create(field, request, {}, kept.model, kept, field_path=path) for path, field in fields]
    return simple.union(*(each.expected_parameters() for each in filters))


@of_every_admin
def test_no_list_is_narrowed_but_by_its_filters(kept: Any, narrow: Callable[..., ChangeList]) -> None:
    allowed = read_by_filters(kept) | set(IGNORED_PARAMS)

    narrowed = []
    for lookup in sorted(set(lookups_of(kept.model)) - allowed):
        try:
            narrow(kept, {lookup: "1"})
        except (DisallowedModelAdminLookup, IncorrectLookupParameters):
            continue
        narrowed.append(lookup)

    assert narrowed == []


@of_every_admin
def test_what_a_filter_offers_can_be_chosen(kept: Any, narrow: Callable[..., ChangeList]) -> None:
    unfiltered = narrow(kept, {})
    chosen = [
        dict(parse_qsl(choice["query_string"].lstrip("?")))
        for spec in unfiltered.filter_specs
        for choice in spec.choices(unfiltered)
        if "query_string" in choice
    ]

    lists = [narrow(kept, query) for query in chosen]

    assert [len(each.result_list) for each in lists] == [each.result_count for each in lists]


@of_every_admin
@pytest.mark.parametrize("value", ["", "zzz", "(", "-1", "9" * 40, "\0", "1,2", "2026-99-99"])
def test_a_filter_refuses_what_it_cannot_read(kept: Any, value: str, staff_client: Client) -> None:
    answers = [staff_client.get(list_of(kept.model), {name: value}) for name in sorted(read_by_filters(kept))]

    assert {answer.status_code for answer in answers} <= {200, 302, 400}


@of_every_admin
@pytest.mark.parametrize("order", ["99", "-99", "zzz", "key"])
def test_a_list_is_not_sorted_by_what_is_no_column(kept: Any, order: str, narrow: Callable[..., ChangeList]) -> None:
    as_ever = narrow(kept, {}).queryset.query.order_by

    assert set(narrow(kept, {"o": order}).queryset.query.order_by) <= {*as_ever, "-pk"}


@pytest.mark.parametrize(("model", "field"), SECRETS, ids=str)
@pytest.mark.parametrize("how", ["__regex=^a", "__regex=(", "__gt=a", "=a", "__isnull=0"])
def test_a_secret_is_not_told_letter_by_letter(staff_client: Client, model: type[Model], field: str, how: str) -> None:
    answer = staff_client.get(f"{list_of(model)}?{field}{how}")

    assert answer.status_code == 400


def test_a_secret_of_another_record_is_not_told_either(staff_client: Client, order: Order) -> None:
    asked = ["order__key", "order__payments__return_token", "line__order__key"]

    answers = [
        staff_client.get(f"/admin/orders/{name}/?{path}__regex=^a").status_code
        for name in ("orderline", "ordercontact", "linefact")
        for path in asked
    ]

    assert set(answers) <= {302, 400}
    assert 400 in answers


@pytest.mark.parametrize(("model", "field"), SECRETS, ids=str)
def test_no_search_finds_a_secret(staff_client: Client, model: type[Model], field: str) -> None:
    searched = admin.site.get_model_admin(model).search_fields

    assert [path for path in searched if path.lstrip("=^@").split("__")[-1] == field] == []


def test_no_record_is_opened_by_a_secret(staff_client: Client, order: Order) -> None:
    by_key = f"/admin/orders/order/{order.key}/change/?_to_field=key"

    answers = [staff_client.get(path) for path in (by_key, f"{list_of(Order)}?_to_field=key&_popup=1")]

    assert [answer.status_code for answer in answers] == [400, 400]


def test_a_popup_still_opens(staff_client: Client, order: Order) -> None:
    answers = [staff_client.get(f"{path}?_popup=1") for path in (list_of(Order), page_of(order))]

    assert [answer.status_code for answer in answers] == [200, 200]
