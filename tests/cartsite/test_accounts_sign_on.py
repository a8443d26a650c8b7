"""Single sign-on: the whole way to an account service and back, over real HTTP."""

import copy
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client

from cart.models import Cart, Product
from cartsite.models import User
from orders.models import Order
from tests.cart.baskets import lines_of
from tests.cartsite import oidc
from tests.cartsite.accounts import code_in_mail, confirm, is_signed_in, sign_in_by_code
from tests.cartsite.oidc import AccountService
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

START, BACK = "/account/sign-on/co-op/", "/account/sign-on/co-op/back/"


@pytest.fixture
def service(settings: Any) -> Iterator[AccountService]:
    """The co-operative's account service, where Ada is signed in; the shop is told of it."""
    with oidc.serve() as service:
        app = {
            "provider_id": settings.OIDC_ID,
            "name": "Co-op account",
            "client_id": oidc.CLIENT_ID,
            "secret": oidc.CLIENT_SECRET,
            "settings": {"server_url": service.url},
        }
        providers = copy.deepcopy(settings.SOCIALACCOUNT_PROVIDERS)
        providers["openid_connect"]["APPS"] = [app]
        settings.SOCIALACCOUNT_PROVIDERS = providers
        yield service


def go_there(client: Client, **fields: str) -> str:
    """Press the button, and be sent back by the service: to which address."""
    answer = client.post(START, fields)
    assert answer.status_code == 302, answer.content.decode()
    there = requests.get(answer["Location"], allow_redirects=False, timeout=5)
    return there.headers["Location"]


def come_back(client: Client, address: str) -> Any:
    parts = urlsplit(address)
    assert (parts.netloc, parts.path) == ("testserver", BACK)
    return client.get(f"{parts.path}?{parts.query}")


def sign_on(client: Client, **fields: str) -> Any:
    return come_back(client, go_there(client, **fields))


# --- Whom it lets in --------------------------------------------------------------------------------------------------


def test_somebody_new_gets_an_account(client: Client, service: AccountService) -> None:
    answer = sign_on(client, next="/cart/")

    user = User.objects.get()
    assert answer["Location"] == "/cart/"
    assert is_signed_in(client)
    assert (user.email, user.name, user.has_usable_password()) == ("ada@example.org", "Ada Shopper", False)
    assert user.username.startswith("shopper-")
    assert EmailAddress.objects.get(user=user).verified
    assert mail.outbox == []


def test_the_second_time_it_is_the_same_account_whatever_the_address_is_then(
    client: Client, service: AccountService
) -> None:
    sign_on(client)
    service.person |= {"email": "lovelace@example.org", "email_verified": False}
    other = Client()

    sign_on(other)

    assert is_signed_in(other)
    assert User.objects.count() == 1


@pytest.mark.parametrize("confirmed", [True, False])
def test_an_account_with_the_confirmed_address_is_joined(
    client: Client, service: AccountService, shopper: User, confirmed: bool
) -> None:
    if confirmed:
        confirm(shopper)

    sign_on(client)

    shopper.refresh_from_db()
    assert client.session["_auth_user_id"] == str(shopper.pk)
    assert SocialAccount.objects.get().user == shopper
    assert shopper.check_password("correct horse")
    assert User.objects.count() == 1


@pytest.mark.parametrize("said", [False, None, "false", "no", 0, {"is": True}])
def test_an_account_is_never_joined_by_an_address_that_is_not_confirmed(
    client: Client, service: AccountService, shopper: User, said: Any
) -> None:
    confirm(shopper)
    service.person["email_verified"] = said

    answer = sign_on(client)

    assert answer["Location"] == "/account/email/confirm/"  # as if it were new
    assert "You have an account already" in mail.outbox[-1].subject
    assert not is_signed_in(client)
    assert not SocialAccount.objects.exists()
    assert User.objects.get() == shopper


