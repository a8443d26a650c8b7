"""What a browser may see because it came with a secret link: a signed cookie remembers the newest of them.

The first visit with the secret sets the cookie and leads to an address without it (DOMAIN.md 5.9).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare

from cartsite import cookies

Response = TypeVar("Response", bound=HttpResponseBase)
MOST = 20  # of one kind in one browser: a cookie may have 4,096 bytes in all


@dataclass(frozen=True)
class SecretLinks:
    """One kind of thing that is seen by secret link.

    `cookie` is the cookie's name, `salt` keeps its signature apart from every other kind's, `lasts` is in seconds.
    """

    cookie: str
    salt: str
    lasts: int

    def seen(self, request: HttpRequest) -> list[UUID]:
        """The UUIDs of what this browser may see, newest first. A cookie that we did not sign counts for nothing."""
        return [*self._read(cookies.read(request, self.cookie))]

    def may_see(self, request: HttpRequest, uuid: UUID, *, path: str) -> bool:
        """Whether this browser came with the secret link before.

        `path` is where the cookie of old stood that knew this one only; one found there is replaced.
        """
        seen = self.seen(request)
        fitting = [each for each in seen if constant_time_compare(each.hex, uuid.hex)]
        if fitting:
            return True
        # An old cookie may be the only one that knows it, even where the new one knows others.
        if uuid not in self._read(cookies.read_old(request, self.cookie)):
            return False
        cookies.replace_old(request, self.cookie, self._sign(uuid, seen), lasts=self.lasts, path=path)
        return True

    def remember(self, request: HttpRequest, response: Response, uuid: UUID) -> Response:
        """Let this browser see it from now on; what was seen first is forgotten once there are too many."""
        return cookies.put(response, self.cookie, self._sign(uuid, self.seen(request)), lasts=self.lasts)

    def _sign(self, newest: UUID, seen: list[UUID]) -> str:
        kept = [newest, *(uuid for uuid in seen if uuid != newest)][:MOST]
        return Signer(salt=self.salt).sign(".".join(uuid.hex for uuid in kept))

    def _read(self, value: str) -> Iterator[UUID]:
        try:
            listed = Signer(salt=self.salt).unsign(value)
        except BadSignature:
            return
        yield from (UUID(each) for each in listed.split("."))
