"""On the way to the back office the page to sign in begins with the password, since no code by mail opens it."""

import pytest
from django.test import Client

from cartsite.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD_FIELD, CODE_FIELD = 'name="password"', 'name="email"'


def page_before(path: str) -> str:
    """Where somebody who is not signed in ends up on the way to an address."""
    return Client().get(path, follow=True).content.decode()


def fold_of(page: str) -> str:
    """What is folded away."""
    return page.partition("<details")[2].partition("</details>")[0]


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/orders/order/", "/admin/login/", "/door/", "/sign-in/?next=/admin/"]
)
def test_staff_see_the_form_for_their_password_first(path: str) -> None:
    page = page_before(path)

    assert page.index(PASSWORD_FIELD) < page.index(CODE_FIELD)
    assert PASSWORD_FIELD not in fold_of(page)
    assert CODE_FIELD in fold_of(page)
    assert page.count("autofocus") == 1
    assert "autofocus" in page.partition('name="username"')[2].partition(">")[0]


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-in/?next=/account/", "/sign-in/?next=//evil.example/admin/"])
def test_shoppers_see_the_code_first(path: str) -> None:
    page = page_before(path)

    assert page.index(CODE_FIELD) < page.index(PASSWORD_FIELD)
    assert PASSWORD_FIELD in fold_of(page)


def test_a_wrong_password_is_answered_with_the_same_page_whoever_it_is(staff: User) -> None:
    UserFactory(username="ada")
    typed = {"password": "wrong", "next": "/admin/"}

    pages = [
        Client().post("/sign-in/", typed | {"username": name}).content.decode() for name in ("sam", "ada", "nobody")
    ]

    assert [page.count("We know nobody by this name or address with this password.") for page in pages] == [1, 1, 1]
    assert [PASSWORD_FIELD in fold_of(page) for page in pages] == [False, False, False]


def test_the_password_leads_staff_to_the_page_they_asked_for(staff: User) -> None:
    staff.set_password("correct horse")
    staff.save()
    typed = {"username": "sam", "password": "correct horse", "next": "/admin/orders/order/"}

    answer = Client().post("/sign-in/", typed, follow=True)

    assert answer.redirect_chain == [("/admin/orders/order/", 302)]
    assert answer.status_code == 200
