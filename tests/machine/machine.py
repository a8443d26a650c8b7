"""The machine: shoppers, staff, timers and an adversarial SumUp act in any order, and no invariant may break.

After every step the database is asked for all that breaks a rule (invariants.py), each change of a status is compared
with the domain's tables (coverage.py), and at the end of each history all must come to rest (quiet.py).
"""

from collections import Counter
from functools import partial

from django.db import connection
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from orders.models import Order
from payments.models import Payment, Refund
from payments.simulator.checkouts import CheckoutStatus
from tests.machine import ledger_of_steps
from tests.machine.adversary import Adversary
from tests.machine.baskets import LINES, WHO, Baskets
from tests.machine.invariants import Memory, find_breaches, find_passed_over
from tests.machine.ledger_of_steps import Step
from tests.machine.money_back import find_wrong_money_back
from tests.machine.quiet import clear_the_desk, find_loose_ends, let_all_come_to_rest
from tests.machine.shoppers import HOW, Shoppers
from tests.machine.staff import Staff
from tests.machine.timers import Timers
from tests.machine.worth_of_chains import find_wrong_worth

PRESENT = """
    SELECT 'order', status, count(*) FROM orders_order GROUP BY 2
    UNION ALL SELECT 'order', 'closing', count(*) FROM orders_order WHERE closing_since IS NOT NULL
    UNION ALL SELECT 'order', 'cash', count(*) FROM payments_movement WHERE kind = 'cash'
    UNION ALL SELECT 'payment', status, count(*) FROM payments_payment GROUP BY 2
    UNION ALL SELECT 'refund', status, count(*) FROM payments_refund GROUP BY 2
    UNION ALL SELECT 'message', status, count(*) FROM cartsite_message GROUP BY 2
    UNION ALL SELECT 'dailyclose', status, count(*) FROM payments_dailyclose GROUP BY 2
    UNION ALL SELECT 'case', kind, count(*) FROM cartsite_case WHERE status <> 'resolved' GROUP BY 2
    UNION ALL SELECT 'transaction', '', count(*) FROM payments_movement WHERE kind = 'capture'
    UNION ALL SELECT 'transaction', '', count(*) FROM payments_stray
    UNION ALL SELECT 'transaction', '', count(*) FROM payments_taking
    UNION ALL SELECT 'cart', CASE WHEN i.saved_at IS NULL THEN 'full' ELSE 'saved' END, count(*)
              FROM cart_cartitem i JOIN cart_cart c ON c.id = i.cart_id WHERE c.ordered_at IS NULL GROUP BY 2
    UNION ALL SELECT 'place', status, count(*) FROM bookings_booking GROUP BY 2
    UNION ALL SELECT 'waiter', status, count(*) FROM bookings_waiter GROUP BY 2
    UNION ALL SELECT 'batch', '', count(*) FROM payments_refundbatch
    UNION ALL SELECT 'cart', 'merged', count(*) FROM cart_cartmerge WHERE ended_at IS NULL
    UNION ALL SELECT 'cart', 'adopted', count(*) FROM cart_burnttoken
"""
ORDERS = st.lists(st.tuples(WHO, LINES, HOW, st.booleans()), min_size=1, max_size=4)


