"""Every answer there is fits what is known of SumUp's API: our facts, and SumUp's description where it is at hand."""

from collections.abc import Callable

import pytest
import requests

from payments.simulator import Simulator

from . import facts, openapi
from .conftest import HISTORY, MERCHANT, Shop, order

CHECKOUTS = "/v0.1/checkouts"
TRANSACTIONS = f"/v2.1/merchants/{MERCHANT}/transactions"
PAYOUTS = f"/v1.0/merchants/{MERCHANT}/payouts"
REFUNDS = f"/v1.0/merchants/{MERCHANT}/payments/{{}}/refunds"

Call = Callable[[Shop, Simulator], requests.Response]


def forced(switch: str, value: str) -> Call:
    """A refund under a switch of the behaviour."""

    def call(shop: Shop, simulator: Simulator) -> requests.Response:
        simulator.behave(**{switch: value})
        return shop.refund(shop.pay())

    return call


def busy(shop: Shop, simulator: Simulator) -> None:
    """A world in which everything has happened once."""
    simulator.behave(refunded_status="becomes_refunded")
    shop.act(shop.create(), "decline")
    paid = shop.pay()
    shop.refund(paid, {"amount": 1})
    simulator.charge_back(paid["transaction_id"], 1)
    simulator.take_stray_payment(5, "Jam")
    simulator.pay_out()
    simulator.charge_back(shop.pay()["transaction_id"])


def in_a_busy_world(path: str) -> Call:
    """A look at it."""

    def call(shop: Shop, simulator: Simulator) -> requests.Response:
        busy(shop, simulator)
        return shop.get(path)

    return call


def read_each_transaction(shop: Shop, simulator: Simulator) -> requests.Response:
    """The last of them; the shop checks each."""
    busy(shop, simulator)
    names = {row["transaction_id"] for row in shop.walk()}
    return [shop.get(TRANSACTIONS, params={"id": name}) for name in sorted(names)][-1]


ANSWERS: dict[str, tuple[int, Call]] = {
    "create": (201, lambda shop, _: shop.post(CHECKOUTS, order())),
    "create, one fault": (400, lambda shop, _: shop.post(CHECKOUTS, order(amount=-1))),
    "create, two faults": (400, lambda shop, _: shop.post(CHECKOUTS, order(amount=-1, currency="X"))),
    "create for another": (403, lambda shop, _: shop.post(CHECKOUTS, order(merchant_code="MSOMEONE"))),
    "create again": (
        409,
        lambda shop, _: shop.post(CHECKOUTS, order(checkout_reference=shop.create()["checkout_reference"])),
    ),
    "read": (200, lambda shop, _: shop.get(f"{CHECKOUTS}/{shop.pay()['id']}")),
    "read an unknown one": (404, lambda shop, _: shop.get(f"{CHECKOUTS}/unknown")),
    "find": (200, lambda shop, _: shop.get(CHECKOUTS, params={"checkout_reference": shop.pay()["checkout_reference"]})),
    "delete": (200, lambda shop, _: shop.call("DELETE", f"{CHECKOUTS}/{shop.create()['id']}")),
    "delete a paid one": (409, lambda shop, _: shop.call("DELETE", f"{CHECKOUTS}/{shop.pay()['id']}")),
    "delete an unknown one": (404, lambda shop, _: shop.call("DELETE", f"{CHECKOUTS}/unknown")),
    "transaction": (200, read_each_transaction),
    "unknown transaction": (404, lambda shop, _: shop.get(TRANSACTIONS, params={"id": "unknown"})),
    "history": (200, in_a_busy_world(f"{HISTORY}?limit=3")),
    "history, bad question": (400, lambda shop, _: shop.get(f"{HISTORY}?limit=x")),
    "refund": (201, lambda shop, _: shop.refund(shop.pay())),
    "refund of nothing": (400, lambda shop, _: shop.refund(shop.pay(), {"amount": 0})),
    "refund for another": (403, lambda shop, _: shop.post("/v1.0/merchants/MSOMEONE/payments/x/refunds")),
    "refund of the unknown": (404, lambda shop, _: shop.post(REFUNDS.format("unknown"))),
    "refund refused": (409, forced("refund", "409")),
    "refund too high": (422, forced("refund", "422")),
    "payouts": (200, in_a_busy_world(f"{PAYOUTS}?start_date=2000-01-01&end_date=2999-12-31")),
    "payouts, bad question": (400, lambda shop, _: shop.get(PAYOUTS)),
    "merchant": (200, lambda shop, _: shop.get(f"/v1/merchants/{MERCHANT}")),
    "unknown merchant": (404, lambda shop, _: shop.get("/v1/merchants/MSOMEONE")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_fits_its_description(shop: Shop, simulator: Simulator, name: str) -> None:
    status, call = ANSWERS[name]

    response = call(shop, simulator)

    method, path = response.request.method or "", response.url.removeprefix(shop.url).partition("?")[0]
    assert response.status_code == status
    assert openapi.find_fact(method, path, status), "There is nothing to compare it with."
    assert openapi.faults_of(response) == []


@pytest.mark.parametrize("path", [CHECKOUTS, TRANSACTIONS, HISTORY, PAYOUTS, f"/v1/merchants/{MERCHANT}"])
def test_without_the_key_the_answer_fits_too(shop: Shop, path: str) -> None:
    del shop.session.headers["Authorization"]

    response = shop.get(path)

    assert response.status_code == 401
    assert openapi.faults_of(response) == []


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("text", {"type": "number"}),
        (True, {"type": "integer"}),
        (1.5, {"type": "integer"}),
        ("PAIDD", facts.PAYMENT_STATUS),
        ({"rel": "next"}, facts.LINK),
        ({"items": [{"id": 5}]}, {"properties": {"items": facts.many(facts.HISTORY_ROW)}}),
        ("2026-02-30", {"type": "string", "format": "date"}),
        (None, {"type": "string"}),
        (0, {"type": "integer", "minimum": 1}),
        (5, {"oneOf": [{"type": "string"}, {"type": "object"}]}),
    ],
)
def test_what_does_not_fit_is_noticed(value: object, schema: dict[str, object]) -> None:
    assert list(openapi.mismatches(value, schema, "$"))


if openapi.DOCUMENT.exists():  # elsewhere there is nothing to compare with, and nothing is collected

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [(method, path, status) for (method, path), answers in facts.ANSWERS.items() for status in answers],
    )
    def test_our_facts_are_what_sumup_describes(method: str, path: str, status: int) -> None:
        fact = facts.ANSWERS[method, path][status]

        schema = openapi.find_schema(method, path.replace("{", "").replace("}", ""), status)

        if schema is not None and fact not in (None, facts.NO):
            assert list(openapi.disagreements(fact or {}, schema, "$")) == []
