"""The levers behind the scenes, as JSON under /simulator: what SumUp does not have, and tests need."""

from collections.abc import Sized
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from payments.simulator.answers import write_checkout
from payments.simulator.behaviour import UnknownBehaviour
from payments.simulator.checkouts import Checkout
from payments.simulator.creating import CURRENCIES
from payments.simulator.exchange import (
    Answer,
    BadRequest,
    NoSuchMethod,
    NoSuchPath,
    Request,
    Routes,
    answer_json,
    find_handler,
)
from payments.simulator.refusals import BadAmount, Refused, UnknownCheckout, UnknownTransaction
from payments.simulator.statements import write_full_transaction
from payments.simulator.webhooks import STATUS_CHANGED
from payments.simulator.world import Simulator

STYLE = Path(__file__).parent / "pages" / "style.css"
LONGEST_WORD = 200
MOST_PAYMENTS = 200_000


def answer_driver(world: Simulator, request: Request) -> Answer:
    """Answer a call of the levers; every refusal is a sentence."""
    try:
        handler, parts = find_handler(ROUTES, request.method, request.path)
        return handler(world, request, *parts)
    except NoSuchPath:
        return _refuse(404, "There is no such lever.")
    except NoSuchMethod:
        return _refuse(405, "This lever does not work that way.")
    except (Refused, BadRequest, UnknownBehaviour) as error:
        return _refuse(_status_of(error), str(error))


def _status_of(error: Exception) -> int:
    if isinstance(error, UnknownCheckout | UnknownTransaction):
        return 404
    return 400 if isinstance(error, BadAmount | BadRequest | UnknownBehaviour) else 409


def _refuse(status: int, sentence: str) -> Answer:
    return answer_json(status, {"error": sentence})


def _show(world: Simulator, request: Request, checkout: Checkout) -> Answer:
    return answer_json(200, write_checkout(world.read(checkout.id), world.merchant, request.origin))


# What a payer would do.


