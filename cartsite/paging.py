"""Pages of long lists that stay as fast on the last page as on the first: by the last row's key, never by counting."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the page after them (empty on the last)."""

    rows: list[Row]
    next: str


def page_of(rows: QuerySet[Row], order: tuple[str, ...], after: str, size: int) -> Page[Row]:
    """The first `size` rows behind the cursor `after`, in an order that ends with a unique field.

    A cursor that cannot be read (cut short, made up) is the first page.
    """
    rows = rows.order_by(*order)
    if (values := _read_cursor(after, len(order))) is not None:
        with suppress(ValidationError, ValueError, TypeError):
            rows = rows.filter(_not_before(order[0], values[0]), _behind(order, values))
    found = list(rows[: size + 1])
    more = len(found) > size
    return Page(found[:size], cursor_of(found[size - 1], order) if more else "")


def _not_before(field: str, value: Any) -> Q:
    """Where to begin in an index: what comes behind says it too, but with an OR, for which none is searched."""
    return Q(**{f"{field[1:]}__lte" if field.startswith("-") else f"{field}__gte": value})


def _behind(order: tuple[str, ...], values: list[Any]) -> Q:
    """Rows that come after these values: the first field is further on, or equal and the rest further on."""
    field, value = order[0], values[0]
    name, further = (field[1:], "lt") if field.startswith("-") else (field, "gt")
    behind = Q(**{f"{name}__{further}": value})
    if len(order) > 1:
        behind |= Q(**{name: value}) & _behind(order[1:], values[1:])
    return behind


def cursor_of(row: Model, order: tuple[str, ...]) -> str:
    """The cursor of the page that begins behind this row."""
    values = [_follow(row, field.lstrip("-")) for field in order]
    return urlsafe_b64encode(json.dumps(values, cls=PreciseEncoder).encode()).decode().rstrip("=")


class PreciseEncoder(DjangoJSONEncoder):
    """Keeps a moment's microseconds, which Django's own cuts to milliseconds."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)


def _read_cursor(cursor: str, length: int) -> list[Any] | None:
    try:
        values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        return None
    readable = isinstance(values, list) and len(values) == length
    return values if readable and all(_is_plain(value) for value in values) else None


def _is_plain(value: Any) -> bool:
    """Whether it is a number, or text that the database can take: without NUL and halves of characters."""
    if isinstance(value, str):
        return "\x00" not in value and value.encode(errors="ignore").decode() == value
    return isinstance(value, int)


def _follow(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name)
    return row