def test_an_address_that_is_not_confirmed_is_confirmed_by_a_code(client: Client, service: AccountService) -> None:
    service.person["email_verified"] = False

    first = sign_on(client)
    before = is_signed_in(client)
    client.post(first["Location"], {"code": code_in_mail()})

    assert (before, is_signed_in(client)) == (False, True)
    assert EmailAddress.objects.get().verified


def test_who_never_proved_an_address_stays_out_when_its_owner_comes(client: Client, service: AccountService) -> None:
    """Eve signs up with Ada's address at the service, which does not confirm it, and waits."""
    service.person |= {"sub": "eve", "email_verified": False}
    sign_on(Client())

    sign_in_by_code(client)
    eve = Client()
    sign_on(eve)

    assert is_signed_in(client)
    assert not is_signed_in(eve)
    assert not SocialAccount.objects.exists()


def test_a_service_that_knows_no_address_is_made_up_for_by_a_form(client: Client, service: AccountService) -> None:
    service.person = {"sub": "person-1"}

    first = sign_on(client)
    page = client.get(first["Location"])
    second = client.post(first["Location"], {"email": "ada@example.org"})
    client.post(second["Location"], {"code": code_in_mail()})

    assert first["Location"] == "/account/sign-on/new/"
    assert "did not tell us where to reach you" in page.content.decode()
    assert is_signed_in(client)
    assert SocialAccount.objects.get().user.email == "ada@example.org"


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": "staff@demo.test"}])
def test_who_may_not_sign_in_may_not_by_this_way_either(
    client: Client, service: AccountService, shopper: User, change: dict[str, Any]
) -> None:
    User.objects.update(**change)
    shopper.refresh_from_db()
    service.person["email"] = shopper.email

    answer = sign_on(client)

    assert answer["Location"] == "/account/inactive/"
    assert not is_signed_in(client)


def test_the_basket_and_guest_orders_come_along(
    client: Client,
    service: AccountService,
    order: Order,
    fill_cart: Callable[..., tuple[Cart, str]],
    honey: Product,
) -> None:
    cart, token = fill_cart((honey, 2))
    client.cookies["cart"] = token

    sign_on(client)

    order.refresh_from_db()
    cart.refresh_from_db()
    assert order.user == cart.user == User.objects.get()
    assert lines_of(cart) == {"Heather honey": 2}


# --- Connecting -------------------------------------------------------------------------------------------------------


def test_an_account_is_connected_and_parted_with_from_its_page(
    client: Client, service: AccountService, shopper: User
) -> None:
    service.person["email"] = "ada@work.example"
    client.force_login(shopper)

    answer = sign_on(client, process="connect")
    page = client.get("/account/").content.decode()
    client.post("/account/sign-on/", {"account": SocialAccount.objects.get(user=shopper).pk})

    assert answer["Location"] == "/account/"
    assert "Disconnect" in page
    assert not SocialAccount.objects.exists()
    assert mail.outbox[-1].subject == "Your account was connected"


def test_nobody_parts_others_from_it(client: Client, service: AccountService, shopper: User) -> None:
    account = SocialAccount.objects.create(user=UserFactory.create(), provider="co-op", uid="person-2")
    client.force_login(shopper)

    for chosen in (str(account.pk), "", "x", "9" * 40, "\x00"):
        client.post("/account/sign-on/", {"account": chosen})

    assert SocialAccount.objects.count() == 1


def test_an_account_at_the_service_belongs_to_one_account_here(
    client: Client, service: AccountService, shopper: User
) -> None:
    other = UserFactory.create()
    SocialAccount.objects.create(user=other, provider="co-op", uid="person-1")
    client.force_login(shopper)

    sign_on(client, process="connect")

    assert "connected to another account here" in client.get("/account/").content.decode()
    assert SocialAccount.objects.get().user == other


# --- What goes wrong --------------------------------------------------------------------------------------------------


def refused(answer: Any) -> bool:
    """Whether the page says in our words that it did not work."""
    return answer.status_code == 401 and "Nothing was changed" in answer.content.decode()


