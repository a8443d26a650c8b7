"""The names of our own cookies, and setting, reading and dropping them.

Over https a name begins with `__Host-`: a browser takes such a cookie from this very host and over https only, so a
neighbouring host, such as a sibling's, can plant none. Over http (a developer's machine) browsers would refuse the
prefix, and the plain name stands.
"""

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponseBase

Response = TypeVar("Response", bound=HttpResponseBase)
PREFIX = "__Host-"


def full_name(name: str) -> str:
    """The cookie's name as browsers know it: `__Host-cart` over https, `cart` over http."""
    return f"{PREFIX}{name}" if settings.COOKIES_SECURE else name


def read(request: HttpRequest, name: str) -> str:
    """The cookie's value; empty if the browser sent none."""
    return request.COOKIES.get(full_name(name), "")


def put(response: Response, name: str, value: str, *, lasts: int) -> Response:
    """Set a cookie for the whole site, out of scripts' reach. `lasts` is in seconds."""
    response.set_cookie(
        full_name(name), value, max_age=lasts, httponly=True, secure=settings.COOKIES_SECURE, samesite="Lax"
    )
    return response


def drop(response: HttpResponseBase, name: str) -> None:
    """Make the browser forget a cookie of the whole site, under the name of old as well."""
    if settings.COOKIES_SECURE:
        response.delete_cookie(name, samesite="Lax")
    # A browser ignores the deletion of a __Host- cookie that is not marked as secure itself.
    response.set_cookie(
        full_name(name),
        max_age=0,
        expires="Thu, 01 Jan 1970 00:00:00 GMT",
        httponly=True,
        secure=settings.COOKIES_SECURE,
        samesite="Lax",
    )


# --- Names of before `__Host-`: for one release (docs/adr/0020) -----------------------------------------------------


def read_old(request: HttpRequest, name: str) -> str:
    """What the browser keeps under the name without the prefix, where that is the old one; empty over http."""
    return request.COOKIES.get(name, "") if settings.COOKIES_SECURE else ""


def replace_old(request: HttpRequest, name: str, value: str, *, lasts: int, path: str = "/") -> None:
    """Have the answer set the cookie by its new name and drop the old one, which was set for the path."""
    wanted = request.__dict__.setdefault("_old_cookies", {})
    wanted[name] = (value, lasts, path)


def replace_old_cookies(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Middleware: what the views asked `replace_old` for. A cookie that the view has set itself is left alone."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, (value, lasts, path) in request.__dict__.get("_old_cookies", {}).items():
            if full_name(name) not in response.cookies:
                put(response, name, value, lasts=lasts)
            response.delete_cookie(name, path=path, samesite="Lax")
        return response

    return middleware


class PrefixedMessages(CookieStorage):
    """Django's messages in a cookie, under our kind of name."""

    cookie_name = full_name("messages")
