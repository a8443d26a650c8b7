"""A password is an option: set, changed, forgotten; and what becomes of sessions that are open elsewhere."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from cartsite.models import User
from tests.cartsite.accounts import another_code, ask_for_code, code_in_mail, is_signed_in, sign_in_by_code, sign_up
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

NEW = {"password1": "battery staple", "password2": "battery staple"}


def forget(client: Client, email: str = "ada@example.org") -> Any:
    return client.post("/account/password/reset/", {"email": email})


def can_sign_in(password: str) -> bool:
    client = Client()
    client.post("/sign-in/", {"username": "ada@example.org", "password": password})
    return is_signed_in(client)


def test_who_signed_up_without_a_password_sets_one(client: Client) -> None:
    sign_up(client, "ada@example.org")
    elsewhere = Client()
    sign_in_by_code(elsewhere)

    answer = client.post("/account/password/set/", NEW)

    assert answer["Location"] == "/account/"
    assert can_sign_in("battery staple")
    assert (is_signed_in(client), is_signed_in(elsewhere)) == (True, False)
    assert mail.outbox[-1].subject == "Your account has a password now"


def test_a_changed_password_ends_every_other_session(client: Client, shopper: User) -> None:
    elsewhere = Client()
    for browser in (client, elsewhere):
        browser.post("/sign-in/", {"username": "ada", "password": "correct horse"})

    client.post("/account/password/", {"oldpassword": "correct horse"} | NEW)

    assert (is_signed_in(client), is_signed_in(elsewhere)) == (True, False)
    assert (can_sign_in("battery staple"), can_sign_in("correct horse")) == (True, False)
    assert mail.outbox[-1].subject == "Your password was changed"


@pytest.mark.parametrize(
    "typed",
    [
        {"oldpassword": "wrong"} | NEW,
        NEW,
        {"oldpassword": "correct horse", "password1": "battery staple", "password2": "battery stable"},
        {"oldpassword": "correct horse", "password1": "short", "password2": "short"},
        {"oldpassword": "correct horse", "password1": "password123", "password2": "password123"},
        {"oldpassword": "correct horse", "password1": "ada@example.org", "password2": "ada@example.org"},
    ],
    ids=str,
)
def test_a_password_that_will_not_do_changes_nothing(client: Client, shopper: User, typed: dict[str, str]) -> None:
    client.force_login(shopper)

    answer = client.post("/account/password/", typed)

    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.content.decode()
    assert can_sign_in("correct horse")


def test_a_password_that_is_there_is_not_set_without_being_known(client: Client, shopper: User) -> None:
    client.force_login(shopper)

    answer = client.post("/account/password/set/", NEW)

    assert answer["Location"] == "/account/password/"
    assert can_sign_in("correct horse")


def test_a_forgotten_password_is_replaced_with_a_code(client: Client, shopper: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(shopper)
    forget(client)

    client.post("/account/password/reset/confirm/", {"code": code_in_mail()})
    answer = client.post("/account/password/reset/new/", NEW)

    assert answer["Location"] == "/"
    assert (is_signed_in(client), is_signed_in(elsewhere)) == (True, False)
    assert (can_sign_in("battery staple"), can_sign_in("correct horse")) == (True, False)


def test_without_the_code_no_password_is_replaced(client: Client, shopper: User) -> None:
    forget(client)
    right = code_in_mail()

    for _ in range(3):
        client.post("/account/password/reset/confirm/", {"code": another_code(right)})
    client.post("/account/password/reset/confirm/", {"code": right})
    client.post("/account/password/reset/new/", NEW)

    assert can_sign_in("correct horse")
    assert not is_signed_in(client)


def test_nobody_is_told_whether_an_address_has_a_password(client: Client, shopper: User) -> None:
    known, unknown = forget(client), forget(Client(), "eve@example.org")

    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert "There is no account with this address" in mail.outbox[-1].subject


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": "staff@demo.test"}])
def test_who_may_not_sign_in_gets_no_new_password(client: Client, shopper: User, change: dict[str, Any]) -> None:
    User.objects.update(**change)
    shopper.refresh_from_db()

    forget(client, shopper.email)

    assert "no account" in mail.outbox[-1].subject


def test_after_five_wrong_passwords_an_account_waits_but_the_code_works(client: Client, shopper: User) -> None:
    for number in range(5):
        client.post("/sign-in/", {"username": "ada", "password": f"wrong {number}"})

    right = client.post("/sign-in/", {"username": "ADA", "password": "correct horse"})
    sign_in_by_code(client)

    assert "too many tries" in right.content.decode()
    assert is_signed_in(client)


def test_nobody_is_locked_out_by_an_account_whose_address_looks_like_theirs(client: Client) -> None:
    """In capitals the database takes a dotless i for an I."""
    UserFactory.create(username="mike", email="mike@example.org")
    UserFactory.create(email="m\u0131ke@example.org")

    client.post("/sign-in/", {"username": "Mike@Example.org", "password": "correct horse"})

    assert is_signed_in(client)
    assert client.session["_auth_user_id"] == str(User.objects.get(username="mike").pk)


# --- Whoever works in the back office ---------------------------------------------------------------------------------

IN_THE_BACK_OFFICE = [{"is_staff": True}, {"is_superuser": True}]


@pytest.mark.parametrize("change", IN_THE_BACK_OFFICE)
def test_nobody_gets_into_the_back_office_by_reading_somebodys_mail(
    client: Client, shopper: User, change: dict[str, Any]
) -> None:
    User.objects.update(**change)

    ask_for_code(client)
    forget(client)
    client.post("/account/sign-up/", {"email": shopper.email})

    assert len(mail.outbox) == 3
    assert not any(re.search(r"\d{4}-\d{4}", letter.body) for letter in mail.outbox)
    assert "sign in with your password" in mail.outbox[0].body
    assert not EmailAddress.objects.exists()


@pytest.mark.parametrize("change", IN_THE_BACK_OFFICE)
def test_who_never_came_in_does_not_get_into_the_back_office_by_signing_up_again(
    client: Client, shopper: User, change: dict[str, Any]
) -> None:
    shopper.set_unusable_password()
    shopper.save()
    User.objects.update(last_login=None, **change)

    answer = client.post("/account/sign-up/", {"email": shopper.email})

    assert answer["Location"] == "/account/email/confirm/"
    assert [letter.subject for letter in mail.outbox] == ["You have an account already"]


@pytest.mark.parametrize("change", IN_THE_BACK_OFFICE)
def test_whoever_works_in_the_back_office_signs_in_with_their_password(
    client: Client, shopper: User, change: dict[str, Any]
) -> None:
    User.objects.update(**change)

    client.post("/sign-in/", {"username": "ada@example.org", "password": "correct horse"})

    assert is_signed_in(client)
