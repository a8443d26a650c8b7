"""One market day from the first visitor to the last, and what must be true in the evening."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.marketday.shopping import Fair, Visitor

MOST_TURNS = 8  # how often whoever still wants a place tries again
PATIENCE = 180  # seconds, until all that was begun has come to its end

CHARGED_FOR_NOTHING = """
    SELECT o.number FROM payments_movement m JOIN orders_order o ON o.id = m.order_id
    WHERE m.kind = 'capture'
      AND NOT EXISTS (SELECT FROM bookings_booking b JOIN orders_orderline l ON l.id = b.order_line_id
                      WHERE l.order_id = o.id AND b.status = 'confirmed')
      AND NOT EXISTS (SELECT FROM cartsite_case c WHERE c.status <> 'resolved'
                      AND c.subject_uuid IN (SELECT p.uuid FROM payments_payment p WHERE p.order_id = o.id
                                             UNION SELECT o.uuid))"""


@dataclass
class Backstage:
    """What visitors do not see: the books, and a clock that can be moved on."""

    ask: Callable[[str], Sequence[tuple[Any, ...]]]  # runs a statement
    work: Callable[[], Any]  # does what timers would do, where none runs
    entry: int

    def count(self, what: str) -> int:
        return int(self.ask(f"SELECT count(*) FROM {what}")[0][0])

    @property
    def sold(self) -> int:
        return self.count(f"bookings_booking WHERE entry_id = {self.entry} AND status = 'confirmed'")

    @property
    def unpaid(self) -> int:
        return self.count("orders_order WHERE status = 'awaiting_payment'")

    def let_time_pass(self) -> None:
        """Whoever has not paid by now has had their time, and so have baskets."""
        self.ask(
            "UPDATE orders_order SET deadline = now() - interval '1 second', next_step_at = now()"
            " WHERE status = 'awaiting_payment'"
        )
        self.ask("UPDATE bookings_hold SET until = now() - interval '1 second' WHERE quantity > 0 AND until > now()")

    def wait_until_all_is_decided(self) -> None:
        """Until no order awaits payment any more."""
        deadline = time.monotonic() + PATIENCE
        while self.unpaid:
            assert time.monotonic() < deadline, f"{self.unpaid} orders are still undecided."
            self.work()
            time.sleep(0.2)


def hold_market(fair: Fair, backstage: Backstage, *, shoppers: int, at_once: int, places: int) -> list[Visitor]:
    """Let them all come, and those who still want a place come again until all are sold; all of them, afterwards."""
    visitors = [Visitor(fair, seed) for seed in range(shoppers)]
    with ThreadPoolExecutor(at_once) as crowd:
        list(crowd.map(Visitor.come, visitors))
        list(crowd.map(Visitor.come_again, [each for each in visitors if each.is_after_a_place and each.number]))
        for _turn in range(MOST_TURNS):
            backstage.let_time_pass()
            backstage.wait_until_all_is_decided()
            if backstage.sold == places:
                break
            wanting = [each for each in visitors if each.is_after_a_place]
            list(crowd.map(Visitor.come_again, wanting[:at_once]))
    return visitors


def assert_a_good_day(fair: Fair, backstage: Backstage, visitors: Sequence[Visitor], *, places: int) -> None:
    """All places were sold, each once and to somebody who paid; nobody saw a fault, or paid for nothing."""
    paid = sum(visitor.has_paid for visitor in visitors)
    assert fair.failures() == {}
    assert backstage.sold == places
    assert backstage.ask(CHARGED_FOR_NOTHING) == []
    assert backstage.count("payments_movement WHERE kind = 'capture'") == paid >= places
