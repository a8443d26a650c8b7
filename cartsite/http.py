"""What a request asks for."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

LONGEST_KEY = 18  # digits: a primary key has no more


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks, and so gets the changed fragments instead of a page or a redirect."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    return bool(htmx)


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page, rather than follows a boosted link, or goes back, to all of it."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def read_key(text: str) -> int | None:
    """The primary key that somebody's form names; None if it can be none."""
    return int(text) if text.isdecimal() and len(text) <= LONGEST_KEY else None
