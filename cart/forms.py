"""What shoppers may type about a cart."""

from django import forms
from django.utils.translation import gettext_lazy as _

from cart.services import MOST_PER_LINE

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


class PricesForm(forms.Form):
    """Which prices one agrees to: what the basket was like on the page, and one line or all."""

    agreed = forms.CharField(max_length=16, required=False)
    item = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
