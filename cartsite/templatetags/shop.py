"""How money, moments and paths are written on pages. (A builtin of every template.)"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import formats, timezone

from cartsite import staging

register = template.Library()

NO_PICTURE = "img/no-picture.svg"
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}


def in_words(amount: Decimal, currency: str = "") -> str:
    """An amount with its currency, such as `£1,212.50` or `1,212.50 CHF`."""
    currency = currency or settings.CURRENCY
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{amount:,.2f}" if symbol else f"{sign}{amount:,.2f} {currency}"


@register.filter
def money(amount: Decimal) -> str:
    """The amount in the shop's currency. (A string: Django would localise a number anew in every row.)"""
    return in_words(amount)


@register.filter
def plain(number: int) -> str:
    """A number without localisation."""
    return str(number)


@register.filter
def local_day(moment: datetime, zone: ZoneInfo | None = None) -> str:
    """The day of a moment, such as `Saturday 28 November 2026`, in a calendar's zone or the shop's."""
    return formats.date_format(timezone.localtime(moment, zone), "l j F Y")


@register.filter
def local_time(moment: datetime, zone: ZoneInfo | None = None) -> str:
    """The time of day of a moment, such as `18:00`, in a calendar's zone or the shop's."""
    return timezone.localtime(moment, zone).strftime("%H:%M")


@register.filter
def dated(title: str, thing: Any) -> str:
    """A title as it is understood away from all around it: with day and time if it is an entry's, since its other dates
    have the same title."""
    start: datetime | None = getattr(thing, "local_start", None)
    return f"{title}, {formats.date_format(start, 'l j F Y, H:i')}" if start else title


@register.filter
def comes_twice(moment: datetime, zone: ZoneInfo | None = None) -> bool:
    """Whether the clock there shows this time of day twice that day, since it is put back: then say which is meant."""
    local = timezone.localtime(moment, zone)
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


@register.filter
def zone_name(moment: datetime, zone: ZoneInfo | None = None) -> str:
    """What the zone's time is called at a moment, such as `BST`; Django's own filter is silent in a doubled hour."""
    return timezone.localtime(moment, zone).tzname() or ""


@register.filter
def named_time(moment: datetime, zone: ZoneInfo | None = None) -> str:
    """The time of day, as `19:00 CET` where the zone is not the shop's or the clock shows the hour twice."""
    is_named = zone not in (None, timezone.get_current_timezone()) or comes_twice(moment, zone)
    return f"{local_time(moment, zone)} {zone_name(moment, zone)}" if is_named else local_time(moment, zone)


@register.filter
def iso(moment: datetime) -> str:
    """A moment as a machine reads it, in UTC."""
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


@register.filter
def places_at(basket: Any, entry: Any) -> int:
    """How many places at an entry are in a basket, over all prices."""
    return sum(item.quantity for item in basket.items if item.entry_id == entry.pk)


@register.filter
def picture(path: str) -> str:
    """The address of a picture among the static files; of a plain one, where there is none or its path is wrong."""
    try:
        return static(path or NO_PICTURE)
    except ValueError:  # not among the files that were collected
        return static(NO_PICTURE)


@register.simple_tag
def test_mark() -> str:
    """The line of a shop that takes no real money; nothing elsewhere."""
    return staging.say_on_page()


@register.simple_tag(takes_context=True)
def with_query(context: dict[str, Any], **changes: Any) -> str:
    """The query string of this page with some values changed; an empty value drops its name."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = str(value)
    return f"?{query.urlencode()}"
