"""What people may type about a waiting list."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from bookings.models import Entry, PriceKind
from bookings.waiting import most_places

# What the database takes of an e-mail address; Django's own form field lets longer ones through.
LONGEST_ADDRESS = 254


class JoinForm(forms.Form):
    """Where to write to, and how many places at which of the entry's prices."""

    email = forms.EmailField(
        max_length=LONGEST_ADDRESS,
        error_messages={
            "required": _("Please tell us where we can write to."),
            "invalid": _("This is not an e-mail address, such as name@example.org."),
            "max_length": _("An e-mail address has at most %(limit_value)d characters."),
        },
    )
    quantity = forms.IntegerField(
        error_messages={
            "required": _("Choose how many places."),
            "invalid": _("The number of places must be a whole number."),
        },
    )
    price_kind = forms.UUIDField(required=False, error_messages={"invalid": _("Choose one of the prices.")})

    def __init__(self, entry: Entry, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entry = entry

    def clean_quantity(self) -> int:
        """A number of places that one may wait for."""
        quantity: int = self.cleaned_data["quantity"]
        most = most_places(self.entry)
        if not 1 <= quantity <= most:
            raise forms.ValidationError(_("Choose a number from 1 to %(most)d."), params={"most": most})
        return quantity

    def clean_price_kind(self) -> PriceKind | None:
        """One of the entry's other prices; None for its own."""
        named = self.cleaned_data["price_kind"]
        found = next((kind for kind in self.entry.price_kinds if kind.uuid == named), None)
        if named is not None and found is None:
            raise forms.ValidationError(_("Choose one of the prices."))
        return found


class StepForm(forms.Form):
    """What somebody on a waiting list wants to do."""

    CONFIRM, TAKE, DECLINE, LEAVE = "confirm", "take", "decline", "leave"

    step = forms.ChoiceField(choices=[(step, step) for step in (CONFIRM, TAKE, DECLINE, LEAVE)])
