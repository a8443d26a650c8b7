"""The one clock of the simulated world. Tests may move it forward."""

from datetime import UTC, datetime, timedelta

FURTHEST = timedelta(days=3650)


class Clock:
    """Real time plus however far it was moved ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The simulated time in UTC. It follows the wall clock, so tools that freeze time move it too."""
        return datetime.now(UTC) + self.ahead

    def advance(self, seconds: float) -> None:
        """Move the clock ahead by a number of seconds; ValueError when that is backwards or absurdly far."""
        ahead = self.ahead + timedelta(seconds=seconds)
        if seconds < 0 or ahead > FURTHEST:
            raise ValueError("The clock only moves forward, and at most ten years in all.")
        self.ahead = ahead

    def reset(self) -> None:
        """Back to real time."""
        self.ahead = timedelta(0)
