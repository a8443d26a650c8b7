from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from payments.simulator import Clock, Simulator

from .conftest import MERCHANT, Shop, order

TRANSACTIONS = f"/v2.1/merchants/{MERCHANT}/transactions"


def statuses(checkout: dict[str, Any]) -> list[str]:
    return [transaction["status"] for transaction in checkout["transactions"]]


def test_paying_makes_it_paid_and_names_the_transaction(shop: Shop) -> None:
    checkout = shop.create()

    shop.act(checkout, "pay")

    paid = shop.read(checkout)
    assert paid["status"] == "PAID"
    assert statuses(paid) == ["SUCCESSFUL"]
    assert paid["transaction_id"] == paid["transactions"][0]["id"]
    assert paid["transaction_code"] == paid["transactions"][0]["transaction_code"]
    assert paid["transactions"][0]["amount"] == 12.5


def test_a_decline_fails_it_without_a_transaction_id(shop: Shop) -> None:
    checkout = shop.create()

    shop.act(checkout, "decline")

    failed = shop.read(checkout)
    assert failed["status"] == "FAILED"
    assert statuses(failed) == ["FAILED"]
    assert "transaction_id" not in failed


def test_after_a_decline_the_same_checkout_can_be_paid(shop: Shop) -> None:
    checkout = shop.create()
    shop.act(checkout, "decline")

    shop.act(checkout, "pay")

    paid = shop.read(checkout)
    assert paid["status"] == "PAID"
    assert statuses(paid) == ["FAILED", "SUCCESSFUL"]
    assert paid["transaction_id"] == paid["transactions"][1]["id"]


@pytest.mark.parametrize("amount", [11, 42.01, 42.76, 42.91])
@pytest.mark.parametrize("action", ["pay", "challenge"])
def test_the_sandbox_amounts_are_always_declined(shop: Shop, simulator: Simulator, amount: float, action: str) -> None:
    checkout = shop.create(amount=amount)

    shop.act(checkout, action)
    simulator.advance(5)

    assert statuses(shop.read(checkout)) == ["FAILED"]


def test_a_challenge_is_pending_until_it_ends_by_itself(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(challenge_seconds=600)
    checkout = shop.create()

    shop.act(checkout, "challenge")
    meanwhile = shop.read(checkout)
    simulator.advance(600)

    assert meanwhile["status"] == "PENDING"
    assert statuses(meanwhile) == ["PENDING"]
    assert "transaction_id" not in meanwhile
    assert shop.read(checkout)["status"] == "PAID"


def test_a_challenge_ends_declined_when_the_behaviour_says_so(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(challenge="declined")
    checkout = shop.create()

    shop.act(checkout, "challenge")
    simulator.advance(5)

    assert shop.read(checkout)["status"] == "FAILED"


@pytest.mark.parametrize(("answer", "status"), [("approve", "PAID"), ("reject", "FAILED")])
def test_a_challenge_can_be_answered(shop: Shop, simulator: Simulator, answer: str, status: str) -> None:
    simulator.behave(challenge_seconds=600)
    checkout = shop.create()
    shop.act(checkout, "challenge")

    shop.act(checkout, answer)

    assert shop.read(checkout)["status"] == status
    assert shop.act(checkout, answer).status_code == 409


def test_settling_takes_its_time(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=120)
    checkout = shop.create()

    shop.act(checkout, "pay")
    meanwhile = shop.read(checkout)
    simulator.advance(120)

    assert (meanwhile["status"], statuses(meanwhile)) == ("PENDING", ["PENDING"])
    assert shop.read(checkout)["status"] == "PAID"


def test_a_second_attempt_is_refused_while_one_is_under_way(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=120)
    checkout = shop.create()
    shop.act(checkout, "pay")

    second = shop.act(checkout, "pay")

    assert second.status_code == 409
    assert statuses(shop.read(checkout)) == ["PENDING"]


def test_paying_twice_is_refused(shop: Shop) -> None:
    checkout = shop.create()
    shop.act(checkout, "pay")

    second = shop.act(checkout, "pay")

    assert second.status_code == 409
    assert statuses(shop.read(checkout)) == ["SUCCESSFUL"]


def test_many_paying_at_once_pay_once(shop: Shop) -> None:
    checkout = shop.create()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: Shop(shop.url).act(checkout, "pay").status_code, range(20)))

    assert sorted(answers) == [200] + [409] * 19
    assert statuses(shop.read(checkout)) == ["SUCCESSFUL"]


def test_the_same_reference_at_the_same_time_creates_one_checkout(shop: Shop, simulator: Simulator) -> None:
    body = order()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: Shop(shop.url).post("/v0.1/checkouts", body).status_code, range(20)))

    assert sorted(answers) == [201] + [409] * 19
    assert len(simulator.checkouts()) == 1


def test_after_valid_until_it_is_expired_and_cannot_be_paid(shop: Shop, simulator: Simulator) -> None:
    until = datetime.now(UTC) + timedelta(minutes=10)
    checkout = shop.create(valid_until=until.isoformat())

    simulator.advance(600)

    assert shop.read(checkout)["status"] == "EXPIRED"
    assert shop.act(checkout, "pay").status_code == 409
    assert shop.read(checkout)["transactions"] == []


