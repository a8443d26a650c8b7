import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from payments.simulator import Simulator

from .conftest import HISTORY, Shop

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def fill(simulator: Simulator, count: int) -> list[str]:
    """So many payments, named by their number, a minute apart from noon on."""
    rows = [(f"id-{n}", f"TCODE{n}", 10, NOON + timedelta(minutes=n)) for n in range(count)]
    return [payment.id for payment in simulator.fill(rows)]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_a_payment_is_a_row_under_its_own_name(shop: Shop) -> None:
    paid = shop.pay(amount=12.5)

    page = shop.history()

    (row,) = page["items"]
    assert page["links"] == []
    assert row["id"] == row["transaction_id"] == paid["transaction_id"]
    assert row["transaction_code"] == paid["transaction_code"]
    assert (row["type"], row["status"], row["amount"], row["refunded_amount"]) == ("PAYMENT", "SUCCESSFUL", 12.5, 0)
    assert row["timestamp"] == paid["transactions"][0]["timestamp"]
    assert row["product_summary"] == "Order RA-1"
    assert paid["id"] not in str(row)


def test_refunds_and_charge_backs_are_rows_under_the_name_of_their_event(shop: Shop, simulator: Simulator) -> None:
    paid = shop.pay(amount=12.5)
    shop.refund(paid, {"amount": 5})
    simulator.charge_back(paid["transaction_id"], 2)

    payment, refund, charge_back = shop.history()["items"]

    refunded, charged_back = shop.transaction(paid)["transaction_events"]
    assert payment["refunded_amount"] == 5
    assert (refund["type"], refund["id"], refund["amount"]) == ("REFUND", str(refunded["id"]), 5)
    assert (charge_back["type"], charge_back["id"], charge_back["amount"]) == (
        "CHARGE_BACK",
        str(charged_back["id"]),
        2,
    )
    assert {row["transaction_id"] for row in (payment, refund, charge_back)} == {paid["transaction_id"]}
    assert refund["timestamp"] == refunded["timestamp"]


def test_declined_and_cancelled_attempts_are_there_but_never_pending_ones(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()
    shop.act(checkout, "decline")
    simulator.behave(challenge_seconds=60)
    shop.act(checkout, "challenge")
    meanwhile = shop.history()["items"]

    shop.call("DELETE", f"/v0.1/checkouts/{checkout['id']}")

    assert [row["status"] for row in meanwhile] == ["FAILED"]
    assert [row["status"] for row in shop.history()["items"]] == ["FAILED", "CANCELLED"]


def test_what_settles_unseen_is_there_at_once(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=600)
    shop.act(shop.create(), "pay")

    simulator.clock.advance(600)

    assert [row["status"] for row in shop.history()["items"]] == ["SUCCESSFUL"]


# Paging.


def test_ten_rows_come_unasked_and_the_next_link_is_a_bare_query(shop: Shop, simulator: Simulator) -> None:
    names = fill(simulator, 25)

    page = shop.history()

    assert ids(page["items"]) == names[:10]
    (link,) = page["links"]
    assert link["rel"] == "next"
    assert dict(parse_qsl(link["href"])) == {"oldest_ref": names[9]}


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 26])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_page_by_page_every_row_comes_once(shop: Shop, simulator: Simulator, limit: int, order: str) -> None:
    names = fill(simulator, 25)

    rows = shop.walk(limit=limit, order=order)

    assert ids(rows) == (names if order == "ascending" else names[::-1])


