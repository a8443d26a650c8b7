"""What every request passes through before a view sees it."""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], HttpResponse]

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")


def is_trusted(address: str) -> bool:
    """Whether an address belongs to one of our own proxies."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.TRUSTED_PROXIES)


def client_address(peer: str, forwarded_for: str) -> str:
    """The address that reached the outermost of our proxies: the last one in the chain that is not ours."""
    chain = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    for hop in reversed(chain):
        if not is_trusted(peer):
            break
        peer = hop
    return peer


def trust_proxies(get_response: Handler) -> Handler:
    """Put the visitor's address into REMOTE_ADDR, and drop forwarding headers that a visitor made up."""

    def middleware(request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        if is_trusted(peer):
            request.META["REMOTE_ADDR"] = client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""))
        else:
            for header in FORWARDED:
                request.META.pop(header, None)
        return get_response(request)

    return middleware


# The admin's theme evaluates expressions in attributes and sets styles from script (docs/adr/0001).
ADMIN_POLICY = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"], "img-src": ["data:"]}


def allow_admin_scripts(get_response: Handler) -> Handler:
    """Widen the Content-Security-Policy under the admin's path, and nowhere else."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info.startswith("/admin/"):
            response._csp_update = ADMIN_POLICY  # type: ignore[attr-defined]
        return response

    return middleware
