"""The fields of the desk's forms, in the admin's clothes; they work without JavaScript and on a phone."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    INPUT_CLASSES,
    SELECT_CLASSES,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from cartsite.backoffice import LONGEST_NOTE
from cartsite.plain_text import check_note

PENNY = Decimal("0.01")
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)


def amount_field(initial: Decimal | None = None) -> forms.DecimalField:
    """An amount of at least a penny, in the shop's currency."""
    return forms.DecimalField(
        label=format_lazy("{} ({})", _("Amount"), settings.CURRENCY),
        max_digits=12,
        decimal_places=2,
        min_value=PENNY,
        initial=initial,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )


def quantity_field(label: str, most: int) -> forms.IntegerField:
    """None, or up to so many."""
    return forms.IntegerField(
        label=label,
        min_value=0,
        max_value=most,
        required=False,
        widget=forms.NumberInput(attrs={"class": " ".join(INPUT_CLASSES), "placeholder": "0"}),
    )


def reason_field(*, required: bool = True) -> forms.CharField:
    """Why, in a sentence that stays on record."""
    return forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_NOTE,
        required=required,
        help_text=_("Without personal data: it stays on record."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        validators=[check_note],
    )


def approve_field() -> forms.BooleanField:
    """Whether the refund may be sent at once."""
    return forms.BooleanField(
        label=_("Approve: send it now. Without this it waits for somebody to approve it."),
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget(),
    )


def text_field(label: Any, **more: Any) -> forms.CharField:
    """One line of text."""
    return forms.CharField(label=label, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}), **more)


def day_field(label: Any) -> forms.DateField:
    """A day of this century, with the browser's own calendar."""
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)})
    return forms.DateField(
        label=label, widget=widget, validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)]
    )


def choice_of(rows: Any, label: Any, empty: Any) -> "forms.ModelChoiceField[Any]":
    """One of these rows, or none."""
    select = forms.Select(attrs={"class": " ".join(SELECT_CLASSES)})
    return forms.ModelChoiceField(rows, label=label, required=False, empty_label=empty, widget=select)
