import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import requests

from payments.simulator import Simulator, Transaction

from .conftest import MERCHANT, Shop


def refunds_of(transaction: dict[str, Any]) -> list[float]:
    return [event["amount"] for event in transaction["transaction_events"] if event["event_type"] == "REFUND"]


@pytest.fixture
def paid(shop: Shop) -> dict[str, Any]:
    return shop.pay(amount=12.5)


def test_an_empty_body_refunds_all_and_the_checkout_stays_paid(shop: Shop, paid: dict[str, Any]) -> None:
    response = shop.refund(paid)

    assert (response.status_code, response.json()) == (201, {})
    assert refunds_of(shop.transaction(paid)) == [12.5]
    assert shop.read(paid) == paid


@pytest.mark.parametrize("body", [b"", b"{}", b"  "])
def test_a_body_without_an_amount_refunds_what_is_left(shop: Shop, paid: dict[str, Any], body: bytes) -> None:
    shop.refund(paid, {"amount": 5})

    path = f"/v1.0/merchants/{MERCHANT}/payments/{paid['transaction_id']}/refunds"
    assert shop.call("POST", path, data=body).status_code == 201

    assert refunds_of(shop.transaction(paid)) == [5, 7.5]


def test_there_is_no_idempotency_a_repeated_partial_refund_refunds_twice(shop: Shop, paid: dict[str, Any]) -> None:
    path = f"/v1.0/merchants/{MERCHANT}/payments/{paid['transaction_id']}/refunds"

    for _ in range(2):
        shop.call("POST", path, json={"amount": 5}, headers={"Idempotency-Key": "the-same"})

    assert refunds_of(shop.transaction(paid)) == [5, 5]


def test_both_ways_to_name_it_lead_to_the_same_money(shop: Shop, paid: dict[str, Any]) -> None:
    old = shop.post(f"/v0.1/me/refund/{paid['transaction_id']}", {"amount": 2.5})

    assert (old.status_code, old.content) == (204, b"")
    assert "Content-Length" not in old.headers
    assert refunds_of(shop.transaction(paid)) == [2.5]


def test_a_refund_is_an_event_in_both_lists(shop: Shop, paid: dict[str, Any]) -> None:
    shop.refund(paid, {"amount": 5})

    transaction = shop.transaction(paid)

    (detailed,), (compact,) = transaction["transaction_events"], transaction["events"]
    assert isinstance(detailed["id"], int)
    assert detailed["id"] == compact["id"]
    assert (detailed["event_type"], detailed["status"], detailed["amount"]) == ("REFUND", "REFUNDED", 5)
    assert (compact["type"], compact["status"], compact["amount"]) == ("REFUND", "REFUNDED", 5)
    assert compact["transaction_id"] == paid["transaction_id"]
    assert detailed["timestamp"].startswith(detailed["date"])
    assert detailed["due_date"] == detailed["date"]


def test_event_ids_are_unique_in_the_whole_world(shop: Shop, simulator: Simulator) -> None:
    first, second = shop.pay(), shop.pay()
    for payment in (first, second, first):
        shop.refund(payment, {"amount": 1})
    simulator.charge_back(second["transaction_id"], 2)
    simulator.pay_out()
    before = {e["id"] for payment in (first, second) for e in shop.transaction(payment)["events"]}

    simulator.reset()
    again = shop.pay()
    shop.refund(again)

    assert len(before) == 3 + 1 + 2 + 4
    assert shop.transaction(again)["events"][0]["id"] not in before


@pytest.mark.parametrize(("switch", "status"), [("stays_successful", "SUCCESSFUL"), ("becomes_refunded", "REFUNDED")])
def test_what_the_status_becomes_is_a_switch(shop: Shop, simulator: Simulator, switch: str, status: str) -> None:
    simulator.behave(refunded_status=switch)
    paid = shop.pay()

    shop.refund(paid, {"amount": 5})

    transaction, checkout = shop.transaction(paid), shop.read(paid)
    assert (transaction["status"], transaction["simple_status"]) == (status, status)
    assert [one["status"] for one in checkout["transactions"]] == [status]
    assert (checkout["status"], checkout["transaction_id"]) == ("PAID", paid["transaction_id"])
    assert simulator.read(paid["id"]).successful
    assert shop.act(paid, "notify").json() == checkout
    assert shop.call("DELETE", f"/v0.1/checkouts/{paid['id']}").status_code == 409
    assert shop.act(paid, "pay").status_code == 409


# How the answer can mislead.


def test_a_refund_can_be_answered_without_a_body(shop: Shop, simulator: Simulator, paid: dict[str, Any]) -> None:
    simulator.behave(refund="204")

    response = shop.refund(paid)

    assert (response.status_code, response.content) == (204, b"")
    assert refunds_of(shop.transaction(paid)) == [12.5]


