"""How the simulator misbehaves: one document that tests and staff change while it runs."""

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Answers that come in place of the right one, before anything was done.
FAULTS = ("429", "429_retry_after", "500", "html")
# The choices of each switch; the first is how it stands when nobody touched it.
CHOICES: dict[str, tuple[str, ...]] = {
    # normal: at once. concurrent: two at the same moment. twice: the second a second later. late: after late_seconds.
    # out_of_order: the notice of a failed attempt comes a minute late, so that of a success overtakes it.
    "webhooks": ("normal", "never", "twice", "concurrent", "late", "out_of_order"),
    # Nothing is created by 429, 429_retry_after, 500 and html. response_lost, slow and 504 do create, then say so
    # never, too late, or wrongly: a gateway that gave up waiting knows nothing of what happened behind it.
    # webhook_first: a webhook about the checkout arrives before the answer does.
    "create": ("ok", "response_lost", *FAULTS, "504", "slow", "webhook_first"),
    # Of one checkout and of the list by reference. stale: as it was before its last change, for ten seconds.
    "read": ("ok", "stale", *FAULTS, "slow"),
    # 404_for_a_while: for ten seconds after the transaction was settled.
    "transaction_read": ("ok", "404_for_a_while", *FAULTS, "slow"),
    # payment_in_flight_wins: DELETE answers 200 EXPIRED, and a payment already under way still makes it PAID.
    # response_lost and slow do deactivate, the others change nothing.
    "delete": ("ok", "payment_in_flight_wins", "response_lost", *FAULTS, "slow"),
    # Nothing is refunded by 200_failed, 409, 422, 429, 429_retry_after, 500 and html. All others do refund, and answer
    # with 201, 204, nothing at all, too late, or wrongly. event_late: the API tells of it after event_late_seconds.
    "refund": ("201", "204", "200_failed", "409", "422", "event_late", "response_lost", *FAULTS, "504", "slow"),
    # What the status of a refunded transaction becomes: what was seen in the sandbox, or what the reference says.
    "refunded_status": ("stays_successful", "becomes_refunded"),
    # Whether a part of a payment can be refunded.
    "partial_refunds": ("allowed", "full_only"),
    "history": ("ok", *FAULTS, "slow"),
    "payouts": ("ok", *FAULTS, "slow"),
    # Whether the merchant account says that it is a sandbox.
    "merchant_sandbox": ("sandbox", "live"),
    # What the API says of an unpaid checkout once its page has closed, 30 minutes after creation.
    "session_over": ("stays_pending", "becomes_expired"),
    # How a challenge ends that nobody answers.
    "challenge": ("paid", "declined"),
    # Whether the reference of a FAILED or EXPIRED checkout may be used again.
    "references": ("burnt_forever", "freed_when_dead"),
}
# Each number's value when nobody touched it, and the most it may be.
NUMBERS: dict[str, tuple[int, int]] = {
    "settles_after": (0, 86_400),
    "challenge_seconds": (5, 86_400),
    "late_seconds": (3_600, 86_400),
    "event_late_seconds": (30, 86_400),
    # Real seconds: what waits for the answer is a real client.
    "slow_seconds": (30, 600),
    # Of the payments that are made from now on.
    "fee_percent": (2, 100),
}
# The switches that can be told to fall back by themselves, see Behaviour.take.
COUNTABLE = ("webhooks", "create", "read", "transaction_read", "delete", "refund", "history", "payouts")
MOST_TIMES = 1_000_000


class UnknownBehaviour(ValueError):
    """The document asks for something that does not exist. Its text says what."""


class Behaviour:
    """The switches as they stand. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Behave well again."""
        with self._lock:
            self._choices = {name: choices[0] for name, choices in CHOICES.items()}
            self._numbers: dict[str, float] = {name: default for name, (default, _) in NUMBERS.items()}
            self._times: dict[str, int] = {}

    def document(self) -> dict[str, Any]:
        """Everything as it stands, with how many more times the counted switches apply."""
        with self._lock:
            return {**self._choices, **self._numbers, "times": dict(self._times)}

    def change(self, document: Mapping[str, Any]) -> None:
        """Merge a document into the switches: all of it, or nothing when any of it is unknown.

        A switch that is set without a number of times stays set.
        """
        _check(document)
        times = document.get("times", {})
        with self._lock:
            self._choices.update({name: value for name, value in document.items() if name in CHOICES})
            self._numbers.update({name: float(value) for name, value in document.items() if name in NUMBERS})
            self._times = {name: left for name, left in self._times.items() if name not in document} | times

    def choice(self, name: str) -> str:
        """How a switch stands."""
        with self._lock:
            return self._choices[name]

    def number(self, name: str) -> float:
        """What a number is set to."""
        with self._lock:
            return self._numbers[name]

    def take(self, name: str) -> str:
        """How a switch stands, for one use of it: the last of a limited number of times sets it back."""
        with self._lock:
            value = self._choices[name]
            if name in self._times:
                self._times[name] -= 1
                if not self._times[name]:
                    del self._times[name]
                    self._choices[name] = CHOICES[name][0]
            return value


def _check(document: Mapping[str, Any]) -> None:
    for name, value in document.items():
        if name in CHOICES:
            _check_choice(name, value)
        elif name in NUMBERS:
            _check_number(name, value)
        elif name == "times":
            _check_times(value)
        else:
            known = ", ".join([*CHOICES, *NUMBERS, "times"])
            raise UnknownBehaviour(f"There is no behaviour called {name!r}; there are: {known}.")


def _check_choice(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in CHOICES[name]:
        raise UnknownBehaviour(f"{name} can be one of: {', '.join(CHOICES[name])}.")


def _check_number(name: str, value: Any) -> None:
    most = NUMBERS[name][1]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= most:
        raise UnknownBehaviour(f"{name} is a number from 0 to {most}.")


def _check_times(times: Any) -> None:
    if not isinstance(times, dict) or not set(times) <= set(COUNTABLE):
        raise UnknownBehaviour(f"times is an object that counts some of: {', '.join(COUNTABLE)}.")
    if not all(type(count) is int and 1 <= count <= MOST_TIMES for count in times.values()):
        raise UnknownBehaviour(f"Each of times is a whole number from 1 to {MOST_TIMES}.")
