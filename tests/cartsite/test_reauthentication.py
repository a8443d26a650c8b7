"""What a stranger at somebody's open browser must not do asks for the password, or for a code from a mail."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from cartsite.models import User
from cartsite.reauthentication import SESSION_KEY
from tests.cartsite.accounts import (
    another_code,
    ask_for_code,
    code_in_mail,
    confirm,
    is_signed_in,
    leave_open,
    sign_in_by_code,
    sign_up,
    type_code,
)

pytestmark = pytest.mark.django_db

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
NEW = {"email": "new@example.org"}
MINE = {"email": "ada@example.org"}


@pytest.fixture(autouse=True)
def _fifteen_minutes(settings: Any) -> None:
    settings.RECENT_SIGN_IN = 15 * 60


@pytest.fixture
def ada(shopper: User) -> Client:
    """Her browser, in which she signed in by her password sixteen minutes ago."""
    client = Client()
    client.post("/sign-in/", {"username": "ada", "password": "correct horse"})
    leave_open(client)
    return client


@pytest.fixture
def code_only(db: None) -> Client:
    """The browser of somebody who has no password, and signed in sixteen minutes ago."""
    client = Client()
    sign_up(client, "ada@example.org")
    leave_open(client)
    mail.outbox.clear()
    return client


def asks(answer: Any) -> bool:
    """Whether the page asks again who is there, and came before anything was done."""
    return bool(answer.status_code == 422 and "Is it still you?" in answer.content.decode())


def answer_page(client: Client, page: Any, **typed: str) -> Any:
    """Type an answer into the page that asks; all else that it carries goes along."""
    carried = {name: unescape(value) for name, value in HIDDEN.findall(page.content.decode())}
    return client.post(
        page.wsgi_request.get_full_path(), carried | {f"again-{name}": said for name, said in typed.items()}
    )


# --- Which steps ask --------------------------------------------------------------------------------------------------


def address_is_on_its_way() -> bool:
    return bool(mail.outbox and mail.outbox[-1].to == ["new@example.org"])


def account_is_erased() -> bool:
    return not User.objects.filter(email="ada@example.org").exists()


STEPS = [("/account/email/", NEW, address_is_on_its_way), ("/account/data/erase/", MINE, account_is_erased)]


@pytest.mark.parametrize(("path", "typed", "is_done"), STEPS)
def test_a_step_asks_for_the_password_and_then_goes_on_with_what_was_typed(
    ada: Client, path: str, typed: dict[str, str], is_done: Callable[[], bool]
) -> None:
    page = ada.post(path, typed)
    was_done = is_done()

    answer = answer_page(ada, page, password="correct horse")

    assert asks(page)
    assert not was_done
    assert answer.status_code == 302
    assert is_done()


@pytest.mark.parametrize(("path", "typed", "is_done"), STEPS)
def test_a_step_asks_for_a_mailed_code_where_there_is_no_password(
    code_only: Client, path: str, typed: dict[str, str], is_done: Callable[[], bool]
) -> None:
    page = code_only.post(path, typed)
    sent_to, was_done = mail.outbox[-1].to, is_done()

    answer = answer_page(code_only, page, code=code_in_mail())

    assert asks(page)
    assert (sent_to, was_done) == (["ada@example.org"], False)
    assert answer.status_code == 302
    assert is_done()


@pytest.mark.parametrize(("path", "typed", "is_done"), STEPS)
def test_whoever_just_signed_in_is_not_asked(
    client: Client, shopper: User, path: str, typed: dict[str, str], is_done: Callable[[], bool]
) -> None:
    sign_in_by_code(client)

    answer = client.post(path, typed)

    assert answer.status_code == 302
    assert is_done()


def test_a_first_password_is_another_way_in_so_its_page_asks(code_only: Client) -> None:
    page = code_only.get("/account/password/set/")

    answer = answer_page(code_only, page, code=code_in_mail())
    form = code_only.get(answer["Location"])

    assert asks(page)
    assert "Set the password" in form.content.decode()


def test_a_first_password_that_was_typed_long_after_is_not_set_nor_shown(code_only: Client) -> None:
    typed = {"password1": "battery staple", "password2": "battery staple"}

    page = code_only.post("/account/password/set/", typed)

    assert asks(page)
    assert "battery staple" not in page.content.decode()
    assert not User.objects.get(email="ada@example.org").has_usable_password()


def test_an_account_service_is_another_way_in_so_connecting_it_asks(ada: Client) -> None:
    assert asks(ada.post("/account/sign-on/co-op/", {"process": "connect"}))


def test_to_confirm_the_address_that_one_has_asks_nothing(ada: Client) -> None:
    answer = ada.post("/account/email/", MINE | {"action_send": "1"})

    assert answer["Location"] == "/account/email/confirm/"


# --- What counts as an answer -----------------------------------------------------------------------------------------


def test_a_wrong_password_does_nothing_and_keeps_what_was_typed(ada: Client) -> None:
    page = answer_page(ada, ada.post("/account/email/", NEW), password="wrong")
    was_done = address_is_on_its_way()

    answer_page(ada, page, password="correct horse")

    assert asks(page)
    assert "This is not your password." in page.content.decode()
    assert not was_done
    assert address_is_on_its_way()


def test_passwords_are_not_guessed_without_end_on_the_page_that_asks(ada: Client) -> None:
    page = ada.post("/account/email/", NEW)
    for number in range(5):
        page = answer_page(ada, page, password=f"wrong {number}")

    answer = answer_page(ada, page, password="correct horse")

    assert "too many tries" in answer.content.decode()
    assert not address_is_on_its_way()


def test_the_password_of_somebody_else_is_no_answer(ada: Client) -> None:
    User.objects.get(username="ada").set_password("x")
    other = User.objects.create(username="eve", email="eve@example.org")
    other.set_password("battery staple")
    other.save()

    page = answer_page(ada, ada.post("/account/email/", NEW), password="battery staple")

    assert asks(page)


def test_after_three_wrong_codes_a_new_one_is_needed(code_only: Client) -> None:
    page = code_only.post("/account/email/", NEW)
    right = code_in_mail()
    for _ in range(3):
        page = answer_page(code_only, page, code=another_code(right))

    late = answer_page(code_only, page, code=right)
    again = answer_page(code_only, late, send="1")
    answer_page(code_only, again, code=code_in_mail())

    assert "Please ask for a new one" in late.content.decode()
    assert (asks(late), asks(again)) == (True, True)
    assert address_is_on_its_way()


def test_a_code_that_is_on_its_way_is_not_sent_twice(code_only: Client) -> None:
    for _ in range(2):
        code_only.post("/account/email/", NEW)

    assert len(mail.outbox) == 1


def test_codes_are_not_sent_without_end(code_only: Client) -> None:
    page = code_only.post("/account/email/", NEW)
    for _ in range(8):
        page = answer_page(code_only, page, send="1")

    assert "several codes" in page.content.decode()
    assert len(mail.outbox) == 5


def test_a_code_works_once(code_only: Client) -> None:
    page = code_only.post("/account/email/", NEW)
    code = code_in_mail()
    answer_page(code_only, page, code=code)
    leave_open(code_only)

    again = answer_page(code_only, page, code=code)

    assert asks(again)


def test_a_code_to_sign_in_with_is_no_answer(code_only: Client) -> None:
    page = code_only.post("/account/email/", NEW)
    ask_for_code(Client())

    answer = answer_page(code_only, page, code=code_in_mail())

    assert asks(answer)


def test_a_mail_server_that_is_down_gets_a_sentence(code_only: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "tests.cartsite.test_reauthentication.Down"

    answer = code_only.post("/account/email/", NEW)

    assert answer.status_code == 503


class Down:
    """A mail server that is down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionRefusedError


# --- How long an answer lasts -----------------------------------------------------------------------------------------


def test_an_answer_lasts_as_long_as_a_sign_in(ada: Client) -> None:
    answer_page(ada, ada.post("/account/email/", NEW), password="correct horse")

    soon = ada.post("/account/email/", {"email": "newer@example.org"})
    leave_open(ada)
    later = ada.post("/account/email/", {"email": "newest@example.org"})

    assert (asks(soon), asks(later)) == (False, True)


def test_a_session_from_before_this_was_asked_is_asked(ada: Client) -> None:
    session = ada.session
    del session[SESSION_KEY]
    session.save()

    assert asks(ada.post("/account/email/", NEW))


def test_a_copied_cookie_is_worth_nothing_after_the_answer(ada: Client) -> None:
    thief = Client()
    thief.cookies["sessionid"] = ada.cookies["sessionid"].value

    answer_page(ada, ada.post("/account/email/", NEW), password="correct horse")

    assert (is_signed_in(ada), is_signed_in(thief)) == (True, False)


def test_a_guest_who_posts_an_answer_is_nobody(client: Client, shopper: User) -> None:
    answer = client.post("/account/email/", NEW | {"again-password": "correct horse"})

    assert answer["Location"].startswith("/sign-in/")


def test_an_answer_from_another_site_is_refused(ada: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = ada.cookies

    answer = strict.post("/account/email/", NEW | {"again-password": "correct horse"})

    assert answer.status_code == 403
    assert asks(ada.post("/account/email/", NEW))


def test_a_changed_address_opens_the_account_and_the_old_one_no_more(code_only: Client) -> None:
    """All the way, for somebody who has no password."""
    page = code_only.post("/account/email/", NEW)
    answer_page(code_only, page, code=code_in_mail())
    code_only.post("/account/email/confirm/", {"code": code_in_mail()})

    browser = Client()
    ask_for_code(browser, "new@example.org")
    type_code(browser, code_in_mail())

    assert is_signed_in(browser)
    assert User.objects.get().email == "new@example.org"


def test_an_account_whose_address_was_confirmed_before_is_asked_as_well(ada: Client, shopper: User) -> None:
    confirm(shopper)

    assert asks(ada.post("/account/email/", NEW))
