"""Who may come in by the siblings' door, and what everybody else is told."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cart.models import Cart, Product
from cartsite.models import User
from tests.cart.problems import problem_in

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]
ADDRESSES = [("get", "/internal/cart/summary"), ("post", "/internal/cart/adopt"), ("put", "/internal/stock/HONEY")]


@pytest.fixture(autouse=True)
def _two_siblings(settings: Any) -> None:
    settings.INTERNAL_API_TOKENS = {"market": "a-token-of-16-characters", "blog": "another-token-of-theirs"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer a-token-of-16-character"},
        {"Authorization": "Bearer a-token-of-16-characters-and-more"},
        {"Authorization": "Bearer A-TOKEN-OF-16-CHARACTERS"},
        {"Authorization": "Bearer market"},
        {"Authorization": "Basic bWFya2V0OmEtdG9rZW4tb2YtMTYtY2hhcmFjdGVycw=="},
        {"Authorization": "a-token-of-16-characters"},
        {"Authorization": "Bearer \xff\xfe"},
        {"X-API-Key": "a-token-of-16-characters"},
        {"Cookie": "Authorization=Bearer a-token-of-16-characters"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_nobody_comes_in_without_a_token(method: str, address: str, headers: dict[str, str]) -> None:
    answer = getattr(Client(), method)(address, headers=headers)

    assert problem_in(answer) == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_no_cookie_opens_this_door(
    staff_client: Client, fill_cart: Fill, honey: Product, method: str, address: str
) -> None:
    _cart, token = fill_cart((honey, 1))
    staff_client.cookies["cart"] = token

    assert problem_in(getattr(staff_client, method)(address)) == 401


def test_a_signed_in_persons_cookie_says_nothing_of_whose_cart_is_meant(
    client: Client, shopper: User, fill_cart: Fill, honey: Product
) -> None:
    _cart, token = fill_cart((honey, 1), user=shopper)
    client.force_login(shopper)
    client.cookies["cart"] = token

    answer = client.get("/internal/cart/summary", headers={"Authorization": "Bearer a-token-of-16-characters"})

    assert problem_in(answer) == 422


@pytest.mark.parametrize("token", ["a-token-of-16-characters", "another-token-of-theirs"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_every_sibling_comes_in_with_its_own_token(client: Client, token: str, scheme: str) -> None:
    answer = client.get("/internal/cart/summary?cart=x", headers={"Authorization": f"{scheme} {token}"})

    assert answer.status_code == 200


def test_without_any_tokens_nobody_comes_in(client: Client, settings: Any) -> None:
    settings.INTERNAL_API_TOKENS = {}

    for token in ("", "None", "a-token-of-16-characters"):
        answer = client.get("/internal/cart/summary?cart=x", headers={"Authorization": f"Bearer {token}"})

        assert problem_in(answer) == 401


@pytest.mark.parametrize("address", ["/internal/", "/internal/nothing", "/internal/cart/", "/internal/docs"])
def test_what_is_not_there_is_a_problem_document_too(sibling: Client, address: str) -> None:
    assert problem_in(sibling.get(address)) == 404


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("post", "/internal/cart/summary", "GET"),
        ("delete", "/internal/cart/summary", "GET"),
        ("get", "/internal/cart/adopt", "POST"),
        ("get", "/internal/stock/HONEY", "PUT"),
    ],
)
def test_a_wrong_method_is_a_problem_document_too(sibling: Client, method: str, address: str, allowed: str) -> None:
    answer = getattr(sibling, method)(address)

    assert problem_in(answer) == 405
    assert answer.headers["Allow"] == allowed


def test_siblings_need_no_csrf_token(settings: Any, shopper: User, fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 1))
    strict = Client(enforce_csrf_checks=True, headers={"Authorization": "Bearer a-token-of-16-characters"})

    answer = strict.post(
        "/internal/cart/adopt", {"cart": token, "user": str(shopper.uuid)}, content_type="application/json"
    )

    assert answer.status_code == 200


def test_a_fault_of_ours_is_a_problem_document_too(sibling: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_args: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("cart.services.basket_of", break_down)
    sibling.raise_request_exception = False

    answer = sibling.get("/internal/cart/summary?cart=x")

    assert problem_in(answer) == 500
    assert b"a secret detail" not in answer.content


def test_the_door_describes_itself_to_siblings_only(client: Client, sibling: Client) -> None:
    described = sibling.get("/internal/openapi.json").json()

    assert {"/internal/cart/summary", "/internal/cart/adopt", "/internal/stock/{sku}"} <= described["paths"].keys()


# --- What siblings send, and what is said of it ----------------------------------------------------------------------

BODIES = [
    ("post", "/internal/cart/adopt", {"cart": "x", "user": "11111111-1111-4111-8111-111111111111"}),
    ("put", "/internal/stock/HONEY", {"on_hand": 5}),
    ("post", "/internal/mail/bounces", {"message_id": "x", "kind": "soft"}),
]


@pytest.mark.parametrize(("method", "address", "body"), BODIES, ids=lambda each: str(each)[:30])
def test_a_field_that_nobody_knows_is_refused_by_name(
    sibling: Client, method: str, address: str, body: dict[str, object], honey: Product
) -> None:
    answer = getattr(sibling, method)(address, body | {"surprise": 1}, content_type="application/json")

    assert problem_in(answer) == 422
    assert "surprise" in answer.json()["detail"]


def test_every_body_that_siblings_send_is_tried_above(sibling: Client) -> None:
    described = sibling.get("/internal/openapi.json").json()["paths"]

    with_body = {path for path, steps in described.items() for step in steps.values() if "requestBody" in step}

    assert {path.replace("{sku}", "HONEY") for path in with_body} == {address for _method, address, _body in BODIES}


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
@pytest.mark.parametrize("token", ["a-token-of-16-characters", "wrong"])
def test_over_plain_http_nothing_is_answered_and_a_token_that_came_is_called_spent(
    settings: Any, caplog: pytest.LogCaptureFixture, method: str, address: str, token: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    caplog.set_level("INFO", "cartsite.siblings")

    answer = getattr(Client(), method)(address, headers={"Authorization": f"Bearer {token}"})

    assert problem_in(answer) == 403
    assert "Location" not in answer.headers
    assert ("market sent its token over plain http" in caplog.text) == (token != "wrong")
    assert token not in caplog.text.replace("wrong token", "")


def test_over_https_siblings_are_answered(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    headers = {"Authorization": "Bearer a-token-of-16-characters"}

    assert Client().get("/internal/cart/summary?cart=x", headers=headers, secure=True).status_code == 200


def test_the_log_says_which_sibling_did_what_without_any_secret(
    client: Client, honey: Product, fill_cart: Fill, caplog: pytest.LogCaptureFixture
) -> None:
    _cart, token = fill_cart((honey, 1))
    caplog.set_level("INFO", "cartsite.siblings")

    for key in ("a-token-of-16-characters", "another-token-of-theirs", "made-up-by-somebody"):
        client.get("/internal/cart/summary", {"cart": token}, headers={"Authorization": f"Bearer {key}"})

    assert [record.getMessage() for record in caplog.records if record.name == "cartsite.siblings"] == [
        "market: GET /internal/cart/summary answered 200",
        "blog: GET /internal/cart/summary answered 200",
        "nobody known: GET /internal/cart/summary answered 401",
    ]


def test_the_document_names_the_header_as_it_is_heard(sibling: Client, fill_cart: Fill, honey: Product) -> None:
    _cart, token = fill_cart((honey, 3))
    parameters = sibling.get("/internal/openapi.json").json()["paths"]["/internal/cart/summary"]["get"]["parameters"]
    (name,) = [each["name"] for each in parameters if each["in"] == "header"]

    answer = sibling.get("/internal/cart/summary", headers={name: token})

    assert name == "X-Cart-Token"
    assert answer.json()["count"] == 3


def test_the_document_lists_the_errors_of_every_operation(sibling: Client) -> None:
    described = sibling.get("/internal/openapi.json").json()["paths"]

    for path, steps in described.items():
        for method, step in steps.items():
            errors = {status: each for status, each in step["responses"].items() if status >= "400"}
            assert {"401", "403", "422", "500", "503"} <= set(errors), (path, method)
            assert ("404" in errors) == (path != "/internal/cart/summary"), (path, method)
            for error in errors.values():
                assert list(error["content"]) == ["application/problem+json"]
