"""Where the newcomer's trees cannot be made, the check says why in one line."""

import os
import sys
from pathlib import Path

import pytest

from tests.newcomer import check


@pytest.fixture(autouse=True)
def _plain_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["check.py"])


def test_an_ordinary_user_is_told_that_it_needs_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert check.main() == 2

    assert capsys.readouterr().err == "Not tried: it needs root, to make the trees.\n"


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert check.main() == 2

    assert "missing: debootstrap, unshare, chroot (apt install debootstrap)" in capsys.readouterr().err


def test_an_index_on_this_machine_comes_along(tmp_path: Path) -> None:
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "constraints.txt").touch()
    settings = {
        "PIP_EXTRA_INDEX_URL": f"https://index.example/simple file://{tmp_path}/index/simple",
        "PIP_CONSTRAINT": f"{tmp_path}/constraints.txt",
    }

    assert check.local_places(settings) == {tmp_path / "index", tmp_path / "constraints.txt"}
