"""Vouchers: which one a code names, whether it may be used for a basket, and what it takes off."""

from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.refusals import Refusal
from cartsite.templatetags.shop import in_words, local_day
from orders.models import Order, OrderLine
from orders.money import round_to_penny
from orders.offers import Voucher


class CannotUse(Refusal):
    """The voucher cannot be used for this; the text says why, to the shopper."""


def find(code: str) -> Voucher:
    """The voucher of this code, in capitals or not. Raises CannotUse unless it is valid at this moment."""
    voucher = Voucher.objects.select_related("stall", "pool").filter(code__iexact=code.strip()).first()
    if voucher is None:
        raise CannotUse(_("We do not know this voucher code."))
    now = timezone.now()
    if voucher.archived_at is not None or (voucher.valid_until is not None and voucher.valid_until <= now):
        raise CannotUse(_("This voucher is no longer valid."))
    if voucher.valid_from is not None and voucher.valid_from > now:
        day = local_day(voucher.valid_from)
        raise CannotUse(_("This voucher is not valid yet, but from %(day)s on.") % {"day": day})
    return voucher


def discount_on(voucher: Voucher, eligible: Decimal) -> Decimal:
    """What it takes off the things it is for, which cost `eligible` (pounds); never more than that.

    Raises CannotUse if there is nothing to take off, too little was chosen, or it is used up.
    """
    amount = _amount_off(voucher, eligible)
    if amount <= 0:
        raise CannotUse(_say_nothing_for_it(voucher))
    if eligible < voucher.minimum:
        raise CannotUse(_say_too_little(voucher, voucher.minimum - eligible))
    if voucher.pool is not None and voucher.pool.free == 0:
        raise CannotUse(say_used_up(voucher))
    return amount


def _amount_off(voucher: Voucher, eligible: Decimal) -> Decimal:
    if voucher.kind == Voucher.Kind.PERCENT:
        return round_to_penny(eligible * voucher.value / 100)
    return min(voucher.value, eligible)


def _say_nothing_for_it(voucher: Voucher) -> str:
    if voucher.stall is None:
        return _("There is nothing in your basket that this voucher could make cheaper.")
    said = _("This voucher is for what %(stall)s sells, and nothing of that in your basket can be made cheaper.")
    return said % {"stall": voucher.stall.name}


def _say_too_little(voucher: Voucher, missing: Decimal) -> str:
    if voucher.stall is None:
        said = _("This voucher is for baskets of %(minimum)s or more: %(missing)s is missing.")
        return said % {"minimum": in_words(voucher.minimum), "missing": in_words(missing)}
    said = _("This voucher is for %(minimum)s or more at %(stall)s: %(missing)s is missing.")
    return said % {"minimum": in_words(voucher.minimum), "stall": voucher.stall.name, "missing": in_words(missing)}


def say_used_up(voucher: Voucher) -> str:
    """The sentence for a voucher whose last use is taken: for good, or by orders that are not paid yet."""
    waiting = OrderLine.objects.filter(voucher=voucher, order__in=Order.objects.awaiting(), hold__quantity__gt=0)
    if waiting.exists():
        return _("This voucher is used up, but orders that are not paid yet have some of it: try again in an hour.")
    return _("This voucher is used up.")
