"""Accounts without a password: a code by mail opens them, makes them, and proves the address."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from cart.models import Cart, Product
from cartsite.models import User
from tests.cart.baskets import lines_of, token_in
from tests.cartsite.accounts import (
    another_code,
    ask_for_code,
    code_in_mail,
    is_signed_in,
    sign_in_by_code,
    sign_up,
    type_code,
)
from tests.factories import UserFactory
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


# --- Signing in with a code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["ada@example.org", "Ada@Example.ORG", " ada@example.org "])
def test_a_code_by_mail_signs_in_and_proves_the_address(client: Client, shopper: User, email: str) -> None:
    answer = sign_in_by_code(client, email)

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(shopper.pk)
    assert EmailAddress.objects.get(user=shopper).verified
    assert mail.outbox[0].to == ["ada@example.org"]


def test_an_address_that_staff_typed_in_capitals_is_found(client: Client) -> None:
    UserFactory.create(email="Grace@Example.ORG")

    sign_in_by_code(client, "grace@example.org")

    assert is_signed_in(client)


@pytest.mark.parametrize("typed", ["{}", " {} ", "{0[0]}{0[1]}{0[2]}{0[3]}{0[5]}{0[6]}{0[7]}{0[8]}"])
def test_a_code_may_be_typed_with_or_without_its_dash(client: Client, shopper: User, typed: str) -> None:
    ask_for_code(client)

    type_code(client, typed.format(code_in_mail()))

    assert is_signed_in(client)


def test_one_goes_on_to_where_one_was(client: Client, shopper: User) -> None:
    page = ask_for_code(client, next="/calendars/")
    answer = type_code(client, code_in_mail(), next="/calendars/")

    assert page["Location"] == "/account/code/confirm/?next=%2Fcalendars%2F"
    assert answer["Location"] == "/calendars/"


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_sent_to_a_foreign_place(client: Client, shopper: User, settings: Any, address: str) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://evil.example"]
    settings.ALLOWED_HOSTS = ["testserver", "evil.example"]

    page = ask_for_code(client, next=address)
    answer = type_code(client, code_in_mail(), next=address)

    assert page["Location"] == "/account/code/confirm/"
    assert answer["Location"] == "/"


def test_a_wrong_code_is_told_and_the_third_ends_the_code(client: Client, shopper: User) -> None:
    ask_for_code(client)
    right = code_in_mail()
    first = type_code(client, another_code(right))
    type_code(client, another_code(right))

    third = type_code(client, another_code(right))
    too_late = type_code(client, right)

    assert "This is not the code that we sent" in first.content.decode()
    assert third["Location"] == too_late["Location"] == "/account/code/"
    assert not is_signed_in(client)
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_a_code_is_worth_nothing_after_ten_minutes(client: Client, shopper: User) -> None:
    ask_for_code(client)
    session = client.session
    session["account_login"]["state"]["stages"]["login_by_code"]["data"]["at"] -= 601
    session.save()

    answer = type_code(client, code_in_mail())

    assert "That code is too old" in client.get(answer["Location"]).content.decode()
    assert not is_signed_in(client)


def test_signing_out_is_said(client: Client, shopper: User) -> None:
    client.force_login(shopper)

    page = client.post("/sign-out/", follow=True)

    assert "You are signed out." in page.content.decode()


def test_giving_up_to_sign_in_is_no_signing_out(client: Client) -> None:
    page = client.post("/sign-out/", follow=True)

    assert "You are signed out." not in page.content.decode()


def test_a_code_works_once(client: Client, shopper: User) -> None:
    sign_in_by_code(client)
    client.post("/sign-out/")

    type_code(client, code_in_mail())

    assert not is_signed_in(client)


def test_a_code_works_only_in_the_browser_that_asked(client: Client, shopper: User) -> None:
    ask_for_code(client)
    other = Client()

    type_code(other, code_in_mail())

    assert not is_signed_in(other)


def test_a_newer_code_ends_the_older_one(client: Client, shopper: User) -> None:
    ask_for_code(client)
    older = code_in_mail()
    client.post("/account/code/confirm/", {"action": "resend"})

    type_code(client, older)
    assert not is_signed_in(client)
    type_code(client, code_in_mail())

    assert is_signed_in(client)


def test_taking_another_address_keeps_the_basket(client: Client, fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 1))
    client.cookies["cart"] = token
    ask_for_code(client)

    answer = client.post("/sign-out/", {"next": "/sign-in/"})

    assert answer["Location"] == "/sign-in/"
    assert token_in(client) == token
    assert client.get("/account/code/confirm/").status_code == 302


def test_nobody_is_told_whether_an_address_has_an_account(client: Client, shopper: User) -> None:
    known = ask_for_code(client)
    known_page = client.get(known["Location"]).content.decode()
    other = Client()
    unknown = ask_for_code(other, "eve@example.org")
    unknown_page = other.get(unknown["Location"]).content.decode()

    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert _without_token(known_page) == _without_token(unknown_page).replace("eve@", "ada@")
    assert "There is no account with this address" in mail.outbox[-1].subject
    assert mail.outbox[-1].to == ["eve@example.org"]


def _without_token(page: str) -> str:
    return "".join(line for line in page.splitlines() if "csrfmiddlewaretoken" not in line)


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": "shopper@demo.test"}])
def test_who_may_not_sign_in_gets_no_code(client: Client, shopper: User, change: dict[str, Any]) -> None:
    User.objects.update(**change)
    shopper.refresh_from_db()

    answer = ask_for_code(client, shopper.email)

    assert answer["Location"] == "/account/code/confirm/"
    assert "no account" in mail.outbox[-1].subject
    assert not EmailAddress.objects.exists()


def test_who_is_refused_after_the_code_was_sent_is_not_let_in(client: Client, shopper: User, settings: Any) -> None:
    settings.DEMO = True
    User.objects.update(email="shopper@demo.test")
    ask_for_code(client, "shopper@demo.test")
    settings.DEMO = False

    answer = type_code(client, code_in_mail())

    assert answer["Location"] == "/account/inactive/"
    assert not is_signed_in(client)
    assert shopper.last_login is None


# --- Making an account ------------------------------------------------------------------------------------------------


def test_an_account_takes_an_address_and_the_code_sent_there(client: Client) -> None:
    answer = sign_up(client, "New@Example.org", next="/cart/")

    user = User.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/cart/")
    assert is_signed_in(client)
    assert (user.email, user.name, user.has_usable_password()) == ("new@example.org", "", False)
    assert EmailAddress.objects.get(user=user).verified


def test_the_sign_in_name_of_a_shopper_is_made_up(client: Client) -> None:
    sign_up(client)
    sign_up(Client(), "newer@example.org")

    first, second = User.objects.order_by("pk")
    assert first.username != second.username
    for user in (first, second):
        user.clean_fields(exclude=["password"])
        assert "new" not in user.username
        assert len(user.username) == len("shopper-") + 16


def test_an_account_is_not_open_before_the_code_is_typed(client: Client) -> None:
    client.post("/account/sign-up/", {"email": "new@example.org"})

    client.post("/account/email/confirm/", {"code": another_code(code_in_mail())})

    assert not is_signed_in(client)
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_signing_up_again_without_having_typed_the_code_sends_another(client: Client, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": "5/m/key"}
    client.post("/account/sign-up/", {"email": "new@example.org"})

    sign_up(Client())

    assert User.objects.get().last_login is not None


def test_signing_up_with_a_known_address_looks_the_same_and_makes_nothing(client: Client, shopper: User) -> None:
    fresh = client.post("/account/sign-up/", {"email": "new@example.org"})
    fresh_page = client.get(fresh["Location"]).content.decode()
    other = Client()
    shopper.last_login = shopper.date_joined
    shopper.save()

    known = other.post("/account/sign-up/", {"email": "ADA@example.org"})
    known_page = other.get(known["Location"]).content.decode()

    assert (fresh.status_code, fresh["Location"]) == (known.status_code, known["Location"])
    assert _without_token(fresh_page) == _without_token(known_page).replace("ada@", "new@")
    assert "You have an account already" in mail.outbox[-1].subject
    assert User.objects.filter(email="ada@example.org").count() == 1


def test_two_sign_ups_at_once_make_one_account(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looked for the address before the first had written it down."""
    UserFactory.create(email="new@example.org", last_login="2026-01-01T00:00Z")
    monkeypatch.setattr(
        "allauth.account.internal.flows.manage_email.email_already_exists", lambda email, **_: (email, False)
    )

    answer = client.post("/account/sign-up/", {"email": "new@example.org"})

    assert answer["Location"] == "/account/email/confirm/"
    assert "You have an account already" in mail.outbox[-1].subject
    assert User.objects.count() == 1


