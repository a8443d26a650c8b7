"""Requests whose body is not in an encoding that we read: they get a 400, whatever they ask for.

Django takes any codec's name for a charset and fails over some of them, such as `rot13`, while it makes the request: no
middleware is asked by then. So what would fail is taken out before, and refused where pages can be shown.
"""

import codecs
from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext as _

from cartsite import sorry
from cartsite.problems import problem

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# By the names that Python has for them. Browsers and siblings send UTF-8.
READ = {"utf-8", "ascii", "iso8859-1", "cp1252"}
# No codec has this name, so Django passes over it.
UNREADABLE = "text/plain; charset=unreadable"


def is_readable(content_type: str) -> bool:
    """Whether a Content-Type names no charset, or one that we read."""
    try:
        _kind, parameters = parse_header_parameters(content_type)
        return "charset" not in parameters or codecs.lookup(parameters["charset"]).name in READ
    except (LookupError, ValueError):
        return False


def defuse(application: Application) -> Application:
    """WSGI: keep from Django what it would fail over."""

    def defused(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE", "")
        if not is_readable(content_type):
            is_json = content_type.lower().startswith("application/json")
            environ["CONTENT_TYPE"] = UNREADABLE.replace("text/plain", "application/json") if is_json else UNREADABLE
        return application(environ, start_response)

    return defused


def refuse_unreadable(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: say no in the form that is expected, JSON to those who send JSON."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if is_readable(request.META.get("CONTENT_TYPE", "")):
            return get_response(request)
        if request.content_type == "application/json":
            return problem(400, _("Bad request"), _("We read UTF-8, and not the charset that the Content-Type names."))
        return sorry.bad_request(request, ValueError("charset"))

    return middleware
