"""A missing or bad setting stops the start with one line that names it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from cartsite.dev.postgres import CHECKOUT

PRODUCTION = {
    "SECRET_KEY": "no-secret-only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz",
    "ALLOWED_HOSTS": "shop.example",
    "PUBLIC_URL": "https://shop.example",
    "DATABASE_URL": "postgres://shop:no-secret@database.example/shop",
    "CELERY_BROKER_URL": "redis://broker.example:6379/0",
    "CACHE_URL": "rediscache://cache.example:6379/1",
    "SUMUP_API_KEY": "no-secret",
    "SUMUP_MERCHANT_CODE": "MCODE",
    "EMAIL_URL": "smtp+tls://shop:no-secret@mail.example:587",
    "DEFAULT_FROM_EMAIL": "Rose Ash <shop@shop.example>",
}
# Nothing of the machine that runs the tests helps, nor a `.env` in the checkout: the rest is there, but empty.
KEPT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}

SOURCE = (CHECKOUT / "cartsite" / "settings.py").read_text()
READ = set(re.findall(r"""\b(?:read\([\w.]+,\s*|env\.\w+\()["']([A-Z_]+)["']""", SOURCE))

MISSING = [(name, {name: ""}) for name in PRODUCTION]
BAD = [
    (name, {name: value})
    for name, values in {
        "SECRET_KEY": ["short", "x" * 49],
        "ALLOWED_HOSTS": ["*", "shop.example,*", ",", "https://shop.example"],
        "PUBLIC_URL": [
            "http://shop.example",
            "https://shop.example/shop",
            "shop.example",
            "https://",
            "https://[",
            "ftp://shop.example",
        ],
        "DATABASE_URL": [
            "sqlite:///shop.db",
            "mysql://shop:x@database.example/shop",
            "garbage",
            "postgres://shop:x@database.example:port/shop",
            "postgres://database.example",
        ],
        "CELERY_BROKER_URL": ["garbage", "nonsense://broker.example"],
        "CACHE_URL": ["garbage", "nonsense://cache.example", "dummycache://", "locmemcache://", "LocMemCache://shop"],
        "SUMUP_API_URL": [
            "http://api.sumup.com",
            "garbage",
            "https://api.sumup.com/v0.1",
            "https://[",
            "http://127.0.0.1:8001",
            "https://127.0.0.1:8001",
            "https://localhost",
            "https://[::1]:8001",
            "https://127.0.0.2:8001",
            "https://localhost.localdomain",
            "https://sumup.localhost",
            "https://0.0.0.0:8001",
        ],
        "SUMUP_API_KEY": ["sup_sk_simulator", "sk_test_no-secret", "sup_sk_test_no-secret"],
        "CURRENCY": ["gbp", "XXX", "JPY"],
        "SUMUP_RECEIPT_URL": ["http://receipts.example/{transaction}", "https://receipts.example/"],
        "RECENT_SIGN_IN": ["0", "-1", "1441", "soon"],
        "TIME_ZONE": ["Mars/Base", "../etc/passwd"],
        "TRUSTED_PROXIES": ["nonsense", "10.0.0.1/8", "10.0.0.0/33"],
        "HSTS_SECONDS": ["-1", "long"],
        "HSTS_INCLUDE_SUBDOMAINS": ["maybe"],
        "HSTS_PRELOAD": ["maybe", "1"],
        "INTERNAL_API_TOKENS": ["market", "market:short", ":long-enough-0123456789", "a:long-enough-0123456789,b"],
        "EMAIL_URL": ["garbage", "nonsense://mail.example", "smtp://mail.example:port"],
        "DEFAULT_FROM_EMAIL": ["nobody"],
        "DEBUG": ["maybe"],
        "DEMO": ["maybe", "1"],
        "STAGING": ["maybe"],
        "CONN_MAX_AGE": ["long"],
        "DATABASE_PREPARE": ["maybe"],
    }.items()
    for value in values
]
SIGN_ON = {
    "OIDC_NAME": "Co-op account",
    "OIDC_SERVER_URL": "https://accounts.shop.example",
    "OIDC_CLIENT_ID": "shop",
    "OIDC_CLIENT_SECRET": "no-secret",
}
BAD += [(name, SIGN_ON | {name: ""}) for name in SIGN_ON]
BAD += [
    ("OIDC_SERVER_URL", SIGN_ON | {"OIDC_SERVER_URL": url})
    for url in ("http://accounts.shop.example", "accounts.shop.example", "https://", "https://[", "ftp://a.example")
]
BAD += [("HSTS_PRELOAD", {"HSTS_PRELOAD": "1", "HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_SECONDS": "3600"})]
# Trying things out never moves real money.
BAD += [
    ("SUMUP_API_KEY", {"DEBUG": "1", "SUMUP_API_KEY": key} | more)
    for key in ("sk_live_no-secret", "sup_sk_live_no-secret")
    for more in ({}, {"DEMO": "1"}, {"SUMUP_API_URL": "https://api.sumup.com"})
]
BAD += [
    ("SUMUP_API_KEY", {"STAGING": "1", "SUMUP_API_KEY": key} | more)
    for key in ("sk_live_no-secret", "sup_sk_live_no-secret")
    for more in ({}, {"SUMUP_API_URL": "https://127.0.0.1:8001"})
]
# A staging shop is set up as in production.
BAD += [("SUMUP_API_URL", {"STAGING": "1", "SUMUP_API_URL": f"http://{host}:8001"}) for host in ("127.0.0.1", "a.test")]
BAD += [("DATABASE_URL", {"DATABASE_URL": "embedded"})]  # which serves the demo and tests
BAD += [("PUBLIC_URL", {"STAGING": "1", "PUBLIC_URL": "http://shop.example"})]
BAD += [("DEMO", {"STAGING": "1", "DEMO": "1"})]
BAD += [("CACHE_URL", {"STAGING": "1", "CACHE_URL": url}) for url in ("dummycache://", "locmemcache://")]
GOOD: list[dict[str, str]] = [
    {},
    SIGN_ON,
    SIGN_ON | {"OIDC_SERVER_URL": "https://accounts.shop.example/realms/co-op/"},
    SIGN_ON | {"DEBUG": "1", "OIDC_SERVER_URL": "http://127.0.0.1:8002"},
    {"DEBUG": "on", **dict.fromkeys(PRODUCTION, "")},
    {"DEBUG": "1", "DEMO": "1", **dict.fromkeys(PRODUCTION, "")},
    {"SUMUP_API_KEY": "sk_live_no-secret"},
    {"STAGING": "1", "SUMUP_API_URL": "https://127.0.0.1:8001", "SUMUP_API_KEY": "sup_sk_simulator"},
    {"STAGING": "1", "SUMUP_API_URL": "https://localhost:8001", "SUMUP_API_KEY": "sk_test_no-secret"},
    {"STAGING": "0", "SUMUP_API_URL": "https://api.sumup.com"},
    {"SECRET_KEY": "$" + "x" * 49},  # Django's own generator makes such keys
    {"TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.7,2001:db8::/32"},
    {"HSTS_SECONDS": "0"},
    {"HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_PRELOAD": "1"},
    {"INTERNAL_API_TOKENS": "market:long-enough-0123456789, people:long:enough-0123456789"},
    {"CELERY_BROKER_URL": "amqp://shop:x@broker.example//"},
    {"DATABASE_URL": "postgresql://shop:x@/shop?host=/run/postgresql"},
]


class Answer(NamedTuple):
    """How one start ended."""

    status: int
    stderr: str


@pytest.fixture(scope="module")
def answers() -> dict[str, Answer]:
    """What the program says to each set of changes."""
    changes = [change for _name, change in MISSING + BAD] + GOOD
    environments = [KEPT | dict.fromkeys(READ, "") | PRODUCTION | change for change in changes]
    started = subprocess.run(
        [sys.executable, Path(__file__).with_name("many_starts.py")],
        input=json.dumps(environments),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=900,  # only a start that hangs takes so long
        check=True,
    )
    return {str(change): Answer(*answer) for change, answer in zip(changes, json.loads(started.stdout), strict=True)}


@pytest.mark.parametrize(("name", "change"), MISSING + BAD, ids=lambda value: str(value)[:60])
def test_a_missing_or_bad_setting_stops_the_start_by_name(
    answers: dict[str, Answer], name: str, change: dict[str, str]
) -> None:
    answer = answers[str(change)]

    assert answer.status == 1
    assert re.fullmatch(rf"Setting {name}: .+\.\n", answer.stderr), answer.stderr


@pytest.mark.parametrize("change", GOOD, ids=lambda value: str(value)[:60])
def test_good_settings_start(answers: dict[str, Answer], change: dict[str, str]) -> None:
    answer = answers[str(change)]

    assert (answer.status, answer.stderr) == (0, "")


def test_the_program_itself_ends_the_same_way() -> None:
    """The others begin in a process that has the libraries already; this one does not."""
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env=KEPT | dict.fromkeys(READ, "") | PRODUCTION | {"SECRET_KEY": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Setting SECRET_KEY: is missing, and has no safe default in production.\n"


def test_the_example_names_every_setting() -> None:
    named = re.findall(r"^#? ?([A-Z][A-Z_]+)=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE)

    assert len(named) == len(set(named))
    assert set(named) >= READ
    assert len(READ) > 15
