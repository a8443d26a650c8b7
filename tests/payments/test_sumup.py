"""The only door to SumUp: exact money, a time-out on every call, every dialect of its errors, and no secret told."""

import json
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from payments import sumup
from payments.simulator import Simulator
from tests.payments.wire import Wire

KEY = "sup_sk_a_very_secret_key"
CALLS: dict[str, Callable[[], Any]] = {
    "create": lambda: create("r-1"),
    "find": lambda: sumup.find_checkouts("r-1"),
    "get": lambda: sumup.get_checkout("c-1"),
    "delete": lambda: sumup.delete_checkout("c-1"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())

PAID = {
    "id": "c-1",
    "checkout_reference": "r-1",
    "status": "PAID",
    "currency": "GBP",
    "merchant_code": "MROSEASH",
    "hosted_checkout_url": "https://checkout.sumup.com/pay/c-1",
    "transactions": [
        {"id": "t-1", "transaction_code": "T1", "status": "FAILED", "amount": 5, "currency": "GBP"},
        {"id": "t-2", "transaction_code": "T2", "status": "SUCCESSFUL", "amount": 5, "currency": "GBP"},
    ],
}


def create(reference: str, amount: str = "12.50", valid_until: datetime | None = None) -> sumup.Checkout:
    return sumup.create_checkout(
        reference=reference,
        amount=Decimal(amount),
        description="An order",
        valid_until=valid_until or datetime.now(UTC) + timedelta(minutes=30),
        return_url="https://shop.example/knock/1/",
        redirect_url="https://shop.example/back/",
    )


def say(wire: Wire, *, amount: str = "5", **changes: Any) -> None:
    """Answer the next call with a paid checkout; the amount is written as given."""
    document = json.dumps(PAID | changes).replace('"amount": 5', f'"amount": {amount}')
    wire.reply(200, document.encode())


# --- Money and time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "amount", ["0.01", "0.10", "0.30", "1.00", "4.35", "10.10", "19.99", "1234567.89", "9999999.99"]
)
def test_an_amount_arrives_at_sumup_to_the_penny(sumup_server: Any, sumup: Simulator, amount: str) -> None:
    create("r-1", amount)

    assert sumup.checkouts()[0].amount == Decimal(amount)


@pytest.mark.parametrize(
    ("written", "read"),
    [("19.99", "19.99"), ("10", "10"), ("0.1", "0.10"), ("0.3", "0.30"), ("4.35", "4.35"), ('"7.50"', "7.50")],
)
def test_an_amount_is_read_to_the_penny(wire: Wire, written: str, read: str) -> None:
    say(wire, amount=written)

    (tried,) = sumup.get_checkout("c-1").successful

    assert isinstance(tried.amount, Decimal)
    assert tried.amount == Decimal(read)


def test_many_small_amounts_add_up(wire: Wire) -> None:
    total = Decimal(0)
    for written in ("0.1", "0.2", "0.7"):
        say(wire, amount=written)
        total += sumup.get_checkout("c-1").successful[0].amount

    assert total == Decimal("1.0")


@pytest.mark.parametrize("written", ["null", '"a lot"', "true", "NaN", "Infinity", "-5", "{}", "[5]", '""'])
def test_an_amount_that_is_none_is_doubt(wire: Wire, written: str) -> None:
    say(wire, amount=written)

    with pytest.raises(sumup.SumUpInDoubt):
        sumup.get_checkout("c-1")


def test_a_success_of_nothing_moved_no_money(wire: Wire) -> None:
    say(wire, amount="0")

    assert sumup.get_checkout("c-1").successful == []


def test_only_a_successful_transaction_moved_money(wire: Wire) -> None:
    say(wire)

    assert [tried.id for tried in sumup.get_checkout("c-1").successful] == ["t-2"]


