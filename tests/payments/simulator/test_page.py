import re

import pytest
import requests

from payments.simulator import Simulator

from .conftest import PATIENCE, Shop


def test_the_page_offers_the_outcomes_and_says_that_it_is_a_simulation(shop: Shop) -> None:
    page = shop.open(shop.create())

    assert page.status_code == 200
    assert "SIMULATION" in page.text
    assert "12.50 GBP" in page.text
    assert re.findall(r'name="outcome" value="(\w+)"', page.text) == ["pay", "challenge", "decline"]


def test_the_page_has_no_script_no_inline_style_and_fits_a_phone(shop: Shop) -> None:
    page = shop.open(shop.create())

    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "<style" not in page.text
    assert 'content="width=device-width, initial-scale=1"' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert (
        requests.get(f"{shop.url}/simulator/style.css", timeout=PATIENCE).headers["Content-Type"].startswith("text/css")
    )


def test_the_page_needs_no_key(shop: Shop) -> None:
    checkout = shop.create()

    page = requests.get(checkout["hosted_checkout_url"], timeout=PATIENCE)

    assert page.status_code == 200


def test_paying_ends_on_a_page_with_a_way_back_that_nobody_is_pushed_along(shop: Shop) -> None:
    checkout = shop.create()

    page = shop.submit(checkout, outcome="pay")

    assert page.url == checkout["hosted_checkout_url"]
    assert 'href="https://shop.example/return"' in page.text
    assert "refresh" not in page.text.lower()
    assert "Refresh" not in page.headers
    assert shop.read(checkout)["status"] == "PAID"


def test_without_a_redirect_url_there_is_no_way_back(shop: Shop) -> None:
    checkout = shop.create()
    body = {key: checkout[key] for key in ("amount", "currency", "merchant_code")}
    plain = shop.post(
        "/v0.1/checkouts", body | {"checkout_reference": "plain", "hosted_checkout": {"enabled": True}}
    ).json()

    page = shop.submit(plain, outcome="pay")

    assert "successful" in page.text
    assert "Back to the merchant" not in page.text


def test_a_decline_stays_on_the_page_and_never_leads_back(shop: Shop) -> None:
    checkout = shop.create()

    page = shop.submit(checkout, outcome="decline")

    assert "declined" in page.text
    assert 'value="pay"' in page.text
    assert "shop.example" not in page.text
    assert shop.read(checkout)["status"] == "FAILED"


def test_after_a_decline_the_payer_can_try_again_on_the_same_page(shop: Shop) -> None:
    checkout = shop.create()
    shop.submit(checkout, outcome="decline")

    shop.submit(checkout, outcome="pay")

    paid = shop.read(checkout)
    assert [transaction["status"] for transaction in paid["transactions"]] == ["FAILED", "SUCCESSFUL"]


@pytest.mark.parametrize(("answer", "status"), [("approve", "PAID"), ("decline", "FAILED")])
def test_the_bank_asks_back(shop: Shop, simulator: Simulator, answer: str, status: str) -> None:
    simulator.behave(challenge_seconds=600)
    checkout = shop.create()

    asked = shop.submit(checkout, outcome="challenge")
    shop.submit(checkout, challenge=answer)

    assert 'value="approve"' in asked.text
    assert shop.read(checkout)["status"] == status


def test_the_payer_sees_success_before_the_money_has_settled(shop: Shop, simulator: Simulator) -> None:
    simulator.behave(settles_after=600)
    checkout = shop.create()

    page = shop.submit(checkout, outcome="pay")

    assert "Back to the merchant" in page.text
    assert shop.read(checkout)["status"] == "PENDING"


def test_paying_what_is_paid_is_told_and_charges_nothing(shop: Shop) -> None:
    checkout = shop.create()
    shop.submit(checkout, outcome="pay")

    page = shop.submit(checkout, outcome="pay")

    assert "Already processed" in page.text
    assert len(shop.read(checkout)["transactions"]) == 1