def test_rows_of_the_same_moment_are_parted_neither_lost_nor_doubled(shop: Shop, simulator: Simulator) -> None:
    names = [payment.id for payment in simulator.fill([(f"i{n}", f"c{n}", 1, NOON) for n in range(9)])]

    assert ids(shop.walk(limit=2)) == names
    assert ids(shop.walk(limit=2, order="descending")) == names[::-1]


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_what_arrives_meanwhile_moves_no_page(shop: Shop, simulator: Simulator, order: str) -> None:
    names = fill(simulator, 10)
    seen = []

    page = shop.history(limit=3, order=order)
    while True:
        seen += ids(page["items"])
        simulator.take_stray_payment(1)
        simulator.fill([(f"early-{len(seen)}", f"E{len(seen)}", 1, NOON - timedelta(days=1))])
        simulator.refund(names[0], 1)
        if not page["links"] or len(seen) > 50:
            break
        page = shop.get(f"{HISTORY}?{page['links'][0]['href']}").json()
        if order == "ascending" and set(names) <= set(seen):
            break

    assert [name for name in seen if name in names] == (names if order == "ascending" else names[::-1])
    assert len(set(seen)) == len(seen)


def test_the_next_link_keeps_the_filters(shop: Shop, simulator: Simulator) -> None:
    fill(simulator, 20)
    filters = {
        "limit": 2,
        "order": "descending",
        "oldest_time": (NOON + timedelta(minutes=5)).isoformat(),
        "newest_time": (NOON + timedelta(minutes=10)).isoformat(),
        "statuses": ["SUCCESSFUL", "REFUNDED"],
        "types": ["PAYMENT"],
    }

    first = shop.history(**filters)

    kept = dict(parse_qsl(first["links"][0]["href"]))
    assert kept.pop("newest_ref") == "id-8"
    assert kept.pop("statuses[]") in {"SUCCESSFUL", "REFUNDED"}
    assert kept == {
        "limit": "2",
        "order": "descending",
        "oldest_time": filters["oldest_time"],
        "newest_time": filters["newest_time"],
        "types[]": "PAYMENT",
    }
    assert ids(shop.walk(**filters)) == ["id-9", "id-8", "id-7", "id-6", "id-5"]


def test_a_hundred_thousand_are_walked_without_looking_at_all_of_them_for_each_page(
    shop: Shop, simulator: Simulator
) -> None:
    simulator.fill(100_000, seconds_apart=0.1)

    started = time.process_time()
    page = shop.history(order="descending")
    for _ in range(199):
        page = shop.get(f"{HISTORY}?{page['links'][0]['href']}").json()
    two_hundred = time.process_time() - started

    # A scan of them all takes some tenths of a second: two hundred scans would be a minute.
    assert two_hundred < 20


# Filters.


def test_times_are_from_inclusive_and_until_exclusive(shop: Shop, simulator: Simulator) -> None:
    fill(simulator, 5)

    rows = shop.walk(oldest_time="2026-05-04T12:01:00Z", newest_time="2026-05-04T14:03:00+02:00")

    assert ids(rows) == ["id-1", "id-2"]


def test_refs_are_exclusive_and_supersede_times(shop: Shop, simulator: Simulator) -> None:
    names = fill(simulator, 6)
    late = (NOON + timedelta(days=1)).isoformat()

    assert ids(shop.walk(oldest_ref=names[1], newest_ref=names[4], oldest_time=late)) == names[2:4]


def test_changes_since_finds_old_payments_that_were_refunded_or_charged_back(shop: Shop, simulator: Simulator) -> None:
    names = fill(simulator, 5)
    since = simulator.clock.now()
    refund = simulator.refund_in_dashboard(names[1], 4)
    charge_back = simulator.charge_back(names[3])

    rows = shop.walk(changes_since=since.isoformat(), limit=1)

    assert ids(rows) == [names[1], names[3], str(refund.id), str(charge_back.id)]
    assert [row["refunded_amount"] for row in rows] == [4, 0, 0, 0]
    simulator.advance(1)
    assert shop.walk(changes_since=simulator.clock.now().isoformat()) == []


