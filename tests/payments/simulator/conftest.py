"""The cast of the simulator's tests: a simulator with a server around it, its merchant, and a receiver of webhooks."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from payments.simulator import Simulator, SimulatorServer, serve

from . import openapi

KEY = "sup_sk_simulator"
MERCHANT = "MROSEASH"
HISTORY = f"/v2.1/merchants/{MERCHANT}/transactions/history"
PATIENCE = 10

_numbers = itertools.count(1)


def order(**changes: Any) -> dict[str, Any]:
    """The body of a create call with a reference of its own."""
    return {
        "checkout_reference": f"reference-{next(_numbers)}",
        "amount": 12.5,
        "currency": "GBP",
        "merchant_code": MERCHANT,
        "description": "Order RA-1",
        "redirect_url": "https://shop.example/return",
        "hosted_checkout": {"enabled": True},
    } | changes


def eventually(holds: Callable[[], Any]) -> Any:
    """Wait for something to come true, and give it."""
    deadline = time.monotonic() + PATIENCE
    while not (result := holds()):
        assert time.monotonic() < deadline, "It never came true."
        time.sleep(0.01)
    return result


class Shop:
    """The merchant's side: calls of the API, and the levers behind it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {KEY}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One call. Every answer has to fit what is known of SumUp's API."""
        answer = self.session.request(method, self.url + path, timeout=PATIENCE, allow_redirects=False, **options)
        if path.startswith("/v"):
            assert openapi.faults_of(answer) == []
        return answer

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, document: Any = None) -> requests.Response:
        return self.call("POST", path, json=document)

    def create(self, **changes: Any) -> dict[str, Any]:
        response = self.post("/v0.1/checkouts", order(**changes))
        assert response.status_code == 201, response.text
        return dict(response.json())

    def read(self, checkout: dict[str, Any]) -> dict[str, Any]:
        response = self.get(f"/v0.1/checkouts/{checkout['id']}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def act(self, checkout: dict[str, Any], action: str, document: Any = None) -> requests.Response:
        return self.post(f"/simulator/checkouts/{checkout['id']}/{action}", document)

    def pay(self, **changes: Any) -> dict[str, Any]:
        """A checkout that was paid."""
        return dict(self.act(self.create(**changes), "pay").json())

    def refund(self, paid: dict[str, Any], document: Any = None) -> requests.Response:
        """Refund a paid checkout through the API."""
        return self.post(f"/v1.0/merchants/{MERCHANT}/payments/{paid['transaction_id']}/refunds", document)

    def transaction(self, paid: dict[str, Any]) -> dict[str, Any]:
        """The transaction of a paid checkout, in full."""
        response = self.get(f"/v2.1/merchants/{MERCHANT}/transactions", params={"id": paid["transaction_id"]})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def history(self, **filters: Any) -> dict[str, Any]:
        """A page of the history; a filter that SumUp spells with brackets is a list here."""
        named = {f"{name}[]" if isinstance(value, list) else name: value for name, value in filters.items()}
        response = self.get(HISTORY, params=named)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def walk(self, **filters: Any) -> list[dict[str, Any]]:
        """All rows of the history, page by page."""
        page = self.history(**filters)
        rows = list(page["items"])
        while page["links"]:
            page = self.get(f"{HISTORY}?{page['links'][0]['href']}").json()
            rows += page["items"]
            assert page["items"] != rows[-2 * len(page["items"]) : -len(page["items"])], "The way leads nowhere."
        return rows

    def payouts(self, first: str = "2000-01-01", last: str = "2999-12-31", **options: Any) -> requests.Response:
        """What was paid out on these days."""
        path = f"/v1.0/merchants/{MERCHANT}/payouts"
        return self.get(path, params={"start_date": first, "end_date": last} | options)

    def submit(self, checkout: dict[str, Any], **fields: str) -> requests.Response:
        """Press a button on the checkout's page and follow to what is shown then."""
        return requests.post(checkout["hosted_checkout_url"], data=fields, timeout=PATIENCE)

    def open(self, checkout: dict[str, Any]) -> requests.Response:
        return requests.get(checkout["hosted_checkout_url"], timeout=PATIENCE)


class PatientServer(ThreadingHTTPServer):
    request_queue_size = 128


class Receiver:
    """Where webhooks arrive. It answers with the statuses it is given, then with 204."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self._server = PatientServer(("127.0.0.1", 0), self._make_handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                self.send_header("Location", receiver.url)
                self.end_headers()
                receiver.bodies.append(body)

            def do_GET(self) -> None:
                # Who follows a redirect ends up here, and takes it for success.
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Postbox:
    """Takes webhooks without HTTP, and answers as it is told."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.status = 204

    def __call__(self, url: str, body: bytes) -> int:
        self.posted.append((url, json.loads(body)))
        return self.status

    @property
    def ids(self) -> list[str]:
        return [body["id"] for _, body in self.posted]


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def server(simulator: Simulator) -> Iterator[SimulatorServer]:
    with serve(simulator) as running:
        yield running


@pytest.fixture
def shop(server: SimulatorServer) -> Shop:
    return Shop(server.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def quiet(postbox: Postbox) -> Simulator:
    """A simulator without threads and without HTTP: webhooks are posted into the box when it ticks."""
    return Simulator(post=postbox, threads=0)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "simulator.jsonl"
