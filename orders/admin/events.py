"""What happened to an order, as staff read it."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.utils import formats, timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from cartsite.backoffice import RecordAdmin, RecordInline
from cartsite.templatetags.shop import in_words
from orders.access import read_number
from orders.models import OrderEvent

AMOUNT = re.compile(r"-?\d+\.\d\d")  # what events have with two decimals is money


class DetailsInWords:
    """For the admin or the inline of events: what an event has besides its kind is kept for programs."""

    @admin.display(description=_("details"))
    def details(self, event: OrderEvent) -> str:
        said = [f"{name.replace('_', ' ')}: {_say(value)}" for name, value in event.data.items() if value != ""]
        return "; ".join(said) or "-"


def _say(value: Any) -> str:
    text = str(value)
    if AMOUNT.fullmatch(text):
        return in_words(Decimal(text))
    moment = _read_moment(text)
    return formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT") if moment else text


def _read_moment(text: str) -> datetime | None:
    """The moment, if the text is one with its zone."""
    try:
        moment = parse_datetime(text)
    except ValueError:  # it looks like one, but there is no such day
        return None
    return moment if moment is not None and timezone.is_aware(moment) else None


class EventInline(DetailsInWords, RecordInline):
    model = OrderEvent
    fields = ["at", "kind", "cause", "by", "details"]


@admin.register(OrderEvent)
class OrderEventAdmin(DetailsInWords, RecordAdmin):
    list_display = ["at", "order", "kind", "cause", "by"]
    list_select_related = ["order", "by"]
    list_filter = ["kind", "at"]
    search_fields = ["order__number", "kind", "cause"]
    found_by = [("order__number", read_number)]
    exclude = ["data"]
    readonly_fields = ["details"]
    ordering = ["-pk"]
