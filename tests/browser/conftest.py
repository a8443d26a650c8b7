"""A real browser, and a page of it for each visitor."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from payments.simulator import Simulator

# Playwright's loop is asynchronous, and Django would refuse to be asked from beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=QUIET)


@pytest.fixture
def payable(settings: Any, live_server: LiveServer, sumup: Simulator) -> None:
    """The shop's own address is what SumUp is told, and its pages may lead to SumUp's."""
    settings.PUBLIC_URL = live_server.url
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"] | {"form-action": ["'self'", settings.SUMUP_ORIGIN]}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}


@pytest.fixture(params=[(True, 1280), (True, 360), (False, 1280), (False, 360)], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A visitor's page, with or without JavaScript; whatever the browser complains of fails the test.

    (It calls it a fault, too, when a form was refused: that is an answer like any other.)
    """
    script, width = request.param
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=script, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [complaint for complaint in complaints if "status of 422" not in complaint] == []
