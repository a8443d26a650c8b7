"""What every request passes through before a view sees it."""

import ipaddress
import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)

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


# The peers whose headers were dropped and logged. Anybody can send such headers, so their number is bounded.
MOST_LOGGED = 10
_logged: set[str] = set()


def _warn_of_stranger(peer: str) -> None:
    """Log, once for each address, that it forwards requests without being listed."""
    if peer in _logged or len(_logged) >= MOST_LOGGED:
        return
    _logged.add(peer)
    logger.warning(
        "%s sends X-Forwarded headers but is not in TRUSTED_PROXIES, so they were ignored. If it is a proxy of yours, "
        "add it there: until then all shoppers who come through it count as one visitor.",
        peer,
    )


def trust_proxies(get_response: Handler) -> Handler:
    """Put the visitor's address into REMOTE_ADDR, and drop forwarding headers that a visitor made up."""

    def middleware(request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        if is_trusted(peer):
            request.META["REMOTE_ADDR"] = client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""))
        elif [request.META.pop(header) for header in FORWARDED if header in request.META]:
            _warn_of_stranger(peer)
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
