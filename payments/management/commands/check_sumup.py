"""`manage.py check_sumup`: is this shop set up to take money, and whose?"""

import ipaddress
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from payments import account, sumup

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Ask SumUp whether the key works, whose account it is, and in which currency; look at our own address."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--starting", action="store_true", help="Only refuse an account of the wrong kind, as web and worker do."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is so; exit status 1 if money could not be taken, or SumUp could not tell us of it."""
        if options["starting"]:
            self._check_kind()
            return
        self.faults = 0
        merchant = self._ask()
        if merchant is not None:
            self._judge(merchant)
        self._judge_webhook()
        if self.faults:
            raise CommandError(f"{self.faults} fault(s).")
        self.stdout.write(self.style.SUCCESS("All is well."))

    def _check_kind(self) -> None:
        """Stop where the account is of the wrong kind. A SumUp out of reach stops nothing: it is asked again, before
        the first checkout is made."""
        try:
            fault = account.find_fault()
        except sumup.SumUpError as error:
            logger.warning("SumUp did not say what kind of account this is; until it does, nobody can pay: %s", error)
            return
        if fault:
            raise CommandError(fault)

    def _ask(self) -> sumup.Merchant | None:
        try:
            return sumup.get_merchant(settings.SUMUP_MERCHANT_CODE)
        except sumup.SumUpNotFound:
            self._fault(
                f"The key is not for the merchant {settings.SUMUP_MERCHANT_CODE}, or there is no such merchant."
            )
        except sumup.SumUpRefused as refusal:
            self._fault(f"SumUp refuses the key (is it the secret one, of this account?): {refusal}")
        except sumup.SumUpError as error:
            self._fault(f"SumUp cannot be reached at {settings.SUMUP_API_URL}: {error}")
        return None

    def _judge(self, merchant: sumup.Merchant) -> None:
        self.stdout.write(f"The key works at {settings.SUMUP_API_URL}.")
        if merchant.code == settings.SUMUP_MERCHANT_CODE:
            self.stdout.write(f"It is for the merchant {merchant.code}.")
        else:
            self._fault(f"It is for {merchant.code}, not for {settings.SUMUP_MERCHANT_CODE}.")
        if merchant.currency == settings.CURRENCY:
            self.stdout.write(f"The currency is {merchant.currency}, here and there.")
        else:
            self._fault(f"The merchant's currency is {merchant.currency}, but the shop's is {settings.CURRENCY}.")
        if settings.SUMUP_IS_SIMULATOR:
            self.stdout.write(self.style.WARNING("*** SIMULATOR: no real money moves. ***"))
        elif merchant.is_sandbox:
            self.stdout.write(self.style.WARNING("*** SANDBOX: no real money moves. ***"))
        else:
            self.stdout.write(self.style.WARNING("*** LIVE: this is real money. ***"))
        if not settings.SUMUP_IS_SIMULATOR and (fault := account.judge(merchant)):
            self._fault(fault)

    def _judge_webhook(self) -> None:
        """SumUp must be able to reach us; without that the sweep still finds every payment, only later."""
        if settings.SUMUP_IS_SIMULATOR:
            return  # it is on this machine, and reaches every address here
        address = settings.PUBLIC_URL + reverse("payments:webhook", args=["token"])
        parts = urlsplit(address)
        if parts.scheme != "https":
            self._fault(f"SumUp only calls https addresses, not {address}")
        elif not _is_public(parts.hostname or ""):
            self._fault(f"SumUp cannot reach {parts.hostname}: it has no public address.")
        else:
            self.stdout.write(f"SumUp will call {address}")

    def _fault(self, sentence: str) -> None:
        self.faults += 1
        self.stdout.write(self.style.ERROR(sentence))


def _is_public(host: str) -> bool:
    """Whether the name leads to addresses of the public internet only."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_global for address in found)