def pay(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """Pay with a good card."""
    return _show(world, request, world.pay(checkout_id))


def decline(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """Try a bad card."""
    return _show(world, request, world.decline(checkout_id))


def challenge(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """Be asked by the bank."""
    return _show(world, request, world.challenge(checkout_id))


def approve(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """Tell the bank yes."""
    return _show(world, request, world.answer_challenge(checkout_id, approve=True))


def reject(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """Tell the bank no."""
    return _show(world, request, world.answer_challenge(checkout_id, approve=False))


# What nobody should do.


def notify(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """Send a webhook out of turn; {"event_type": ..., "id": ...} makes it an unknown or a forged one."""
    document = request.document() if request.body else {}
    event_type, subject = document.get("event_type", STATUS_CHANGED), document.get("id", checkout_id)
    if not _is_word(event_type) or not _is_word(subject):
        raise BadRequest("event_type and id are texts.")
    return _show(world, request, world.notify(checkout_id, event_type=event_type, subject=subject))


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_WORD


# What happens to money outside of the shop.


def refund(world: Simulator, request: Request, name: str) -> Answer:
    """Refund a transaction in the dashboard; {"amount": ...} for a part of it."""
    world.refund_in_dashboard(name, _read_amount(request))
    return _show_transaction(world, request, name)


def charge_back(world: Simulator, request: Request, name: str) -> Answer:
    """The payer's bank takes it back; {"amount": ...} for a part of it."""
    world.charge_back(name, _read_amount(request))
    return _show_transaction(world, request, name)


def _read_amount(request: Request) -> Any:
    return request.document().get("amount") if request.body else None


def _show_transaction(world: Simulator, request: Request, name: str) -> Answer:
    if not (found := world.transaction(name)):
        raise UnknownTransaction("There is no such transaction.")
    return answer_json(200, write_full_transaction(found, world.merchant, request.origin))


def take_payments(world: Simulator, request: Request) -> Answer:
    """A payment at a card reader: {"amount", "description", "currency"}; with "count", that many of them."""
    document = request.document()
    count, currency, amount = document.get("count", 1), document.get("currency"), document.get("amount")
    if amount is None:
        raise BadRequest("amount is missing.")
    if type(count) is not int or not 1 <= count <= MOST_PAYMENTS:
        raise BadRequest(f"count is a whole number from 1 to {MOST_PAYMENTS}.")
    if currency is not None and currency not in CURRENCIES:
        raise BadRequest(f"currency can be one of: {', '.join(CURRENCIES)}.")
    description = document.get("description", "")
    if not isinstance(description, str) or len(description) > LONGEST_WORD:
        raise BadRequest(f"description is a text of at most {LONGEST_WORD} characters.")
    taken = world.fill(count, amount=amount, description=description, currency=currency)
    return _show_transaction(world, request, taken[0].id) if "count" not in document else _count("payments", taken)


def pay_out(world: Simulator, request: Request) -> Answer:
    """Pay out what was not paid out yet; {"day": "YYYY-MM-DD"} to date it."""
    day = request.document().get("day") if request.body else None
    try:
        return _count("payouts", world.pay_out(day and date.fromisoformat(day)))
    except (TypeError, ValueError) as error:
        raise BadRequest("day is a date: YYYY-MM-DD.") from error


def _count(name: str, things: Sized) -> Answer:
    return answer_json(200, {name: len(things)})


# The world as a whole.


def list_checkouts(world: Simulator, request: Request) -> Answer:
    """All checkouts, oldest first, as the API would give them."""
    return answer_json(200, [write_checkout(c, world.merchant, request.origin) for c in world.checkouts()])


def list_requests(world: Simulator, request: Request) -> Answer:
    """The latest calls of the API, oldest first."""
    return answer_json(200, [asdict(seen) for seen in world.requests])


def read_behaviour(world: Simulator, request: Request) -> Answer:
    """How the simulator misbehaves."""
    return answer_json(200, world.behaviour.document())


def change_behaviour(world: Simulator, request: Request) -> Answer:
    """Merge a document into the behaviour."""
    world.behaviour.change(request.document())
    return read_behaviour(world, request)


def read_clock(world: Simulator, request: Request) -> Answer:
    """What time it is here, and how many seconds that is ahead."""
    return answer_json(200, {"now": world.clock.now().isoformat(), "ahead": world.clock.ahead.total_seconds()})


def advance_clock(world: Simulator, request: Request) -> Answer:
    """Move the clock: {"advance": seconds}."""
    seconds = request.document().get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        raise BadRequest("advance is a number of seconds.")
    try:
        world.advance(float(seconds))
    except (ValueError, OverflowError) as error:
        raise BadRequest("advance is a number of seconds from 0, and at most ten years in all.") from error
    return read_clock(world, request)


def reset(world: Simulator, request: Request) -> Answer:
    """Start again with an empty world."""
    world.reset()
    return answer_json(200, {"checkouts": 0})


def read_style(world: Simulator, request: Request) -> Answer:
    """How the pages look."""
    return Answer(200, STYLE.read_bytes(), "text/css; charset=utf-8")


ROUTES: Routes = (
    ("GET", "/simulator/style.css", read_style),
    ("GET", "/simulator/checkouts", list_checkouts),
    ("POST", "/simulator/checkouts/*/pay", pay),
    ("POST", "/simulator/checkouts/*/decline", decline),
    ("POST", "/simulator/checkouts/*/challenge", challenge),
    ("POST", "/simulator/checkouts/*/approve", approve),
    ("POST", "/simulator/checkouts/*/reject", reject),
    ("POST", "/simulator/checkouts/*/notify", notify),
    ("POST", "/simulator/transactions/*/refund", refund),
    ("POST", "/simulator/transactions/*/charge_back", charge_back),
    ("POST", "/simulator/payments", take_payments),
    ("POST", "/simulator/payouts", pay_out),
    ("GET", "/simulator/requests", list_requests),
    ("GET", "/simulator/behaviour", read_behaviour),
    ("PUT", "/simulator/behaviour", change_behaviour),
    ("GET", "/simulator/clock", read_clock),
    ("POST", "/simulator/clock", advance_clock),
    ("POST", "/simulator/reset", reset),
)
