"""Whose account at SumUp the key opens: one that takes real money, or one for trying things out.

A key does not say it, so SumUp is asked. A shop makes checkouts in an account of its own kind only (docs/adr/0015).
"""

from django.conf import settings
from django.utils.translation import gettext as _

from payments import sumup

# What SumUp said, by the address, the key and the merchant: none of these changes while a process lives.
_answers: dict[tuple[str, str, str], sumup.Merchant] = {}


def find_fault() -> str:
    """Say why the shop must take no money with its key; an empty string if it may.

    Asks SumUp, and keeps the answer for `require`. The simulator needs no asking. Raises SumUpError without an answer.
    """
    if settings.SUMUP_IS_SIMULATOR:
        return ""
    merchant = _answers[_key()] = sumup.get_merchant(settings.SUMUP_MERCHANT_CODE)
    return judge(merchant)


def require() -> None:
    """Make sure, before a checkout is made, that the account is of the shop's kind; each process asks SumUp once.

    Raises SumUpRefused if it is not, and SumUpError if SumUp gives no answer: then no checkout is made.
    """
    known = _answers.get(_key())
    if fault := find_fault() if known is None else judge(known):
        raise sumup.SumUpRefused(fault, 403)


def judge(merchant: sumup.Merchant) -> str:
    """Say what is wrong with the kind of an account; an empty string if nothing is.

    It counts as a sandbox only if SumUp says so.
    """
    if merchant.is_sandbox == settings.SUMUP_MUST_BE_SANDBOX:
        return ""
    if merchant.is_sandbox:
        return _("%(code)s is a sandbox, which takes no real money. Use a live account, or set STAGING=1.") % vars(
            merchant
        )
    return _("%(code)s takes real money. With DEBUG or STAGING on, use a sandbox account.") % vars(merchant)


def _key() -> tuple[str, str, str]:
    return settings.SUMUP_API_URL, settings.SUMUP_API_KEY, settings.SUMUP_MERCHANT_CODE
