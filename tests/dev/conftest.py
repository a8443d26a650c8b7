"""The cast of these tests: a short folder that everyone may enter, and a cluster in it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from cartsite.dev.postgres import CHECKOUT, PORT, SUPERUSER, Cluster

_started: list[subprocess.Popen[str]] = []


def end_started() -> None:
    """End what a test has started and not ended, as when it fails."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.terminate()
            process.communicate()


@pytest.fixture(autouse=True)
def _hang_ups_are_heard() -> Iterator[None]:
    """Also where the tests run under nohup, which what they start would inherit."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path, as a socket needs, that the server's account can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="rose-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    end_started()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test leaves a process behind."""
    yield
    end_started()


@pytest.fixture
def make_cluster(place: Path) -> Iterator[Callable[[], Cluster]]:
    """Makes objects for one cluster, as later starts of the program would; the server is stopped in the end."""
    made: list[Cluster] = []

    def make() -> Cluster:
        made.append(Cluster(place / "data", socket=place / "socket", log=place / "log"))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture
def cluster(make_cluster: Callable[[], Cluster]) -> Cluster:
    """A cluster that is not running yet."""
    return make_cluster()


def ask(cluster: Cluster, sql: str, database: str = "postgres") -> str:
    """What the cluster answers to one statement: the first column of the first row, if there is one."""
    where = f"host={cluster.socket} port={PORT} user={SUPERUSER} dbname={database}"
    with psycopg.connect(where, autocommit=True) as connection:
        answer = connection.execute(sql.encode())
        row = answer.fetchone() if answer.description else None
    return str(row[0]) if row else ""


def start_python(*arguments: str, cwd: Path = CHECKOUT, **environment: str) -> subprocess.Popen[str]:
    """Start this Python in a checkout, as the Makefile does, with no DATABASE_URL but a given one."""
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _started.append(process)
    return process


def eventually(holds: Callable[[], bool], within: float = 30) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + within
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()
