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

from cart.models import Product
from cartsite import gunicorn
from cartsite.celery import check_before_work
from cartsite.dev.postgres import CHECKOUT
from cartsite.models import Case
from orders.models import Order
from payments import account, sending, starting
from payments import sumup as sumup_client
from payments.management.commands import check_sumup
from payments.models import Payment
from payments.simulator import Merchant, Simulator, serve
from tests.cartsite.test_settings import KEPT, PRODUCTION

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


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not asked SumUp yet."""
    monkeypatch.setattr(account, "_answers", {})


@pytest.fixture
def as_if_at_sumup(sumup: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator plays SumUp itself, and our own address is public."""
    settings.SUMUP_IS_SIMULATOR = False
    settings.PUBLIC_URL = "https://shop.example"
    lead_to(monkeypatch, "8.8.8.8")


@pytest.fixture
def at_sumup(sumup: Simulator, as_if_at_sumup: None, settings: Any) -> Callable[[str, bool], None]:
    """A shop that must (or must not) be in a sandbox, with an account of this kind: `at_sumup("live", False)`."""

    def stand(kind: str, must_be_sandbox: bool) -> None:
        settings.SUMUP_MUST_BE_SANDBOX = must_be_sandbox
        sumup.behave(merchant_sandbox=kind)

    return stand


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


@pytest.mark.parametrize(("kind", "loud"), [("sandbox", "*** SANDBOX"), ("live", "*** LIVE: this is real money")])
def test_it_says_loudly_whether_money_is_real(
    at_sumup: Callable[[str, bool], None], ask: Ask, kind: str, loud: str
) -> None:
    at_sumup(kind, kind == "sandbox")

    said = ask()

    assert loud in said
    assert said.endswith("All is well.\n")


@pytest.mark.parametrize(
    ("kind", "fault"), [("live", "MROSEASH takes real money"), ("sandbox", "MROSEASH is a sandbox")]
)
def test_an_account_of_the_wrong_kind_is_a_fault(
    at_sumup: Callable[[str, bool], None], ask: Ask, kind: str, fault: str
) -> None:
    at_sumup(kind, kind == "live")

    said = ask()

    assert fault in said
    assert said.endswith("1 fault(s).")


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
    monkeypatch.setattr(account.sumup, "_call", lambda method, path: {"merchant_code": "MROSEASH"})

    (error,) = run_checks(tags=["sumup"])

    assert error.id == "payments.E002"


def test_the_simulator_is_never_asked(sumup: Simulator, settings: Any) -> None:
    settings.SUMUP_MUST_BE_SANDBOX = True

    assert run_checks(tags=["sumup"]) == []
    assert sumup.requests == []


@pytest.fixture
def real(trying_out: None, sumup: Simulator, settings: Any) -> None:
    """A shop that takes real money, in an account that does."""
    settings.SUMUP_MUST_BE_SANDBOX = False
    sumup.behave(merchant_sandbox="live")


def test_in_production_a_command_that_takes_no_money_does_not_ask(real: None, sumup: Simulator) -> None:
    assert run_checks(tags=["sumup"]) == []
    assert sumup.requests == []


def fail_to_tell(code: str) -> sumup_client.Merchant:
    """SumUp does not say what kind of account it is."""
    raise sumup_client.SumUpInDoubt(f"GET /v1/merchants/{code}: ConnectTimeout")


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account.sumup, "get_merchant", fail_to_tell)


STARTS = [lambda: gunicorn.on_starting(None), check_before_work]


@pytest.mark.parametrize("start", STARTS, ids=["web", "worker"])
def test_in_production_a_live_account_starts(real: None, start: Any) -> None:
    start()


@pytest.mark.parametrize("start", STARTS, ids=["web", "worker"])
def test_in_production_a_sandbox_stops_the_start(real: None, sumup: Simulator, start: Any) -> None:
    sumup.behave(merchant_sandbox="sandbox")

    with pytest.raises((CommandError, SystemExit), match="MROSEASH is a sandbox, which takes no real money"):
        start()


@pytest.mark.parametrize("start", STARTS, ids=["web", "worker"])
def test_in_production_a_sumup_out_of_reach_does_not_stop_the_start(
    real: None, nobody_answers: None, start: Any
) -> None:
    start()


# --- Before money is taken --------------------------------------------------------------------------------------------


def test_a_process_asks_once_and_then_takes_payments(
    real: None, sumup: Simulator, order: Order, place_order: Any, honey: Product
) -> None:
    starting.start(order)
    payment = starting.start(place_order((honey, 1)))

    assert payment.status == Payment.Status.OPEN
    assert [request.path for request in sumup.requests].count("/v1/merchants/MROSEASH") == 1


def test_a_sandbox_is_given_no_checkout_by_a_shop_that_takes_real_money(
    real: None, sumup: Simulator, order: Order
) -> None:
    sumup.behave(merchant_sandbox="sandbox")

    payment = starting.start(order)

    assert (payment.status, payment.checkout_id) == (Payment.Status.CLOSED, None)
    assert Case.objects.about(payment).get().what_happened.endswith("Use a live account, or set STAGING=1.")
    assert sumup.checkouts() == []


def test_a_live_account_is_given_no_checkout_by_a_shop_for_trying_out(
    trying_out: None, sumup: Simulator, order: Order
) -> None:
    sumup.behave(merchant_sandbox="live")

    assert starting.start(order).status == Payment.Status.CLOSED
    assert sumup.checkouts() == []


def test_while_the_kind_of_account_is_unknown_no_checkout_is_made_and_the_sweep_goes_on(
    real: None, sumup: Simulator, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(account.sumup, "get_merchant", fail_to_tell)
        payment = starting.start(order)

    assert payment.status == Payment.Status.UNKNOWN
    assert sumup.checkouts() == []
    sending.resolve(payment)
    payment.refresh_from_db()
    assert payment.status == Payment.Status.OPEN


def test_the_program_starts_in_production_without_sumup() -> None:
    """`.invalid` leads nowhere, by RFC 6761."""
    ended = subprocess.run(
        [sys.executable, "manage.py", "check_sumup", "--starting"],
        cwd=CHECKOUT,
        env=KEPT | PRODUCTION | {"SUMUP_API_URL": "https://sumup.invalid"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0
    assert "until it does, nobody can pay" in ended.stderr


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