class Machine(Staff, Timers, Adversary):
    """Give it a `world` and a `coverage` (as class attributes) before it runs."""

    trouble: tuple[str, str] | None = None  # a switch of SumUp's behaviour, and how it stands as a history begins
    is_broken = False
    # What leads to most of the rest, or is seldom possible, has a second ticket in the draw.
    buy_too, pay_too, sweep_too = Shoppers.buy, Shoppers.pay, Timers.sweep_about_money
    fail_to_create_too, fail_to_delete_too = Adversary.fail_to_create, Adversary.fail_to_delete
    fail_to_refund_too, send_too = Adversary.fail_to_refund, Staff.approve_and_send
    accept_too, give_up_too, retry_too = Staff.accept_case, Staff.give_up, Staff.retry
    meet_too, undo_too = Baskets.sign_in_with_a_basket_here_and_there, Baskets.undo_merge
    call_off_too, move_too, wait_too = (
        Adversary.call_off,
        Adversary.buy_and_move,
        Adversary.buy_the_last_and_let_others_wait,
    )

    @initialize(orders=ORDERS)
    def open_the_shop(self, orders: list[tuple[int, list[tuple[int, int]], tuple[str, str], bool]]) -> None:
        """A fresh world, in which some have ordered already, some of them have paid, and something goes wrong."""
        self.world.reset()
        ledger_of_steps.take()
        self.switch_on()
        self.placed = []
        self.memory, self.present = Memory(), Counter()
        self.coverage.histories += 1
        if self.trouble is not None:
            self.quietly(self.run_into, *self.trouble)
        for who, lines, how, pays in orders:
            self.quietly(partial(self.buy_at_once, who, lines, how, pays=pays))

    @invariant()
    def nothing_is_broken(self) -> None:
        """All that must be true after every step."""
        self.coverage.steps += 1
        self.is_broken = True  # unless all of this is true
        steps = ledger_of_steps.take()
        assert not (unknown := self.coverage.note(steps)), f"The domain knows no such step: {unknown}"
        assert not (breaches := [*find_breaches(), *self.memory.find_changes()]), breaches
        assert not (wrong := find_wrong_money_back(self.world.staff.pk, self.world.porter.pk)), wrong
        assert not (wrong := find_wrong_worth(self.world.porter.pk) if steps else []), wrong
        assert not self.world.complaints.heard, self.world.complaints.heard[0]
        assert not self.world.relay.errors, repr(self.world.relay.errors[0])
        assert not (calls := self.world.calls_inside_transactions), f"11 inside a transaction: {calls}"
        self._check_letting_go(steps)
        _check_staffs_cancel(steps)
        self._check_turns(steps)
        self._check_refunds_sent()
        self._count_what_is_there()
        self._count_switches()
        self.is_broken = False

    def _check_letting_go(self, steps: list[Step]) -> None:
        """3: capacity is freed only when nobody can pay any more, as SumUp itself knows."""
        over = [step.row_id for step in steps if step.name in LET_GO]
        for payment in Payment.objects.filter(order__in=over).exclude(checkout_url=""):
            for checkout in self.world.simulator.find(payment.reference):
                payable = checkout.status in (CheckoutStatus.PENDING, CheckoutStatus.FAILED)
                if checkout.id not in self.world.relay.lied_about and payable:
                    closed = self.world.simulator.is_page_closed(checkout)
                    assert closed, f"3: {payment.order} is over, but its page can still be paid"

    def _check_turns(self, steps: list[Step]) -> None:
        """Nobody is offered a place while somebody before them in the line waits, who could be."""
        offered = [step.row_id for step in steps if step.name == "waiter: waiting -> offered"]
        assert not (wrong := find_passed_over(offered)), wrong

    def _check_refunds_sent(self) -> None:
        """10: no machine ever sends a refund twice."""
        rows = Refund.objects.filter(sent_at__isnull=False).count()
        assert self.world.relay.refunds_sent <= rows, f"{self.world.relay.refunds_sent} were sent of {rows}"

    def _count_what_is_there(self) -> None:
        self.present = Counter()
        with connection.cursor() as cursor:
            cursor.execute(PRESENT)
            for thing, what, count in cursor.fetchall():
                self.present[thing] += count
                self.present[f"{thing}:{what}"] += count
        self.present["bank"] = sum(bool(checkout.in_flight) for checkout in self.world.simulator.checkouts())

    def _count_switches(self) -> None:
        self.coverage.switches.update(self.world.felt)
        self.world.felt.clear()

    def teardown(self) -> None:
        """The quiet period, unless something is broken already."""
        if self.is_broken:
            return
        let_all_come_to_rest(self.world)
        self.nothing_is_broken()
        assert not (ends := find_loose_ends(self.world)), ends
        clear_the_desk(self.world)
        self.nothing_is_broken()


def _check_staffs_cancel(steps: list[Step]) -> None:
    """What staff are cancelling ends cancelled, even if it is paid meanwhile or its time is over (docs/adr/0014)."""
    for step in steps:
        if step.thing == "order" and step.was == Order.Status.AWAITING_PAYMENT and step.closer == Order.Closer.STAFF:
            assert step.became == Order.Status.CANCELLED, f"staff were cancelling an order, but it is {step.became}"


LET_GO = {f"order: {Order.Status.AWAITING_PAYMENT} -> {end}" for end in (Order.Status.EXPIRED, Order.Status.CANCELLED)}
