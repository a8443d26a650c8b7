"""The simulator as the program it is: its own process, its own file, its own end."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from .conftest import PATIENCE, Receiver, Shop, eventually, order

ROOT = Path(__file__).parents[3]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the program with some arguments; what still runs at the end is ended."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SUMUP_")}
        program = subprocess.Popen(
            [sys.executable, "-m", "payments.simulator", *arguments],
            cwd=ROOT,
            env=clean | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(program)
        return program

    yield run
    for program in running:
        program.kill()
        program.communicate()


def shop_at(program: subprocess.Popen[str]) -> Shop:
    """A merchant of the program, once it says that it is ready."""
    assert program.stdout
    line = program.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert address, line
    return Shop(address[0])


def refusal(program: subprocess.Popen[str]) -> str:
    """What the program says when it will not start."""
    _, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    assert errors.count("\n") == 1
    return errors


def test_after_kill_9_what_was_paid_is_paid_and_what_is_owed_is_sent(
    start: Start, store: Path, receiver: Receiver
) -> None:
    first = start("--port", "0", "--store", str(store))
    shop = shop_at(first)
    paid, settling = shop.create(), shop.create(return_url=receiver.url)
    shop.act(paid, "pay")
    shop.call("PUT", "/simulator/behaviour", json={"settles_after": 600})
    shop.act(settling, "pay")

    first.kill()
    first.wait()
    second = shop_at(start("--port", "0", "--store", str(store)))
    second.post("/simulator/clock", {"advance": 600})

    assert second.read(paid)["status"] == "PAID"
    assert second.read(settling)["status"] == "PAID"
    eventually(lambda: receiver.bodies)
    assert receiver.bodies == [{"event_type": "CHECKOUT_STATUS_CHANGED", "id": settling["id"]}]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_even_while_somebody_waits(start: Start, number: signal.Signals) -> None:
    program = start("--port", "0")
    shop = shop_at(program)
    shop.call("PUT", "/simulator/behaviour", json={"create": "slow", "slow_seconds": 600})
    with pytest.raises(requests.Timeout):
        requests.post(f"{shop.url}/v0.1/checkouts", json=order(), headers=shop.session.headers, timeout=0.2)

    program.send_signal(number)
    _, errors = program.communicate(timeout=PATIENCE)

    assert program.returncode == 0
    assert errors == ""


def test_a_port_in_use_is_one_line_and_touches_no_store(start: Start, store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        errors = refusal(start("--port", str(port), "--store", str(store)))

    assert str(port) in errors
    assert not store.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
def test_it_listens_to_nobody_but_this_machine(start: Start, host: str) -> None:
    assert "127.0.0.1" in refusal(start("--port", "0", "--host", host))


@pytest.mark.parametrize("key", ["sk_live_abc", "sup_sk_live_abc", "SK_LIVE_ABC"])
def test_a_live_key_is_refused_and_not_repeated(start: Start, key: str) -> None:
    by_argument = refusal(start("--port", "0", "--api-key", key))
    by_environment = refusal(start("--port", "0", SUMUP_API_KEY=key))

    assert "live" in by_argument
    assert "live" in by_environment
    assert key not in by_argument + by_environment


def test_a_store_that_is_something_else_is_refused(start: Start, store: Path) -> None:
    store.write_text("nonsense\n", encoding="utf-8")

    assert "Line 1" in refusal(start("--port", "0", "--store", str(store)))


def test_key_merchant_and_currency_can_be_chosen(start: Start) -> None:
    program = start("--port", "0", "--currency", "EUR", SUMUP_API_KEY="sup_sk_mine", SUMUP_MERCHANT_CODE="MMINE")
    shop = shop_at(program)
    shop.session.headers["Authorization"] = "Bearer sup_sk_mine"

    assert shop.get("/v1/merchants/MMINE").json()["default_currency"] == "EUR"


def test_it_knows_nothing_of_django(start: Start) -> None:
    code = "import sys, payments.simulator.__main__; print('django' in sys.modules)"

    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "False"


def test_behind_a_proxy_its_pages_have_the_proxys_address(start: Start) -> None:
    shop = shop_at(start("--port", "0", "--public-url", "https://sumup.staging.example/"))

    created = shop.create(hosted_checkout={"enabled": True})

    assert created["hosted_checkout_url"].startswith("https://sumup.staging.example/pay/")