def test_a_moment_is_told_in_utc_whatever_ours_is(sumup: Simulator) -> None:
    until = (datetime.now(UTC) + timedelta(minutes=20)).replace(microsecond=0)

    create("r-1", valid_until=until.astimezone(timezone(timedelta(hours=-5))))

    assert sumup.checkouts()[0].valid_until == until


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-02T03:04:05.678Z", datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-07-02T03:04:05", datetime(2026, 7, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_a_transactions_moment_is_read(wire: Wire, written: str, read: datetime) -> None:
    say(wire, transactions=[PAID["transactions"][1] | {"timestamp": written}])  # type: ignore[operator]

    assert sumup.get_checkout("c-1").successful[0].at == read


@pytest.mark.parametrize("written", ["2026-02-30T00:00:00Z", "yesterday", "", None, 5])
def test_a_moment_that_cannot_be_read_is_now_and_loses_no_money(wire: Wire, written: Any) -> None:
    say(wire, transactions=[PAID["transactions"][1] | {"timestamp": written}])  # type: ignore[operator]

    (tried,) = sumup.get_checkout("c-1").successful

    assert tried.amount == 5
    assert datetime.now(UTC) - tried.at < timedelta(minutes=1)


# --- What a checkout is -----------------------------------------------------------------------------------------------


def test_a_checkout_may_say_more_and_less_than_we_know(wire: Wire) -> None:
    wire.reply(200, b'{"id": "c-1", "status": "PENDING", "surprise": {"deep": [1]}}')

    checkout = sumup.get_checkout("c-1")

    assert (checkout.id, checkout.status, checkout.url, checkout.transactions) == ("c-1", "PENDING", "", ())


@pytest.mark.parametrize("lost", ["id", "status"])
def test_a_checkout_without_id_or_status_is_doubt(wire: Wire, lost: str) -> None:
    say(wire, **{lost: None})

    with pytest.raises(sumup.SumUpInDoubt):
        sumup.get_checkout("c-1")


def test_finding_nothing_is_an_empty_list(wire: Wire) -> None:
    assert sumup.find_checkouts("nobody-has-this") == []


def test_finding_tells_of_all_there_are(wire: Wire) -> None:
    wire.reply(200, json.dumps([PAID, PAID | {"id": "c-2"}]).encode())

    assert [checkout.id for checkout in sumup.find_checkouts("r-1")] == ["c-1", "c-2"]


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'"c-1"', b"[null]", b"[{}]", b"[[]]"])
def test_a_list_that_is_none_is_doubt(wire: Wire, body: bytes) -> None:
    """Not: nothing found. That would have the same reference posted again."""
    wire.reply(200, body)

    with pytest.raises(sumup.SumUpInDoubt):
        sumup.find_checkouts("r-1")


def test_deleting_needs_no_words(wire: Wire) -> None:
    wire.reply(204)

    sumup.delete_checkout("c-1")


# --- Errors -----------------------------------------------------------------------------------------------------------

DIALECTS = {
    "legacy": ({"message": "Validation error", "error_code": "INVALID", "param": "amount"}, "Validation error"),
    "list": ([{"message": "Validation error", "error_code": "MISSING", "param": "merchant_code"}], "merchant_code"),
    "gateway": (
        {"error_message": "checkout_payments_not_allowed", "error_code": "FORBIDDEN", "status_code": "403"},
        "checkout_payments_not_allowed",
    ),
    "problem": ({"type": "https://x/unauthorized", "title": "Unauthorized", "detail": "Who are you?"}, "Who are you?"),
    "bare problem": ({"type": "https://x/request-blocked"}, "request-blocked"),
    "constraints": ({"title": "Bad Request", "details": "No such order", "failed_constraints": [{}]}, "No such order"),
}


@pytest.mark.parametrize(("document", "words"), DIALECTS.values(), ids=DIALECTS.keys())
def test_a_refusal_is_told_in_sumups_own_words(wire: Wire, document: Any, words: str) -> None:
    wire.reply(400, json.dumps(document).encode(), "application/problem+json")

    with pytest.raises(sumup.SumUpRefused) as refusal:
        sumup.get_checkout("c-1")

    assert words in str(refusal.value)
    assert "GET /v0.1/checkouts/c-1: HTTP 400" in str(refusal.value)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><h1>Bad Request</h1></html>", b"{not JSON", b"null", b"[]", b"7", b"[7]", b'"no"', b"\xff\xfe"],
)
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_without_readable_words_is_an_error_all_the_same(wire: Wire, body: bytes, status: int) -> None:
    wire.reply(status, body, "text/html")

    with pytest.raises(sumup.SumUpError, match=f"HTTP {status}"):
        sumup.get_checkout("c-1")


