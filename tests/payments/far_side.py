"""Far sides of the network that are no SumUp: one that drips, and one that is frozen until it is told to thaw."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from tests.concurrency import PATIENCE

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


class Drip:
    """It takes every call and answers a byte at a time, without an end: of the head, or of the body."""

    def __init__(self, *, head_first: bool) -> None:
        self.calls = 0
        self._begin = HEAD if head_first else b""
        self._over = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _address = self._door.accept()
            except OSError:
                return
            self.calls += 1
            threading.Thread(target=self._drip, args=(caller,), daemon=True).start()

    def _drip(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller:
            caller.recv(65536)
            caller.sendall(self._begin)
            while not self._over.wait(0.02):
                caller.sendall(b" " if self._begin else b"H")


class Frost:
    """What a `Wire` does before each call: nothing goes on until the thaw. It counts who waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_frozen = True
        self.waiting = self.most_waiting = 0

    def __call__(self) -> None:
        with self._changed:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._is_frozen, PATIENCE)
            self.waiting -= 1

    def wait_until(self, waiting: int) -> bool:
        """Wait until so many calls are held up; False if that never comes."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waiting >= waiting, PATIENCE)

    def thaw(self) -> None:
        """Let everything through."""
        with self._changed:
            self._is_frozen = False
            self._changed.notify_all()
