"""What shoppers may type about a cart."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from cart.services import MOST_PER_LINE
from cartsite.http import read_key

MESSAGES = {
    "required": _("Choose a quantity."),
    "invalid": _("The quantity must be a whole number."),
    "min_value": _("Choose a quantity of at least %(limit_value)d."),
    "max_value": _("Choose a quantity of at most %(limit_value)d."),
}


class AddForm(forms.Form):
    """So many more of one thing: a product by its SKU, or an entry by its number, perhaps at another of its prices."""

    product = forms.CharField(max_length=60, required=False)
    entry = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    price_kind = forms.UUIDField(required=False)
    quantity = forms.IntegerField(min_value=1, max_value=MOST_PER_LINE, error_messages=MESSAGES)


class QuantityForm(forms.Form):
    """How many of a line; 0 takes it out."""

    quantity = forms.IntegerField(min_value=0, max_value=MOST_PER_LINE, error_messages=MESSAGES)


class QuantitiesForm(forms.Form):
    """How many of each line (`quantity-` and its primary key), and how many the page showed (`was-`)."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        keys = (read_key(name.removeprefix("quantity-")) for name in data if name.startswith("quantity-"))
        self.keys = [key for key in keys if key is not None]
        for key in self.keys:
            self.fields[f"quantity-{key}"] = QuantityForm.base_fields["quantity"]
            self.fields[f"was-{key}"] = forms.IntegerField(required=False)

    @property
    def changed(self) -> dict[int, int]:
        """What the shopper typed, by line: what they left alone may have been changed in another tab."""
        said = self.cleaned_data
        pairs = [(key, said.get(f"quantity-{key}"), said.get(f"was-{key}")) for key in self.keys]
        return {key: quantity for key, quantity, was in pairs if quantity is not None and quantity != was}

    @property
    def refused(self) -> dict[int, str]:
        """What is wrong with what was typed, by line."""
        return {key: str(self.errors[f"quantity-{key}"][0]) for key in self.keys if f"quantity-{key}" in self.errors}


class PricesForm(forms.Form):
    """Which prices one agrees to: what the basket was like on the page, and one line or all."""

    agreed = forms.CharField(max_length=16, required=False)
    item = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
