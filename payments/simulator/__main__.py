"""Run the simulator as a program of its own, until it is told to stop."""

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence

from payments.simulator.creating import CURRENCIES
from payments.simulator.journal import UnreadableJournal
from payments.simulator.server import NotLoopback, SimulatorServer, serve
from payments.simulator.world import Merchant, Simulator


class CannotStart(Exception):
    """There is a reason not to run. The text says which."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, say where, and wait for the signal to end; gives the exit code."""
    options = _parse(arguments)
    try:
        server = _build(options)
    except CannotStart as reason:
        sys.stderr.write(f"SumUp simulator: {reason}\n")
        return 1
    told_to_end = _listen_for_signals()
    with server:
        sys.stdout.write(f"SumUp simulator (no real money) ready at {server.url}\n")
        sys.stdout.flush()
        told_to_end.wait()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    standard = Merchant()
    key = os.environ.get("SUMUP_API_KEY") or standard.api_key
    code = os.environ.get("SUMUP_MERCHANT_CODE") or standard.code
    parser = argparse.ArgumentParser(prog="python -m payments.simulator", description="A SumUp that runs here.")
    parser.add_argument("--port", type=_port, default=8801, help="0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address, others are refused")
    parser.add_argument("--public-url", default="", help="where a proxy that speaks TLS offers it, if there is one")
    parser.add_argument("--store", help="the file to remember everything in; without it all is forgotten at the end")
    parser.add_argument("--api-key", default=key, help="also from SUMUP_API_KEY")
    parser.add_argument("--merchant-code", default=code, help="also from SUMUP_MERCHANT_CODE")
    parser.add_argument("--currency", default=standard.currency, choices=CURRENCIES)
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ValueError
    return port


def _build(options: argparse.Namespace) -> SimulatorServer:
    if re.search(r"(^|_)live(_|$)", options.api_key, re.IGNORECASE):
        raise CannotStart("this looks like a live key. Real keys have no business here.")
    simulator = _load(options)
    try:
        return serve(simulator, options.port, options.host, options.public_url.rstrip("/"))
    except NotLoopback as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(f"cannot listen on {options.host}:{options.port}: {error.strerror}.") from error


def _load(options: argparse.Namespace) -> Simulator:
    merchant = Merchant(options.merchant_code, options.api_key, options.currency)
    try:
        return Simulator(store=options.store, merchant=merchant)
    except UnreadableJournal as error:
        raise CannotStart(f"{options.store} cannot be read. {error}") from error
    except OSError as error:
        raise CannotStart(f"{options.store} cannot be read: {error.strerror}.") from error


def _listen_for_signals() -> threading.Event:
    """An event that is set once the program is told to end."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told


if __name__ == "__main__":
    sys.exit(main())
