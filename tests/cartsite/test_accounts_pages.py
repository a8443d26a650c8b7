"""Every page about accounts is one of ours, whoever looks at it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse

from cartsite.models import User
from tests.cartsite.accounts import ask_for_code, code_in_mail
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

OURS = "Rose Ash is a co-operative"
ACCOUNT_NAMES = sorted(
    name
    for name in get_resolver().reverse_dict
    if isinstance(name, str) and name.startswith(("account", "socialaccount", "openid", "login", "logout"))
)
POSTED_ONLY = {"logout", "account_logout"}


def address_of(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return reverse(name, args=["co-op"])


def is_ours(answer: Any) -> bool:
    """A page in our frame, or a way on to another address here."""
    if answer.status_code == 302:
        return answer["Location"].startswith("/")
    if answer.status_code == 405:
        return answer.content == b""
    from_the_library = [template for template in answer.templates if "/allauth/" in str(template.origin)]
    return OURS in answer.content.decode() and not from_the_library


def test_the_list_has_every_kind_of_page() -> None:
    assert {"account", "login", "account_login", "account_signup", "openid_connect_callback"} <= set(ACCOUNT_NAMES)


@pytest.mark.parametrize("name", [name for name in ACCOUNT_NAMES if name not in POSTED_ONLY])
@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_every_address_gives_our_page_or_leads_on(shopper: User, name: str, signed_in: bool, accept: str) -> None:
    client = Client(headers={"Accept": accept, "X-Requested-With": "XMLHttpRequest"})
    if signed_in:
        client.force_login(shopper)

    assert is_ours(client.get(address_of(name)))
    assert is_ours(client.post(address_of(name), {}))


@pytest.mark.parametrize("name", sorted(POSTED_ONLY))
def test_signing_out_is_only_posted(client: Client, name: str) -> None:
    assert client.get(address_of(name)).status_code == 405
    assert client.post(address_of(name))["Location"] == "/"


@pytest.mark.parametrize(
    ("first", "typed"),
    [
        ("/account/code/", "/account/code/confirm/"),
        ("/account/sign-up/", "/account/email/confirm/"),
        ("/account/password/reset/", "/account/password/reset/confirm/"),
    ],
)
def test_the_pages_on_the_way_are_ours(client: Client, first: str, typed: str) -> None:
    client.post(first, {"email": "new@example.org"})

    assert is_ours(client.get(typed))
    for code in ("", "1234-5678", "x" * 500, "\x00", "١٢٣"):
        assert is_ours(client.post(typed, {"code": code}))


@pytest.mark.parametrize("page", ["/account/code/", "/account/sign-up/", "/account/password/reset/"])
@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b", "a b@example.org", "\x00@example.org", f"{'x' * 300}@example.org"]
)
def test_what_is_no_address_gets_a_sentence_beside_its_field(
    client: Client, mailoutbox: list[Any], page: str, email: str
) -> None:
    answer = client.post(page, {"email": email})

    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.content.decode()
    assert mailoutbox == []


def test_who_is_signed_in_is_not_asked_to_sign_in_again(client: Client, shopper: User) -> None:
    client.force_login(shopper)

    answers = [client.get(page)["Location"] for page in ("/sign-in/", "/account/code/", "/account/sign-up/")]

    assert answers == ["/", "/", "/"]


def test_the_account_shows_what_is_ones_own(client: Client, shopper: User) -> None:
    UserFactory.create(email="grace@example.org", name="Grace Example")
    client.force_login(shopper)

    page = client.get("/account/").content.decode()

    assert "Ada Shopper" in page
    assert "ada@example.org" in page
    assert "not confirmed" in page
    assert "Grace" not in page
    for link in ("/orders/", "/account/data/", "/account/email/", "/account/password/"):
        assert f'href="{link}"' in page


def test_an_account_made_by_staff_confirms_its_address_from_its_page(client: Client, shopper: User) -> None:
    client.force_login(shopper)

    client.post("/account/email/", {"email": "ada@example.org", "action_send": "1"})
    client.post("/account/email/confirm/", {"code": code_in_mail()})

    assert "not confirmed" not in client.get("/account/").content.decode()


def test_a_name_is_changed_and_taken_away(client: Client, shopper: User) -> None:
    client.force_login(shopper)
    names = []

    for name in ("Ada King", "", "x" * 201):
        client.post("/account/name/", {"name": name})
        shopper.refresh_from_db()
        names.append(shopper.name)

    assert names == ["Ada King", "", ""]


@pytest.mark.parametrize(
    "path", ["", "name/", "email/", "password/", "data/", "data/export/", "data/erase/"], ids=lambda path: path or "own"
)
def test_no_cache_keeps_what_is_personal(client: Client, shopper: User, path: str) -> None:
    client.force_login(shopper)

    page = client.get(f"/account/{path}")

    assert page.status_code == 200
    assert {"no-store", "private"} <= set(page["Cache-Control"].split(", "))


def test_htmx_gets_the_sign_in_form_without_the_frame(shopper: User) -> None:
    client = Client(headers={"HX-Request": "true"})

    page = client.get("/sign-in/").content.decode()

    assert "Send me a code" in page
    assert OURS not in page


def test_every_mail_is_text_and_html_in_our_words(client: Client, shopper: User, mailoutbox: list[Any]) -> None:
    ask_for_code(client)
    code = code_in_mail()

    mail = mailoutbox[0]
    html, kind = mail.alternatives[0]

    assert mail.subject == "Your code to sign in"
    assert mail.body.startswith("Hello,\n\nhere is the code that you asked for")
    assert "It works for 10 minutes" in mail.body
    assert "\n\nRose Ash\n\nSomebody else keeps asking?" in mail.body
    assert kind == "text/html"
    assert code in html
    assert "{" not in mail.body + mail.subject
    assert "<script" not in html
