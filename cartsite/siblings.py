"""Sibling services and the JSON API: who they are, what they send and are told, and the log of what they did."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from ninja import Schema
from pydantic import ConfigDict

from cartsite.problems import problem

logger = logging.getLogger(__name__)


def sibling_of(token: str) -> str | None:
    """The name of the sibling that has this token, or None."""
    known = settings.INTERNAL_API_TOKENS.items()
    fitting = [name for name, secret in known if constant_time_compare(secret, token)]
    return fitting[0] if fitting else None


class Given(Schema):
    """What a sibling sends. A field that we do not know is refused: a misspelt one must not be passed over."""

    model_config = ConfigDict(extra="forbid")


PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, in a sentence."},
        "errors": {
            "type": "array",
            "description": "With 422: each fault of the request.",
            "items": {
                "type": "object",
                "required": ["at", "detail"],
                "properties": {"at": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
# What every address may answer: see the handlers in cartsite/api.py, refuse_plain_http, and cartsite/sorry.py.
ALWAYS = (401, 403, 422, 500, 503)


def describe_problems(*more: int) -> dict[str, Any]:
    """What the OpenAPI document says of an operation's errors: those that each has, and these HTTP statuses."""
    content = {"application/problem+json": {"schema": PROBLEM_SCHEMA}}
    statuses = sorted({*ALWAYS, *more})
    return {
        "responses": {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
    }


def guard_siblings(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware around the API's addresses: it answers over https only, and logs which sibling did what.

    Redirecting to https, as pages do, would come after the token has travelled in clear.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/internal/"):
            return get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            response: HttpResponse = refuse_plain_http(request)
        else:
            response = get_response(request)
        # The query is left out: it may hold the token of a cart.
        name = getattr(request, "sibling", None) or "nobody known"
        logger.info("%s: %s %s answered %d", name, request.method, request.path, response.status_code)
        return response

    return middleware


def refuse_plain_http(request: HttpRequest) -> HttpResponse:
    """The answer to a request over plain http; a token that came with it is said in the log to be spent."""
    _scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if name := sibling_of(token):
        logger.warning("%s sent its token over plain http: give it a fresh one in INTERNAL_API_TOKENS", name)
    return problem(403, "Use https", "This address answers over https only. Change the token if you sent one.")
