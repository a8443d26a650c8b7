"""Celery's broker of files, for one machine, with messages that are found only once they are whole.

Kombu's own makes a file under its final name and fills it then: a worker that looks in between takes an empty file for
a message, and dies of it.
"""

from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Puts each message into its queue at once."""

    def _put(  # type: ignore[override] # Kombu's own classes do not agree on it
        self, queue: str, payload: dict[str, Any], **kwargs: Any
    ) -> None:
        """Write it under a name that no queue looks for, then give it its own. Raises ChannelError."""
        whole = Path(self.data_folder_out) / f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        draft = whole.with_name(f".{whole.name}")
        try:
            draft.write_text(dumps(payload))
            draft.rename(whole)
        except OSError as error:
            raise ChannelError(f"Cannot write {whole}") from error


class Transport(filesystem.Transport):
    """Kombu's, but for how it puts."""

    Channel = Channel
