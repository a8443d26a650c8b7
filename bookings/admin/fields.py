"""Days and times as staff type them: what the clock on the wall shows, where the calendar is."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    DATETIME_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
)

from bookings import capacity

WEEKDAYS = [
    (0, _("Monday")),
    (1, _("Tuesday")),
    (2, _("Wednesday")),
    (3, _("Thursday")),
    (4, _("Friday")),
    (5, _("Saturday")),
    (6, _("Sunday")),
]
FIRST_YEAR, LAST_YEAR = 2000, 2199  # what lies beyond was mistyped
STYLE = " ".join(DATETIME_CLASSES)


class DayInput(forms.DateInput):
    """A day; the browser has its own way of asking for one."""

    input_type = "date"

    def __init__(self, **attrs: Any) -> None:
        super().__init__(attrs={"class": STYLE, **attrs}, format="%Y-%m-%d")


class HourInput(forms.TimeInput):
    """A time of day, to the minute."""

    input_type = "time"

    def __init__(self, **attrs: Any) -> None:
        super().__init__(attrs={"class": STYLE, **attrs}, format="%H:%M")


class MomentInput(forms.SplitDateTimeWidget):
    """A day and a time of day, side by side."""

    template_name = "unfold/widgets/split_datetime.html"

    def __init__(self, day: Any, hour: Any) -> None:
        widgets = [DayInput(**{"aria-label": day}), HourInput(**{"aria-label": hour})]
        forms.MultiWidget.__init__(self, widgets)


class WallTimeField(forms.SplitDateTimeField):
    """What the clock on the wall shows, without a zone: whoever reads it knows where the clock hangs."""

    def __init__(self, *, label: Any, day: Any, hour: Any, **kwargs: Any) -> None:
        super().__init__(label=label, widget=MomentInput(day, hour), **kwargs)

    def compress(self, data_list: Any) -> datetime | None:
        """A day and a time of day as one; Django's own would take the clock for that of the shop."""
        if not data_list or data_list in ([None, None], ["", ""]):
            return None
        day, hour = data_list
        if day in self.empty_values:
            raise ValidationError(self.error_messages["invalid_date"], code="invalid_date")
        if hour in self.empty_values:
            raise ValidationError(self.error_messages["invalid_time"], code="invalid_time")
        check_year(day)
        return datetime.combine(day, hour)


def check_year(day: date) -> None:
    """Raise ValidationError for a day that cannot be meant."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValidationError(_now("%(day)s cannot be meant.") % {"day": day.isoformat()})


class DayField(forms.DateField):
    """One day."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=DayInput(), validators=[check_year], **kwargs)


class DaysField(forms.CharField):
    """Any number of days, one on each line or with commas between them."""

    WAYS = ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y")

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "2026-12-25"})
        super().__init__(required=False, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(day.isoformat() for day in value or [])

    def to_python(self, value: Any) -> Any:
        """The days, each once and in order; raises ValidationError naming what is not a day."""
        typed = str(value or "").replace(",", "\n").split("\n")
        read = {each.strip(): self._read(each.strip()) for each in typed if each.strip()}
        if odd := [each for each, day in read.items() if day is None]:
            raise ValidationError(_now("Not a day such as 2026-12-25: %(odd)s") % {"odd": ", ".join(odd)})
        return sorted({day for day in read.values() if day is not None})

    def _read(self, typed: str) -> date | None:
        for way in self.WAYS:
            try:
                return datetime.strptime(typed, way).date()  # noqa: DTZ007 - a day has no zone
            except ValueError:
                continue
        return None

    def run_validators(self, value: Any) -> None:
        for day in value:
            check_year(day)

    def has_changed(self, initial: Iterable[date] | None, data: Any) -> bool:
        try:
            return bool(sorted(initial or []) != self.to_python(data))
        except ValidationError:
            return True


class WeekdaysField(forms.TypedMultipleChoiceField):
    """Days of the week, as boxes to tick."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminCheckboxSelectMultipleWidget()
        super().__init__(choices=WEEKDAYS, coerce=int, required=False, widget=widget, **kwargs)


class PlacesField(forms.IntegerField):
    """How many places there are; they are kept in a pool."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminIntegerFieldWidget()
        super().__init__(min_value=0, max_value=capacity.LARGEST, required=False, widget=widget, **kwargs)