def test_a_failed_checkout_expires_too(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create(valid_until=(datetime.now(UTC) + timedelta(minutes=10)).isoformat())
    shop.act(checkout, "decline")

    simulator.advance(600)

    assert shop.read(checkout)["status"] == "EXPIRED"


def test_a_payment_under_way_wins_over_valid_until(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=1200)
    checkout = shop.create(valid_until=(datetime.now(UTC) + timedelta(minutes=10)).isoformat())
    shop.act(checkout, "pay")

    simulator.advance(900)
    meanwhile = shop.read(checkout)
    simulator.advance(300)

    assert meanwhile["status"] == "PENDING"
    assert shop.read(checkout)["status"] == "PAID"


def test_a_paid_checkout_never_expires(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(session_over="becomes_expired")
    checkout = shop.create(valid_until=(datetime.now(UTC) + timedelta(minutes=10)).isoformat())
    shop.act(checkout, "pay")

    simulator.advance(7200)

    assert shop.read(checkout)["status"] == "PAID"


@pytest.mark.parametrize(("switch", "status"), [("stays_pending", "PENDING"), ("becomes_expired", "EXPIRED")])
def test_what_the_api_says_after_the_page_closed_is_a_switch(
    shop: Shop, simulator: Simulator, switch: str, status: str
) -> None:
    simulator.behave(session_over=switch)
    checkout = shop.create()

    simulator.advance(1800)

    assert shop.read(checkout)["status"] == status
    assert shop.act(checkout, "pay").status_code == 409


def test_deleting_expires_it_and_fills_in_when(shop: Shop) -> None:
    checkout = shop.create()

    response = shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")

    assert response.status_code == 200
    assert response.json()["status"] == "EXPIRED"
    assert response.json()["valid_until"]
    assert shop.act(checkout, "pay").status_code == 409


def test_a_paid_checkout_cannot_be_deleted(shop: Shop) -> None:
    checkout = shop.create()
    shop.act(checkout, "pay")

    response = shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")

    assert response.status_code == 409
    assert response.json() == {"error_code": "CHECKOUT_PROCESSED", "message": "Checkout is already processed"}
    assert shop.read(checkout)["status"] == "PAID"


def test_deleting_again_changes_nothing(shop: Shop) -> None:
    checkout = shop.create()
    first = shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")

    second = shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")

    assert (second.status_code, second.json()) == (200, first.json())


def test_deleting_cancels_a_payment_under_way(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()
    simulator.behave(challenge_seconds=60)
    shop.act(checkout, "challenge")

    shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")
    simulator.advance(60)

    assert shop.read(checkout)["status"] == "EXPIRED"
    assert statuses(shop.read(checkout)) == ["CANCELLED"]


def test_a_payment_under_way_may_win_over_deleting(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(delete="payment_in_flight_wins", challenge_seconds=60)
    checkout = shop.create()
    shop.act(checkout, "challenge")

    deleted = shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")
    simulator.advance(60)

    assert (deleted.status_code, deleted.json()["status"]) == (200, "EXPIRED")
    assert shop.read(checkout)["status"] == "PAID"


def test_what_was_deleted_while_failing_stays_expired(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(delete="payment_in_flight_wins", challenge="declined")
    checkout = shop.create()
    shop.act(checkout, "challenge")

    shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")
    simulator.advance(5)

    assert shop.read(checkout)["status"] == "EXPIRED"
    assert statuses(shop.read(checkout)) == ["FAILED"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_checkout_is_not_found(shop: Shop, method: str) -> None:
    response = shop.call(method, "/v0.1/checkouts/nobody")

    assert response.status_code == 404
    assert response.json() == {"error_code": "NOT_FOUND", "message": "Resource not found"}


def test_a_transaction_is_found_by_id_and_by_code_and_names_no_checkout(shop: Shop) -> None:
    checkout = shop.create()
    paid = shop.act(checkout, "pay").json()

    by_id = shop.get(TRANSACTIONS, params={"id": paid["transaction_id"]})
    by_code = shop.get(TRANSACTIONS, params={"transaction_code": paid["transaction_code"]})

    assert by_id.status_code == 200
    assert by_id.json() == by_code.json()
    assert by_id.json()["status"] == "SUCCESSFUL"
    assert by_id.json()["product_summary"] == "Order RA-1"
    assert checkout["id"] not in by_id.text
    assert checkout["checkout_reference"] not in by_id.text


def test_a_transaction_needs_its_merchant_its_name_and_to_exist(shop: Shop) -> None:
    paid = shop.act(shop.create(), "pay").json()

    foreign = shop.get("/v2.1/merchants/MSOMEONE/transactions", params={"id": paid["transaction_id"]})

    assert foreign.status_code == 404
    assert shop.get(TRANSACTIONS, params={"id": "unheard-of"}).status_code == 404
    assert shop.get(TRANSACTIONS).status_code == 400
    assert shop.get(TRANSACTIONS).json()["failed_constraints"][0]["reference"] == "id"


def test_frozen_time_moves_the_simulator_as_well() -> None:
    simulator = Simulator(clock=Clock(), threads=0)
    simulator.behave(settles_after=60)

    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False) as time:
        checkout = simulator.pay(simulator.create(order()).id)
        before = simulator.read(checkout.id).status
        time.shift(60)
        after = simulator.read(checkout.id).status

    assert checkout.date == datetime(2030, 1, 1, tzinfo=UTC)
    assert (before, after) == ("PENDING", "PAID")
