"""The API's part about money that has arrived: transactions, refunds, the history, and payouts."""

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

from payments.simulator.dialects import constraint, not_found, problem, with_faults
from payments.simulator.exchange import Answer, BadRequest, Request, Routes, answer_json
from payments.simulator.history import InvalidQuery, read_query
from payments.simulator.money import in_minor_units, is_amount
from payments.simulator.refusals import AmountRefused, NotRefundable, UnknownTransaction
from payments.simulator.statements import write_full_transaction, write_history, write_payout
from payments.simulator.world import Simulator


def read_transaction(world: Simulator, request: Request, merchant_code: str) -> Answer:
    """GET: one transaction, by its id or its code."""
    name = request.parameter("id") or request.parameter("transaction_code")
    if not name:
        return constraint("One of id, transaction_code must be given", "id")

    def read(fault: str) -> Answer:
        found = world.transaction(name) if merchant_code == world.merchant.code else None
        if not found or (fault == "404_for_a_while" and world.is_fresh(found.transaction)):
            return not_found()
        full_only = world.behaviour.choice("partial_refunds") == "full_only"
        return answer_json(200, write_full_transaction(found, world.merchant, request.origin, full_only=full_only))

    return with_faults(world.behaviour, "transaction_read", read)


# Refunds.


def refund(world: Simulator, request: Request, merchant_code: str, transaction_id: str) -> Answer:
    """POST: give money back. Nothing keeps a repeated call from doing it again."""
    if merchant_code != world.merchant.code:
        return problem(403, "forbidden", "Forbidden", detail="users is not allowed to make a refund")
    return with_faults(world.behaviour, "refund", partial(_refund, world, request, transaction_id, _answer_created))


def refund_the_old_way(world: Simulator, request: Request, transaction_id: str) -> Answer:
    """POST to the old address: the same, without a body in the answer."""
    return with_faults(world.behaviour, "refund", partial(_refund, world, request, transaction_id, _answer_empty))


def _answer_created() -> Answer:
    return answer_json(201, {})


def _answer_empty() -> Answer:
    return Answer(204)


def _refund(
    world: Simulator, request: Request, transaction_id: str, succeed: Callable[[], Answer], fault: str
) -> Answer:
    try:
        amount = _read_amount(request)
        left = world.refundable(transaction_id)
        if refusal := _refuse_on_purpose(fault, amount or left, left):
            return refusal
        late = world.behaviour.number("event_late_seconds") if fault == "event_late" else 0
        world.refund(transaction_id, amount, shown_after=late)
    except UnknownTransaction:
        return problem(404, "not-found", "Not Found", detail="Transaction not found")
    except BadRequest:
        return problem(400, "bad-request", "Bad Request", detail="amount must be greater than zero")
    except NotRefundable:
        return _conflict()
    except AmountRefused as error:
        return _unprocessable(str(error), error.reason, in_minor_units(left))
    return _answer_empty() if fault == "204" else succeed()


def _read_amount(request: Request) -> Any:
    """The amount in the body, or None for all that is left."""
    if not request.body.strip() or "amount" not in (document := request.document()):
        return None
    if not is_amount(document["amount"]):
        raise BadRequest("The amount must be greater than zero.")
    return document["amount"]


def _refuse_on_purpose(fault: str, amount: Any, left: Any) -> Answer | None:
    """The refusal that the behaviour asks for. Nothing is refunded, even where the status is 200."""
    if fault == "200_failed":
        return answer_json(200, {"status": "failed", "response_code": "51", "amount": in_minor_units(amount)})
    if fault == "409":
        return _conflict()
    if fault == "422":
        return _unprocessable("Amount exceeds the refundable amount", "amount_too_high", in_minor_units(left))
    return None


def _conflict() -> Answer:
    return problem(409, "conflict", "Conflict", detail="The transaction is not refundable in its current state")


def _unprocessable(detail: str, reason: str, most: int) -> Answer:
    error = {"code": "INVALID_AMOUNT", "detail": detail, "reason": reason, "max_refundable_amount": most}
    return problem(422, "unprocessable-entity", "Unprocessable Entity", detail="Refund failed.", errors=[error])


# The history.


def list_history(world: Simulator, request: Request, merchant_code: str) -> Answer:
    """GET: a page of what happened, by itself or with all the filters there are."""
    if merchant_code != world.merchant.code:
        return not_found()
    return with_faults(world.behaviour, "history", lambda _: _list_history(world, request))


def _list_history(world: Simulator, request: Request) -> Answer:
    try:
        page = world.history(read_query(request.query))
    except InvalidQuery as error:
        return answer_json(400, {"message": "Validation error", "error_code": "INVALID", "param": str(error)})
    return answer_json(200, write_history(page, world.merchant))


# Payouts.


def list_payouts(world: Simulator, request: Request, merchant_code: str) -> Answer:
    """GET: the payouts and deductions of some days, as a bare array."""
    if merchant_code != world.merchant.code:
        return not_found()
    return with_faults(world.behaviour, "payouts", lambda _: _list_payouts(world, request))


def _list_payouts(world: Simulator, request: Request) -> Answer:
    if faults := _find_payout_faults(request):
        return answer_json(400, faults)
    first, last = (date.fromisoformat(request.parameter(name) or "") for name in DAYS)
    if first > last:
        return answer_json(400, [{"error_code": "INVALID", "message": "negative date range"}])
    rows = [write_payout(*row) for row in world.payouts(first, last)]
    if request.parameter("order") == "desc":
        rows.reverse()
    return answer_json(200, rows[: int(request.parameter("limit") or len(rows))])


def _find_payout_faults(request: Request) -> list[dict[str, str]]:
    given = {name: request.parameter(name) for name in PAYOUT_CHECKS}
    missing = [name for name in DAYS if not given[name]]
    invalid = [name for name, value in given.items() if value and not PAYOUT_CHECKS[name](value)]
    return [_fault("MISSING", "required", n) for n in missing] + [_fault("INVALID", "invalid", n) for n in invalid]


def _fault(code: str, what: str, name: str) -> dict[str, str]:
    return {"error_code": code, "message": f"Validation error: {what}", "param": name}


def _is_limit(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4 and int(text) >= 1


def _is_day(text: str) -> bool:
    try:
        # Python knows other spellings of a date, which SumUp does not.
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


DAYS = ("start_date", "end_date")
PAYOUT_CHECKS: dict[str, Callable[[str], bool]] = {
    "start_date": _is_day,
    "end_date": _is_day,
    "limit": _is_limit,
    "order": lambda text: text in {"asc", "desc"},
    # There is a CSV form, which nobody here reads.
    "format": lambda text: text == "json",
}

MONEY_ROUTES: Routes = (
    ("GET", "/v2.1/merchants/*/transactions", read_transaction),
    ("GET", "/v2.1/merchants/*/transactions/history", list_history),
    ("POST", "/v1.0/merchants/*/payments/*/refunds", refund),
    ("POST", "/v0.1/me/refund/*", refund_the_old_way),
    ("GET", "/v1.0/merchants/*/payouts", list_payouts),
)
