"""`make newcomer-check`: do both commands of the README work on a machine that has never seen the shop?

In bare trees of Debian, an ordinary user with python3, python3-venv and make runs `make demo` and `make test` in a copy
of the checkout. Needs root (for the trees), debootstrap, and the package indexes that this machine uses. Each tree and
all that runs in it is gone afterwards. Needs no more than Python: the shop's own `.venv` may not be there yet.
"""

import argparse
import ast
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".local", ".*_cache", ".hypothesis", "node_modules", "__pycache__")
PACKAGES = "python3,python3-venv,make,ca-certificates"
USER, UID, HOME = "newcomer", 1000, "/home/newcomer"
OPENS_WITHIN = 1800  # seconds, with all that pip installs first; nothing here is about speed
# Whatever is started or mounted in there is gone when the command ends.
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]


class CannotTry(Exception):
    """Something is missing on this machine. The text says what."""


class WentWrong(Exception):
    """A newcomer would be stuck. The text says where, with the end of the log."""


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def output_of(*command: str) -> str:
    """What a program prints; nothing if it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def debian_index() -> str:
    """Where this machine gets Debian's packages from. Raises CannotTry if it does not say."""
    lines = output_of("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages").split("\n")
    found = [line.split()[0] for line in lines if re.fullmatch(r"\S+/debian/? [a-z]+", line)]
    if not found:
        raise CannotTry("apt does not say where Debian's packages are (or say it: MIRROR=...)")
    return found[0]


def pip_settings() -> dict[str, str]:
    """What pip is told on this machine, as its environment variables."""
    lines = output_of(sys.executable, "-m", "pip", "config", "list").splitlines()
    pairs = [re.fullmatch(r"(?:global|install|user|:env:)\.([\w-]+)=(.+)", line) for line in lines]
    return {f"PIP_{pair[1].upper().replace('-', '_')}": str(ast.literal_eval(pair[2])) for pair in pairs if pair}


def local_places(settings: dict[str, str]) -> set[Path]:
    """The files and folders of this machine that settings of pip lead to."""
    words = {word.removeprefix("file://") for value in settings.values() for word in value.split()}
    places = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    # A folder of packages by name leads to the packages themselves, which lie beside it.
    return {place.parent if place.name == "simple" else place for place in places}


