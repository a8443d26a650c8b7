"""What may be logged: keys and tokens in addresses never are."""

import logging
import re

# The token of a webhook, and any long part of a path that is no plain words: keys and tokens look like that.
SECRET = re.compile(r"(?<=/webhooks/sumup/)[^/?\s]+|(?<=/)(?=[^/?\s]*[0-9A-Z])[\w~-]{20,}(?=[/?\s]|$)")
QUERY = re.compile(r"\?\S*")


def masked(url: str) -> str:
    """A URL's path as a log may show it: without the query, and without what looks like a secret."""
    return SECRET.sub("***", QUERY.sub("", url))


class MaskSecrets(logging.Filter):
    """Masks the addresses that Django names when a request goes wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(masked(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True
