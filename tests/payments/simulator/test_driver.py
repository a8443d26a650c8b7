import socket

import pytest
import requests

from payments.simulator import Simulator, SimulatorServer

from .conftest import KEY, PATIENCE, Shop, order

CHECKOUTS = "/v0.1/checkouts"


def test_calls_of_the_api_can_be_counted(shop: Shop) -> None:
    checkout = shop.create(checkout_reference="counted")
    shop.read(checkout)
    shop.get(CHECKOUTS, params={"checkout_reference": "counted"})
    shop.act(checkout, "pay")

    seen = shop.get("/simulator/requests").json()

    assert [(call["method"], call["path"], call["status"], call["checkout_reference"]) for call in seen] == [
        ("POST", CHECKOUTS, 201, "counted"),
        ("GET", f"{CHECKOUTS}/{checkout['id']}", 200, None),
        ("GET", CHECKOUTS, 200, "counted"),
    ]


def test_refused_and_unanswered_calls_are_counted_too(shop: Shop, simulator: Simulator) -> None:
    requests.post(f"{shop.url}{CHECKOUTS}", json=order(), timeout=PATIENCE)
    simulator.behave(create="response_lost")
    with pytest.raises(requests.ConnectionError):
        shop.post(CHECKOUTS, order())

    seen = shop.get("/simulator/requests").json()

    assert [call["status"] for call in seen] == [401, None]


def test_only_the_last_thousand_calls_are_kept(shop: Shop, simulator: Simulator) -> None:
    for _ in range(1010):
        shop.get("/v1/merchants/NOBODY")

    assert len(simulator.requests) == 1000


def test_a_reset_empties_the_world(shop: Shop, simulator: Simulator) -> None:
    checkout = shop.create()
    simulator.behave(create="500")
    simulator.advance(60)

    shop.post("/simulator/reset")

    assert shop.get("/simulator/checkouts").json() == []
    assert shop.get("/simulator/requests").json() == []
    assert shop.get("/simulator/behaviour").json()["create"] == "ok"
    assert shop.get("/simulator/clock").json()["ahead"] == 0
    assert shop.open(checkout).status_code == 404


def test_the_list_shows_all_checkouts(shop: Shop) -> None:
    created = [shop.create() for _ in range(3)]

    assert shop.get("/simulator/checkouts").json() == created


def test_the_clock_moves_forward(shop: Shop) -> None:
    shop.post("/simulator/clock", {"advance": 90})

    assert shop.post("/simulator/clock", {"advance": 0.5}).json()["ahead"] == 90.5


@pytest.mark.parametrize("value", [-1, "60", True, None, 1e300, 10**30])
def test_the_clock_refuses_what_it_cannot_do(shop: Shop, value: object) -> None:
    response = shop.post("/simulator/clock", {"advance": value})

    assert response.status_code == 400
    assert shop.get("/simulator/clock").json()["ahead"] == 0


@pytest.mark.parametrize("action", ["pay", "decline", "challenge", "approve", "reject", "notify"])
def test_levers_refuse_an_unknown_checkout(shop: Shop, action: str) -> None:
    response = shop.act({"id": "nobody"}, action)

    assert response.status_code == 404
    assert response.json()["error"]


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b"{'single': 1}",
    b'{"amount": NaN}',
    b'{"amount": 1e99999999999999999999}',
    b"9" * 5000,
    b"[" * 60_000,
    b'{"checkout_reference": "\\ud800", "advance": {}, "event_type": 5, "create": {}}',
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: str(body[:20]))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CHECKOUTS),
        ("PUT", "/simulator/behaviour"),
        ("POST", "/simulator/clock"),
        ("POST", "/"),
        ("POST", "/pay/{page}"),
    ],
)
def test_a_body_without_sense_is_a_bad_request(
    shop: Shop, simulator: Simulator, method: str, path: str, body: bytes
) -> None:
    page = simulator.create(order()).page

    response = shop.call(method, path.format(page=page), data=body)

    assert response.status_code == 400
    assert response.text
    assert len(simulator.checkouts()) == 1


def test_a_text_that_cannot_be_encoded_is_shown_all_the_same(shop: Shop) -> None:
    checkout = shop.create(description="\ud800")

    assert shop.open(checkout).status_code == 200
    assert shop.get("/").status_code == 200
    assert shop.read(checkout)["description"] == "\ud800"


def test_a_body_that_is_too_large_is_refused(shop: Shop) -> None:
    response = shop.call("POST", CHECKOUTS, data=b" " * 100_000)

    assert response.status_code == 413


def talk(server: SimulatorServer, text: str) -> str:
    """Send raw text and give the first line of the answer."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile(encoding="latin-1").readline()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Content-Length: many", "400"),
        ("Content-Length: -1", "400"),
        ("Content-Length: 10", "400"),
        ("Transfer-Encoding: chunked", "411"),
    ],
)
def test_a_body_of_unclear_length_is_refused(server: SimulatorServer, headers: str, status: str) -> None:
    line = talk(server, f"POST {CHECKOUTS} HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n{headers}\r\n\r\n")

    assert status in line


@pytest.mark.parametrize("path", ["//[", "/%00", "/pay/%0d%0aX", "/v0.1/checkouts/%ff", "/simulator/", "/?%zz", "/v"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_strange_paths_are_refused_politely(server: SimulatorServer, path: str, method: str) -> None:
    line = talk(server, f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n\r\n")

    assert line.split()[1] in {"200", "400", "404", "405"}


def test_a_stopped_server_hangs_up_on_kept_connections(
    shop: Shop, server: SimulatorServer, simulator: Simulator
) -> None:
    shop.create()

    server.stop()

    with pytest.raises(requests.ConnectionError):
        shop.create()
    assert len(simulator.checkouts()) == 1


def test_many_checkouts_are_created_paid_and_found(shop: Shop) -> None:
    created = [shop.create() for _ in range(500)]

    for checkout in created:
        shop.act(checkout, "pay")

    for checkout in created:
        found = shop.get(CHECKOUTS, params={"checkout_reference": checkout["checkout_reference"]}).json()
        assert [one["status"] for one in found] == ["PAID"]
