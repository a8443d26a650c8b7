"""The broker of files: no worker ever finds half a message."""

from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Queue
from kombu.transport.virtual import Channel

from cartsite.dev import broker


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """A channel of a broker whose queue is the folder of the test."""
    folder = str(tmp_path)
    told = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
    return Connection("filesystem://", transport=broker.Transport, transport_options=told).channel()


def test_each_message_comes_out_once(channel: Channel) -> None:
    Queue("work", channel=channel).declare()

    for number in range(3):
        channel._put("work", {"number": number})

    assert channel._size("work") == 3
    assert sorted(channel._get("work")["number"] for _ in range(3)) == [0, 1, 2]
    with pytest.raises(Empty):
        channel._get("work")


def test_a_message_that_is_being_written_is_not_found_yet(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    rename = Path.rename

    def look_first(draft: Path, whole: Path) -> Path:
        seen.append((channel._size("work"), draft.read_text()))
        return rename(draft, whole)

    monkeypatch.setattr(Path, "rename", look_first)

    channel._put("work", {"number": 1})

    assert seen == [(0, '{"number": 1}')]
    assert channel._get("work") == {"number": 1}
    assert list(tmp_path.iterdir()) == []
