"""Who may give whom which rights in the back office."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from cartsite.models import User
from orders.models import Order
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

Hire = Callable[..., Client]


def page_of(person: User) -> str:
    return f"/admin/cartsite/user/{person.pk}/change/"


def form_of(person: User, **changes: str) -> dict[str, Any]:
    return {"username": person.username, "email": person.email, "name": person.name, "is_active": "on"} | changes


RIGHTS = {"is_staff": "on", "is_superuser": "on", "user_permissions": ["1"]}


def test_who_looks_after_people_gives_nobody_rights(hire: Hire, shopper: User) -> None:
    kim = hire("cartsite.change_user", "cartsite.view_user")

    answer = save_form(kim, page_of(shopper), name="Ada Lovelace", **RIGHTS)

    shopper.refresh_from_db()
    assert (answer.status_code, shopper.name) == (302, "Ada Lovelace")
    assert (shopper.is_staff, shopper.is_superuser, shopper.user_permissions.count()) == (False, False, 0)


def test_who_looks_after_people_changes_nobody_who_works_in_the_back_office(hire: Hire, staff: User) -> None:
    kim = hire("cartsite.change_user", "cartsite.view_user")
    myself = User.objects.get(username="kim")
    password = {"password1": "battery staple", "password2": "battery staple"}

    answers = [
        kim.post(page_of(staff), form_of(staff, email="kim@elsewhere.example")),
        kim.post(f"/admin/cartsite/user/{staff.pk}/password/", password),
        kim.post(page_of(myself), form_of(myself) | RIGHTS),
    ]

    staff.refresh_from_db()
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert (staff.email, staff.check_password("correct horse")) == ("sam@example.org", True)
    assert not User.objects.get(username="kim").is_superuser


def test_who_may_do_everything_gives_rights(staff_client: Client, shopper: User) -> None:
    answer = save_form(staff_client, page_of(shopper), **RIGHTS)

    shopper.refresh_from_db()
    assert answer.status_code == 302
    assert (shopper.is_staff, shopper.is_superuser, shopper.user_permissions.count()) == (True, True, 1)


def test_who_looks_after_groups_gives_their_own_no_rights(hire: Hire) -> None:
    group = Group.objects.create(name="Stall keepers")
    kim = hire("auth.change_group", "auth.view_group", "auth.add_group")

    answers = [
        kim.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Stall keepers", "permissions": ["1"]}),
        kim.post("/admin/auth/group/add/", {"name": "Everything", "permissions": ["1"]}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert (group.permissions.count(), Group.objects.count()) == (0, 1)


def test_whom_a_mail_is_for_is_shown_only_to_those_who_may_see_contacts(hire: Hire, order: Order) -> None:
    kim = hire("orders.view_order")

    answer = kim.get(f"/admin/orders/order/{order.pk}/mail/")

    assert answer.status_code == 403
