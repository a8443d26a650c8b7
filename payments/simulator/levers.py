"""The forms of the first page: what staff do there."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from payments.simulator.behaviour import CHOICES, NUMBERS, UnknownBehaviour
from payments.simulator.exchange import Answer, BadRequest, Request, see_other
from payments.simulator.refusals import Refused
from payments.simulator.rendering import answer_message
from payments.simulator.world import Simulator

T = TypeVar("T")

STEPS = {"60": "1 minute", "300": "5 minutes", "1800": "30 minutes", "7200": "2 hours", "86400": "1 day"}


def post_overview(world: Simulator, request: Request) -> Answer:
    """POST: pull a lever, then show the page again where it was."""
    try:
        return see_other(f"/#{_pull(world, request)}")
    except Refused as error:
        return answer_message(409, "Not possible", str(error))
    except (BadRequest, UnknownBehaviour) as error:
        return answer_message(400, "Not possible", str(error))


def _pull(world: Simulator, request: Request) -> str:
    """Do what the form asks, and say in which part of the page."""
    for field, (part, lever) in LEVERS.items():
        if (value := request.field(field)) is not None:
            lever(world, request, value)
            return part
    if name := next((name for name in (*CHOICES, *NUMBERS) if request.field(name) is not None), None):
        _set_switch(world, request, name)
        return "behaviour"
    raise BadRequest("Choose one of the buttons.")


def _try_to_pay(world: Simulator, request: Request, outcome: str) -> None:
    outcomes = {"pay": world.pay, "decline": world.decline}
    _choose(outcomes, outcome)(request.field("checkout") or "")


def _go_outside(world: Simulator, request: Request, action: str) -> None:
    actions: dict[str, Callable[[], Any]] = {
        "refund": lambda: world.refund_in_dashboard(request.field("transaction") or "", _read_amount(request)),
        "charge_back": lambda: world.charge_back(request.field("transaction") or "", _read_amount(request)),
        "stray": lambda: world.take_stray_payment(_read_amount(request) or 0, request.field("description") or ""),
        "reader": lambda: world.take_reader_payment(_read_amount(request) or 0, request.field("description") or ""),
        "pay_out": lambda: world.pay_out(_read_day(request)),
    }
    _choose(actions, action)()


def _move_clock(world: Simulator, _: Request, step: str) -> None:
    if step not in STEPS:
        raise BadRequest("Choose one of the steps.")
    world.advance(int(step))


def _choose(actions: dict[str, Callable[..., Any]], name: str) -> Callable[..., Any]:
    if name not in actions:
        raise BadRequest("Choose one of the buttons.")
    return actions[name]


def _read_amount(request: Request) -> Decimal | None:
    """The amount in the form; without one, all that is left is meant."""
    text = (request.field("amount") or "").strip()
    return _convert(Decimal, text, "The amount is not a number.") if text else None


def _read_day(request: Request) -> date | None:
    text = request.field("day")
    return _convert(date.fromisoformat, text, "The day is not a date.") if text else None


def _set_switch(world: Simulator, request: Request, name: str) -> None:
    value: Any = request.field(name)
    if name in NUMBERS:
        value = _convert(float, value, f"{name} is a number.")
    document: dict[str, Any] = {name: value}
    if times := (request.field("times") or "").strip():
        document["times"] = {name: _convert(int, times, "The number of times is a whole number.")}
    world.behave(**document)


def _convert(kind: Callable[[str], T], text: str, refusal: str) -> T:
    try:
        return kind(text)
    except (ValueError, InvalidOperation) as error:
        raise BadRequest(refusal) from error


# A form says with one of these fields what it is about. All others set a switch.
LEVERS: dict[str, tuple[str, Callable[[Simulator, Request, str], None]]] = {
    "outcome": ("checkouts", _try_to_pay),
    "outside": ("transactions", _go_outside),
    "advance": ("clock", _move_clock),
}
