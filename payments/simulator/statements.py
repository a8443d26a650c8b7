"""How SumUp writes down money that moved: transactions in full, the history, and payouts."""

from typing import Any

from payments.simulator.answers import write_date, write_timestamp, write_transaction
from payments.simulator.events import TAKEN_BACK, Event, EventType, Statement
from payments.simulator.history import Page, Row
from payments.simulator.money import PENNY
from payments.simulator.transactions import Transaction
from payments.simulator.world import Merchant

# What each kind of payment looks like at the till.
SIMPLE_TYPES = {"ECOM": "CARD", "POS": "EMV"}
CARD_TYPE = "VISA"


def write_full_transaction(
    statement: Statement, merchant: Merchant, origin: str, *, full_only: bool = False
) -> dict[str, Any]:
    """A transaction with all that became of it. It names neither the checkout nor its reference: SumUp does not."""
    transaction = statement.transaction
    document = write_transaction(transaction, merchant) | {
        **_write_circumstances(statement),
        "status": statement.status,
        "simple_status": statement.simple_status,
        "username": merchant.email,
        "simple_payment_type": SIMPLE_TYPES.get(transaction.payment_type, "CARD"),
        "verification_method": "na",
        "card": {"last_4_digits": "0091", "type": CARD_TYPE},
        "local_time": write_date(transaction.started_at),
        "process_as": "CREDIT",
        "transaction_events": [_write_transaction_event(event) for event in statement.events],
        "events": [_write_event(event) for event in statement.events],
        "links": _write_links(statement, merchant, origin, full_only=full_only),
        "products": [],
        "vat_rates": [],
    }
    return document | {"fee_amount": transaction.fee} if transaction.moved_money else document


def _write_circumstances(statement: Statement) -> dict[str, Any]:
    """What the full transaction and its row in the history have in common."""
    document = {
        "product_summary": statement.transaction.summary,
        "payouts_total": 1 if statement.transaction.moved_money else 0,
        "payouts_received": 1 if statement.payout else 0,
        "payout_plan": "SINGLE_PAYMENT",
    }
    if statement.payout and statement.payout.day:
        document |= {"payout_date": statement.payout.day.isoformat(), "payout_type": "BANK_ACCOUNT"}
    return document


def _write_transaction_event(event: Event) -> dict[str, Any]:
    day = (event.day or event.at.date()).isoformat()
    return {
        "id": event.id,
        "event_type": event.type,
        "status": event.status,
        "amount": event.amount,
        "due_date": day,
        "date": day,
        "timestamp": write_timestamp(event.at),
    } | ({"installment_number": 1} if event.type is EventType.PAYOUT else {})


def _write_event(event: Event) -> dict[str, Any]:
    document = {
        "id": event.id,
        "transaction_id": event.transaction_id,
        "type": event.type,
        "status": event.status,
        "amount": event.amount,
        "timestamp": write_timestamp(event.at),
        "fee_amount": event.fee,
    }
    if event.type in TAKEN_BACK:
        # The fee of the payment is not given back.
        document |= {"deducted_amount": event.amount, "deducted_fee_amount": 0}
    return document


def _write_links(statement: Statement, merchant: Merchant, origin: str, *, full_only: bool) -> list[dict[str, Any]]:
    if not statement.left:
        return []
    return [
        {
            "rel": "refund",
            "href": f"{origin}/v1.0/merchants/{merchant.code}/payments/{statement.transaction.id}/refunds",
            "type": "application/json",
            "min_amount": statement.left if full_only else PENNY,
            "max_amount": statement.left,
        }
    ]


def write_history(page: Page, merchant: Merchant) -> dict[str, Any]:
    """A page of the history. The way to the next one is a bare query string."""
    links = [{"rel": "next", "href": page.next}] if page.next else []
    return {"items": [_write_row(row, merchant) for row in page.rows], "links": links}


def _write_row(row: Row, merchant: Merchant) -> dict[str, Any]:
    transaction, event = row.statement.transaction, row.event
    return {
        "id": row.ref,
        "transaction_id": transaction.id,
        "transaction_code": transaction.code,
        "amount": event.amount if event else transaction.amount,
        "currency": transaction.currency,
        "timestamp": write_timestamp(event.at if event else transaction.started_at),
        "status": row.status,
        "payment_type": transaction.payment_type,
        "installments_count": 1,
        "merchant_code": merchant.code,
        "user": merchant.email,
        "type": row.type,
        "card_type": CARD_TYPE,
        "refunded_amount": 0 if event else row.statement.total(EventType.REFUND),
        **_write_circumstances(row.statement),
    }


def write_payout(payout: Event, payment: Transaction, deducted_for: Event | None) -> dict[str, Any]:
    """A payout, or what was deducted from one. Neither has a sign: the type says which way the money went."""
    day = (payout.day or payout.at.date()).isoformat()
    return {
        "id": payout.id,
        "type": f"{deducted_for.type}_DEDUCTION" if deducted_for else "PAYOUT",
        "amount": payout.amount,
        "date": day,
        "currency": payment.currency,
        "fee": payout.fee,
        "status": "SUCCESSFUL",
        "reference": f"payout-{day}",
        "transaction_code": payment.code,
    }
