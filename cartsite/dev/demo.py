"""The demo: the whole shop on this machine, started and stopped as one. `make demo` runs it.

PostgreSQL, the site, a Celery worker and beat, and the SumUp simulator are children of this process. They end with it,
and it ends with any of them. What they write is under .local.
"""

import argparse
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cartsite.dev import StartError
from cartsite.dev.postgres import CHECKOUT, DATABASE, LOCAL, Cluster, demo_cluster
from cartsite.dev.processes import ENDING, Told, command_line, end_with_parent, ignored, listen, stop_listening, tail

HOST = "127.0.0.1"
READY_WITHIN = 90  # seconds
END_WITHIN = 8  # seconds, before a process that was asked to end is killed

BANNER = """
The shop is open.

  Shop         {PUBLIC_URL}/         sign in as shopper / demo
  Back office  {PUBLIC_URL}/admin/   sign in as staff / demo
  Door         {PUBLIC_URL}/door/    sign in as door / demo
  SumUp        {SUMUP_API_URL}/         {sumup}
  Mail         .local/mail
  Logs         .local/log

Ctrl-C stops everything. The data stays for the next time; make forget drops it.
"""


@dataclass(frozen=True)
class Part:
    """A process of the shop."""

    name: str
    command: Sequence[str]
    ready: str = ""  # a URL that answers when it is


# Done before the shop opens, each time: both change nothing that is there.
ERRANDS = [
    Part("Migrating", [sys.executable, "manage.py", "migrate", "--noinput"]),
    Part("Loading the demo shop", [sys.executable, "manage.py", "load_demo"]),
]


