"""How often one address may do a thing (a brake on bots, not a wall), and how often a secret may be guessed."""

import hashlib
import ipaddress
import json
import logging
from contextlib import suppress

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

logger = logging.getLogger(__name__)


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


# --- Whose network holds what is not paid yet -------------------------------------------------------------------------

# Networks that no visitor comes from: who seems to came through a proxy that TRUSTED_PROXIES does not name.
INSIDE = [
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]
# The addresses that were logged: so many, since a network behind a missing proxy may have thousands.
MOST_WARNED = 10
_warned: set[str] = set()


def network_key(request: HttpRequest) -> str:
    """A pseudonym of the visitor's network, after one of the wider network around it: `wider.network`.

    An IPv4 address is both; of an IPv6 address they are its /48 and its /64. Empty if the visitor is not to be told
    from others by it: on this machine in the demo, and where all visitors would share one address.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.LIMITS_SPARE_LOOPBACK and _is_loopback(address):
        return ""
    parsed = _parse(address)
    if parsed is None or any(parsed in network for network in INSIDE):
        _warn_of_insider(address)
        return ""
    lengths = (32, 32) if parsed.version == 4 else (48, 64)
    around = (str(ipaddress.ip_network((parsed, length), strict=False)) for length in lengths)
    return ".".join(salted_hmac("network of holds", network).hexdigest()[:20] for network in around)


def _warn_of_insider(address: str) -> None:
    """Log, once for each address, that a visitor's network cannot be told."""
    if address in _warned or len(_warned) >= MOST_WARNED:
        return
    _warned.add(address)
    logger.warning(
        "A visitor comes from %s, which is no public address, so what one network may hold unpaid is not limited. If a "
        "proxy has that address, add it to TRUSTED_PROXIES.",
        address or "a socket",
    )
