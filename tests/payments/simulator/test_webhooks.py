import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from payments.simulator import Simulator

from .conftest import Postbox, Receiver, Shop, eventually, order

HOOK = "https://shop.example/webhook"


def test_a_paid_checkout_is_announced_without_its_status(shop: Shop, receiver: Receiver) -> None:
    checkout = shop.create(return_url=receiver.url)

    shop.act(checkout, "pay")

    eventually(lambda: receiver.bodies)
    assert receiver.bodies == [{"event_type": "CHECKOUT_STATUS_CHANGED", "id": checkout["id"]}]


def test_a_decline_is_announced_and_the_success_after_it_too(quiet: Simulator, postbox: Postbox) -> None:
    checkout = quiet.create(order(return_url=HOOK))

    quiet.decline(checkout.id)
    quiet.tick()
    quiet.pay(checkout.id)
    quiet.tick()

    assert postbox.ids == [checkout.id, checkout.id]


def test_a_second_decline_changes_nothing_and_is_not_announced(quiet: Simulator, postbox: Postbox) -> None:
    checkout = quiet.create(order(return_url=HOOK))

    quiet.decline(checkout.id)
    quiet.decline(checkout.id)
    quiet.tick()

    assert postbox.ids == [checkout.id]


def test_a_payment_that_fails_after_deletion_is_not_announced(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(challenge="declined")
    checkout = quiet.create(order(return_url=HOOK))
    quiet.challenge(checkout.id)

    quiet.delete(checkout.id, in_flight_wins=True)
    quiet.advance(5)

    assert postbox.posted == []


def test_expiry_is_silent(quiet: Simulator, postbox: Postbox) -> None:
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    lapsed = quiet.create(order(return_url=HOOK, valid_until=until))
    deleted = quiet.create(order(return_url=HOOK))

    quiet.delete(deleted.id)
    quiet.advance(7200)

    assert quiet.read(lapsed.id).status == "EXPIRED"
    assert postbox.posted == []


def test_without_a_return_url_nobody_is_told(quiet: Simulator, postbox: Postbox) -> None:
    checkout = quiet.create(order())

    quiet.pay(checkout.id)
    quiet.notify(checkout.id)
    quiet.tick()

    assert postbox.posted == []


def test_a_late_settlement_is_announced_when_it_happens(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(settles_after=60)
    quiet.pay(quiet.create(order(return_url=HOOK)).id)

    quiet.tick()
    before = list(postbox.posted)
    quiet.advance(60)

    assert before == []
    assert len(postbox.posted) == 1


def test_never_means_never(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(webhooks="never")

    quiet.pay(quiet.create(order(return_url=HOOK)).id)
    quiet.advance(86_400)

    assert postbox.posted == []


def test_twice_means_again_a_second_later(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(webhooks="twice")

    quiet.pay(quiet.create(order(return_url=HOOK)).id)
    quiet.tick()
    first = len(postbox.posted)
    quiet.advance(1)
    quiet.advance(7200)

    assert (first, len(postbox.posted)) == (1, 2)


def test_concurrent_means_two_at_once(shop: Shop, simulator: Simulator, receiver: Receiver) -> None:
    simulator.behave(webhooks="concurrent")
    checkout = shop.create(return_url=receiver.url)

    shop.act(checkout, "pay")

    eventually(lambda: len(receiver.bodies) == 2)
    assert {body["id"] for body in receiver.bodies} == {checkout["id"]}


def test_late_means_after_everybody_gave_up(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(webhooks="late", late_seconds=1800)

    quiet.pay(quiet.create(order(return_url=HOOK)).id)
    quiet.advance(1790)
    before = len(postbox.posted)
    quiet.advance(10)

    assert (before, len(postbox.posted)) == (0, 1)


def test_out_of_order_lets_the_success_overtake_the_failure(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(webhooks="out_of_order")
    failing, paid = (quiet.create(order(return_url=f"{HOOK}/{name}")) for name in ("failing", "paid"))

    quiet.decline(failing.id)
    quiet.tick()
    quiet.pay(paid.id)
    quiet.tick()
    quiet.advance(60)

    assert postbox.ids == [paid.id, failing.id]


def test_a_refused_webhook_is_repeated_four_times_and_then_given_up(quiet: Simulator, postbox: Postbox) -> None:
    postbox.status = 500
    quiet.pay(quiet.create(order(return_url=HOOK)).id)

    counts = []
    for minutes in (0, 1, 5, 20, 120, 10_000):
        quiet.advance(minutes * 60)
        counts.append(len(postbox.posted))

    assert counts == [1, 2, 3, 4, 5, 5]


def test_a_webhook_is_not_repeated_before_its_time(quiet: Simulator, postbox: Postbox) -> None:
    postbox.status = 0
    quiet.pay(quiet.create(order(return_url=HOOK)).id)
    quiet.tick()

    quiet.advance(50)

    assert len(postbox.posted) == 1


def test_an_accepted_repetition_is_the_last(quiet: Simulator, postbox: Postbox) -> None:
    postbox.status = 503
    quiet.pay(quiet.create(order(return_url=HOOK)).id)
    quiet.tick()
    postbox.status = 200

    quiet.advance(60)
    quiet.advance(86_400)

    assert len(postbox.posted) == 2


@pytest.mark.parametrize("status", [301, 404, 500])
def test_over_http_every_answer_but_success_is_a_refusal(
    shop: Shop, simulator: Simulator, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]
    checkout = shop.create(return_url=receiver.url)

    shop.act(checkout, "pay")
    eventually(lambda: receiver.bodies and simulator.read(checkout["id"]).notices[0].failures)
    simulator.advance(60)

    eventually(lambda: len(receiver.bodies) == 2)
    assert eventually(lambda: simulator.read(checkout["id"]).notices[0].due_at is None)


def test_a_receiver_that_is_not_there_does_not_hold_up_the_api(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create(return_url="http://127.0.0.1:1/webhook")

    shop.act(checkout, "pay")

    eventually(lambda: simulator.read(checkout["id"]).notices[0].failures == 1)
    assert shop.read(checkout)["status"] == "PAID"


def test_many_webhooks_arrive_once_each(shop: Shop, receiver: Receiver) -> None:
    ids = [shop.create(return_url=receiver.url)["id"] for _ in range(60)]

    for checkout_id in ids:
        shop.act({"id": checkout_id}, "pay")

    eventually(lambda: len(receiver.bodies) >= 60)
    assert Counter(body["id"] for body in receiver.bodies) == Counter(ids)


def test_webhooks_can_be_forged_and_of_unknown_kind(shop: Shop, receiver: Receiver) -> None:
    checkout = shop.create(return_url=receiver.url)

    shop.act(checkout, "notify", {"event_type": "SOMETHING_NEW", "id": "forged"})

    eventually(lambda: receiver.bodies)
    assert receiver.bodies == [{"event_type": "SOMETHING_NEW", "id": "forged"}]
    assert shop.read(checkout)["status"] == "PENDING"


def test_webhooks_can_misbehave_a_limited_number_of_times(quiet: Simulator, postbox: Postbox) -> None:
    quiet.behave(webhooks="never", times={"webhooks": 1})
    first, second = (quiet.create(order(return_url=HOOK)) for _ in range(2))

    quiet.pay(first.id)
    quiet.pay(second.id)
    quiet.tick()

    assert postbox.ids == [second.id]


def test_a_change_during_a_delivery_does_not_repeat_it(postbox: Postbox) -> None:
    def pay_meanwhile(url: str, body: bytes) -> int:
        status = postbox(url, body)
        if len(postbox.posted) == 1:
            simulator.pay(checkout.id)
            simulator.tick()
        return status

    simulator = Simulator(post=pay_meanwhile, threads=0)
    checkout = simulator.create(order(return_url=HOOK))

    simulator.decline(checkout.id)
    simulator.tick()
    simulator.advance(86_400)

    assert postbox.ids == [checkout.id, checkout.id]


def test_after_a_reset_nothing_more_is_sent(quiet: Simulator, postbox: Postbox) -> None:
    quiet.pay(quiet.create(order(return_url=HOOK)).id)

    quiet.reset()
    quiet.advance(86_400)

    assert postbox.posted == []


def test_a_delivery_that_breaks_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    sent: list[bytes] = []

    def break_once(url: str, body: bytes) -> int:
        sent.append(body)
        if len(sent) == 1:
            raise SystemExit
        return 204

    simulator = Simulator(post=break_once, threads=1)
    for _ in range(2):
        simulator.pay(simulator.create(order(return_url=HOOK)).id)
        simulator.tick()
        eventually(lambda: all(thread.name != "webhooks" for thread in threading.enumerate()))

    assert len(sent) == 2


def test_a_webhook_can_arrive_before_the_answer_to_the_creation(shop: Shop, simulator: Simulator) -> None:
    known_at_the_knock: list[bool] = []
    answered: list[str] = []
    simulator._post = lambda url, body: known_at_the_knock.append(bool(answered)) or 503
    simulator.behave(create="webhook_first")

    answered.append(shop.create(return_url=HOOK)["id"])

    assert known_at_the_knock == [False]
    assert simulator.read(answered[0]).notices[0].failures == 1