class Family:
    """Processes that live and end together, each with a log of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Keep logs and the record of who is running in a folder, and give every process the environment."""
        self.folder, self.environment = folder, environment
        self.record = folder / "demo.pids"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.guests: dict[str, subprocess.Popen[bytes]] = {}  # watched, but ended by somebody else

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / "log" / f"{name.replace(' ', '-').lower()}.log"

    def start(self, part: Part) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, so that a Ctrl-C in the terminal comes to us alone."""
        self.log(part.name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(part.name).open("wb") as log:
            process = subprocess.Popen(
                part.command,
                cwd=CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
            )
        self.processes[part.name] = process
        self._write_record()
        return process

    def run(self, part: Part) -> None:
        """Run a process to its end; raise StartError if it fails."""
        if self.start(part).wait():
            raise StartError(self._obituary(part.name, self.processes[part.name]))
        del self.processes[part.name]

    def check(self) -> None:
        """Raise StartError if a process has ended by itself."""
        for name, process in (self.processes | self.guests).items():
            if process.poll() is not None:
                raise StartError(self._obituary(name, process))

    def await_answer(self, part: Part) -> None:
        """Wait until a part answers over HTTP, if it is of that kind."""
        deadline = time.monotonic() + READY_WITHIN
        while part.ready and not answers(part.ready):
            self.check()
            if time.monotonic() > deadline:
                raise StartError(f"{part.ready} does not answer.{self._last_words(part.name)}")
            time.sleep(0.1)

    def watch(self) -> None:
        """Sleep until somebody asks us to end (return), or a process ends by itself (raise StartError)."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored signals would not wake us on every system
        woken_by = {signal.SIGCHLD, *(each for each in ENDING if not ignored(each))}
        signal.pthread_sigmask(signal.SIG_BLOCK, woken_by)
        self.check()
        while signal.sigwait(woken_by) == signal.SIGCHLD:
            self.check()

    def stop(self) -> None:
        """End every process and all that it started: politely first."""
        for process in self.processes.values():
            end_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_WITHIN
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0, deadline - time.monotonic()))
        for process in self.processes.values():
            end_group(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()
        self.record.unlink(missing_ok=True)

    def end_leftovers(self) -> None:
        """End what an earlier demo left running because it was killed, and this system has no way to tell children."""
        with contextlib.suppress(OSError, ValueError):
            left = [pid for pid, command in json.loads(self.record.read_text()) if command_line(pid) == command]
            for told in (signal.SIGTERM, signal.SIGKILL):
                for pid in left:
                    end_group(pid, told)
                deadline = time.monotonic() + END_WITHIN
                while any(command_line(pid) for pid in left) and time.monotonic() < deadline:
                    time.sleep(0.1)
        self.record.unlink(missing_ok=True)

    def _write_record(self) -> None:
        """Write down who is running. Numbers are used again; the command line tells whether it is still the same."""
        running = [(process.pid, command_line(process.pid)) for process in self.processes.values()]
        self.record.write_text(json.dumps(running))

    def _obituary(self, name: str, process: subprocess.Popen[bytes]) -> str:
        status = process.wait()
        how = f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
        return f"{name} has ended ({how}).{self._last_words(name)}"

    def _last_words(self, name: str) -> str:
        return f" The end of its log, {self.log(name)}:\n\n{tail(self.log(name))}\n"


def end_group(leader: int, told: signal.Signals) -> None:
    """Send a signal to a process and all that it started, if any of them is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, told)


def answers(url: str) -> bool:
    """Whether somebody answers at a URL of this machine, with anything but an error of its own."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or HOST, where.port, timeout=5)
    try:
        connection.request("GET", where.path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def check_port(port: int, option: str) -> None:
    """Raise StartError if a port is not free. The option is how to choose another."""
    if not 0 < port < 65536:
        raise StartError(f"There is no port {port}. Choose one from 1 to 65535: make demo {option}=...")
    with socket.socket() as probe:
        taken = probe.connect_ex((HOST, port)) == 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's port counts as free
        try:
            probe.bind((HOST, port))
        except OSError:
            taken = True
    if taken:
        raise StartError(f"Port {port} is in use by another program. Choose another: make demo {option}=...")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only demo of this checkout, or raise StartError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError("A demo of this checkout is running already: stop it first (Ctrl-C there).") from None
        yield


def environment(port: int, simulator_port: int, given: Mapping[str, str]) -> dict[str, str]:
    """What the parts are told: what the person has set, and for the rest what makes a demo."""
    usual = {
        "DATABASE_URL": "embedded",
        "PUBLIC_URL": f"http://{HOST}:{port}",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "SUMUP_API_URL": f"http://{HOST}:{simulator_port}",
        "SUMUP_API_KEY": "sup_sk_simulator",
        "SUMUP_MERCHANT_CODE": "MROSEASH",
        "INTERNAL_API_TOKENS": "market:demo-market-token,calendar:demo-calendar-token,blog:demo-weblog-token",
    }
    fixed = {"DEBUG": "1", "DEMO": "1", "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "cartsite.settings"}
    return usual | {name: value for name, value in given.items() if value} | fixed


def parts_of_the_shop(port: int, simulator_port: int, told: Mapping[str, str]) -> list[Part]:
    """The processes to start, in order. The simulator is left out when SUMUP_API_URL leads elsewhere."""
    run = [sys.executable, "-m"]
    celery = [*run, "celery", "-A", "cartsite"]
    alone_at_work = ["--without-gossip", "--without-mingle"]
    store = LOCAL / "simulator" / "journal.jsonl"
    gunicorn = [*run, "gunicorn", "-c", "cartsite/gunicorn.py", "cartsite.wsgi:application"]
    simulator = Part(
        "simulator",
        [*run, "payments.simulator", "--port", str(simulator_port), "--store", str(store)],
        ready=f"http://{HOST}:{simulator_port}/",
    )
    return [
        *([simulator] if told["SUMUP_API_URL"] == f"http://{HOST}:{simulator_port}" else []),
        Part(
            "site", [*gunicorn, "--bind", f"{HOST}:{port}", "--graceful-timeout", "4"], f"http://{HOST}:{port}/healthz"
        ),
        # Threads: on the filesystem broker, a pool of processes can hang when it is stopped.
        Part("worker", [*celery, "worker", "--pool=threads", "--concurrency=8", *alone_at_work, "--loglevel=info"]),
        # A schedule kept in memory: there is no file that a kill could spoil, and every sweep may run early.
        Part("beat", [*celery, "beat", "--scheduler=celery.beat:Scheduler", "--loglevel=info"]),
    ]


def say(text: str) -> None:
    """Tell the person, if there is still a terminal to tell it in."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def keep_open(
    family: Family, cluster: Cluster | None, errands: Sequence[Part], shop: Sequence[Part], banner: str
) -> None:
    """Start everything, and tend it until somebody asks us to end; leave no process behind, whatever happens."""
    try:
        if cluster is not None:
            say("Starting PostgreSQL...")
            family.guests["postgres"] = cluster.start()
            cluster.ensure_database(DATABASE)
        for errand in errands:
            say(f"{errand.name}...")
            family.run(errand)
        open_shop(family, shop, banner)
    finally:
        stop_listening()
        say("\nStopping...")
        family.stop()
        if cluster is not None:
            cluster.stop()
        say("Everything is stopped.")


def open_shop(family: Family, shop: Sequence[Part], banner: str) -> None:
    """Start the parts, say so when all answer, and watch over them until somebody asks us to end."""
    say("Opening...")
    for part in shop:
        family.start(part)
    for part in shop:
        family.await_answer(part)
    family.check()
    say(banner)
    family.watch()


def run(port: int, simulator_port: int) -> None:
    """Run the demo until somebody asks it to end; raise StartError if it cannot go on."""
    told = environment(port, simulator_port, os.environ)
    family = Family(LOCAL, told)
    family.end_leftovers()
    check_port(port, "PORT")
    check_port(simulator_port, "SIMULATOR_PORT")
    if port == simulator_port:
        raise StartError(f"Port {port} cannot be the simulator's too. Choose another: make demo SIMULATOR_PORT=...")
    shop = parts_of_the_shop(port, simulator_port, told)
    simulated = any(part.name == "simulator" for part in shop)
    banner = BANNER.format(sumup="a simulation: no money moves" if simulated else "not simulated!", **told)
    cluster = demo_cluster() if told["DATABASE_URL"] == "embedded" else None
    keep_open(family, cluster, ERRANDS, shop, banner)


def forget() -> None:
    """Drop all that the demo has kept."""
    Family(LOCAL, {}).end_leftovers()
    demo_cluster().forget()
    shutil.rmtree(LOCAL)
    say("The demo's data is gone.")


def main(arguments: Sequence[str]) -> int:
    """Read the command line, run the demo, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description="Run the whole shop on this machine.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--simulator-port", type=int, default=8001)
    parser.add_argument("--forget", action="store_true", help="drop the demo's data instead")
    options = parser.parse_args(arguments)
    listen()
    try:
        with alone(LOCAL):
            if options.forget:
                forget()
            else:
                run(options.port, options.simulator_port)
    except Told:
        pass
    except (StartError, OSError) as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
