"""A world in which processes may die."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from orders.models import Order
from payments import closing
from payments.simulator import Simulator
from tests.crash.world import World


@pytest.fixture
def world(
    sumup: Simulator,
    time_machine: TimeMachineFixture,
    place_order: Callable[..., Order],
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """A shop whose mail goes into a folder, and whose daily close reads three rows at a time."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    monkeypatch.setattr(closing, "ROWS_PER_PAGE", 3)
    return World(sumup, time_machine, tmp_path, place_order)
