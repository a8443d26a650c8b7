"""A wire between the shop and the simulator: tests listen in, tamper with answers, and act between any two calls."""

import json
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from django.db import connections

from payments.simulator import Simulator
from payments.simulator.app import answer
from payments.simulator.exchange import Answer, Request, answer_json
from tests.concurrency import PATIENCE
from tests.support.forked import fork

Action = Callable[[], Any]


class Unheard(Exception):
    """The call has come to nothing before SumUp heard of it."""


class Wire:
    """An HTTP server that passes everything on to the simulator, unless told otherwise."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.calls: list[str] = []  # the methods, in the order in which they came in
        self.errors: list[BaseException] = []
        self.is_cut = False  # whether nothing passes, in either direction
        self.on_every_call: Action | None = None
        self._before: dict[str, deque[Action]] = {}
        self._after: dict[str, deque[Action]] = {}
        self._changes: list[Callable[[dict[str, Any]], Any]] = []
        self._replies: deque[Answer] = deque()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.wire = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def before(self, method: str, action: Action) -> None:
        """Do this when the next such call has been made, but SumUp has not heard it yet."""
        self._before.setdefault(method, deque()).append(action)

    def after(self, method: str, action: Action) -> None:
        """Do this when SumUp has done the next such call, but nobody has heard its answer yet."""
        self._after.setdefault(method, deque()).append(action)

    def change(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """From now on, run every checkout that SumUp speaks of through this."""
        self._changes.append(change)

    def reply(self, status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> None:
        """Answer the next call with this; SumUp does not hear of it."""
        self._replies.append(Answer(status, body, content_type, headers))

    def pass_on(self, request: Request) -> Answer:
        """One call, with all that was planned for it."""
        self.calls.append(request.method)
        try:
            return self._pass_on(request)
        except Unheard:
            return Answer(0, lost=True)
        except BaseException as error:
            self.errors.append(error)
            return Answer(0, lost=True)
        finally:
            connections.close_all()

    def _pass_on(self, request: Request) -> Answer:
        if self.on_every_call is not None:
            self.on_every_call()
        if planned := self._before.get(request.method):
            planned.popleft()()
        if self.is_cut:
            return Answer(0, lost=True)
        reply = self._replies.popleft() if self._replies else self._tamper(answer(self.simulator, request))
        if planned := self._after.get(request.method):
            planned.popleft()()
        return Answer(0, lost=True) if self.is_cut else reply

    def _tamper(self, reply: Answer) -> Answer:
        if not self._changes or reply.status >= 300:
            return reply
        document = json.loads(reply.body)
        for change in self._changes:
            document = [change(one) for one in document] if isinstance(document, list) else change(document)
        return answer_json(reply.status, document)

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.002,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        wire: Wire = self.server.wire  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, _, query = self.path.partition("?")
        reply = wire.pass_on(Request(self.command, path, query, dict(self.headers.items()), body, wire.url))
        if reply.lost:
            self.close_connection = True
            return
        try:
            self._send(reply)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _answer  # noqa: N815 - the standard library's names

    def _send(self, reply: Answer) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def die_in_call(wire: Wire, method: str, work: Action, *, heard: bool) -> None:
    """Do the work in a process of its own, which is killed (kill -9) while it makes its first call of this method.

    `heard` says whether SumUp still did what it was asked.
    """
    pids: queue.SimpleQueue[int] = queue.SimpleQueue()
    dead = threading.Event()

    def kill() -> None:
        os.kill(pids.get(timeout=PATIENCE), signal.SIGKILL)
        assert dead.wait(PATIENCE)
        if not heard:
            raise Unheard

    (wire.after if heard else wire.before)(method, kill)
    pid = fork(work)
    pids.put(pid)
    _pid, status = os.waitpid(pid, 0)
    dead.set()
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"It came to its end without a {method}."
