"""The API of SumUp, as far as it is simulated: the key, the paths, and checkouts."""

from collections.abc import Callable
from functools import partial
from hmac import compare_digest
from typing import Any

from payments.simulator.answers import write_checkout, write_merchant
from payments.simulator.checkouts import Checkout
from payments.simulator.creating import InvalidFields
from payments.simulator.dialects import constraint, gateway, legacy, not_found, problem, with_faults
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
from payments.simulator.money_api import MONEY_ROUTES
from payments.simulator.refusals import AlreadyProcessed, DuplicateReference, ForeignMerchant, UnknownCheckout
from payments.simulator.world import SeenRequest, Simulator


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
    return with_faults(world.behaviour, "create", partial(_create, world, request))


def _create(world: Simulator, request: Request, fault: str) -> Answer:
    try:
        checkout = world.create(request.document())
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
    if fault == "webhook_first":
        world.notify(checkout.id)
        world.tick()
        world.wait_for_webhooks()
    return answer_json(201, _write(world, request, checkout))


def read_checkout(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """GET: one checkout."""
    return _read(world, lambda stale: _write(world, request, world.read(checkout_id, stale=stale)))


def find_checkouts(world: Simulator, request: Request) -> Answer:
    """GET: the checkouts with a reference, as an array."""
    reference = request.parameter("checkout_reference")
    if reference is None:
        # What SumUp does without the filter is not known. We want to hear of it when we forget it.
        return constraint("checkout_reference must be given", "checkout_reference")
    return _read(world, lambda stale: [_write(world, request, c) for c in world.find(reference, stale=stale)])


def _read(world: Simulator, look: Callable[[bool], Any]) -> Answer:
    return with_faults(world.behaviour, "read", lambda fault: answer_json(200, look(fault == "stale")))


def delete_checkout(world: Simulator, request: Request, checkout_id: str) -> Answer:
    """DELETE: no more payments on this checkout, unless one is under way and the behaviour lets it win."""
    return with_faults(world.behaviour, "delete", partial(_delete, world, request, checkout_id))


def _delete(world: Simulator, request: Request, checkout_id: str, fault: str) -> Answer:
    try:
        checkout = world.delete(checkout_id, in_flight_wins=fault == "payment_in_flight_wins")
    except AlreadyProcessed:
        return legacy(409, "CHECKOUT_PROCESSED", "Checkout is already processed")
    return answer_json(200, _write(world, request, checkout))


def _write(world: Simulator, request: Request, checkout: Checkout) -> dict[str, Any]:
    return write_checkout(checkout, world.merchant, request.origin, sandbox=_is_sandbox(world))


# The merchant.


def read_merchant(world: Simulator, request: Request, merchant_code: str) -> Answer:
    """GET: the merchant account the key belongs to."""
    if merchant_code != world.merchant.code:
        return problem(404, "not-found", "Requested resource couldn't be found.")
    return answer_json(200, write_merchant(world.merchant, sandbox=_is_sandbox(world)))


def _is_sandbox(world: Simulator) -> bool:
    return world.behaviour.choice("merchant_sandbox") == "sandbox"


# A path with a slash at its end matches none of these, and SumUp refuses it too.
ROUTES: Routes = (
    ("POST", "/v0.1/checkouts", create_checkout),
    ("GET", "/v0.1/checkouts", find_checkouts),
    ("GET", "/v0.1/checkouts/*", read_checkout),
    ("DELETE", "/v0.1/checkouts/*", delete_checkout),
    ("GET", "/v1/merchants/*", read_merchant),
    *MONEY_ROUTES,
)
