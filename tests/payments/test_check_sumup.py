"""`manage.py check_sumup`, and the check that keeps real money out of trying things."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError

from cartsite import gunicorn
from cartsite.celery import check_before_work
from cartsite.local.postgres import CHECKOUT
from payments import checks
from payments.management.commands import check_sumup
from payments.simulator import Merchant, Simulator, serve

Ask = Callable[[], str]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """What the command says, with how many faults it ends."""

    def run() -> str:
        try:
            call_command("check_sumup", no_color=True)
            end = ""
        except CommandError as error:
            end = str(error)
        return capsys.readouterr().out + end

    return run


@pytest.fixture
def as_if_at_sumup(sumup: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator plays SumUp itself, and our own address is public."""
    settings.SUMUP_IS_SIMULATOR = False
    settings.PUBLIC_URL = "https://shop.example"
    lead_to(monkeypatch, "8.8.8.8")


def lead_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """From now on every name leads to these addresses, for the command; to none if there are none."""

    def look_up(*_args: Any, **_more: Any) -> list[Any]:
        if not addresses:
            raise OSError
        return [(2, 1, 6, "", (address, 443)) for address in addresses]

    names = SimpleNamespace(getaddrinfo=look_up, SOCK_STREAM=socket.SOCK_STREAM)
    monkeypatch.setattr(check_sumup, "socket", names)


# --- The key and its account ------------------------------------------------------------------------------------------


def test_where_all_is_well_it_says_so(sumup: Simulator, ask: Ask) -> None:
    said = ask()

    assert said.endswith("All is well.\n")
    assert "MROSEASH" in said
    assert "*** SIMULATOR: no real money moves. ***" in said


@pytest.mark.parametrize(("account", "loud"), [("sandbox", "*** SANDBOX"), ("live", "*** LIVE: this is real money")])
def test_it_says_loudly_whether_money_is_real(
    sumup: Simulator, as_if_at_sumup: None, ask: Ask, account: str, loud: str
) -> None:
    sumup.behave(merchant_sandbox=account)

    said = ask()

    assert loud in said
    assert said.endswith("All is well.\n")


def test_a_wrong_key_is_a_fault(sumup: Simulator, settings: Any, ask: Ask) -> None:
    settings.SUMUP_API_KEY = "sup_pk_the_public_one"

    said = ask()

    assert "SumUp refuses the key" in said
    assert said.endswith("1 fault(s).")
    assert "sup_pk_the_public_one" not in said


def test_a_key_for_another_merchant_is_a_fault(sumup: Simulator, settings: Any, ask: Ask) -> None:
    settings.SUMUP_MERCHANT_CODE = "MOTHER"

    said = ask()

    assert "not for the merchant MOTHER" in said
    assert said.endswith("1 fault(s).")


