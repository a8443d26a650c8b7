"""The simulator's memory: a file of JSON lines that is only ever added to. The last word about a thing wins."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class UnreadableJournal(Exception):
    """The file holds something that was not written by a journal."""


class Journal:
    """Records kept in a file, or nowhere at all when it has no path."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._torn_at: int | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """Every record in the order of writing, without a last line that was cut off by a crash.

        The cut-off piece stays in the file until the next append: whoever only looks changes nothing.
        """
        if not self._path or not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        self._torn_at = whole if whole < len(content) else None
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            yield self._parse(line, number)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UnreadableJournal(f"Line {number} of the store is not JSON.") from error
        if not isinstance(record, dict):
            raise UnreadableJournal(f"Line {number} of the store is not a record.")
        return record

    def append(self, *records: dict[str, Any]) -> None:
        """Add records in one go; once this returns they survive the death of the process."""
        if not self._path:
            return
        self._mend()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(record, default=str).encode() + b"\n" for record in records]
        with self._path.open("ab") as file:
            file.write(b"".join(lines))

    def _mend(self) -> None:
        # Without this the next record would be glued to the torn piece, and lost with it.
        if self._path and self._torn_at is not None:
            os.truncate(self._path, self._torn_at)
            self._torn_at = None

    def clear(self) -> None:
        """Forget everything."""
        self._torn_at = None
        if self._path and self._path.exists():
            os.truncate(self._path, 0)
