"""A world in which processes may die."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from time_machine import TimeMachineFixture

from orders.models import Order
from payments import closing
from payments.simulator import Simulator
from tests.crash.world import World


@pytest.fixture
def letters(tmp_path: Path, settings: Any) -> Path:
    """The folder into which the mail server puts all that it takes."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    return tmp_path


@pytest.fixture
def world(
    sumup: Simulator, time_machine: TimeMachineFixture, place_order: Callable[..., Order], letters: Path
) -> Iterator[World]:
    """A shop whose daily close reads three rows at a time."""
    with patch.object(closing, "ROWS_PER_PAGE", 3):
        yield World(sumup, time_machine, letters, place_order)
