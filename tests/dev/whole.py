"""The real demo from a copy of the checkout, for tests that look at it from outside."""

import shutil
import socket
import subprocess
from pathlib import Path

import psycopg

from cartsite.dev.postgres import CHECKOUT
from tests.dev.conftest import start_python

NOT_COPIED = shutil.ignore_patterns(".*", "node_modules", "staticfiles", "tests", "__pycache__")


def copy_checkout(place: Path) -> Path:
    """A copy of the checkout that has never run."""
    return Path(shutil.copytree(CHECKOUT, place / "shop", ignore=NOT_COPIED))


def free_ports() -> tuple[int, int]:
    """Two ports that were free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def make_demo(checkout: Path, ports: tuple[int, int]) -> subprocess.Popen[str]:
    """Start the demo, and return it once it says that it is open."""
    port, simulator_port = map(str, ports)
    run = ["-m", "cartsite.dev.demo", "--port", port, "--simulator-port", simulator_port]
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
