"""What a transaction is: one attempt to pay, on a checkout's page or at a card reader. Nothing is changed in place."""

import secrets
import uuid
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from payments.simulator.money import NOTHING


class TransactionStatus(StrEnum):
    """What one attempt to pay can be. REFUNDED: in full or in part, where SumUp says so at all."""

    PENDING = "PENDING"
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"


MONEY_MOVED = frozenset({TransactionStatus.SUCCESSFUL, TransactionStatus.REFUNDED})


@dataclass(frozen=True)
class Transaction:
    """One attempt to pay. While PENDING it knows when it will be settled, and as what.

    `fee` is what SumUp keeps of it if it succeeds.
    """

    id: str
    code: str
    amount: Decimal
    currency: str
    started_at: datetime
    changed_at: datetime
    settles_at: datetime
    settles_as: TransactionStatus
    challenged: bool = False
    status: TransactionStatus = TransactionStatus.PENDING
    fee: Decimal = NOTHING
    summary: str = ""
    payment_type: str = "ECOM"

    @property
    def moved_money(self) -> bool:
        """Whether it ever succeeded."""
        return self.status in MONEY_MOVED


def new_id() -> str:
    """An id that nobody has."""
    return str(uuid.uuid4())


def new_code() -> str:
    """The ten characters by which people name a transaction."""
    return "T" + b32encode(secrets.token_bytes(6)).decode()[:9]


def transaction_from(document: dict[str, Any]) -> Transaction:
    """The transaction as the journal kept it."""
    read: dict[str, Any] = {
        name: datetime.fromisoformat(document[name]) for name in ("started_at", "changed_at", "settles_at")
    }
    read |= {name: TransactionStatus(document[name]) for name in ("settles_as", "status")}
    # What older journals do not know of is left to its default.
    read |= {name: Decimal(document[name]) for name in ("amount", "fee") if name in document}
    return Transaction(**document | read)
