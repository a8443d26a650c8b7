"""The stall statement as a page and as a file: which days and whose, and its rows in the order of the columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cart.models import Stall
from cartsite import sheets
from payments.desk import fields
from payments.statements import Row, Statement, statement

COLUMNS = {
    "sold": gettext_lazy("Sold by card"),
    "cash": gettext_lazy("By hand"),
    "refunded": gettext_lazy("Refunded"),
    "charged_back": gettext_lazy("Charged back"),
    "fees": gettext_lazy("Fees"),
    "net": gettext_lazy("Net"),
    "paid_out": gettext_lazy("Paid out"),
    "at_sumup": gettext_lazy("Still at SumUp"),
}


class PeriodForm(forms.Form):
    """From the beginning of one day of the shop to the end of another."""

    first = fields.day_field(gettext_lazy("From"))
    last = fields.day_field(gettext_lazy("To, this day included"))
    stall = fields.choice_of(Stall.objects.order_by("name"), gettext_lazy("Stall"), gettext_lazy("All stalls"))

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        first, last = typed.get("first"), typed.get("last")
        if first and last and last < first:
            self.add_error("last", _("This is before the first day."))
        return typed


@dataclass(frozen=True)
class Line:
    """One row as it is shown."""

    name: str
    amounts: list[Decimal]


@dataclass(frozen=True)
class Sheet:
    """What was asked for: the stalls' lines, and what all stalls add up to."""

    lines: list[Line]
    total: Line

    @property
    def headers(self) -> list[str]:
        return [_("Stall"), *(str(title) for title in COLUMNS.values())]


def read_period(request: HttpRequest) -> PeriodForm:
    """The form as asked for; last month, unless anything was."""
    if "first" in request.GET or "last" in request.GET:
        return PeriodForm(request.GET)
    first, last = last_month(timezone.localdate())
    return PeriodForm({"first": first.isoformat(), "last": last.isoformat()})


def last_month(today: date) -> tuple[date, date]:
    """The first and the last day of the month before this day's."""
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def make_sheet(form: PeriodForm) -> Sheet:
    """The sheet that a valid form asks for. The total is always that of all stalls."""
    first, last, stall = (form.cleaned_data[name] for name in ("first", "last", "stall"))
    everybody: Statement = statement(first, last)
    shown = statement(first, last, stall) if stall else everybody
    return Sheet([_line(row.stall, row) for row in shown.rows], _line(_("All stalls"), everybody.total))


def _line(name: str, row: Row) -> Line:
    return Line(name, [getattr(row, column) for column in COLUMNS])


def answer_csv(sheet: Sheet, form: PeriodForm) -> HttpResponse:
    """The sheet as a file for a spreadsheet: amounts with a point, in UTF-8."""
    return sheets.answer_csv("stalls-{first}-{last}.csv".format(**form.cleaned_data), _rows_of(sheet))


def _rows_of(sheet: Sheet) -> Iterator[list[str]]:
    yield sheet.headers
    for line in [*sheet.lines, sheet.total]:
        yield [sheets.as_text(line.name), *map(str, line.amounts)]