# --- Changing the address ---------------------------------------------------------------------------------------------


def test_an_address_changes_once_the_code_sent_there_is_typed(client: Client, shopper: User) -> None:
    sign_in_by_code(client)

    client.post("/account/email/", {"email": "Lovelace@example.org"})
    shopper.refresh_from_db()
    before = shopper.email
    client.post("/account/email/confirm/", {"code": code_in_mail()})

    shopper.refresh_from_db()
    assert (before, shopper.email) == ("ada@example.org", "lovelace@example.org")
    assert [address.email for address in EmailAddress.objects.filter(user=shopper)] == ["lovelace@example.org"]
    assert (mail.outbox[-1].to, mail.outbox[-1].subject) == (
        ["ada@example.org"],
        "Your account goes by another address now",
    )


def test_the_address_of_somebody_else_cannot_be_taken(client: Client, shopper: User) -> None:
    UserFactory.create(email="grace@example.org")
    sign_in_by_code(client)

    first = client.post("/account/email/", {"email": "grace@example.org"})
    answer = client.post("/account/email/confirm/", {"code": code_in_mail()})

    shopper.refresh_from_db()
    assert first["Location"] == "/account/email/confirm/"  # which tells nothing
    assert "There is another account with this address" in answer.content.decode()
    assert shopper.email == "ada@example.org"


