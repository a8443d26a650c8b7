"""What the shop says, at the start or at the first request, of settings that work in production, but not well."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
import yaml
from django.test import Client

from cartsite import gunicorn, middleware
from cartsite.dev.postgres import CHECKOUT
from tests.cartsite.test_settings import KEPT, PRODUCTION, READ

PROXY = {"TRUSTED_PROXIES": "192.0.2.7"}


def start(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the shop with settings as on a production server."""
    environment = KEPT | dict.fromkeys(READ, "") | PRODUCTION | changes
    return subprocess.run(
        [sys.executable, *command], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )


def check_deployment(**changes: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check --deploy` on settings as on a production server."""
    return start("manage.py", "check", "--deploy", "--fail-level", "WARNING", **changes)


def test_plain_settings_with_a_listed_proxy_are_fit_for_production() -> None:
    checked = check_deployment(**PROXY)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_an_https_shop_without_a_listed_proxy_is_warned() -> None:
    checked = check_deployment()

    assert checked.returncode == 1
    assert "TRUSTED_PROXIES is empty" in checked.stderr
    assert "1 issue" in checked.stderr


def test_the_web_server_says_so_at_its_start_and_starts_nevertheless() -> None:
    begin = "from cartsite.gunicorn import on_starting; on_starting(None)"
    simulator = {"STAGING": "1", "SUMUP_API_URL": "https://127.0.0.1:8001"}  # which is not asked what it is

    started = start("-c", begin, DJANGO_SETTINGS_MODULE="cartsite.settings", **simulator)

    assert started.returncode == 0
    assert "TRUSTED_PROXIES is empty" in started.stderr


@pytest.fixture
def _nobody_logged_yet() -> Iterator[None]:
    middleware._logged.clear()
    yield
    middleware._logged.clear()


@pytest.mark.usefixtures("_nobody_logged_yet")
@pytest.mark.parametrize("header", ["x-forwarded-for", "x-forwarded-proto"])
@pytest.mark.parametrize("trusted", [[], ["192.0.2.7"]])
def test_a_proxy_that_is_not_listed_is_logged_once_with_what_to_set(
    client: Client, settings: Any, caplog: pytest.LogCaptureFixture, trusted: list[str], header: str
) -> None:
    settings.TRUSTED_PROXIES = [ip_network(address) for address in trusted]

    with caplog.at_level(logging.WARNING, "cartsite.middleware"):
        for _ in range(3):
            client.get("/healthz", headers={header: "https"}, REMOTE_ADDR="10.0.0.9")

    [said] = [record.getMessage() for record in caplog.records if record.name == "cartsite.middleware"]
    assert said.startswith("10.0.0.9 ")
    assert "TRUSTED_PROXIES" in said


@pytest.mark.usefixtures("_nobody_logged_yet")
def test_neither_a_listed_proxy_nor_a_plain_visitor_is_logged(
    client: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]

    client.get("/healthz", headers={"x-forwarded-for": "203.0.113.5"}, REMOTE_ADDR="10.0.0.9")
    client.get("/healthz", REMOTE_ADDR="203.0.113.5")

    assert not [record for record in caplog.records if record.name == "cartsite.middleware"]


@pytest.mark.usefixtures("_nobody_logged_yet")
def test_visitors_who_make_headers_up_cannot_fill_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(50):
        client.get("/healthz", headers={"x-forwarded-for": "192.0.2.1"}, REMOTE_ADDR=f"203.0.113.{number}")

    said = [record for record in caplog.records if record.name == "cartsite.middleware"]
    assert len(said) == middleware.MOST_LOGGED


def hsts(**changes: str) -> str:
    """The three settings of HSTS, as a production server has them."""
    asked = "from cartsite import settings as s; "
    asked += "print(s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)"
    return start("-c", asked, **changes).stdout.strip()


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({}, "31536000 False False"),
        ({"HSTS_SECONDS": "3600"}, "3600 False False"),
        ({"HSTS_SECONDS": "0"}, "0 False False"),
        ({"HSTS_INCLUDE_SUBDOMAINS": "1"}, "31536000 True False"),
        ({"HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_PRELOAD": "1"}, "31536000 True True"),
    ],
)
def test_neighbouring_names_are_held_to_https_only_where_that_was_asked_for(changes: dict[str, str], held: str) -> None:
    assert hsts(**changes) == held


def test_docker_waits_longer_than_the_web_server_takes_to_finish() -> None:
    services = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())["services"]

    waits = {name: services[name].get("stop_grace_period", "10s") for name in ("web", "worker", "beat")}

    assert all(int(wait.removesuffix("s")) > gunicorn.graceful_timeout for wait in waits.values()), waits
