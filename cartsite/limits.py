"""How often one address may do a thing (a brake on bots, not a wall), and how often a secret may be guessed."""

import hashlib
import ipaddress
import json
from contextlib import suppress

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, without the IPv6 clothes that a dual-stack socket puts on IPv4; None if it is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _is_loopback(address: str) -> bool:
    parsed = _parse(address)
    return parsed is not None and parsed.is_loopback


def network_of(address: str) -> str:
    """The address itself, or for IPv6 the /64 it is in, since that is what one household or bot has."""
    parsed = _parse(address)
    if parsed is not None and parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)


def is_within(request: HttpRequest, what: str, cost: int = 1) -> bool:
    """Count this request, or the `cost` of what it wants, towards the limit on `what` (a name in settings.LIMITS).

    False once that would pass the limit: what is refused costs nothing, so that somebody may still want less.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.LIMITS_SPARE_LOOPBACK and _is_loopback(address):
        return True
    most, seconds = settings.LIMITS[what]
    return _count(_key("limit", what, network_of(address)), cost, most, seconds)


def take_try(what: str, *at: str) -> bool:
    """Count a try at guessing `what` (a name in settings.TRIES), of which `at` says whose and from where.

    False once there were too many. Call it before the guess is judged: however many guesses are made at once, no more
    than the limit are judged.
    """
    most, seconds = settings.TRIES[what]
    return _count(_key("try", what, *at), 1, most, seconds)


def give_back_try(what: str, *at: str) -> None:
    """A try was no guess: it does not count."""
    with suppress(ValueError):  # it ran out meanwhile
        cache.decr(_key("try", what, *at))


def _key(kind: str, what: str, *parts: str) -> str:
    """A hash: the cache need not know who came here."""
    return f"{kind}:{what}:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"


def _count(key: str, cost: int, most: int, seconds: int) -> bool:
    """Add to a count that ends so many seconds after its first addition, unless that would pass `most`."""
    cache.add(key, 0, timeout=seconds)
    try:
        if cache.incr(key, cost) <= most:
            return True
        cache.decr(key, cost)
    except ValueError:  # it ran out between the two calls
        return True
    return False
