from datetime import UTC, datetime, timedelta

import pytest
import requests

from payments.simulator import Simulator

from .conftest import MERCHANT, PATIENCE, Shop, order

CHECKOUTS = "/v0.1/checkouts"


def test_a_new_checkout_is_pending_and_knows_no_transaction(shop: Shop) -> None:
    response = shop.post(CHECKOUTS, order())

    assert response.status_code == 201
    assert response.json()["status"] == "PENDING"
    assert response.json()["transactions"] == []
    assert "transaction_id" not in response.json()
    assert response.json()["valid_until"] is None


def test_the_hosted_page_has_an_opaque_address_on_the_simulator(shop: Shop) -> None:
    checkout = shop.create()

    assert checkout["hosted_checkout_url"].startswith(f"{shop.url}/pay/c-")
    assert checkout["id"] not in checkout["hosted_checkout_url"]
    assert checkout["checkout_reference"] not in checkout["hosted_checkout_url"]


def test_without_hosted_checkout_there_is_no_page(shop: Shop) -> None:
    checkout = shop.create(hosted_checkout={"enabled": False})

    assert "hosted_checkout_url" not in checkout


@pytest.mark.parametrize(("sent", "written"), [("10.0", "10"), ("10", "10"), ("10.10", "10.1"), ("0.29", "0.29")])
def test_amounts_are_written_exactly_and_whole_ones_as_integers(shop: Shop, sent: str, written: str) -> None:
    body = f'{{"checkout_reference": "r", "amount": {sent}, "currency": "GBP", "merchant_code": "{MERCHANT}"}}'

    response = shop.call("POST", CHECKOUTS, data=body)

    assert f'"amount": {written},' in response.text


def test_answers_carry_fields_that_no_schema_knows(shop: Shop) -> None:
    checkout = shop.create()

    assert checkout["merchant_sandbox"] is True
    assert checkout["checkout_type"] == "checkout"


def test_a_missing_field_is_named_in_one_object(shop: Shop) -> None:
    body = order()
    del body["merchant_code"]

    response = shop.post(CHECKOUTS, body)

    assert response.status_code == 400
    assert response.json() == {"message": "Validation error", "error_code": "MISSING", "param": "merchant_code"}