def test_after_half_an_hour_the_page_has_expired(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()

    simulator.advance(1800)

    assert "expired" in shop.open(checkout).text
    assert "expired" in shop.submit(checkout, outcome="pay").text
    assert shop.read(checkout)["transactions"] == []


def test_a_deleted_checkout_has_an_expired_page(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()

    simulator.delete(checkout["id"])

    assert "expired" in shop.open(checkout).text


def test_an_unknown_page_is_not_found_and_labelled_too(shop: Shop) -> None:
    page = requests.get(f"{shop.url}/pay/c-nothing", timeout=PATIENCE)

    assert page.status_code == 404
    assert "SIMULATION" in page.text


def test_a_button_that_does_not_exist_does_nothing(shop: Shop) -> None:
    checkout = shop.create()

    assert shop.submit(checkout, outcome="steal").status_code == 400
    assert shop.submit(checkout).status_code == 400
    assert shop.read(checkout)["transactions"] == []


def test_what_the_merchant_sends_is_escaped(shop: Shop) -> None:
    checkout = shop.create(description="<b>&'\"$amount", redirect_url='https://shop.example/?a=1&b="')

    pages = [shop.open(checkout).text, shop.submit(checkout, outcome="pay").text, shop.get("/").text]

    for page in pages:
        assert "&lt;b&gt;&amp;&#x27;&quot;$amount" in page
        assert "<b>" not in page
    assert 'href="https://shop.example/?a=1&amp;b=&quot;"' in pages[1]


def test_the_first_page_lists_checkouts_and_lets_staff_pay(shop: Shop) -> None:
    checkout = shop.create()

    before = shop.get("/")
    pressed = shop.call("POST", "/", data={"checkout": checkout["id"], "outcome": "pay"})

    assert checkout["hosted_checkout_url"] in before.text
    assert "SIMULATION" in before.text
    assert pressed.status_code == 303
    assert shop.read(checkout)["status"] == "PAID"


def test_the_first_page_switches_webhooks_and_moves_the_clock(shop: Shop, simulator: Simulator) -> None:
    shop.call("POST", "/", data={"webhooks": "never"})
    shop.call("POST", "/", data={"advance": "1800"})

    assert simulator.behaviour.choice("webhooks") == "never"
    assert simulator.clock.ahead.total_seconds() == 1800


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"webhooks": "maybe"},
        {"webhooks": "never", "times": "often"},
        {"fee_percent": "much"},
        {"fee_percent": "nan"},
        {"advance": "-1"},
        {"outcome": "pay"},
        {"outcome": "steal"},
        {"outcome": "pay", "checkout": "x"},
        {"outside": "refund"},
        {"outside": "steal"},
        {"outside": "charge_back", "transaction": "x", "amount": "5"},
        {"outside": "stray"},
        {"outside": "stray", "amount": "NaN"},
        {"outside": "stray", "amount": "Infinity"},
        {"outside": "stray", "amount": "1e999999"},
        {"outside": "stray", "amount": "five"},
        {"outside": "pay_out", "day": "soon"},
    ],
)
def test_the_first_page_refuses_what_makes_no_sense(shop: Shop, fields: dict[str, str]) -> None:
    response = shop.call("POST", "/", data=fields)

    assert response.status_code in {400, 409}
    assert "SIMULATION" in response.text


def test_the_first_page_shows_the_newest_hundred(shop: Shop, simulator: Simulator) -> None:
    for _ in range(101):
        shop.create()

    page = shop.get("/").text

    references = [checkout.reference for checkout in simulator.checkouts()]
    shown = re.findall(r'<td data-label="Reference">(reference-\d+)<br>', page)
    assert shown == references[:0:-1]


def test_older_checkouts_and_transactions_are_behind_a_link(shop: Shop, simulator: Simulator) -> None:
    simulator.fill(150)
    first = shop.get("/").text
    (address,) = re.findall(r'href="/(\?transactions=100)#transactions"', first)

    second = shop.get(f"/{address}").text

    codes = [re.findall(r'data-label="Code">(T\w+)<br>', page) for page in (first, second)]
    assert [len(shown) for shown in codes] == [100, 50]
    assert len({*codes[0], *codes[1]}) == 150
    assert "Older" not in second


def test_the_first_page_drives_the_outside_world(shop: Shop, simulator: Simulator) -> None:
    shop.call("POST", "/", data={"outside": "stray", "amount": "10.00", "description": "Jam"})
    (stray,) = simulator.newest_transactions(0, 10)
    name = stray.transaction.id

    before = shop.get("/").text
    shop.call("POST", "/", data={"outside": "refund", "transaction": name, "amount": "4"})
    shop.call("POST", "/", data={"outside": "pay_out", "day": "2026-03-01"})
    shop.call("POST", "/", data={"outside": "charge_back", "transaction": name, "amount": ""})
    after = shop.get("/").text

    (stray,) = simulator.newest_transactions(0, 10)
    kinds = [(event.type, float(event.amount)) for event in stray.events]
    assert kinds == [("REFUND", 4), ("PAYOUT", 9.8), ("PAYOUT_DEDUCTION", 4), ("CHARGE_BACK", 6)]
    assert "Jam" in before
    assert f'value="{name}"' in before
    assert f'value="{name}"' not in after
    assert "CHARGEBACK" in after


def test_the_first_page_has_a_form_for_every_part_of_the_behaviour(shop: Shop, simulator: Simulator) -> None:
    page = shop.get("/").text

    shop.call("POST", "/", data={"create": "500", "times": "3"})
    shop.call("POST", "/", data={"fee_percent": "1.5"})

    document = simulator.behaviour.document()
    assert all(f'name="{name}"' in page for name in document)
    assert (document["create"], document["times"], document["fee_percent"]) == ("500", {"create": 3}, 1.5)
    assert '<option value="500" selected>' in shop.get("/").text


def test_what_is_over_offers_no_button(shop: Shop) -> None:
    paid = shop.pay()
    shop.refund(paid)

    page = shop.get("/").text

    assert 'value="pay"' not in page
    assert 'value="refund"' not in page
