"""What is said when something is wrong: a sentence on a page for people, an RFC 9457 document for siblings."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from cartsite.problems import problem


def _say(request: HttpRequest, status: int, title: str, detail: str) -> HttpResponse:
    """The same sentence for people (a page) and for siblings (RFC 9457)."""
    if request.path_info.startswith("/internal/"):
        return problem(status, title, detail)
    return render(request, "cartsite/sorry.html", {"title": title, "detail": detail}, status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 404, _("Not found"), _("There is nothing at this address, or it is not yours to see."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 403, _("Not allowed"), _("You may not do this."))


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
    """Our own fault: said without touching the database or the context processors, which may be what broke."""
    title, detail = _("Something went wrong"), _("It is our fault, and we were told. Please try again in a minute.")
    if request.path_info.startswith("/internal/"):
        return problem(500, title, detail)
    return render(None, "cartsite/broken.html", {"title": title, "detail": detail}, status=500)