def test_several_faults_come_as_a_list(shop: Shop) -> None:
    response = shop.post(CHECKOUTS, order(amount="12.50", currency="XXX"))

    assert response.status_code == 400
    assert [(fault["error_code"], fault["param"]) for fault in response.json()] == [
        ("INVALID", "amount"),
        ("INVALID", "currency"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("checkout_reference", "x" * 65),
        ("checkout_reference", ""),
        ("checkout_reference", 7),
        ("amount", 0),
        ("amount", -1),
        ("amount", True),
        ("amount", 1.005),
        ("amount", 1e300),
        ("amount", "10"),
        ("currency", "gbp"),
        ("currency", ["GBP"]),
        ("merchant_code", 1),
        ("description", None),
        ("return_url", "/relative"),
        ("return_url", "file:///etc/passwd"),
        ("return_url", "http://[broken"),
        ("redirect_url", "javascript:alert(1)"),
        ("hosted_checkout", True),
        ("hosted_checkout", {"enabled": "yes"}),
        ("purpose", "GIFT"),
        ("valid_until", "tomorrow"),
        ("valid_until", "2999-01-01T00:00:00"),
        ("valid_until", "9999-12-31T23:59:59-10:00"),
        ("valid_until", "2020-01-01T00:00:00Z"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(shop: Shop, field: str, value: object) -> None:
    response = shop.post(CHECKOUTS, order(**{field: value}))

    assert response.status_code == 400
    assert response.json() == {"message": "Validation error", "error_code": "INVALID", "param": field}
    assert shop.get("/simulator/checkouts").json() == []


def test_a_reference_of_64_letters_is_fine(shop: Shop) -> None:
    checkout = shop.create(checkout_reference="x" * 64)

    assert len(checkout["checkout_reference"]) == 64


def test_valid_until_comes_back_as_the_same_moment(shop: Shop) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    checkout = shop.create(valid_until=until.isoformat().replace("+00:00", "Z"))

    assert datetime.fromisoformat(checkout["valid_until"]) == until


@pytest.mark.parametrize("ending", ["PAID", "FAILED", "EXPIRED"])
def test_a_reference_is_burnt_for_ever_and_the_refusal_names_no_id(
    shop: Shop, simulator: Simulator, ending: str
) -> None:
    checkout = shop.create(checkout_reference="once")
    {"PAID": simulator.pay, "FAILED": simulator.decline, "EXPIRED": simulator.delete}[ending](checkout["id"])

    response = shop.post(CHECKOUTS, order(checkout_reference="once"))

    assert response.status_code == 409
    assert response.json() == {
        "error_code": "DUPLICATED_CHECKOUT",
        "message": "Checkout with this checkout reference and pay to email already exists",
    }
    assert len(simulator.checkouts()) == 1


def test_a_dead_reference_can_be_freed_by_a_switch(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(references="freed_when_dead")
    first = shop.create(checkout_reference="again")
    simulator.decline(first["id"])

    second = shop.create(checkout_reference="again")

    found = shop.get(CHECKOUTS, params={"checkout_reference": "again"}).json()
    assert [checkout["id"] for checkout in found] == [first["id"], second["id"]]


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer ", "Basic c3VwX3NrX3NpbXVsYXRvcg=="])
def test_without_the_key_nothing_is_answered(shop: Shop, simulator: Simulator, header: str) -> None:
    shop.session.headers["Authorization"] = header

    response = shop.post(CHECKOUTS, order())

    assert response.status_code == 401
    assert response.json()["type"] == "https://developer.sumup.com/problem/unauthorized"
    assert response.json()["detail"] == "Unauthorized."
    assert response.json()["trace_id"]
    assert simulator.checkouts() == []


def test_another_merchant_is_forbidden_and_its_status_is_a_text(shop: Shop, simulator: Simulator) -> None:
    response = shop.post(CHECKOUTS, order(merchant_code="MSOMEONE"))

    assert response.status_code == 403
    assert response.json() == {
        "error_message": "checkout_payments_not_allowed",
        "error_code": "FORBIDDEN",
        "status_code": "403",
    }
    assert simulator.checkouts() == []


def test_a_slash_at_the_end_is_an_error(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()

    assert shop.post(f"{CHECKOUTS}/", order()).status_code == 404
    assert shop.get(f"{CHECKOUTS}/{checkout['id']}/").status_code == 404
    assert len(simulator.checkouts()) == 1


def test_the_merchant_is_a_sandbox_with_its_currency(shop: Shop) -> None:
    merchant = shop.get(f"/v1/merchants/{MERCHANT}").json()

    assert merchant["sandbox"] is True
    assert merchant["default_currency"] == "GBP"
    assert shop.get("/v1/merchants/MSOMEONE").status_code == 404


def test_a_merchant_can_pretend_to_be_live(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()

    simulator.behave(merchant_sandbox="live")

    merchant = shop.get(f"/v1/merchants/{MERCHANT}").json()
    assert merchant["sandbox"] is False
    assert merchant["default_currency"] == "GBP"
    assert shop.read(checkout)["merchant_sandbox"] is False


def test_the_list_by_reference_is_an_array_even_when_empty(shop: Shop) -> None:
    checkout = shop.create()

    found = shop.get(CHECKOUTS, params={"checkout_reference": checkout["checkout_reference"]})
    nothing = shop.get(CHECKOUTS, params={"checkout_reference": "unheard-of"})

    assert found.json() == [checkout]
    assert (nothing.status_code, nothing.json()) == (200, [])


def test_methods_and_paths_that_are_not_simulated_are_problems(shop: Shop) -> None:
    checkout = shop.create()

    assert shop.call("PATCH", f"{CHECKOUTS}/{checkout['id']}", json={"amount": 1}).status_code == 405
    assert shop.get("/v0.1/me").status_code == 404
    assert requests.get(f"{shop.url}/v0.1/me", timeout=PATIENCE).status_code == 401
