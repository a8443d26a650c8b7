"""How SumUp writes down what it knows: checkouts with their transactions, and the merchant."""

from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from payments.simulator.checkouts import Checkout
from payments.simulator.history import ENTRY_MODES
from payments.simulator.transactions import Transaction
from payments.simulator.world import Merchant

OPENED_ON = "2020-02-29T10:56:56Z"


def write_checkout(checkout: Checkout, merchant: Merchant, origin: str, *, sandbox: bool = True) -> dict[str, Any]:
    """A checkout. What was never said is left out, as are the transaction's names until one has succeeded."""
    document = {
        "id": checkout.id,
        "checkout_reference": checkout.reference,
        "amount": checkout.amount,
        "currency": checkout.currency,
        "merchant_code": checkout.merchant_code,
        "status": checkout.status,
        "date": write_date(checkout.date),
        "valid_until": checkout.valid_until and write_date(checkout.valid_until),
        "purpose": checkout.purpose,
        "transactions": [write_transaction(transaction, merchant) for transaction in checkout.transactions],
    }
    undocumented = _write_undocumented(merchant, sandbox=sandbox)
    return document | _write_optional(checkout) | _write_hosted(checkout, origin) | undocumented


def _write_optional(checkout: Checkout) -> dict[str, Any]:
    paid = checkout.successful
    optional = {
        "description": checkout.description,
        "return_url": checkout.return_url,
        "redirect_url": checkout.redirect_url,
        "customer_id": checkout.customer_id,
        "transaction_id": paid and paid.id,
        "transaction_code": paid and paid.code,
    }
    return {name: value for name, value in optional.items() if value is not None}


def _write_hosted(checkout: Checkout, origin: str) -> dict[str, Any]:
    if not checkout.hosted:
        return {}
    return {"hosted_checkout": {"enabled": True}, "hosted_checkout_url": page_address(checkout, origin)}


def _write_undocumented(merchant: Merchant, *, sandbox: bool) -> dict[str, Any]:
    # Seen in real answers but in no schema. A client that insists on knowing every field should stumble here.
    return {
        "checkout_type": "checkout",
        "merchant_name": merchant.name,
        "merchant_country": "GB",
        "merchant_sandbox": sandbox,
        "pay_to_email": merchant.email,
        "simulated": True,
    }


def page_address(checkout: Checkout, origin: str) -> str:
    """Where the payer pays."""
    return f"{origin}/pay/{checkout.page}"


def write_transaction(transaction: Transaction, merchant: Merchant) -> dict[str, Any]:
    """A transaction as its checkout shows it."""
    document = {
        "id": transaction.id,
        "transaction_code": transaction.code,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "timestamp": write_timestamp(transaction.started_at),
        "status": transaction.status,
        "payment_type": transaction.payment_type,
        "installments_count": 1,
        "merchant_code": merchant.code,
        "vat_amount": 0,
        "tip_amount": 0,
        "entry_mode": ENTRY_MODES[transaction.payment_type],
    }
    if transaction.moved_money:
        document["auth_code"] = f"{crc32(transaction.id.encode()) % 1_000_000:06}"
    return document


def write_merchant(merchant: Merchant, *, sandbox: bool) -> dict[str, Any]:
    """The merchant account, which may pretend to be a real one."""
    return {
        "merchant_code": merchant.code,
        "alias": merchant.name,
        "country": "GB",
        "default_currency": merchant.currency,
        "default_locale": "en-GB",
        "sandbox": sandbox,
        "created_at": OPENED_ON,
        "updated_at": OPENED_ON,
    }


def write_date(moment: datetime) -> str:
    """A moment as checkouts write it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def write_timestamp(moment: datetime) -> str:
    """A moment as transactions write it."""
    return write_date(moment).replace("+00:00", "Z")
