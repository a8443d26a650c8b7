"""The cache: Redis, or the memory of this process while Redis is out of reach."""

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from cartsite.outages import Outage

# A shopper waits: one quick try, and one more on a fresh connection where Redis was restarted.
PATIENCE = {
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
    "retry": Retry(NoBackoff(), 1, (RedisConnectionError,)),
}
MOST_KEPT_HERE = 20_000  # entries; limits count by address

_outages: dict[str, Outage] = {}


def _or_here(name: str) -> Any:
    """The cache's method of this name, done in the memory of this process while Redis is out of reach."""
    ask_redis: Callable[..., Any] = getattr(RedisCache, name)

    def ask(cache: "SteadyCache", *args: Any, **kwargs: Any) -> Any:
        if cache.outage.may_ask():
            try:
                answer = ask_redis(cache, *args, **kwargs)
            except (RedisError, OSError) as error:
                cache.outage.note_silence(error)
            else:
                cache.outage.note_answer()
                return answer
        return getattr(cache.here, name)(*args, **kwargs)

    return ask


class SteadyCache(RedisCache):
    """Django's Redis cache, which never fails and hardly ever waits.

    It is good for what may be counted per process for a while, such as limits. It is not for sessions: one that was
    ended during an outage would come back with Redis.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params | {"OPTIONS": PATIENCE | params.get("OPTIONS", {})})
        meanwhile = "Limits count in each process until it is back."
        self.outage = _outages.setdefault(server, Outage("The cache", meanwhile))
        self.here = LocMemCache(f"instead of {server}", params | {"OPTIONS": {"MAX_ENTRIES": MOST_KEPT_HERE}})

    add = _or_here("add")
    get = _or_here("get")
    set = _or_here("set")
    touch = _or_here("touch")
    delete = _or_here("delete")
    get_many = _or_here("get_many")
    has_key = _or_here("has_key")
    incr = _or_here("incr")
    set_many = _or_here("set_many")
    delete_many = _or_here("delete_many")
    clear = _or_here("clear")
