"""The API of SumUp, as far as it is simulated: the paths, the faults on the way, and the dialects of refusal."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from hmac import compare_digest
from typing import Any

from payments.simulator.answers import write_checkout, write_full_transaction, write_merchant
from payments.simulator.checkouts import Checkout
from payments.simulator.creating import InvalidFields
from payments.simulator.exchange import (
    Answer,
    BadRequest,
    NoSuchMethod,
    NoSuchPath,
    Request,
    Routes,
    answer_html,
    answer_json,
    find_handler,
)
from payments.simulator.world import (
    AlreadyProcessed,
    DuplicateReference,
    ForeignMerchant,
    SeenRequest,
    Simulator,
    UnknownCheckout,
)

RETRY_AFTER = "2"
# In place of the answer, before anything was done.
FAULTS: dict[str, Callable[[], Answer]] = {
    "429": lambda: problem(429, "too-many-requests", "Too many requests"),
    "429_retry_after": lambda: _with_header(FAULTS["429"](), "Retry-After", RETRY_AFTER),
    "500": lambda: problem(500, "internal-error", "Internal server error"),
    "html": lambda: answer_html(502, "<html><body><h1>502 Bad Gateway</h1> (SIMULATION)</body></html>"),
}


def answer_api(world: Simulator, request: Request) -> Answer:
    """Answer one call of the API, and remember it."""
    answer = _answer(world, request)
    status = None if answer.lost else answer.status
    now = world.clock.now().isoformat()
    reference = _reference_in(request)
    world.remember(SeenRequest(now, request.method, request.path, request.query, status, reference))
    return answer


def _reference_in(request: Request) -> str | None:
    if request.method != "POST":
        return request.parameter("checkout_reference")
    try:
        reference = request.document().get("checkout_reference")
    except BadRequest:
        return None
    return reference if isinstance(reference, str) else None


def _answer(world: Simulator, request: Request) -> Answer:
    if not _is_authorised(world, request):
        return problem(401, "unauthorized", "Unauthorized", detail="Unauthorized.")
    try:
        handler, parts = find_handler(ROUTES, request.method, request.path)
        return handler(world, request, *parts)
    except NoSuchPath:
        return problem(404, "not-found", "Requested resource couldn't be found.")
    except NoSuchMethod:
        return problem(405, "method-not-allowed", "Method not allowed")
    except BadRequest as error:
        return legacy(400, "INVALID", str(error))
    except UnknownCheckout:
        return not_found()


def _is_authorised(world: Simulator, request: Request) -> bool:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    right = world.merchant.api_key.encode()
    return scheme.lower() == "bearer" and compare_digest(key.strip().encode("utf-8", "replace"), right)


# The checkouts.


def create_checkout(world: Simulator, request: Request) -> Answer:
    """POST: a new checkout, if the faults of the day allow."""
    fault = world.behaviour.take("create")
    if fault in FAULTS:
        return FAULTS[fault]()
    answer = _create(world, request)
    if fault == "504":
        return problem(504, "gateway-timeout", "Gateway timeout")
    return replace(answer, lost=fault == "response_lost", delay=_slowness(world, fault))


def _create(world: Simulator, request: Request) -> Answer:
    try:
        return answer_json(201, _write(world, request, world.create(request.document())))
    except BadRequest as error:
        return legacy(400, "INVALID", str(error))
    except InvalidFields as error:
        # One fault comes as an object, several as a list: both were seen.
        return answer_json(400, error.faults[0] if len(error.faults) == 1 else error.faults)
    except ForeignMerchant:
        return gateway(403, "FORBIDDEN", "checkout_payments_not_allowed")
    except DuplicateReference:
        message = "Checkout with this checkout reference and pay to email already exists"
        return legacy(409, "DUPLICATED_CHECKOUT", message)


def read_checkout(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """GET: one checkout."""
    return _read(world, lambda stale: _write(world, request, world.read(checkout_id, stale=stale)))


def find_checkouts(world: Simulator, request: Request) -> Answer:
    """GET: the checkouts with a reference, as an array."""
    reference = request.parameter("checkout_reference")
    if reference is None:
        # What SumUp does without the filter is not known. We want to hear of it when we forget it.
        return _constraint("checkout_reference must be given", "checkout_reference")
    return _read(world, lambda stale: [_write(world, request, c) for c in world.find(reference, stale=stale)])


def _read(world: Simulator, look: Callable[[bool], Any]) -> Answer:
    fault = world.behaviour.take("read")
    if fault in FAULTS:
        return FAULTS[fault]()
    return replace(answer_json(200, look(fault == "stale")), delay=_slowness(world, fault))


def _slowness(world: Simulator, fault: str) -> float:
    return world.behaviour.number("slow_seconds") if fault == "slow" else 0


def delete_checkout(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """DELETE: no more payments on this checkout, unless one is under way and the behaviour lets it win."""
    fault = world.behaviour.take("delete")
    if fault in FAULTS:
        return FAULTS[fault]()
    try:
        checkout = world.delete(checkout_id, in_flight_wins=fault == "payment_in_flight_wins")
    except AlreadyProcessed:
        return legacy(409, "CHECKOUT_PROCESSED", "Checkout is already processed")
    return answer_json(200, _write(world, request, checkout))


def _write(world: Simulator, request: Request, checkout: Checkout) -> dict[str, Any]:
    return write_checkout(checkout, world.merchant, request.origin)


# Transactions and the merchant.


def read_transaction(world: Simulator, request: Request, merchant_code: str) -> Answer:
    """GET: one transaction, by its id or its code."""
    name = request.parameter("id") or request.parameter("transaction_code")
    if not name:
        return _constraint("One of id, transaction_code must be given", "id")
    found = world.transaction(name) if merchant_code == world.merchant.code else None
    hidden = world.behaviour.take("transaction_read") == "404_for_a_while"
    if not found or (hidden and world.is_fresh(found[1])):
        return not_found()
    return answer_json(200, write_full_transaction(*found))


def read_merchant(world: Simulator, request: Request, merchant_code: str) -> Answer:
    """GET: the merchant account the key belongs to."""
    if merchant_code != world.merchant.code:
        return problem(404, "not-found", "Requested resource couldn't be found.")
    return answer_json(200, write_merchant(world.merchant))


# A path with a slash at its end matches none of these, and SumUp refuses it too.
ROUTES: Routes = (
    ("POST", "/v0.1/checkouts", create_checkout),
    ("GET", "/v0.1/checkouts", find_checkouts),
    ("GET", "/v0.1/checkouts/*", read_checkout),
    ("DELETE", "/v0.1/checkouts/*", delete_checkout),
    ("GET", "/v2.1/merchants/*/transactions", read_transaction),
    ("GET", "/v1/merchants/*", read_merchant),
)


# The dialects in which SumUp says no.


def legacy(status: int, code: str, message: str) -> Answer:
    """The oldest dialect."""
    return answer_json(status, {"error_code": code, "message": message})


def not_found() -> Answer:
    """There is no such thing, or it belongs to somebody else."""
    return legacy(404, "NOT_FOUND", "Resource not found")


def gateway(status: int, code: str, message: str) -> Answer:
    """The dialect whose status is a text."""
    return answer_json(status, {"error_message": message, "error_code": code, "status_code": str(status)})


def problem(status: int, kind: str, title: str, **more: str) -> Answer:
    """The newest dialect, RFC 9457."""
    document = {"type": f"https://developer.sumup.com/problem/{kind}", "title": title, "status": status}
    answer = answer_json(status, document | more | {"trace_id": secrets.token_hex(16)})
    return replace(answer, content_type="application/problem+json")


def _constraint(message: str, parameter: str) -> Answer:
    """The dialect of the transactions' endpoints."""
    constraint = {"message": message, "reference": parameter}
    details = {"title": "Bad Request", "details": "One or more of the parameters are invalid.", "status": 400}
    return answer_json(400, details | {"failed_constraints": [constraint]})


def _with_header(answer: Answer, name: str, value: str) -> Answer:
    return replace(answer, headers={**answer.headers, name: value})
