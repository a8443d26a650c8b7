"""How money is written, everywhere that people read it."""

from decimal import Decimal
from typing import Any

import pytest
from django.template import Context, Template

from cartsite.templatetags.shop import in_words


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        ("0", "GBP", "£0.00"),
        ("999.9", "GBP", "£999.90"),
        ("4795.2", "GBP", "£4,795.20"),
        ("-4795.20", "EUR", "-€4,795.20"),
        ("1234567.89", "USD", "$1,234,567.89"),
        ("4795.20", "CHF", "4,795.20 CHF"),
    ],
)
def test_thousands_are_set_apart(amount: str, currency: str, said: str) -> None:
    assert in_words(Decimal(amount), currency) == said


def test_pages_and_mails_write_it_the_same(settings: Any) -> None:
    settings.CURRENCY = "GBP"

    assert Template("{{ amount|money }}").render(Context({"amount": Decimal("4795.20")})) == "£4,795.20"
