"""What happens to money outside of the shop: in the dashboard, at the payer's bank, at a card reader."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from payments.simulator import Refused, Simulator

from .conftest import Shop


@pytest.fixture
def paid(shop: Shop) -> dict[str, Any]:
    return shop.pay(amount=12.5)


@pytest.mark.parametrize("name", ["transaction_id", "transaction_code"])
def test_staff_refund_in_the_dashboard(shop: Shop, simulator: Simulator, paid: dict[str, Any], name: str) -> None:
    simulator.behave(refund="409")

    part = shop.post(f"/simulator/transactions/{paid[name]}/refund", {"amount": 5})
    rest = shop.post(f"/simulator/transactions/{paid[name]}/refund")
    more = shop.post(f"/simulator/transactions/{paid[name]}/refund")

    assert [event["amount"] for event in part.json()["events"]] == [5]
    assert [event["amount"] for event in rest.json()["events"]] == [5, 7.5]
    assert more.status_code == 409


def test_the_bank_charges_back_and_the_fee_and_the_checkout_stay(shop: Shop, paid: dict[str, Any]) -> None:
    response = shop.post(f"/simulator/transactions/{paid['transaction_code']}/charge_back")

    transaction = shop.transaction(paid)
    assert response.json() == transaction
    assert transaction["simple_status"] == "CHARGEBACK"
    assert transaction["status"] == "SUCCESSFUL"
    assert [(e["event_type"], e["amount"]) for e in transaction["transaction_events"]] == [("CHARGE_BACK", 12.5)]
    assert shop.read(paid) == paid
    assert shop.refund(paid).status_code == 409
    assert [(row["type"], row["amount"]) for row in shop.history()["items"]] == [
        ("PAYMENT", 12.5),
        ("CHARGE_BACK", 12.5),
    ]


def test_a_bank_takes_what_is_left_or_what_it_likes_even_after_a_refund(simulator: Simulator, shop: Shop) -> None:
    first, second = shop.pay(amount=10), shop.pay(amount=10)
    shop.refund(first, {"amount": 4})
    shop.refund(second)

    left = simulator.charge_back(first["transaction_id"])
    all_of_it = simulator.charge_back(second["transaction_id"], 10)

    assert (left.amount, all_of_it.amount) == (6, 10)
    with pytest.raises(Refused):
        simulator.charge_back(second["transaction_id"], 1)
    with pytest.raises(Refused):
        simulator.charge_back(first["transaction_id"])


@pytest.mark.parametrize("action", ["refund", "charge_back"])
@pytest.mark.parametrize("amount", [0, -1, "5", True, 0.001])
def test_levers_refuse_an_amount_that_is_none(shop: Shop, paid: dict[str, Any], action: str, amount: object) -> None:
    response = shop.post(f"/simulator/transactions/{paid['transaction_id']}/{action}", {"amount": amount})

    assert response.status_code == 400
    assert response.json()["error"].endswith(".")
    assert shop.transaction(paid)["events"] == []


@pytest.mark.parametrize("action", ["refund", "charge_back"])
def test_levers_refuse_an_unknown_transaction(shop: Shop, action: str) -> None:
    assert shop.post(f"/simulator/transactions/nobody/{action}").status_code == 404


def test_a_stray_payment_has_no_checkout(shop: Shop, simulator: Simulator) -> None:
    response = shop.post("/simulator/payments", {"amount": 7.25, "description": "Jam"})

    stray = response.json()
    assert shop.transaction({"transaction_id": stray["id"]}) == stray
    assert (stray["amount"], stray["currency"], stray["status"]) == (7.25, "GBP", "SUCCESSFUL")
    assert (stray["payment_type"], stray["entry_mode"], stray["product_summary"]) == ("POS", "CONTACTLESS", "Jam")
    assert stray["fee_amount"] == 0.15
    assert simulator.checkouts() == []
    assert [row["id"] for row in shop.history()["items"]] == [stray["id"]]


def test_a_stray_payment_can_be_of_another_currency_and_is_refunded_like_any_other(
    shop: Shop, simulator: Simulator
) -> None:
    stray = simulator.take_stray_payment(Decimal("3.10"), currency="EUR")

    response = shop.refund({"transaction_id": stray.id}, {"amount": 1})

    assert response.status_code == 201
    assert shop.history()["items"][0]["currency"] == "EUR"
    assert shop.history()["items"][0]["refunded_amount"] == 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"amount": 0},
        {"amount": "5"},
        {"amount": 5, "count": 0},
        {"amount": 5, "count": 1.5},
        {"amount": 5, "count": 10**9},
        {"amount": 5, "currency": "XXX"},
        {"amount": 5, "currency": []},
        {"amount": 5, "description": 1},
    ],
)
def test_the_card_reader_refuses_what_makes_no_sense(shop: Shop, document: object) -> None:
    response = shop.post("/simulator/payments", document)

    assert response.status_code == 400
    assert response.json()["error"].endswith(".")
    assert shop.history()["items"] == []


def test_very_many_payments_come_at_once(shop: Shop) -> None:
    response = shop.post("/simulator/payments", {"amount": 1, "count": 5_000})

    assert response.json() == {"payments": 5_000}
    rows = shop.walk(limit=1_000)
    assert len({row["id"] for row in rows}) == len({row["transaction_code"] for row in rows}) == 5_000


def test_payments_can_keep_the_names_amounts_and_times_of_their_maker(shop: Shop, simulator: Simulator) -> None:
    at = datetime(2026, 5, 4, 12, tzinfo=UTC)

    simulator.fill([("id-1", "TCODE1", Decimal("9.99"), at), ("id-2", "TCODE2", 5, at)], payment_type="ECOM")

    rows = shop.history()["items"]
    assert [(row["id"], row["transaction_code"], row["amount"]) for row in rows] == [
        ("id-1", "TCODE1", 9.99),
        ("id-2", "TCODE2", 5),
    ]
    assert {row["timestamp"] for row in rows} == {"2026-05-04T12:00:00.000Z"}
    assert {row["payment_type"] for row in rows} == {"ECOM"}


@pytest.mark.parametrize("second", [("id-1", "TOTHER"), ("id-2", "TCODE1")])
def test_of_payments_with_a_name_that_is_taken_none_is_made(simulator: Simulator, second: tuple[str, str]) -> None:
    at = datetime(2026, 5, 4, 12, tzinfo=UTC)
    simulator.fill([("id-1", "TCODE1", 5, at)])

    with pytest.raises(Refused):
        simulator.fill([("new", "TNEW", 5, at), (*second, 5, at)])

    assert simulator.transaction("new") is None


def test_payments_may_be_some_seconds_apart_and_the_last_is_made_now(shop: Shop, simulator: Simulator) -> None:
    simulator.fill(3, seconds_apart=60)

    times = [datetime.fromisoformat(row["timestamp"]) for row in shop.history()["items"]]

    assert [(times[2] - time).total_seconds() for time in times] == [120, 60, 0]


# Payouts.


def test_what_is_not_paid_out_yet_is_paid_out_less_its_fee(shop: Shop, paid: dict[str, Any]) -> None:
    shop.act(shop.create(), "decline")

    response = shop.post("/simulator/payouts", {"day": "2026-03-01"})

    assert response.json() == {"payouts": 1}
    (row,) = shop.payouts().json()
    assert isinstance(row.pop("id"), int)
    assert row == {
        "type": "PAYOUT",
        "amount": 12.25,
        "date": "2026-03-01",
        "currency": "GBP",
        "fee": 0.25,
        "status": "SUCCESSFUL",
        "reference": "payout-2026-03-01",
        "transaction_code": paid["transaction_code"],
    }


def test_a_payout_shows_on_its_payment(shop: Shop, simulator: Simulator, paid: dict[str, Any]) -> None:
    simulator.pay_out(date(2026, 3, 1))

    transaction, (row,) = shop.transaction(paid), shop.history()["items"]

    assert (transaction["status"], transaction["simple_status"]) == ("SUCCESSFUL", "PAID_OUT")
    assert (transaction["payout_date"], row["payout_date"]) == ("2026-03-01", "2026-03-01")
    assert [(e["event_type"], e["amount"]) for e in transaction["transaction_events"]] == [("PAYOUT", 12.25)]
    assert transaction["links"][0]["max_amount"] == 12.5


def test_what_was_taken_back_is_deducted_once(shop: Shop, simulator: Simulator, paid: dict[str, Any]) -> None:
    shop.refund(paid, {"amount": 5})
    simulator.charge_back(paid["transaction_id"], 2)

    simulator.pay_out(date(2026, 3, 1))
    simulator.pay_out(date(2026, 3, 2))

    rows = shop.payouts().json()
    assert [(row["type"], row["amount"], row["fee"], row["date"]) for row in rows] == [
        ("PAYOUT", 12.25, 0.25, "2026-03-01"),
        ("REFUND_DEDUCTION", 5, 0, "2026-03-01"),
        ("CHARGE_BACK_DEDUCTION", 2, 0, "2026-03-01"),
    ]
    assert {row["transaction_code"] for row in rows} == {paid["transaction_code"]}


def test_a_refund_that_is_not_yet_told_of_is_deducted_later(
    shop: Shop, simulator: Simulator, paid: dict[str, Any]
) -> None:
    simulator.behave(refund="event_late")
    shop.refund(paid)
    simulator.pay_out()

    simulator.advance(30)

    assert [event.type for event in simulator.pay_out()] == ["PAYOUT_DEDUCTION"]


def test_payouts_are_of_days_both_inclusive_and_in_either_order(shop: Shop, simulator: Simulator) -> None:
    for day in (3, 1, 2, 4):
        simulator.take_stray_payment(10)
        simulator.pay_out(date(2026, 3, day))

    def days(*period: str, **options: Any) -> list[str]:
        return [row["date"][-2:] for row in shop.payouts(*period, **options).json()]

    assert days("2026-03-02", "2026-03-03") == ["02", "03"]
    assert days() == ["01", "02", "03", "04"]
    assert days(order="desc", limit=3) == ["04", "03", "02"]
    assert days(limit=1, format="json") == ["01"]


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ({}, [("MISSING", "start_date"), ("MISSING", "end_date")]),
        ({"start_date": "2026-01-01"}, [("MISSING", "end_date")]),
        ({"start_date": "2026-W01-1", "end_date": "2026-02-30"}, [("INVALID", "start_date"), ("INVALID", "end_date")]),
        ({"start_date": "2026-01-02", "end_date": "2026-01-01"}, [("INVALID", None)]),
        ({"start_date": "2026-01-01", "end_date": "2026-01-02", "limit": "0"}, [("INVALID", "limit")]),
        ({"start_date": "2026-01-01", "end_date": "2026-01-02", "limit": "10000"}, [("INVALID", "limit")]),
        ({"start_date": "2026-01-01", "end_date": "2026-01-02", "order": "ascending"}, [("INVALID", "order")]),
        ({"start_date": "2026-01-01", "end_date": "2026-01-02", "format": "csv"}, [("INVALID", "format")]),
    ],
)
def test_a_bad_question_about_payouts_is_answered_with_a_list(
    shop: Shop, query: dict[str, str], faults: list[tuple[str, str | None]]
) -> None:
    response = shop.get("/v1.0/merchants/MROSEASH/payouts", params=query)

    assert response.status_code == 400
    assert [(fault["error_code"], fault.get("param")) for fault in response.json()] == faults


def test_the_payouts_of_others_are_not_found(shop: Shop) -> None:
    path = "/v1.0/merchants/MSOMEONE/payouts?start_date=2026-01-01&end_date=2026-01-02"

    assert shop.get(path).status_code == 404


@pytest.mark.parametrize("body", [b'{"day": "soon"}', b'{"day": 5}', b"[]"])
def test_a_payout_needs_a_day_that_exists(shop: Shop, paid: dict[str, Any], body: bytes) -> None:
    assert shop.call("POST", "/simulator/payouts", data=body).status_code == 400
    assert shop.payouts().json() == []


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("html", 502)])
def test_reading_about_money_can_be_answered_with_an_error(
    shop: Shop, simulator: Simulator, paid: dict[str, Any], fault: str, status: int
) -> None:
    once = {"history": 1, "payouts": 1, "transaction_read": 1}
    simulator.behave(history=fault, payouts=fault, transaction_read=fault, times=once)
    path = f"/v2.1/merchants/MROSEASH/transactions?id={paid['transaction_id']}"

    first = [shop.get("/v2.1/merchants/MROSEASH/transactions/history"), shop.payouts(), shop.get(path)]
    second = [shop.get("/v2.1/merchants/MROSEASH/transactions/history"), shop.payouts(), shop.get(path)]

    assert [response.status_code for response in first] == [status] * 3
    assert [response.status_code for response in second] == [200] * 3
