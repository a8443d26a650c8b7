"""What happens by itself: each sweep, the workers, and time going by."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st

from bookings import waiting
from bookings.tasks import give_expired_back
from cart.tasks import purge_abandoned
from cartsite.models import Case
from orders import mail, reminders
from payments import calling_off, closing, history, late, refunds, releasing, sweeping
from tests.machine.acts import Acts, act


def close_due() -> None:
    closing.close_due(stop_at=timezone.now() + timedelta(minutes=5))


SWEEPS: dict[str, Callable[[], Any]] = {
    "payments": sweeping.sweep,
    "releases": releasing.sweep,
    "refunds": refunds.sweep,
    "history": history.sweep,
    "late": late.send_back_by_itself,
    "called off": calling_off.sweep,
    "holds": give_expired_back,
    "lines": waiting.sweep,
    "who never confirmed": waiting.forget_unconfirmed,
    "lines that ended": waiting.purge_personal_data,
    "reminders": reminders.owe_due,
    "cases": Case.wake_up,
    "days": close_due,
    "carts": purge_abandoned,
    "mail": mail.send_owed,  # the last, so that after a round nothing is owed that the round itself caused
}
WAITS = st.sampled_from(
    [timedelta(**wait) for wait in ({"seconds": 4}, {"seconds": 11}, {"minutes": 1}, {"minutes": 6}, {"minutes": 31})]
)
LONG_WAITS = st.sampled_from([timedelta(minutes=50), timedelta(hours=6), timedelta(days=1, hours=1), timedelta(days=3)])


class Timers(Acts):
    """The clockwork."""

    @act(which=st.sampled_from(sorted(SWEEPS)))
    def sweep(self, which: str) -> None:
        self.coverage.rules[f"sweep {which}"] += 1
        SWEEPS[which]()

    @act()
    def sweep_about_money(self) -> None:
        for which in ("payments", "releases", "refunds", "history"):
            SWEEPS[which]()

    @act(die=st.booleans())
    def workers_work(self, die: bool) -> None:
        """Or die, and what was asked for is lost: only the sweeps know."""
        if die:
            self.world.soon.clear()
        self.world.work()

    @act(how_long=WAITS)
    def wait(self, how_long: timedelta) -> None:
        self.world.wait(how_long)

    @act(how_long=LONG_WAITS)
    def wait_long(self, how_long: timedelta) -> None:
        """Nobody was at work meanwhile."""
        self.world.wait(how_long)

    @act(rounds=st.integers(2, 5), each=st.one_of(WAITS, LONG_WAITS))
    def let_the_timers_run(self, rounds: int, each: timedelta) -> None:
        for _round in range(rounds):
            self.world.wait(each)
            for sweep in SWEEPS.values():
                sweep()