@pytest.mark.parametrize(("body", "pennies"), [({"amount": 5}, 500), (None, 1250)])
def test_a_failure_can_come_with_status_200(
    shop: Shop, simulator: Simulator, paid: dict[str, Any], body: object, pennies: int
) -> None:
    simulator.behave(refund="200_failed", times={"refund": 1})

    response = shop.refund(paid, body)

    assert response.status_code == 200
    assert response.json() == {"status": "failed", "response_code": "51", "amount": pennies}
    assert refunds_of(shop.transaction(paid)) == []
    assert shop.refund(paid, body).status_code == 201


def test_a_refusal_can_be_forced_and_nothing_is_refunded(
    shop: Shop, simulator: Simulator, paid: dict[str, Any]
) -> None:
    simulator.behave(refund="409")
    conflict = shop.refund(paid)
    simulator.behave(refund="422")
    refused = shop.refund(paid, {"amount": 5})

    assert conflict.status_code == 409
    assert conflict.headers["Content-Type"] == "application/problem+json"
    assert conflict.json()["type"].endswith("/conflict")
    assert refused.status_code == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    (error,) = refused.json()["errors"]
    assert (error["code"], error["reason"], error["max_refundable_amount"]) == (
        "INVALID_AMOUNT",
        "amount_too_high",
        1250,
    )
    assert refunds_of(shop.transaction(paid)) == []


def test_the_event_can_come_late_though_the_money_is_gone(
    shop: Shop, simulator: Simulator, paid: dict[str, Any]
) -> None:
    simulator.behave(refund="event_late", refunded_status="becomes_refunded", times={"refund": 1})

    response = shop.refund(paid, {"amount": 10})
    simulator.advance(29)
    meanwhile, rows = shop.transaction(paid), shop.history()["items"]
    too_much = shop.refund(paid, {"amount": 5})
    simulator.advance(1)

    assert response.status_code == 201
    assert (meanwhile["status"], meanwhile["events"], meanwhile["transaction_events"]) == ("SUCCESSFUL", [], [])
    assert [(row["type"], row["refunded_amount"]) for row in rows] == [("PAYMENT", 0)]
    assert too_much.json()["errors"][0]["max_refundable_amount"] == 250
    assert refunds_of(shop.transaction(paid)) == [10]
    assert shop.transaction(paid)["status"] == "REFUNDED"
    assert [(row["type"], row["amount"]) for row in shop.history()["items"]] == [("PAYMENT", 12.5), ("REFUND", 10)]


def test_how_late_the_event_comes_is_a_number(shop: Shop, simulator: Simulator, paid: dict[str, Any]) -> None:
    simulator.behave(refund="event_late", event_late_seconds=600)
    shop.refund(paid)

    simulator.advance(599)
    before = shop.transaction(paid)
    simulator.advance(1)

    assert (refunds_of(before), refunds_of(shop.transaction(paid))) == ([], [12.5])


def test_the_answer_can_be_lost_though_the_money_is_gone(
    shop: Shop, simulator: Simulator, paid: dict[str, Any]
) -> None:
    simulator.behave(refund="response_lost")

    with pytest.raises(requests.ConnectionError):
        shop.refund(paid, {"amount": 5})

    assert refunds_of(shop.transaction(paid)) == [5]
    assert simulator.requests[-2].status is None


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("429_retry_after", 429), ("500", 500), ("html", 502)])
def test_a_gateway_can_stand_in_between(
    shop: Shop, simulator: Simulator, paid: dict[str, Any], fault: str, status: int
) -> None:
    simulator.behave(refund=fault)

    assert shop.refund(paid).status_code == status
    assert refunds_of(shop.transaction(paid)) == []


def test_a_gateway_can_give_up_though_the_money_is_gone(shop: Shop, simulator: Simulator, paid: dict[str, Any]) -> None:
    simulator.behave(refund="504")

    assert shop.refund(paid).status_code == 504
    assert refunds_of(shop.transaction(paid)) == [12.5]


# Honest refusals.


def test_more_than_is_left_is_refused_with_what_could_be_refunded(shop: Shop, paid: dict[str, Any]) -> None:
    shop.refund(paid, {"amount": 2.5})

    response = shop.refund(paid, {"amount": 10.01})

    assert response.status_code == 422
    assert response.json()["errors"][0]["max_refundable_amount"] == 1000
    assert refunds_of(shop.transaction(paid)) == [2.5]