def test_a_long_reason_is_cut_short(wire: Wire) -> None:
    wire.reply(400, json.dumps({"message": "x" * 10_000}).encode())

    with pytest.raises(sumup.SumUpRefused) as refusal:
        sumup.get_checkout("c-1")

    assert len(str(refusal.value)) < 300


@every_call
@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 410, 415, 422])
def test_a_definite_no_is_a_refusal(wire: Wire, call: Callable[[], Any], status: int) -> None:
    wire.reply(status, b"{}")

    with pytest.raises(sumup.SumUpRefused):
        call()


@every_call
@pytest.mark.parametrize("status", [409, 429, 500, 502, 503, 504, 599])
def test_these_leave_us_in_doubt(wire: Wire, call: Callable[[], Any], status: int) -> None:
    wire.reply(status, b"{}")

    with pytest.raises(sumup.SumUpInDoubt):
        call()


def test_not_found_is_a_kind_of_refusal(wire: Wire) -> None:
    with pytest.raises(sumup.SumUpNotFound) as refusal:
        sumup.get_checkout("nobody")

    assert isinstance(refusal.value, sumup.SumUpRefused)


@pytest.mark.parametrize("body", [b"<html>OK</html>", b"{", b"\xff\xfe\x00"])
@every_call
def test_a_yes_that_is_not_json_leaves_us_in_doubt(wire: Wire, call: Callable[[], Any], body: bytes) -> None:
    wire.reply(200, body, "text/html")

    with pytest.raises(sumup.SumUpInDoubt):
        call()


@every_call
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_sends_us_elsewhere(wire: Wire, call: Callable[[], Any], status: int) -> None:
    """Followed, a redirected POST becomes a GET, and somebody else answers for SumUp."""
    wire.reply(status, b"", Location=f"{wire.url}/v0.1/checkouts/elsewhere")

    with pytest.raises(sumup.SumUpInDoubt):
        call()

    assert len(wire.calls) == 1


# --- Silence ----------------------------------------------------------------------------------------------------------


@every_call
def test_no_call_waits_for_ever(simulator_that_sleeps: Simulator, call: Callable[[], Any]) -> None:
    with pytest.raises(sumup.SumUpInDoubt, match="Timeout"):
        call()


@pytest.fixture
def simulator_that_sleeps(wire: Wire, settings: Any) -> Simulator:
    """Far slower than we are willing to wait."""
    settings.SUMUP_TIMEOUT = (5, 0.05)
    wire.on_every_call = lambda: threading.Event().wait(0.3)
    return wire.simulator


@every_call
def test_a_line_that_breaks_leaves_us_in_doubt(wire: Wire, call: Callable[[], Any]) -> None:
    wire.is_cut = True

    with pytest.raises(sumup.SumUpInDoubt):
        call()


@every_call
def test_nobody_there_leaves_us_in_doubt(settings: Any, call: Callable[[], Any]) -> None:
    settings.SUMUP_API_URL = "http://127.0.0.1:1"

    with pytest.raises(sumup.SumUpInDoubt):
        call()


# --- The secret key ---------------------------------------------------------------------------------------------------


@every_call
@pytest.mark.parametrize("trouble", ["refused", "in doubt", "not JSON", "cut", "nobody there"])
def test_the_key_is_in_no_error_and_no_log(
    wire: Wire, settings: Any, caplog: pytest.LogCaptureFixture, call: Callable[[], Any], trouble: str
) -> None:
    settings.SUMUP_API_KEY = KEY
    replies = {"refused": (401, b'{"message": "No"}'), "in doubt": (500, b"<html>"), "not JSON": (200, b"<html>")}
    if trouble in replies:
        wire.reply(*replies[trouble])
    wire.is_cut = trouble == "cut"
    if trouble == "nobody there":
        settings.SUMUP_API_URL = "http://127.0.0.1:1"

    with caplog.at_level("DEBUG"), pytest.raises(sumup.SumUpError) as error:
        call()

    assert KEY not in "".join(traceback.format_exception(error.value))
    assert KEY not in caplog.text


def test_the_key_is_told_to_sumup_alone(wire: Wire, settings: Any) -> None:
    settings.SUMUP_API_KEY = "sup_sk_wrong"

    with pytest.raises(sumup.SumUpRefused) as refusal:
        sumup.get_checkout("c-1")

    assert refusal.value.status == 401
