"""The frame of the JSON API for sibling services: who may ask, and how it says no (RFC 9457)."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.operation import PathView
from ninja.security import HttpBearer

from cartsite.problems import problem
from cartsite.siblings import sibling_of


class SiblingToken(HttpBearer):
    """A bearer token from INTERNAL_API_TOKENS; no cookie authenticates here."""

    def authenticate(self, request: HttpRequest, token: str) -> str | None:
        """The sibling's name; None if nobody has this token. Every known token is compared."""
        name = sibling_of(token)
        request.sibling = name  # type: ignore[attr-defined] # for the log
        return name


api = NinjaAPI(
    title="Rose Ash cart, for sibling services",
    version="1",
    auth=SiblingToken(),
    urls_namespace="internal",
    docs_url=None,
    openapi_url="/openapi.json",
)


@api.exception_handler(AuthenticationError)
def say_unauthorised(request: HttpRequest, error: Any) -> HttpResponse:
    response = problem(401, "Unauthorised", "Send `Authorization: Bearer <token>` with a token this service knows.")
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(ValidationError)
def say_invalid(request: HttpRequest, error: Any) -> HttpResponse:
    errors = [{"at": ".".join(str(part) for part in e["loc"]), "detail": e["msg"]} for e in error.errors]
    return problem(422, "Invalid request", "; ".join(f"{e['at']}: {e['detail']}" for e in errors), errors=errors)


@api.exception_handler(HttpError)
def say_http_error(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(error.status_code, "Request refused", error.message)


@api.exception_handler(Http404)
def say_not_found(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(404, "Not found", str(error) or "There is nothing at this address.")


def say_wrong_method(view: PathView) -> HttpResponse:
    allowed = sorted({method for operation in view.operations for method in operation.methods})
    response = problem(405, "Method not allowed", f"This address takes {' and '.join(allowed)} only.")
    response["Allow"] = ", ".join(allowed)
    return response


# ninja has no handler for this one, and would answer in plain text.
PathView._not_allowed = say_wrong_method  # type: ignore[method-assign, assignment]
