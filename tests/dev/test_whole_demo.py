"""The real demo, from a copy of the checkout: it opens, it closes without a trace, and its data outlives a kill."""

import http.client
import os
import signal
from pathlib import Path

import pytest

from cartsite.dev.demo import check_port
from tests.dev.whole import copy_checkout, database, free_ports, make_demo, postmaster


@pytest.fixture
def checkout(place: Path) -> Path:
    return copy_checkout(place)


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_ports()


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