def test_changes_since_finds_what_was_shown_late_when_it_is_shown(shop: Shop, simulator: Simulator) -> None:
    paid = shop.pay()
    simulator.behave(refund="event_late")
    shop.refund(paid)
    simulator.advance(10)
    since = simulator.clock.now().isoformat()

    before = shop.walk(changes_since=since)
    simulator.advance(20)

    assert before == []
    assert [row["type"] for row in shop.walk(changes_since=since)] == ["PAYMENT", "REFUND"]


def test_changes_since_finds_what_settled_late(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=600)
    shop.act(shop.create(), "pay")
    simulator.advance(300)
    since = simulator.clock.now().isoformat()

    simulator.advance(300)

    assert len(shop.walk(changes_since=since)) == 1
    assert shop.walk(oldest_time=since) == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"types": ["PAYMENT"]}, ["PAYMENT", "PAYMENT", "PAYMENT"]),
        ({"types": ["REFUND"]}, ["REFUND"]),
        ({"types": ["REFUND", "CHARGE_BACK"]}, ["REFUND", "CHARGE_BACK"]),
        ({"statuses": ["FAILED"]}, ["PAYMENT"]),
        ({"statuses": ["CHARGE_BACK"]}, ["CHARGE_BACK"]),
        ({"statuses": ["REFUNDED"], "types": ["PAYMENT"]}, ["PAYMENT"]),
        ({"statuses": ["SUCCESSFUL"]}, ["PAYMENT"]),
        ({"payment_types": ["POS"]}, ["PAYMENT", "CHARGE_BACK"]),
        ({"entry_modes": ["CUSTOMER_ENTRY"]}, ["PAYMENT", "PAYMENT", "REFUND"]),
        ({"users": ["somebody@example.com"]}, []),
        ({"users": ["merchant@example.com"], "payment_types": ["POS", "APM"]}, ["PAYMENT", "CHARGE_BACK"]),
    ],
)
def test_the_history_is_filtered(
    shop: Shop, simulator: Simulator, filters: dict[str, list[str]], found: list[str]
) -> None:
    simulator.behave(refunded_status="becomes_refunded")
    shop.act(shop.create(), "decline")
    shop.refund(shop.pay())
    simulator.charge_back(simulator.take_reader_payment(5).id)

    assert [row["type"] for row in shop.walk(limit=1, **filters)] == found


def test_one_transaction_is_found_by_its_code_with_all_its_rows(shop: Shop, simulator: Simulator) -> None:
    names = fill(simulator, 3)
    for amount in (1, 2):
        simulator.refund(names[1], amount)

    rows = shop.walk(transaction_code="TCODE1", limit=1)

    assert [(row["type"], row["amount"]) for row in rows] == [("PAYMENT", 10), ("REFUND", 1), ("REFUND", 2)]
    assert shop.walk(transaction_code="TCODE1", order="descending", limit=2) == rows[::-1]
    assert shop.walk(transaction_code="id-1") == shop.walk(transaction_code="unheard-of") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=many",
        "limit=9999999999999999999999",
        "order=asc",
        "order=",
        "changes_since=yesterday",
        "oldest_time=2026-13-01T00:00:00Z",
        "newest_time=0001-01-01T00:00:00%2B23:00",
        # A plus sign that nobody encoded is a space.
        "changes_since=2026-05-04T12:00:00+00:00",
        "oldest_ref=unheard-of",
        "newest_ref=",
        "statuses[]=PENDING",
        "types[]=payment",
        # Without its brackets it is not a filter at all.
        "statuses=SUCCESSFUL",
        "page=2",
    ],
)
def test_a_question_that_makes_no_sense_is_invalid(shop: Shop, simulator: Simulator, query: str) -> None:
    fill(simulator, 3)

    response = shop.get(f"{HISTORY}?{query}")

    assert response.status_code == 400
    assert (response.json()["message"], response.json()["error_code"]) == ("Validation error", "INVALID")


def test_the_history_of_others_is_not_found(shop: Shop) -> None:
    assert shop.get("/v2.1/merchants/MSOMEONE/transactions/history").status_code == 404
