"""The HTTP around the simulator: sockets, threads, and nothing that SumUp would know about."""

import ipaddress
import json
import socket
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from payments.simulator.app import answer
from payments.simulator.exchange import Answer, Request
from payments.simulator.world import Simulator

LARGEST_BODY = 64 * 1024
# How much of a body that is too large is still read, so that its sender gets to see the answer.
LARGEST_DISCARD = 4 * 1024 * 1024
TICK = 0.2


class NotLoopback(ValueError):
    """The simulator is asked to listen where others could reach it."""


class BadBody(Exception):
    """The body cannot be read."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def serve(simulator: Simulator, port: int = 0, host: str = "127.0.0.1", public_url: str = "") -> "SimulatorServer":
    """A server for the simulator, bound to a port (0: any that is free) but not yet started.

    Its pages have the `public_url` of a proxy in front of it, or its own address if there is none.
    """
    return SimulatorServer(simulator, port, host, public_url)


class SimulatorServer:
    """A simulator that can be reached over HTTP, at `url`. As a context manager it starts and stops itself."""

    def __init__(self, simulator: Simulator, port: int, host: str, public_url: str = "") -> None:
        self.simulator = simulator
        self.stopping = threading.Event()
        self._http = _HttpServer((_check_loopback(host), port), self)
        self._threads: list[threading.Thread] = []
        self.url = "http://{}:{}".format(*self._http.socket.getsockname())
        self.public_url = public_url or self.url

    def start(self) -> None:
        """Answer requests and do what falls due, in threads of its own."""
        work = (lambda: self._http.serve_forever(poll_interval=0.02), self._keep_ticking)
        self._threads = [threading.Thread(target=target, daemon=True) for target in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop answering, even on connections that are open. Starting again takes a new server."""
        self.stopping.set()
        if self._threads:
            self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join(timeout=5)
        self.simulator.wait_for_webhooks(timeout=1)

    def _keep_ticking(self) -> None:
        while not self.stopping.wait(TICK):
            self.simulator.tick()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _check_loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        is_loopback = ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise NotLoopback(f"The simulator only listens on 127.0.0.1, not on {host}.")
    return address


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: SimulatorServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer asks the name service for the host's name here, which can take seconds and is used for nothing.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the door and every connection: one that is kept alive would go on being answered."""
        super().server_close()
        with self._open_lock:
            for connection in self._open:
                _hang_up(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that give up waiting are part of the game, and no news.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It was gone already.
        return


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    server_version = "SumUp-simulator"
    sys_version = ""
    timeout = 60
    # Head and body leave together and at once: otherwise each answer on a kept connection waits for an ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        try:
            body = self._read_body()
        except BadBody as error:
            self.close_connection = True
            self._send(Answer(error.status, json.dumps({"error": str(error)}).encode()))
            return
        path, _, query = self.path.partition("?")
        headers = dict(self.headers.items())
        owner = self.server.owner
        self._send(answer(owner.simulator, Request(self.command, path, query, headers, body, owner.public_url)))

    # The names are those the standard library looks for.
    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding"):
            raise BadBody(411, "The body needs a Content-Length.")
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 12:
            raise BadBody(400, "The Content-Length is not a number.")
        if int(length) > LARGEST_BODY:
            self._discard(min(int(length), LARGEST_DISCARD))
            raise BadBody(413, f"The body is larger than {LARGEST_BODY} bytes.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise BadBody(400, "The body is shorter than its Content-Length.")
        return body

    def _discard(self, length: int) -> None:
        while length > 0 and (chunk := self.rfile.read(min(length, LARGEST_BODY))):
            length -= len(chunk)

    def _send(self, reply: Answer) -> None:
        if self.server.owner.stopping.wait(reply.delay) or reply.lost:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what was asked can be read at /simulator/requests."""
