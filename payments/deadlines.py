"""HTTP with a deadline for the whole call. The time-outs of `requests` count between two bytes: a server that drips
would hold its caller for ever, and nobody could say from when on a call is certainly over."""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from threading import local
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

_call = local()  # the deadline of this thread's call


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Whatever this thread asks for through a `DeadlineAdapter` is over by then: answered, or a requests exception."""
    _call.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        _call.deadline = None


def left() -> float:
    """How many seconds the call of this thread has left. Raises TimeoutError if none."""
    seconds: float = _call.deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("The deadline of the call has passed")
    return seconds


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket, and waits for each piece no longer than the call has left."""

    def __init__(self, source: socket.SocketIO, sock: socket.socket) -> None:
        self._source, self._sock = source, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(left())
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock))  # type: ignore[arg-type]


class _Deadline:
    """What an HTTP or HTTPS connection does differently: it sends nothing after the deadline, and reads nothing."""

    response_class: Any = _DeadlineResponse

    def _new_conn(self: Any) -> socket.socket:
        """Connect to the first of the server's addresses that answers in the time that is left."""
        host, patience = self._dns_host, self.timeout or left()
        error: Exception = TimeoutError()
        try:
            for address in _addresses_of(host, self.port):
                self._dns_host, self.timeout = address, min(patience, left())
                try:
                    return super()._new_conn()  # type: ignore[misc, no-any-return]
                except (ConnectTimeoutError, NewConnectionError) as failure:
                    error = failure
        finally:
            self._dns_host = host
        raise error

    def send(self: Any, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(left())  # all of the data is sent within it
        super().send(data)  # type: ignore[misc]


def _addresses_of(host: str, port: int) -> list[str]:
    """The server's addresses, or its name where that cannot be resolved: then connecting to it says so."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return [host]
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _DeadlineHTTPConnection(_Deadline, HTTPConnection):
    pass


class _DeadlineHTTPSConnection(_Deadline, HTTPSConnection):
    pass


class _DeadlineHTTPPool(HTTPConnectionPool):
    ConnectionCls = _DeadlineHTTPConnection


class _DeadlineHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """Carries the calls of a session, each within the deadline that `ends_within` sets."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}
        return manager