@pytest.mark.parametrize("action", ["action_remove", "action_primary"])
def test_an_account_keeps_its_address(client: Client, shopper: User, action: str) -> None:
    sign_in_by_code(client)

    client.post("/account/email/", {"email": "ada@example.org", action: ""})

    shopper.refresh_from_db()
    assert shopper.email == "ada@example.org"
    assert EmailAddress.objects.get(user=shopper).verified


def test_an_address_that_staff_replace_opens_the_account_no_more(
    client: Client, staff_client: Client, shopper: User
) -> None:
    sign_in_by_code(client)
    page = f"/admin/cartsite/user/{shopper.pk}/change/"

    save_form(staff_client, page, email="lovelace@example.org")
    ask_for_code(Client(), "ada@example.org")

    shopper.refresh_from_db()
    assert shopper.email == "lovelace@example.org"
    assert "no account" in mail.outbox[-1].subject


# --- Mail that cannot be sent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "email"),
    [
        ("/account/code/", "ada@example.org"),
        ("/account/code/", "nobody@example.org"),
        ("/account/sign-up/", "new@example.org"),
        ("/account/sign-up/", "ada@example.org"),
        ("/account/password/reset/", "ada@example.org"),
    ],
)
def test_a_mail_server_that_is_down_gets_a_sentence(
    client: Client, shopper: User, settings: Any, page: str, email: str
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    answer = client.post(page, {"email": email})

    assert answer.status_code == 503
    assert "We cannot send mail just now" in answer.content.decode()
    assert client.get("/account/code/confirm/").status_code == 302


def test_a_change_stays_done_if_the_mail_about_it_cannot_be_sent(client: Client, shopper: User, settings: Any) -> None:
    client.force_login(shopper)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    typed = {"oldpassword": "correct horse", "password1": "battery staple", "password2": "battery staple"}
    answer = client.post("/account/password/", typed)

    shopper.refresh_from_db()
    assert answer["Location"] == "/account/"
    assert shopper.check_password("battery staple")


# --- The brake --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/account/code/", "/account/sign-up/", "/account/password/reset/"])
def test_one_address_cannot_have_mail_sent_without_end(client: Client, settings: Any, page: str) -> None:
    settings.LIMITS = settings.LIMITS | {"signin": (3, 600)}
    for number in range(3):
        Client().post(page, {"email": f"someone{number}@example.org"})

    answer = client.post(page, {"email": "new@example.org"})

    assert answer.status_code == 429
    assert "Please wait a few minutes" in answer.content.decode()
    assert len(mail.outbox) == 3


def test_codes_cannot_be_guessed_without_end(client: Client, shopper: User, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"signin": (3, 600)}
    ask_for_code(client)
    for _ in range(2):
        type_code(client, another_code(code_in_mail()))

    answer = type_code(client, code_in_mail())

    assert answer.status_code == 429
    assert not is_signed_in(client)


def test_one_person_gets_three_codes_a_minute_from_wherever_they_are_asked_for(shopper: User) -> None:
    for number in range(3):
        Client(REMOTE_ADDR=f"192.0.2.{number}").post("/account/code/", {"email": "ada@example.org"})

    answer = Client(REMOTE_ADDR="192.0.2.9").post("/account/code/", {"email": "ada@example.org"})

    assert "too many tries" in answer.content.decode()
    assert len(mail.outbox) == 3


# --- Leaving no traces ------------------------------------------------------------------------------------------------


def test_the_next_person_at_a_browser_finds_nothing_of_the_one_before(
    client: Client, shopper: User, fill_cart: Fill, honey: Product
) -> None:
    fill_cart((honey, 1), user=shopper)
    UserFactory.create(email="grace@example.org")
    sign_in_by_code(client)
    client.post("/account/name/", {"name": "Ada King"})  # which leaves a sentence that is not shown yet

    client.post("/sign-out/")
    page = client.get("/cart/").content.decode()
    sign_in_by_code(client, "grace@example.org")
    page += client.get("/cart/").content.decode()

    assert "Your name is changed" not in page
    assert "Heather honey" not in page
    assert lines_of(Cart.objects.get(user=shopper)) == {"Heather honey": 1}


def test_a_basket_of_somebody_who_did_not_sign_out_stays_theirs(
    client: Client, shopper: User, fill_cart: Fill, honey: Product
) -> None:
    theirs, token = fill_cart((honey, 1), user=shopper)
    UserFactory.create(email="grace@example.org")
    client.force_login(shopper)
    client.cookies["cart"] = token
    client.post("/account/name/", {"name": "Ada King"})
    del client.cookies["sessionid"]  # the session ran out; the basket's cookie, and a sentence not shown yet, did not

    sign_in_by_code(client, "grace@example.org")
    page = client.get("/cart/").content.decode()

    assert "Your name is changed" not in page
    assert "Heather honey" not in page
    assert token_in(client) == ""
    assert lines_of(theirs) == {"Heather honey": 1}