@dataclass
class Tree:
    """A bare Debian in a folder."""

    release: str
    root: Path
    environment: dict[str, str] = field(default_factory=pip_settings)

    @property
    def log(self) -> Path:
        """Where everything that is run for it writes; it outlives the tree."""
        return CHECKOUT / ".local" / "log" / f"newcomer-{self.release}.log"

    def make(self, mirror: str) -> None:
        """Install Debian with the few packages that the README asks for, and a user with a copy of the checkout."""
        self._run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", self.release, str(self.root), mirror])
        self._run(["chroot", str(self.root), "useradd", "--create-home", "--uid", str(UID), USER])
        for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
            with suppress(FileNotFoundError):
                shutil.copy(name, self.inside(name))
        shutil.copytree(CHECKOUT, self.inside(f"{HOME}/shop"), ignore=NOT_COPIED)
        self._run(["chown", "--recursive", f"{UID}:{UID}", str(self.inside(HOME))])

    def inside(self, path: str | Path) -> Path:
        """Where a path of the tree is for us."""
        return self.root / str(path).lstrip("/")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a shell command as the user, in the copy of the checkout."""
        told = {"HOME": HOME, "USER": USER, "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", **self.environment}
        become = ["chroot", f"--userspec={UID}:{UID}", str(self.root), "env", "-i"]
        inside = [*become, *(f"{name}={value}" for name, value in told.items())]
        inside += ["sh", "-c", f"cd {HOME}/shop && exec {command}"]
        steps = [*self._mounts(), f"exec {shlex.join(inside)}"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*APART, "sh", "-ec", "\n".join(steps)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, command: str) -> None:
        """Run a shell command as the user to its end. Raises WentWrong if it fails."""
        say(f"{self.release}: {command}")
        begun, process = time.monotonic(), self.start(command)
        try:
            status = process.wait()
        finally:
            end(process)
        self.require(status == 0, f"{command} ended with {status}")
        say(f"{self.release}: {command} was fine after {time.monotonic() - begun:.0f} s: {self._last_line()}")

    def open_demo(self) -> None:
        """Run `make demo` until the shop answers, and stop it as Ctrl-C does. Raises WentWrong if it does not open."""
        port, simulator_port = free_port(), free_port()
        command = f"make demo PORT={port} SIMULATOR_PORT={simulator_port}"
        say(f"{self.release}: {command}")
        begun, process = time.monotonic(), self.start(command)
        try:
            while not answers(f"http://127.0.0.1:{port}/"):
                self.require(process.poll() is None, "the demo has ended")
                self.require(time.monotonic() - begun < OPENS_WITHIN, "the demo does not open")
                time.sleep(1)
            say(f"{self.release}: the demo is open after {time.monotonic() - begun:.0f} s")
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            raise WentWrong(f"{self.release}: the demo does not stop.\n{self._tail()}") from None
        finally:
            end(process)
        self.require("Everything is stopped." in self._tail(), "the demo did not stop in peace")

    def require(self, holds: bool, otherwise: str) -> None:
        """Raise WentWrong unless it holds, with the end of the log."""
        if not holds:
            raise WentWrong(f"{self.release}: {otherwise}. The end of {self.log}:\n{self._tail()}")

    def _mounts(self) -> list[str]:
        """Shell commands that give the tree its /proc and /dev, and the indexes that lie on this machine."""
        lines = [f"mount -t proc proc {self.inside('/proc')}", f"mount --rbind /dev {self.inside('/dev')}"]
        for place in sorted(local_places(self.environment)):
            target = self.inside(place)
            if place.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            lines.append(f"mount --bind {shlex.quote(str(place))} {shlex.quote(str(target))}")
        return lines

    def _run(self, command: list[str]) -> None:
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*APART, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        self.require(done.returncode == 0, f"{command[0]} failed")

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def _last_line(self) -> str:
        return self._tail().strip().rpartition("\n")[2]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and with its namespace all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a page is there."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=30) as answer:
            return int(answer.status) == 200
    except (OSError, urllib.error.URLError):
        return False


def check_machine() -> None:
    """Raise CannotTry if something is missing here."""
    if os.geteuid() != 0:
        raise CannotTry("it needs root, to make the trees")
    missing = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    if missing:
        raise CannotTry(f"these programs are missing: {', '.join(missing)} (apt install debootstrap)")


def try_release(release: str, mirror: str, tests: str) -> None:
    """Make a tree, run both commands in it, and remove it. Raises WentWrong."""
    place = Path(tempfile.mkdtemp(prefix=f"rose-newcomer-{release}-", dir="/var/tmp"))
    place.chmod(0o755)
    tree = Tree(release, place / release)
    tree.log.parent.mkdir(parents=True, exist_ok=True)
    tree.log.unlink(missing_ok=True)
    try:
        say(f"{release}: a bare tree with {PACKAGES}")
        tree.make(mirror)
        tree.open_demo()
        if tests:
            tree.run("make test" if tests == "tests" else f"make test TESTS={shlex.quote(tests)}")
    finally:
        shutil.rmtree(place)


def main() -> int:
    """Try each release; the exit status: 0 fine, 1 a newcomer would be stuck, 2 it could not be tried here."""
    parser = argparse.ArgumentParser(prog="make newcomer-check")
    parser.add_argument("releases", nargs="*", default=["bookworm", "trixie"])
    parser.add_argument("--mirror", default="", help="where Debian's packages are, if apt does not say")
    parser.add_argument("--tests", default="tests", help="which tests to run; empty for none")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        check_machine()
        mirror = options.mirror or debian_index()
        for release in options.releases:
            try_release(release, mirror, options.tests)
    except CannotTry as error:
        print(f"Not tried: {error}.", file=sys.stderr)
        return 2
    except WentWrong as error:
        print(error, file=sys.stderr)
        return 1
    say("A newcomer gets on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
