"""What must be so before the shop starts: real money is not for trying things out."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from payments import sumup


def debugging_needs_a_sandbox(**_: Any) -> list[CheckMessage]:
    """With DEBUG on, an account at SumUp itself must say that it is a sandbox: no key's spelling tells.

    The simulator needs no asking.
    """
    if not settings.SUMUP_MUST_BE_SANDBOX or settings.SUMUP_IS_SIMULATOR:
        return []
    try:
        merchant = sumup.get_merchant(settings.SUMUP_MERCHANT_CODE)
    except sumup.SumUpError as error:
        return [Error(f"With DEBUG on, SumUp must show that the account is a sandbox: {error}", id="payments.E001")]
    if merchant.is_sandbox:
        return []
    return [Error(f"DEBUG is on, but {merchant.code} takes real money. Use a sandbox account.", id="payments.E002")]
