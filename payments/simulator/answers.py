"""How SumUp writes down what it knows: checkouts, transactions and the merchant, as the API gives them."""

from datetime import UTC, datetime
from typing import Any

from payments.simulator.checkouts import Checkout, Transaction, TransactionStatus
from payments.simulator.world import Merchant

OPENED_ON = "2020-02-29T10:56:56Z"
MERCHANT_EMAIL = "merchant@example.com"


def write_checkout(checkout: Checkout, merchant: Merchant, origin: str) -> dict[str, Any]:
    """A checkout. What was never said is left out, as are the transaction's names until one has succeeded."""
    document = {
        "id": checkout.id,
        "checkout_reference": checkout.reference,
        "amount": checkout.amount,
        "currency": checkout.currency,
        "merchant_code": checkout.merchant_code,
        "status": checkout.status,
        "date": _write_date(checkout.date),
        "valid_until": checkout.valid_until and _write_date(checkout.valid_until),
        "purpose": checkout.purpose,
        "transactions": [_write_transaction(checkout, transaction) for transaction in checkout.transactions],
    }
    return document | _write_optional(checkout) | _write_hosted(checkout, origin) | _write_undocumented(merchant)


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


def _write_undocumented(merchant: Merchant) -> dict[str, Any]:
    # Seen in real answers but in no schema. A client that insists on knowing every field should stumble here.
    return {
        "checkout_type": "checkout",
        "merchant_name": merchant.name,
        "merchant_country": "GB",
        "merchant_sandbox": True,
        "pay_to_email": MERCHANT_EMAIL,
        "simulated": True,
    }


def page_address(checkout: Checkout, origin: str) -> str:
    """Where the payer pays."""
    return f"{origin}/pay/{checkout.page}"


def _write_transaction(checkout: Checkout, transaction: Transaction) -> dict[str, Any]:
    document = {
        "id": transaction.id,
        "transaction_code": transaction.code,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "timestamp": _write_timestamp(transaction.started_at),
        "status": transaction.status,
        "payment_type": "ECOM",
        "installments_count": 1,
        "merchant_code": checkout.merchant_code,
        "vat_amount": 0,
        "tip_amount": 0,
        "entry_mode": "CUSTOMER_ENTRY",
    }
    if transaction.status is TransactionStatus.SUCCESSFUL:
        document["auth_code"] = str(int(transaction.id[:8], 16))[-6:].zfill(6)
    return document


def write_full_transaction(checkout: Checkout, transaction: Transaction) -> dict[str, Any]:
    """A transaction with all its circumstances. It names neither the checkout nor its reference: SumUp does not."""
    return _write_transaction(checkout, transaction) | {
        "product_summary": checkout.description or "",
        "payouts_total": 0,
        "payouts_received": 0,
        "payout_plan": "SINGLE_PAYMENT",
        "username": MERCHANT_EMAIL,
        "simple_payment_type": "CARD",
        "verification_method": "na",
        "card": {"last_4_digits": "0091", "type": "VISA"},
        "local_time": _write_date(transaction.started_at),
        "process_as": "CREDIT",
        "simple_status": transaction.status,
        # Empty as long as there are no refunds and no payouts here.
        "transaction_events": [],
        "events": [],
        "links": [],
        "products": [],
        "vat_rates": [],
    }


def write_merchant(merchant: Merchant) -> dict[str, Any]:
    """The merchant account, which is always a sandbox."""
    return {
        "merchant_code": merchant.code,
        "alias": merchant.name,
        "country": "GB",
        "default_currency": merchant.currency,
        "default_locale": "en-GB",
        "sandbox": True,
        "created_at": OPENED_ON,
        "updated_at": OPENED_ON,
    }


def _write_date(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _write_timestamp(moment: datetime) -> str:
    return _write_date(moment).replace("+00:00", "Z")
