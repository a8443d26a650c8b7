"""Processes: how they end with the one that started them, and how to tell one from a stranger that got its number."""

import ctypes
import os
import platform
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import FrameType

LINUX = platform.system() == "Linux"
PR_SET_PDEATHSIG = 1  # from linux/prctl.h
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Told(BaseException):
    """Somebody asked us to end, by a signal."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def listen() -> None:
    """Have the next signal to end raise Told wherever we are, and those after it ignored."""
    for each in ENDING:
        if each != signal.SIGHUP or not ignored(each):  # who was started by nohup outlives the terminal
            signal.signal(each, _raise_told)


def ignored(each: signal.Signals) -> bool:
    """Whether a signal means nothing to us."""
    return signal.getsignal(each) is signal.SIG_IGN


def stop_listening() -> None:
    """Ignore signals to end: cleaning up must not be cut short."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)


def _raise_told(signum: int, _frame: FrameType | None) -> None:
    stop_listening()
    raise Told(signum)


def end_with_parent(told: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that has Linux send the signal when the starter is gone, even by kill -9; None elsewhere."""
    if not LINUX:
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()  # loaded before the fork: after it, only plain calls are safe

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(told))
        if os.getppid() != parent:  # it died between the fork and the line above
            os.kill(os.getpid(), told)

    return arrange


def command_line(pid: int) -> str:
    """How a running process was started; empty if there is none, or it is a zombie."""
    if LINUX:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def tail(log: Path, lines: int = 30) -> str:
    """The end of a log file."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
