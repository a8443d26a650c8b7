"""What is said when something is wrong: a sentence on a page for people, an RFC 9457 document for siblings."""

import sys
from collections.abc import Iterator

from django.contrib import admin
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from cartsite import alerts
from cartsite.problems import problem

RETRY_AFTER = 10  # seconds; a database that was restarted, or replaced by its standby, is back by then
# PostgreSQL's classes of errors that mean it is away, not that we asked for something wrong: no connection, no room,
# told to stop. Without a code the connection itself was lost, or never made.
AWAY = ("08", "53", "57P")


def _say(request: HttpRequest, status: int, title: str, detail: str) -> HttpResponse:
    """The same sentence for people (a page of the shop or of the back office) and for siblings (RFC 9457)."""
    if request.path_info.startswith("/internal/"):
        return problem(status, title, detail)
    told = {"title": title, "detail": detail}
    if is_at_the_back_office(request):
        return render(request, "admin/sorry.html", admin.site.each_context(request) | told, status=status)
    return render(request, "cartsite/sorry.html", told, status=status)


def is_at_the_back_office(request: HttpRequest) -> bool:
    """Whether staff asked for one of its pages; what a script asked for fits into a page that they have."""
    user, is_fragment = getattr(request, "user", None), getattr(request, "htmx", False)
    return request.path_info.startswith(reverse("admin:index")) and bool(user and user.is_staff) and not is_fragment


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    detail = _("There is nothing at this address, or it is not yours to see.")
    if is_at_the_back_office(request):
        detail = _("There is no such page or record: it was removed, or its address was mistyped.")
    return _say(request, 404, _("Not found"), detail)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    detail = _("You may not do this.")
    if is_at_the_back_office(request):
        detail = _("Your account does not have the right to do this. An administrator can give it to you.")
    return _say(request, 403, _("Not allowed"), detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 400, _("Bad request"), _("Your browser sent something we could not read."))


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's CSRF token is missing or old."""
    detail = _("This page was open for too long, or cookies are switched off. Go back, reload the page and try again.")
    return _say(request, 403, _("Please try again"), detail)


def too_many(request: HttpRequest) -> HttpResponse:
    detail = _("That was a lot in a short time. Please wait a few minutes and try again; nothing was lost.")
    return _say(request, 429, _("One moment, please"), detail)


def mail_is_down(request: HttpRequest) -> HttpResponse:
    """A mail that somebody waits for could not be handed over."""
    detail = _(
        "We could not send the mail: our mail service does not answer, or refuses this address. Nothing was lost. "
    )
    advice = _("Please look at the address and try again in a few minutes. You can order without an account meanwhile.")
    return _say(request, 503, _("We cannot send mail just now"), detail + advice)


def broken(request: HttpRequest) -> HttpResponse:
    """Answer a request that ended in an error of ours: 503 if only the database is away, else 500."""
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    if error is not None and is_database_away(error):
        return database_is_away(request)
    detail = _("It is our fault. Please try again in a minute.")
    if alerts.is_anybody_told():
        detail = _("It is our fault, and we were told. Please try again in a minute.")
    return _say_without_help(request, 500, _("Something went wrong"), detail)


def database_is_away(request: HttpRequest) -> HttpResponse:
    """503 with Retry-After: our database does not answer, and most often does again within seconds."""
    detail = _(
        "We cannot look up or change anything for the moment. What you did before is safe, and if you have just paid, "
        "your order will show it. Please try again in half a minute."
    )
    response = _say_without_help(request, 503, _("We will be right back"), detail)
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def _say_without_help(request: HttpRequest, status: int, title: str, detail: str) -> HttpResponse:
    """Say it without touching the database, the session or the context processors, which may be what broke."""
    if request.path_info.startswith("/internal/"):
        return problem(status, title, detail)
    return render(None, "cartsite/broken.html", {"title": title, "detail": detail}, status=status)


def is_database_away(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that the database cannot be reached or does not take work."""
    return any(_says_away(each) for each in _chain_of(error) if isinstance(each, (OperationalError, InterfaceError)))


def _says_away(error: BaseException) -> bool:
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(AWAY)


def _chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