def test_an_answer_about_another_merchant_is_a_fault(
    sumup: Simulator, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = check_sumup.sumup.Merchant("MOTHER", "GBP", is_sandbox=True)
    monkeypatch.setattr(check_sumup.sumup, "get_merchant", lambda code: other)

    assert "It is for MOTHER, not for MROSEASH." in ask()


def test_another_currency_is_a_fault(sumup: Simulator, settings: Any, ask: Ask) -> None:
    settings.CURRENCY = "EUR"

    said = ask()

    assert "The merchant's currency is GBP, but the shop's is EUR." in said
    assert said.endswith("1 fault(s).")


def test_a_sumup_out_of_reach_is_a_fault(settings: Any, ask: Ask) -> None:
    with serve(Simulator(merchant=Merchant("MROSEASH", "sup_sk_simulator", "GBP"))) as server:
        settings.SUMUP_API_URL = server.url

    said = ask()

    assert f"SumUp cannot be reached at {settings.SUMUP_API_URL}" in said
    assert said.endswith("1 fault(s).")


# --- Our own address --------------------------------------------------------------------------------------------------


def test_an_http_address_is_a_fault(sumup: Simulator, as_if_at_sumup: None, settings: Any, ask: Ask) -> None:
    settings.PUBLIC_URL = "http://shop.example"

    assert "SumUp only calls https addresses" in ask()


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.0.0.7",),
        ("192.168.1.20",),
        ("169.254.1.1",),
        ("::1",),
        ("fd00::1",),
        ("8.8.8.8", "10.0.0.7"),
    ],
)
def test_a_private_address_is_a_fault(
    as_if_at_sumup: None, ask: Ask, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    lead_to(monkeypatch, *addresses)

    said = ask()

    assert "SumUp cannot reach shop.example" in said
    assert said.endswith("1 fault(s).")


def test_a_name_that_leads_nowhere_is_a_fault(as_if_at_sumup: None, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch)

    assert "SumUp cannot reach shop.example" in ask()


def test_a_public_https_address_is_well(as_if_at_sumup: None, ask: Ask) -> None:
    assert "SumUp will call https://shop.example/" in ask()


def test_all_faults_are_told_at_once(as_if_at_sumup: None, settings: Any, ask: Ask) -> None:
    settings.CURRENCY, settings.PUBLIC_URL = "EUR", "http://shop.example"

    assert ask().endswith("2 fault(s).")


# --- Before the start -------------------------------------------------------------------------------------------------


@pytest.fixture
def trying_out(sumup: Simulator, settings: Any) -> None:
    """DEBUG is on, and the simulator plays a SumUp that is not on this machine."""
    settings.SUMUP_MUST_BE_SANDBOX, settings.SUMUP_IS_SIMULATOR = True, False


def test_with_debug_on_a_sandbox_may_be_used(trying_out: None) -> None:
    assert run_checks(tags=["sumup"]) == []


@pytest.mark.parametrize("start", [lambda: call_command("check"), lambda: gunicorn.on_starting(None)])
def test_with_debug_on_a_live_account_stops_the_start(trying_out: None, sumup: Simulator, start: Any) -> None:
    sumup.behave(merchant_sandbox="live")

    with pytest.raises(SystemCheckError, match="MROSEASH takes real money"):
        start()


def test_with_debug_on_a_live_account_stops_the_worker(trying_out: None, sumup: Simulator) -> None:
    sumup.behave(merchant_sandbox="live")

    with pytest.raises(SystemExit, match="MROSEASH takes real money"):
        check_before_work()


def test_with_debug_on_an_account_that_does_not_answer_is_not_trusted(trying_out: None, settings: Any) -> None:
    settings.SUMUP_API_KEY = "another"

    (error,) = run_checks(tags=["sumup"])

    assert error.id == "payments.E001"


def test_an_account_that_does_not_say_whether_it_is_a_sandbox_is_not_trusted(
    trying_out: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.sumup, "_call", lambda method, path: {"merchant_code": "MROSEASH"})

    (error,) = run_checks(tags=["sumup"])

    assert error.id == "payments.E002"


def test_the_simulator_is_never_asked(sumup: Simulator, settings: Any) -> None:
    settings.SUMUP_MUST_BE_SANDBOX = True

    assert run_checks(tags=["sumup"]) == []
    assert sumup.requests == []


def test_in_production_nobody_is_asked(trying_out: None, sumup: Simulator, settings: Any) -> None:
    settings.SUMUP_MUST_BE_SANDBOX = False
    sumup.behave(merchant_sandbox="live")

    assert run_checks(tags=["sumup"]) == []
    assert sumup.requests == []


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "runserver", "--noreload", "127.0.0.1:0"],
        ["-m", "celery", "-A", "cartsite", "worker", "--concurrency", "1"],
        ["-m", "gunicorn", "-c", "cartsite/gunicorn.py", "--bind", "127.0.0.1:0", "cartsite.wsgi"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_no_program_starts_with_debug_on_and_an_account_that_is_no_sandbox(command: list[str], tmp_path: Any) -> None:
    """A machine that does not answer is no sandbox either; `.invalid` leads nowhere, by RFC 6761."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    trying = {
        "DEBUG": "1",
        "SUMUP_API_URL": "https://sumup.invalid",
        "CELERY_BROKER_URL": "memory://",
        "DATABASE_URL": os.environ["DATABASE_URL"],
    }

    ended = subprocess.run(
        [sys.executable, *command],
        cwd=CHECKOUT,
        env=kept | trying,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode not in (0, None)
    assert "SumUp must show that the account is a sandbox" in ended.stdout + ended.stderr
