import pytest
import requests

from payments.simulator import Simulator

from .conftest import MERCHANT, Shop, eventually, order

CHECKOUTS = "/v0.1/checkouts"


@pytest.mark.parametrize(
    ("fault", "status", "created"),
    [("429", 429, 0), ("429_retry_after", 429, 0), ("500", 500, 0), ("504", 504, 1), ("html", 502, 0)],
)
def test_creating_can_be_answered_with_an_error(
    shop: Shop, simulator: Simulator, fault: str, status: int, created: int
) -> None:
    simulator.behave(create=fault)

    response = shop.post(CHECKOUTS, order())

    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (fault == "429_retry_after")
    assert response.headers["Content-Type"].startswith("text/html") == (fault == "html")
    assert len(simulator.checkouts()) == created


def test_the_answer_can_be_lost_though_the_checkout_exists(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(create="response_lost")
    body = order()

    with pytest.raises(requests.ConnectionError):
        shop.post(CHECKOUTS, body)

    found = shop.get(CHECKOUTS, params={"checkout_reference": body["checkout_reference"]}).json()
    assert len(found) == 1


def test_the_answer_can_come_too_late(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(create="slow", slow_seconds=60)

    with pytest.raises(requests.Timeout):
        requests.post(f"{shop.url}{CHECKOUTS}", json=order(), headers=shop.session.headers, timeout=0.2)

    assert eventually(simulator.checkouts)


def test_a_payment_can_arrive_before_the_answer_to_its_creation(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(create="slow", slow_seconds=60)

    with pytest.raises(requests.Timeout):
        requests.post(f"{shop.url}{CHECKOUTS}", json=order(), headers=shop.session.headers, timeout=0.2)
    checkout = eventually(lambda: shop.get("/simulator/checkouts").json())[0]

    assert shop.act(checkout, "pay").json()["status"] == "PAID"


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("html", 502)])
def test_reading_can_be_answered_with_an_error(shop: Shop, simulator: Simulator, fault: str, status: int) -> None:
    checkout = shop.create()
    simulator.behave(read=fault)

    one = shop.get(f"{CHECKOUTS}/{checkout['id']}")
    found = shop.get(CHECKOUTS, params={"checkout_reference": checkout["checkout_reference"]})

    assert (one.status_code, found.status_code) == (status, status)


def test_reading_can_lag_behind_for_ten_seconds(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(read="stale")
    checkout = shop.create()
    shop.act(checkout, "pay")

    lagging = shop.read(checkout)
    simulator.advance(10)

    assert (lagging["status"], lagging["transactions"]) == ("PENDING", [])
    assert shop.read(checkout)["status"] == "PAID"


def test_a_new_checkout_is_seen_at_once_even_by_who_lags_behind(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(read="stale")

    checkout = shop.create()

    assert shop.read(checkout) == checkout


def test_a_transaction_can_be_missing_for_ten_seconds(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(transaction_read="404_for_a_while")
    paid = shop.act(shop.create(), "pay").json()
    path = f"/v2.1/merchants/{MERCHANT}/transactions?id={paid['transaction_id']}"

    early = shop.get(path)
    simulator.advance(10)

    assert early.status_code == 404
    assert shop.get(path).status_code == 200


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("html", 502)])
def test_a_failing_delete_changes_nothing(shop: Shop, simulator: Simulator, fault: str, status: int) -> None:
    checkout = shop.create()
    simulator.behave(delete=fault)

    response = shop.call("DELETE", f"{CHECKOUTS}/{checkout['id']}")

    assert response.status_code == status
    assert shop.read(checkout)["status"] == "PENDING"


def test_a_checkout_can_be_deleted_though_nobody_is_told(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()
    simulator.behave(delete="response_lost")

    with pytest.raises(requests.ConnectionError):
        shop.call("DELETE", f"{CHECKOUTS}/{checkout['id']}")

    assert shop.read(checkout)["status"] == "EXPIRED"


def test_a_fault_can_end_by_itself(shop: Shop) -> None:
    shop.call("PUT", "/simulator/behaviour", json={"create": "500", "times": {"create": 2}})

    answers = [shop.post(CHECKOUTS, order()).status_code for _ in range(3)]

    assert answers == [500, 500, 201]
    assert shop.get("/simulator/behaviour").json()["create"] == "ok"


def test_a_fault_stays_until_it_is_changed(shop: Shop) -> None:
    shop.call("PUT", "/simulator/behaviour", json={"create": "500"})

    answers = [shop.post(CHECKOUTS, order()).status_code for _ in range(3)]
    shop.call("PUT", "/simulator/behaviour", json={"create": "ok"})

    assert answers == [500, 500, 500]
    assert shop.post(CHECKOUTS, order()).status_code == 201


def test_setting_a_fault_anew_forgets_its_count(simulator: Simulator) -> None:
    simulator.behave(create="500", times={"create": 1})

    simulator.behave(create="504")

    assert simulator.behaviour.document()["times"] == {}


def test_the_behaviour_is_merged(shop: Shop) -> None:
    shop.call("PUT", "/simulator/behaviour", json={"create": "500"})

    merged = shop.call("PUT", "/simulator/behaviour", json={"settles_after": 7}).json()

    assert (merged["create"], merged["settles_after"]) == ("500", 7)


@pytest.mark.parametrize(
    "document",
    [
        {"weather": "bad"},
        {"create": "explode"},
        {"create": 500},
        {"create": ["500"]},
        {"refund": "maybe"},
        {"fee_percent": 101},
        {"settles_after": -1},
        {"settles_after": True},
        {"settles_after": "5"},
        {"slow_seconds": 1e9},
        {"times": {"create": 0}},
        {"times": {"create": 1.5}},
        {"times": {"clock": 1}},
        {"times": 3},
        {"read": "500", "weather": "bad"},
    ],
)
def test_unknown_behaviour_is_refused_with_a_sentence_and_changes_nothing(shop: Shop, document: object) -> None:
    before = shop.get("/simulator/behaviour").json()

    response = shop.call("PUT", "/simulator/behaviour", json=document)

    assert response.status_code == 400
    assert response.json()["error"].endswith(".")
    assert shop.get("/simulator/behaviour").json() == before


def test_two_checkouts_for_one_order_can_both_be_paid(shop: Shop) -> None:
    first, second = (shop.create(description="Order RA-7") for _ in range(2))

    assert [shop.act(checkout, "pay").json()["status"] for checkout in (first, second)] == ["PAID", "PAID"]
