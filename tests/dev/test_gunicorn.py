"""Gunicorn serves by our configuration, and its logs keep secrets."""

import socket
from pathlib import Path

import pytest

from cartsite.gunicorn import masked
from tests.dev.conftest import eventually, start_python

APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken/":
        raise RuntimeError("so that gunicorn itself must report it")
    start_response("204 No Content", [])
    return []
"""


@pytest.fixture
def door(place: Path) -> Path:
    """The socket of a gunicorn with our configuration and a site of one line; its log is beside it."""
    (place / "tiny.py").write_text(APP)
    door, log = place / "door", place / "log"
    serve = [
        "-m",
        "gunicorn",
        "-c",
        "cartsite/gunicorn.py",
        "--graceful-timeout",
        "1",
        "--pythonpath",
        str(place),
        "tiny:app",
    ]
    start_python(*serve, "--bind", f"unix:{door}", "--access-logfile", str(log), "--error-logfile", str(log))
    assert eventually(lambda: answers(door))
    return door


def answers(door: Path) -> bool:
    """Whether somebody listens at a socket: its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(door)) == 0


def get(door: Path, target: str) -> str:
    """The first line of the answer to a request for a target, sent as it is."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(door))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
        return connection.makefile().readline()


def test_the_access_log_tells_method_path_status_and_time(door: Path) -> None:
    assert "204" in get(door, "/calendars/bread/")

    assert eventually(lambda: "GET /calendars/bread/ 204 " in door.with_name("log").read_text())


@pytest.mark.parametrize(
    "target",
    [
        "/orders/RA-2345-6789/?key=hush",
        "/webhooks/sumup/hush/",
        "/webhooks/sumup/hush",
        "/tickets/hush-3fGh91kLmN0pQrStUvWx/",
        "/broken/?key=hush",
    ],
)
def test_a_secret_is_in_no_log(door: Path, target: str) -> None:
    get(door, target)
    get(door, "/the-next-one/")

    log = door.with_name("log")
    assert eventually(lambda: "/the-next-one/" in log.read_text())
    assert "hush" not in log.read_text()


def test_a_path_cannot_forge_a_line(door: Path) -> None:
    get(door, "/%0AGET%20/forged/%20200")

    log = door.with_name("log")
    assert eventually(lambda: "forged" in log.read_text())
    assert not any(line.startswith("GET") for line in log.read_text().splitlines())


@pytest.mark.parametrize(
    "path", ["/", "/orders/RA-2345-6789/", "/calendars/bread-and-butter-and-jam/", "/static/css/site.css"]
)
def test_ordinary_paths_are_logged_as_they_are(path: str) -> None:
    assert masked(path) == path
