"""What shoppers may type about an order."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orders.models import Order, OrderQuerySet


class CheckoutForm(forms.Form):
    """Who orders, and exactly what they looked at: nothing else is asked for."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=200,
        error_messages={"required": _("Please tell us your name.")},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    email = forms.EmailField(
        label=_("E-mail address"),
        help_text=_("The confirmation and your tickets go there."),
        error_messages={
            "required": _("Please tell us where the confirmation may go."),
            "invalid": _("This is not an e-mail address, such as name@example.org."),
        },
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    cart = forms.UUIDField(widget=forms.HiddenInput)
    agreed = forms.CharField(max_length=16, widget=forms.HiddenInput)


class LatePaymentForm(forms.Form):
    """What a shopper wants done with money that came too late."""

    REFUND, WAIT = "refund", "wait"

    decision = forms.ChoiceField(choices=[(REFUND, _("Send my money back")), (WAIT, _("Wait for the co-operative"))])
    # The case that the page was about, so that a repeated click never decides about other money.
    case = forms.UUIDField(required=False)


def _day_field(label: Any) -> forms.DateField:
    """A day that calendars can be reckoned with: the day after the last of all days is an overflow."""
    return forms.DateField(
        label=label,
        required=False,
        validators=[MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(2999, 12, 31))],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class OrderFilterForm(forms.Form):
    """Which of one's orders to list."""

    status = forms.ChoiceField(label=_("Status"), choices=[("", _("All")), *Order.Status.choices], required=False)
    since = _day_field(_("From"))
    until = _day_field(_("To"))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("since") and data.get("until") and data["since"] > data["until"]:
            self.add_error("until", _("This day is before the first one."))
        return data

    def narrow(self, orders: OrderQuerySet) -> OrderQuerySet:
        """The orders that fit; a field that could not be read narrows nothing."""
        data = self.cleaned_data
        if data.get("status"):
            orders = orders.filter(status=data["status"])
        if data.get("since"):
            orders = orders.filter(placed_at__gte=_midnight(data["since"]))
        if data.get("until"):
            orders = orders.filter(placed_at__lt=_midnight(data["until"] + timedelta(days=1)))
        return orders


def _midnight(day: date) -> datetime:
    """The beginning of a day in the shop's time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))
