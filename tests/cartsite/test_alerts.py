"""Whoever is to be told of faults and cases is told, once a minute at most; and "we were told" is said only then."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests
from django.core import mail
from django.test import Client
from django.utils import timezone

from cartsite import alerts, tasks
from cartsite.alerts import AlertHandler, describe
from cartsite.models import Case
from orders.models import Order
from tests.dev.conftest import eventually

pytestmark = pytest.mark.django_db

ADMINS = [("", "watch@example.org")]


class Hook:
    """Somebody else's address that takes JSON."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    hook = Hook()
    threading.Thread(target=hook.server.serve_forever, args=(0.01,), daemon=True).start()
    settings.ALERT_HOOK_URL = hook.url
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def case(order: Order) -> Case:
    """One that was opened a while ago."""
    Case.open(Case.Kind.LATE_PAYMENT, order, "Ada Shopper paid late.", at_stake=Decimal("76.50"))
    Case.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
    return Case.objects.get()


# --- What a shopper reads


def break_a_page(monkeypatch: pytest.MonkeyPatch) -> str:
    """What a page says that fails."""

    def fail(*_arguments: object) -> None:
        raise RuntimeError("ada@example.org")

    monkeypatch.setattr("cart.views.basket_for", fail)
    return Client(raise_request_exception=False).get("/cart/?key=hush").content.decode()


def test_where_nobody_is_told_we_do_not_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said = break_a_page(monkeypatch)

    assert "It is our fault" in said
    assert "told" not in said


@pytest.mark.parametrize("way", [{"ADMINS": ADMINS}, {"ALERT_HOOK_URL": "http://127.0.0.1:9/"}])
def test_where_somebody_is_told_we_say_so(monkeypatch: pytest.MonkeyPatch, settings: Any, way: dict[str, Any]) -> None:
    for name, value in way.items():
        setattr(settings, name, value)
    monkeypatch.setattr(alerts, "tell", lambda *_: True)

    assert "It is our fault, and we were told." in break_a_page(monkeypatch)


# --- Cases


def test_cases_are_mailed_with_kind_reference_and_link_and_no_names(case: Case, settings: Any) -> None:
    settings.ADMINS = ADMINS

    tasks.tell_of_cases()

    (told,) = mail.outbox
    assert told.to == ["watch@example.org"]
    assert told.subject == "[Rose Ash] 1 case to look at"
    assert "Late payment" in told.body
    assert str(case.subject_uuid) in told.body
    assert f"{settings.PUBLIC_URL}/admin/cartsite/case/{case.pk}/change/" in told.body
    assert "Ada" not in told.body


def test_each_case_is_told_once(case: Case, settings: Any) -> None:
    settings.ADMINS = ADMINS

    tasks.tell_of_cases()
    tasks.tell_of_cases()

    assert len(mail.outbox) == 1


def test_a_hundred_cases_are_one_mail(order: Order, settings: Any) -> None:
    settings.ADMINS = ADMINS
    cases = [Case(kind=Case.Kind.OVERSOLD, subject_type="orders.order", what_happened="") for _ in range(100)]
    for each in cases:
        each.subject_uuid = each.uuid
    Case.objects.bulk_create(cases)
    Case.objects.update(opened_at=timezone.now() - timedelta(minutes=2))

    tasks.tell_of_cases()

    (told,) = mail.outbox
    assert told.subject == "[Rose Ash] 100 cases to look at"
    assert "... and 80 more." in told.body
    assert not Case.objects.filter(told_at=None).exists()


def test_what_resolves_itself_at_once_or_sleeps_is_not_told(order: Order, case: Case, settings: Any) -> None:
    settings.ADMINS = ADMINS
    case.snooze(timezone.now() + timedelta(days=1), note="Later.")
    Case.open(Case.Kind.ATTEMPT_STUCK, order, "SumUp gave no answer.")  # a moment ago

    tasks.tell_of_cases()

    assert mail.outbox == []


def test_the_hook_is_told_too(case: Case, hook: Hook) -> None:
    tasks.tell_of_cases()

    (told,) = hook.told
    assert told["subject"] == "1 case to look at"
    assert told["lines"] == [line for line in told["text"].splitlines() if line != told["subject"]]
    assert "Ada" not in told["text"]


def test_a_case_that_nobody_could_be_told_of_is_told_next_time(case: Case, hook: Hook) -> None:
    hook.status = 500
    tasks.tell_of_cases()
    hook.status = 200

    tasks.tell_of_cases()

    assert len(hook.told) == 2
    assert Case.objects.get().told_at is not None


def test_without_anybody_to_tell_nothing_is_noted(case: Case) -> None:
    tasks.tell_of_cases()

    assert Case.objects.get().told_at is None


# --- Faults


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[tuple[str, list[str]]]:
    """What people were told of faults."""
    settings.ADMINS = ADMINS
    told: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(alerts, "tell", lambda subject, lines: told.append((subject, list(lines))))
    return told


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> AlertHandler:
    """A handler that told of nothing yet, on the logger of failed requests."""
    handler = AlertHandler(logging.ERROR)
    handler._last = float("-inf")
    monkeypatch.setattr(logging.getLogger("django"), "handlers", [handler])
    return handler


def test_a_failed_page_is_told_by_kind_place_and_view_and_without_secrets(
    handler: AlertHandler, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_a_page(monkeypatch)

    assert eventually(lambda: bool(told))
    ((subject, lines),) = told
    assert subject == "1 fault in the shop"
    assert lines[0].startswith("1 x HTTP 500 /cart/: RuntimeError at test_alerts.py:")
    assert "ada@" not in lines[0]
    assert "hush" not in lines[0]


def test_what_follows_within_a_minute_is_one_digest(
    handler: AlertHandler, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(handler, "_wait", lambda seconds: seconds == 0 or release.wait(30))
    break_a_page(monkeypatch)
    assert eventually(lambda: len(told) == 1)
    for _ in range(5):
        break_a_page(monkeypatch)
    early = len(told)

    release.set()

    assert eventually(lambda: len(told) == 2)
    assert (early, told[1][0]) == (1, "5 faults in the shop")
    assert len(told[1][1]) == 1


def test_strangers_cannot_have_people_told(handler: AlertHandler, told: list[Any]) -> None:
    Client(raise_request_exception=False).get("/", headers={"host": "evil.example"})
    Client().get("/nowhere/")

    assert handler._teller is None
    assert told == []


def test_a_failed_sweep_is_told_without_what_it_was_about() -> None:
    try:
        raise ValueError("Ada Shopper")
    except ValueError as error:
        trace = (ValueError, error, error.__traceback__)
    record = logging.LogRecord(
        "payments.sweeping", logging.ERROR, "", 1, "Payment %s could not be looked at", ("Ada",), trace
    )

    said = describe(record)

    assert said.startswith("payments.sweeping: ValueError at test_alerts.py:")
    assert "Ada" not in said


def test_a_mail_server_and_a_hook_that_fail_stop_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ADMINS, settings.ALERT_HOOK_URL = ADMINS, "http://127.0.0.1:9/"

    def refuse(*_arguments: object, **_more: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(alerts, "mail_admins", refuse)
    monkeypatch.setattr(requests, "post", refuse)

    assert alerts.tell("1 fault in the shop", ["1 x HTTP 500"]) is False


def test_the_shops_own_logging_has_the_handler() -> None:
    for name in ("", "django"):
        handlers = logging.getLogger(name).handlers

        assert [each.level for each in handlers if isinstance(each, AlertHandler)] == [logging.ERROR]
