import json
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from payments.simulator import Simulator
from payments.simulator.history import read_query
from payments.simulator.journal import UnreadableJournal

from .conftest import Postbox, order

HOOK = "https://shop.example/webhook"


def restart(store: Path, postbox: Postbox | None = None) -> Simulator:
    """A new simulator on what an earlier one wrote, as after a crash."""
    return Simulator(store=store, post=postbox or Postbox(), threads=0)


def test_everything_about_checkouts_is_remembered(store: Path) -> None:
    first = restart(store)
    paid = first.create(order(valid_until="2999-01-01T00:00:00Z", return_url=HOOK, customer_id="c"))
    first.decline(paid.id)
    first.pay(paid.id)
    first.tick()
    open_one = first.create(order(amount=10))

    second = restart(store)

    assert second.checkouts() == [first.read(paid.id), open_one]
    assert second.read_page(open_one.page) == open_one
    assert second.find(paid.reference) == [first.read(paid.id)]
    transaction = second.read(paid.id).transactions[1]
    assert second.transaction(transaction.code) == first.transaction(transaction.id)


def test_a_torn_last_line_is_ignored_and_the_next_record_is_not_lost_with_it(store: Path) -> None:
    checkout = restart(store).create(order())
    with store.open("ab") as file:
        file.write(b'{"checkout": {"id": "to')

    restart(store).pay(checkout.id)

    assert [one.status for one in restart(store).checkouts()] == ["PAID"]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"checkout": {}}',
        '{"checkout": 5}',
        '{"clock_ahead": "x"}',
        '{"payment": {}}',
        '{"event": 1}',
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(store: Path, line: str) -> None:
    store.write_text(f"{line}\n", encoding="utf-8")

    with pytest.raises(UnreadableJournal):
        restart(store)

    assert store.read_text(encoding="utf-8") == f"{line}\n"


def test_a_settlement_goes_on_after_a_restart(store: Path, postbox: Postbox) -> None:
    first = restart(store)
    first.behave(settles_after=600)
    checkout = first.pay(first.create(order(return_url=HOOK)).id)

    second = restart(store, postbox)
    second.advance(600)

    assert second.read(checkout.id).status == "PAID"
    assert postbox.ids == [checkout.id]


def test_owed_webhooks_are_delivered_after_a_restart(store: Path, postbox: Postbox) -> None:
    first = restart(store)
    checkout = first.pay(first.create(order(return_url=HOOK)).id)

    restart(store, postbox).tick()
    restart(store, postbox).tick()

    assert postbox.ids == [checkout.id]


def test_repetitions_go_on_where_they_were(store: Path, postbox: Postbox) -> None:
    postbox.status = 500
    first = restart(store, postbox)
    first.pay(first.create(order(return_url=HOOK)).id)
    for minutes in (0, 1, 5):
        first.advance(minutes * 60)

    second = restart(store, postbox)
    second.advance(20 * 60)
    second.advance(120 * 60)
    second.advance(86_400)

    assert len(postbox.posted) == 5


def test_the_clock_stays_ahead_after_a_restart(store: Path) -> None:
    restart(store).advance(3600)

    assert restart(store).clock.ahead == timedelta(hours=1)


def test_a_reset_is_remembered(store: Path) -> None:
    first = restart(store)
    first.create(order())
    first.reset()

    assert restart(store).checkouts() == []


def test_the_journal_is_only_added_to(store: Path) -> None:
    simulator = restart(store)
    checkout = simulator.create(order())
    before = store.read_bytes()

    simulator.pay(checkout.id)

    assert store.read_bytes().startswith(before)
    statuses = [json.loads(line)["checkout"]["status"] for line in store.read_bytes().splitlines()]
    assert statuses == ["PENDING", "PAID"]


def test_everything_about_money_is_remembered(store: Path) -> None:
    first = restart(store)
    first.behave(refunded_status="becomes_refunded", fee_percent=10)
    paid = first.pay(first.create(order()).id).transactions[0]
    stray = first.take_stray_payment(7, "Jam", "EUR")
    refund = first.refund(paid.id, 5)
    first.pay_out(date(2026, 3, 1))
    first.charge_back(stray.id, 2)
    first.refund(stray.id, 1, shown_after=3600)

    second = restart(store)

    for name in (paid.id, paid.code, stray.id, stray.code):
        assert second.transaction(name) == first.transaction(name)
        assert second.refundable(name) == first.refundable(name)
    assert second.history(read_query("")) == first.history(read_query(""))
    assert second.history(read_query(f"oldest_ref={refund.id}")).rows
    assert second.payouts(date.min, date.max) == first.payouts(date.min, date.max)
    assert [checkout.transactions[0].status for checkout in second.checkouts()] == ["REFUNDED"]
    assert [event.type for event in second.pay_out()] == ["PAYOUT_DEDUCTION"]
    assert second.refund(paid.id, 1).id > refund.id


def test_a_late_event_comes_after_a_restart(store: Path) -> None:
    first = restart(store)
    stray = first.take_stray_payment(7)
    first.refund(stray.id, 1, shown_after=600)

    second = restart(store)
    before = second.history(read_query("")).rows
    second.advance(600)

    assert (len(before), len(second.history(read_query("")).rows)) == (1, 2)


def test_a_hundred_thousand_payments_are_kept_and_found_again_in_good_time(store: Path) -> None:
    started = time.process_time()

    restart(store).fill(100_000)
    second = restart(store)
    second.take_stray_payment(1)

    # Time of the processor, which others may be using too. Were each payment to cost more than the one before it, this
    # would take many minutes.
    assert time.process_time() - started < 60
    assert len(second.history(read_query("limit=200000")).rows) == 100_001


def test_a_journal_from_before_there_were_fees_is_read(store: Path) -> None:
    first = restart(store)
    checkout = first.pay(first.create(order()).id)
    records = [json.loads(line) for line in store.read_bytes().splitlines()]
    for record in records:
        for transaction in record["checkout"]["transactions"]:
            for name in ("fee", "summary", "payment_type"):
                del transaction[name]
    store.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")

    assert restart(store).read(checkout.id).status == "PAID"