def test_when_nothing_is_left_it_is_not_refundable(shop: Shop, paid: dict[str, Any]) -> None:
    shop.refund(paid)

    assert shop.refund(paid).status_code == 409
    assert shop.refund(paid, {"amount": 1}).status_code == 409
    assert refunds_of(shop.transaction(paid)) == [12.5]


@pytest.mark.parametrize("amount", [0, -1, 0.001, "5", True, None, [], 1e300])
def test_an_amount_that_is_none_is_refused(shop: Shop, paid: dict[str, Any], amount: object) -> None:
    response = shop.refund(paid, {"amount": amount})

    assert response.status_code == 400
    assert response.json()["detail"] == "amount must be greater than zero"
    assert refunds_of(shop.transaction(paid)) == []


@pytest.mark.parametrize("body", [b"5", b"{", b"[]", b'{"amount": NaN}'])
def test_a_body_without_sense_is_refused(shop: Shop, paid: dict[str, Any], body: bytes) -> None:
    path = f"/v1.0/merchants/{MERCHANT}/payments/{paid['transaction_id']}/refunds"

    assert shop.call("POST", path, data=body).status_code == 400
    assert refunds_of(shop.transaction(paid)) == []


def test_only_ones_own_successful_transactions_can_be_refunded(shop: Shop, simulator: Simulator) -> None:
    failed = shop.act(shop.create(), "decline").json()["transactions"][0]
    simulator.behave(settles_after=600)
    pending = shop.act(shop.create(), "pay").json()["transactions"][0]
    path = "/v1.0/merchants/{}/payments/{}/refunds"

    assert shop.post(path.format(MERCHANT, failed["id"])).status_code == 409
    assert shop.post(path.format(MERCHANT, pending["id"])).status_code == 409
    assert shop.post(path.format(MERCHANT, "unheard-of")).status_code == 404
    assert shop.post(path.format("MSOMEONE", pending["id"])).status_code == 403
    assert shop.post("/v0.1/me/refund/unheard-of").status_code == 404
    assert shop.post(f"{path.format(MERCHANT, pending['id'])}/").status_code == 404


def test_a_payment_that_settled_unseen_can_be_refunded(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=600)
    pending = shop.act(shop.create(), "pay").json()["transactions"][0]
    simulator.clock.advance(600)

    assert shop.refund({"transaction_id": pending["id"]}).status_code == 201


def test_some_payments_can_only_be_refunded_in_full(shop: Shop, simulator: Simulator, paid: dict[str, Any]) -> None:
    simulator.behave(partial_refunds="full_only")

    (link,) = shop.transaction(paid)["links"]
    part = shop.refund(paid, {"amount": 5})
    full = shop.refund(paid, {"amount": 12.5})

    assert (link["min_amount"], link["max_amount"]) == (12.5, 12.5)
    assert part.status_code == 422
    assert full.status_code == 201


def test_the_link_says_how_much_can_be_refunded_and_leads_there(shop: Shop, paid: dict[str, Any]) -> None:
    (whole,) = shop.transaction(paid)["links"]
    shop.call("POST", whole["href"].removeprefix(shop.url), json={"amount": 5})
    (rest,) = shop.transaction(paid)["links"]
    shop.refund(paid)

    assert (whole["rel"], whole["min_amount"], whole["max_amount"]) == ("refund", 0.01, 12.5)
    assert rest["max_amount"] == 7.5
    assert shop.transaction(paid)["links"] == []


def test_many_refunds_at_once_never_give_back_more_than_was_paid(
    shop: Shop, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = shop.pay(amount=10)
    look = simulator._till.refundable

    def look_slowly(transaction: Transaction) -> Decimal:
        left = look(transaction)
        time.sleep(0.01)
        return left

    monkeypatch.setattr(simulator._till, "refundable", look_slowly)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: Shop(shop.url).refund(paid, {"amount": 1}).status_code, range(20)))

    assert sorted(answers) == [201] * 10 + [409] * 10
    assert sum(refunds_of(shop.transaction(paid))) == 10


@pytest.mark.parametrize(("percent", "fee"), [(2, 0.25), (0, 0), (1.96, 0.25), (1.9, 0.24), (100, 12.5)])
def test_a_fee_is_kept_and_rounded_half_up(shop: Shop, simulator: Simulator, percent: float, fee: float) -> None:
    simulator.behave(fee_percent=percent)

    paid = shop.pay(amount=12.5)
    shop.refund(paid)

    assert shop.transaction(paid)["fee_amount"] == fee


def test_an_attempt_that_failed_cost_nothing(shop: Shop) -> None:
    failed = shop.act(shop.create(), "decline").json()["transactions"][0]

    assert "fee_amount" not in shop.transaction({"transaction_id": failed["id"]})
