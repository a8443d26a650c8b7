"""What must be so before the shop starts: real money is not for trying things out."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from payments import account, sumup


def trying_out_needs_a_sandbox(**_: Any) -> list[CheckMessage]:
    """With DEBUG or STAGING on, an account at SumUp itself must say that it is a sandbox: no key's spelling tells."""
    if not settings.SUMUP_MUST_BE_SANDBOX:
        return []  # the programs that take money ask by `check_sumup --starting`; others must not need SumUp
    try:
        fault = account.find_fault()
    except sumup.SumUpError as error:
        said = f"With DEBUG or STAGING on, SumUp must show that the account is a sandbox: {error}"
        return [Error(said, id="payments.E001")]
    return [Error(fault, id="payments.E002")] if fault else []
