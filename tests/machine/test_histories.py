"""Histories of the machine that broke once, as the machine told them or shortened. None is ever removed.

A history that breaks is printed by the machine as calls of `state`; put it here as calls of `history`. As the machine
does, a history checks all invariants after each step.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.machine.coverage import Coverage
from tests.machine.machine import Machine
from tests.machine.world import World

pytestmark = pytest.mark.django_db(transaction=True)


class History:
    """The machine, step by step: `history.pay(dice=5)` takes the step and checks all invariants."""

    def __init__(self, world: World) -> None:
        class Here(Machine):
            pass

        Here.world, Here.coverage = world, Coverage()
        self._machine = Here()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def take(**chosen: Any) -> None:
            getattr(self._machine, name)(**chosen)
            self._machine.nothing_is_broken()

        return take

    def begin_with(self, switch: str, how: str) -> None:
        """The trouble at SumUp that the history began with; the machine says it beside the history."""
        self._machine.trouble = (switch, how)

    def come_to_rest(self) -> None:
        """The end of each history (`state.teardown()`): nothing may be left undone."""
        self._machine.teardown()


@pytest.fixture
def history(world: World) -> History:
    return History(world)


def test_a_reminder_that_falls_due_on_the_last_day_is_sent(history: History) -> None:
    """Seed 3159461722, shortened from 49 steps; the trouble was webhooks that never come, which it does not need."""
    history.open_the_shop(
        orders=[
            (1, [(0, 2), (0, 2)], ("delivery", "OVEN"), False),
            (0, [(4, 1), (7, 1)], ("market", "FRIENDS"), False),
        ]
    )
    history.pay(dice=5)
    history.mail_is_broken_for_days(dice=9, repaired=False)
    history.let_the_timers_run(each=timedelta(days=1, seconds=3600), rounds=4)
    history.mail_is_broken_for_days(dice=10, repaired=True)

    history.come_to_rest()


def test_places_on_their_way_to_another_date_are_not_cancelled_by_a_fact_alone(history: History) -> None:
    """Seed 3159461722, as it was found."""
    history.begin_with("webhooks", "never")
    history.open_the_shop(
        orders=[
            (1, [(0, 2), (0, 2)], ("delivery", ""), True),
            (1, [(8, 1), (0, 2)], ("", "GIFT"), True),
        ]
    )
    history.buy_and_move(bread=12, fate="left", quantity=2, where=(3, 6), who=2)
    history.sign_in(dice=10, person=0, to_checkout=True)
    history.fail_to_refund(dice=7, how="slow", part=Decimal("1.50"), times=1)
    history.choose_between_two(dice=7, own=True)
    history.wait(how_long=timedelta(seconds=360))
    history.confirm_an_address(person=0)
    history.sign_out(who=3)
    history.place_the_same_cart_again(dice=9)
    history.fail_to_refund(dice=7, how="429_retry_after", part=Decimal("0.50"), times=3)
    history.start_to_pay(dice=3)
    history.fill_cart(agree=True, lines=[(10, 2)], who=2)
    history.change_price(dice=5, price=Decimal("7.77"))
    history.write_fact_down(dice=4, kind="cancelled", quantity=2)

    history.come_to_rest()


def test_what_came_back_and_was_paid_again_may_be_called_off_again(history: History) -> None:
    """Seed 346636365, shortened from 43 steps; it was the machine that knew of one payment for a line only."""
    history.open_the_shop(orders=[(1, [(8, 2), (2, 2), (10, 2)], ("market", "FRIENDS"), True)])
    history.call_off(counts=[2], dice=0, everything=True)
    history.revive_what_was_cancelled(dice=0)
    history.call_off(counts=[2, 1, 0], dice=0, everything=False)

    history.come_to_rest()
