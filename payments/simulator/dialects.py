"""The dialects in which SumUp says no."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from payments.simulator.behaviour import Behaviour
from payments.simulator.exchange import Answer, answer_html, answer_json

RETRY_AFTER = "2"


def legacy(status: int, code: str, message: str) -> Answer:
    """The oldest dialect."""
    return answer_json(status, {"error_code": code, "message": message})


def not_found() -> Answer:
    """There is no such thing, or it belongs to somebody else."""
    return legacy(404, "NOT_FOUND", "Resource not found")


def gateway(status: int, code: str, message: str) -> Answer:
    """The dialect whose status is a text."""
    return answer_json(status, {"error_message": message, "error_code": code, "status_code": str(status)})


def problem(status: int, kind: str, title: str, **more: Any) -> Answer:
    """The newest dialect, RFC 9457."""
    document = {"type": f"https://developer.sumup.com/problem/{kind}", "title": title, "status": status}
    answer = answer_json(status, document | more | {"trace_id": secrets.token_hex(16)})
    return replace(answer, content_type="application/problem+json")


def constraint(message: str, parameter: str) -> Answer:
    """The dialect of the transactions' endpoints."""
    failed = {"message": message, "reference": parameter}
    details = {"title": "Bad Request", "details": "One or more of the parameters are invalid.", "status": 400}
    return answer_json(400, details | {"failed_constraints": [failed]})


def _too_many(**headers: str) -> Answer:
    return replace(problem(429, "too-many-requests", "Too many requests"), headers=headers)


# In place of the answer, before anything was done.
FAULTS: dict[str, Callable[[], Answer]] = {
    "429": _too_many,
    "429_retry_after": lambda: _too_many(**{"Retry-After": RETRY_AFTER}),
    "500": lambda: problem(500, "internal-error", "Internal server error"),
    "html": lambda: answer_html(502, "<html><body><h1>502 Bad Gateway</h1> (SIMULATION)</body></html>"),
}


def with_faults(behaviour: Behaviour, switch: str, do: Callable[[str], Answer]) -> Answer:
    """Let a switch of the behaviour come between a call and what it does, or between that and its answer."""
    fault = behaviour.take(switch)
    if fault in FAULTS:
        return FAULTS[fault]()
    answer = do(fault)
    if fault == "504":
        return problem(504, "gateway-timeout", "Gateway timeout")
    return replace(answer, lost=fault == "response_lost", delay=behaviour.number("slow_seconds") * (fault == "slow"))