def test_it_is_started_by_a_button_only(client: Client, service: AccountService) -> None:
    page = client.get(START)

    assert (page.status_code, service.asked) == (200, [])
    assert "Sign in with Co-op account" in page.content.decode()


def test_a_strangers_form_does_not_start_it(service: AccountService) -> None:
    answer = Client(enforce_csrf_checks=True).post(START)

    assert (answer.status_code, service.asked) == (403, [])


@pytest.mark.parametrize("change", [("state", "made-up"), ("state", ""), ("code", "made-up"), ("code", "")])
def test_an_answer_that_was_not_asked_for_is_refused(
    client: Client, service: AccountService, change: tuple[str, str]
) -> None:
    name, value = change
    back = {key: values[0] for key, values in parse_qs(urlsplit(go_there(client)).query).items()}

    answer = client.get(BACK, back | {name: value})

    assert refused(answer)
    assert not User.objects.exists()


def test_an_answer_to_another_browser_is_refused(client: Client, service: AccountService) -> None:
    """A link that signs the victim in as somebody else."""
    address = go_there(client)

    assert refused(come_back(Client(), address))
    assert not User.objects.exists()


def test_an_answer_works_once(client: Client, service: AccountService) -> None:
    address = go_there(client)
    come_back(client, address)
    client.post("/sign-out/")

    assert refused(come_back(client, address))
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "told",
    [{"iss": "https://evil.example"}, {"aud": "another-shop"}, {"exp": 1}, {"sub": "somebody-else"}],
    ids=str,
)
def test_a_token_that_is_not_for_us_is_refused(client: Client, service: AccountService, told: dict[str, Any]) -> None:
    service.told = told

    assert refused(sign_on(client))
    assert not User.objects.exists()


@pytest.mark.parametrize("person", [{}, {"sub": None}, {"sub": 7}, []], ids=str)
def test_a_service_that_does_not_say_who_it_is_is_refused(client: Client, service: AccountService, person: Any) -> None:
    address = go_there(client)
    give_tokens = service.give_tokens
    service.give_tokens = lambda sent: _with_person(service, give_tokens, sent, person)  # type: ignore[method-assign]

    assert refused(come_back(client, address))
    assert not User.objects.exists()


def _with_person(service: AccountService, give_tokens: Any, sent: dict[str, str], person: Any) -> Any:
    """The tokens are right; what is said about the person afterwards is not."""
    tokens = give_tokens(sent)
    service.person = person
    return tokens


def test_turning_back_at_the_service_gets_a_friendly_page(client: Client, service: AccountService) -> None:
    service.cancels = True

    answer = sign_on(client)

    assert answer["Location"] == "/account/sign-on/cancelled/"
    assert "You did not sign in" in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize("config", [{"token_endpoint": None}, {"authorization_endpoint": 7}, {"issuer": {}}], ids=str)
def test_a_service_that_does_not_say_where_it_is_is_no_500(
    client: Client, service: AccountService, config: dict[str, Any]
) -> None:
    service.config = config

    assert refused(client.post(START))


def test_a_service_that_is_down_is_no_500(client: Client, service: AccountService, settings: Any) -> None:
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = "http://127.0.0.1:9"

    assert refused(client.post(START))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/userinfo"])
def test_a_service_that_breaks_on_the_way_is_no_500(client: Client, service: AccountService, path: str) -> None:
    address = go_there(client)
    service.broken = {path}

    assert refused(come_back(client, address))
    assert not User.objects.exists()


def test_without_settings_there_is_no_such_way(client: Client) -> None:
    page = client.get("/sign-in/").content.decode()

    assert "/account/sign-on/" not in page
    assert client.post(START).status_code == client.get(BACK).status_code == 404


def test_with_settings_the_sign_in_page_has_the_button(client: Client, service: AccountService) -> None:
    page = client.get("/sign-in/?next=/cart/").content.decode()

    assert f'action="{START}"' in page
    assert "Sign in with Co-op account" in page
