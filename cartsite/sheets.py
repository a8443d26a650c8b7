"""Files for spreadsheets, in which nothing that people typed is taken for a formula."""

import csv
from collections.abc import Iterable, Sequence

from django.http import HttpResponse

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_text(typed: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{typed}" if typed.lstrip(" ").startswith(FORMULA_STARTS) else typed


def answer_csv(name: str, rows: Iterable[Sequence[str]]) -> HttpResponse:
    """The rows as a file of this name, in UTF-8. What people typed in them must be made text before (`as_text`)."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    response = HttpResponse(content_type="text/csv; charset=utf-8", headers=headers)
    csv.writer(response).writerows(rows)
    return response
