"""The real demo, from a copy of the checkout: it opens, it closes without a trace, and its data outlives a kill."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from cartsite.local.demo import check_port
from cartsite.local.postgres import CHECKOUT
from tests.local.conftest import start_python

NOT_COPIED = shutil.ignore_patterns(".*", "node_modules", "staticfiles", "tests", "__pycache__")


@pytest.fixture
def checkout(place: Path) -> Path:
    """A copy of the checkout that has never run."""
    return Path(shutil.copytree(CHECKOUT, place / "shop", ignore=NOT_COPIED))


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two ports that were free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def make_demo(checkout: Path, ports: tuple[int, int]) -> subprocess.Popen[str]:
    """Start the demo, and return it once it says that it is open."""
    port, simulator_port = map(str, ports)
    run = ["-m", "cartsite.local.demo", "--port", port, "--simulator-port", simulator_port]
    demo = start_python(*run, cwd=checkout)
    assert demo.stdout
    said = []
    for line in demo.stdout:
        said.append(line)
        if line == "The shop is open.\n":
            return demo
    raise AssertionError("".join(said))


def postmaster(checkout: Path) -> list[str]:
    """What the demo's database server says of itself: its number first, port and socket's folder on lines 4 and 5."""
    return (checkout / ".local" / "postgres" / "postmaster.pid").read_text().splitlines()


def database(checkout: Path) -> psycopg.Connection:
    """A connection to the demo's database."""
    server = postmaster(checkout)
    return psycopg.connect(host=server[4], port=server[3], user="postgres", dbname="rose", autocommit=True)


def status_of(port: int, path: str) -> int:
    """What the site answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    return connection.getresponse().status


def test_the_demo_opens_survives_a_kill_and_closes_without_a_trace(checkout: Path, ports: tuple[int, int]) -> None:
    first = make_demo(checkout, ports)
    assert [status_of(ports[0], path) for path in ("/", "/calendars/", "/cart/", "/healthz")] == [200] * 4
    with database(checkout) as connection:
        products = connection.execute("SELECT count(*) FROM cart_product").fetchone()
        connection.execute("CREATE TABLE jar AS SELECT 7 AS honey")
    os.kill(int(postmaster(checkout)[0]), signal.SIGKILL)
    output, _ = first.communicate()
    assert (first.returncode, "postgres has ended (killed by SIGKILL)" in output) == (1, True)

    second = make_demo(checkout, ports)
    with database(checkout) as connection:
        assert connection.execute("SELECT honey FROM jar").fetchone() == (7,)
        assert connection.execute("SELECT count(*) FROM cart_product").fetchone() == products
    second.send_signal(signal.SIGINT)
    output, _ = second.communicate()

    assert second.returncode == 0
    assert output.endswith("Everything is stopped.\n")
    assert not (checkout / ".local" / "demo.pids").exists()
    assert not (checkout / ".local" / "postgres" / "postmaster.pid").exists()
    for port in ports:
        check_port(port, "PORT")
