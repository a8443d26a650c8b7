"""Codes and passwords are guessed so many times and no more, and guessing keeps nobody else out."""

import threading
from typing import Any

import pytest
from allauth.account import forms
from allauth.account.internal.flows.code_verification import AbstractCodeVerificationProcess
from django.test import Client

from cartsite.models import User
from tests.cartsite.accounts import another_code, code_in_mail, is_signed_in, leave_open, sign_in_by_code, sign_up
from tests.concurrency import PATIENCE, results_of, run_at_once
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

AT_ONCE = 8
HERE, ELSEWHERE = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "198.51.100.1"}


def try_password(name: str, password: str, **more: Any) -> Client:
    client = Client(**more)
    client.post("/sign-in/", {"username": name, "password": password})
    return client


def guess(name: str, times: int = 5, **more: Any) -> None:
    for number in range(times):
        try_password(name, f"wrong {number}", **more)


# --- Codes ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codes that are compared with the one that was sent."""
    compared: list[str] = []
    compare = forms.compare_user_code

    def note(*, actual: str, expected: str) -> bool:
        compared.append(actual)
        return bool(compare(actual=actual, expected=expected))

    monkeypatch.setattr(forms, "compare_user_code", note)
    return compared


@pytest.fixture
def all_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst that can happen: every try has read its session before any of them writes it."""
    all_here = threading.Barrier(AT_ONCE)
    look = AbstractCodeVerificationProcess.abort_if_invalid

    def wait_for_all(process: AbstractCodeVerificationProcess) -> Any:
        if threading.current_thread() is not threading.main_thread():
            all_here.wait(PATIENCE)
        return look(process)

    monkeypatch.setattr(AbstractCodeVerificationProcess, "abort_if_invalid", wait_for_all)


@pytest.fixture
def fifteen_minutes(settings: Any) -> None:
    """A sign-in is old after them."""
    settings.RECENT_SIGN_IN = 15 * 60


def ask_to_sign_in(client: Client) -> None:
    client.post("/account/code/", {"email": "ada@example.org"})


def ask_to_sign_up(client: Client) -> None:
    client.post("/account/sign-up/", {"email": "new@example.org"})


def ask_for_another_password(client: Client) -> None:
    client.post("/account/password/reset/", {"email": "ada@example.org"})


def ask_for_another_address(client: Client) -> None:
    client.force_login(User.objects.get(username="ada"))
    client.post("/account/email/", {"email": "new@example.org"})


def ask_to_set_a_password(client: Client) -> None:
    """What asks for a code of somebody who is signed in already."""
    sign_up(client)
    leave_open(client)
    client.get("/account/password/set/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("shopper", "all_read_first", "fifteen_minutes")
@pytest.mark.parametrize(
    ("ask", "page", "field"),
    [
        (ask_to_sign_in, "/account/code/confirm/", "code"),
        (ask_to_sign_up, "/account/email/confirm/", "code"),
        (ask_for_another_password, "/account/password/reset/confirm/", "code"),
        (ask_for_another_address, "/account/email/confirm/", "code"),
        (ask_to_set_a_password, "/account/password/set/", "again-code"),
    ],
)
def test_of_many_tries_at_once_at_one_code_three_are_judged(
    client: Client, judged: list[str], ask: Any, page: str, field: str
) -> None:
    ask(client)
    judged.clear()
    wrong = another_code(code_in_mail())

    def type_it(number: int) -> Any:
        browser = Client(REMOTE_ADDR=f"192.0.2.{number}")
        browser.cookies = client.cookies
        return browser.post(page, {field: wrong})

    answers = results_of(run_at_once(*[lambda number=number: type_it(number) for number in range(AT_ONCE)]))

    assert judged == [wrong] * 3
    assert {answer.status_code for answer in answers} <= {200, 302, 422}


def test_a_code_that_was_tried_too_often_is_right_no_more(client: Client, shopper: User, settings: Any) -> None:
    settings.TRIES = settings.TRIES | {"code": (2, 600)}
    ask_to_sign_in(client)
    right = code_in_mail()
    for _ in range(2):
        client.post("/account/code/confirm/", {"code": another_code(right)})

    answer = client.post("/account/code/confirm/", {"code": right}, follow=True)

    assert "too many tries" in answer.content.decode()
    assert not is_signed_in(client)


def test_a_new_code_may_be_tried_afresh(client: Client, shopper: User) -> None:
    ask_to_sign_in(client)
    for _ in range(3):
        client.post("/account/code/confirm/", {"code": another_code(code_in_mail())})

    sign_in_by_code(client)

    assert is_signed_in(client)


# --- Passwords --------------------------------------------------------------------------------------------------------


def test_wrong_passwords_from_one_network_keep_nobody_out_elsewhere(shopper: User) -> None:
    guess("ada", **HERE)

    assert not is_signed_in(try_password("ada", "correct horse", **HERE))
    assert is_signed_in(try_password("ada", "correct horse", **ELSEWHERE))


def test_wrong_passwords_for_one_account_keep_no_other_out(shopper: User) -> None:
    UserFactory.create(username="grace")

    guess("ada", **HERE)

    assert is_signed_in(try_password("grace", "correct horse", **HERE))


@pytest.mark.parametrize("typed", ["idra", "IDRA", "\u0131dra", "Idra@Example.org", "idra@example.org"])
@pytest.mark.parametrize("tried", ["idra", "\u0131dra", "idra@example.org"])
def test_a_name_written_in_another_way_has_no_tries_of_its_own(tried: str, typed: str) -> None:
    UserFactory.create(username="idra", email="idra@example.org")

    guess(tried, **HERE)

    assert not is_signed_in(try_password(typed, "correct horse", **HERE))


def test_a_household_shares_its_tries(shopper: User) -> None:
    for number in range(5):
        guess("ada", 1, REMOTE_ADDR=f"2001:db8::{number}")

    assert not is_signed_in(try_password("ada", "correct horse", REMOTE_ADDR="2001:db8::ffff"))


def test_names_that_nobody_has_are_counted_as_well() -> None:
    guess("nobody", **HERE)

    answer = Client(**HERE).post("/sign-in/", {"username": "NOBODY", "password": "wrong"})

    assert "too many tries" in answer.content.decode()


def test_the_right_password_is_no_try(shopper: User) -> None:
    signed_in = [is_signed_in(try_password("ada", "correct horse", **HERE)) for _ in range(7)]

    assert all(signed_in)


@pytest.mark.django_db(transaction=True)
def test_of_many_passwords_at_once_five_are_judged(shopper: User, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []
    monkeypatch.setattr(User, "check_password", lambda _user, password: judged.append(password))

    results_of(run_at_once(*[lambda: try_password("ada", "wrong", **HERE) for _ in range(AT_ONCE)]))

    assert judged == ["wrong"] * 5
