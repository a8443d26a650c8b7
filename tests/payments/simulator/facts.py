"""What the shop and the simulator agree on about SumUp's API: calls, answers, fields, their types and values.

Our own list of what we read or play, gathered from SumUp's reference, https://developer.sumup.com/api. Fields that
nobody here uses are left out. Where SumUp's own description is at hand, test_conformance.py compares this list with it.
"""

from typing import Any

Schema = dict[str, Any]


def text(*values: str, form: str = "") -> Schema:
    """A text: one of some values, or of a form such as `date-time`; or any."""
    return {"type": "string"} | ({"enum": list(values)} if values else {}) | ({"format": form} if form else {})


def whole(least: int = 0) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least}


def many(each: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": each}


def thing(must: dict[str, Schema], may: dict[str, Schema] | None = None) -> Schema:
    """An object with fields that must be there, and others that may."""
    return {"type": "object", "required": list(must), "properties": must | (may or {})}


ANY, MOMENT, DAY, ADDRESS = text(), text(form="date-time"), text(form="date"), text(form="uri")
AMOUNT: Schema = {"type": "number"}
ON_OFF: Schema = {"type": "boolean"}
CURRENCY = text("BGN", "BRL", "CHF", "CLP", "CZK", "DKK", "EUR", "GBP", "HUF", "NOK", "PLN", "RON", "SEK", "USD")
PAYMENT_STATUS = text("SUCCESSFUL", "CANCELLED", "FAILED", "PENDING", "REFUNDED")
# What became of a payment in short.
SIMPLE_STATUS = text(
    "SUCCESSFUL",
    "PAID_OUT",
    "CANCEL_FAILED",
    "CANCELLED",
    "CHARGEBACK",
    "FAILED",
    "REFUND_FAILED",
    "REFUNDED",
    "NON_COLLECTION",
    "PENDING",
)
EVENT_KIND = text("PAYOUT", "CHARGE_BACK", "REFUND", "PAYOUT_DEDUCTION")
EVENT_STATUS = text("FAILED", "PAID_OUT", "PENDING", "RECONCILED", "REFUNDED", "SCHEDULED", "SUCCESSFUL")
PAYMENT_TYPE = text("ECOM", "RECURRING", "APM", "BOLETO", "POS", "CASH", "MOTO", "UNKNOWN", "BALANCE", "BITCOIN")

ATTEMPT = {
    "id": ANY,
    "transaction_code": ANY,
    "amount": AMOUNT,
    "currency": CURRENCY,
    "timestamp": MOMENT,
    "status": PAYMENT_STATUS,
    "payment_type": PAYMENT_TYPE,
    "installments_count": whole(1),
    "merchant_code": ANY,
    "vat_amount": AMOUNT,
    "tip_amount": AMOUNT,
    "entry_mode": ANY,
}
CHECKOUT_FIELDS = {
    "id": ANY,
    "checkout_reference": ANY,
    "amount": AMOUNT,
    "currency": CURRENCY,
    "merchant_code": ANY,
    "status": text("PENDING", "FAILED", "PAID", "EXPIRED"),
    "date": MOMENT,
    "valid_until": MOMENT | {"nullable": True},
    "transactions": many(thing(ATTEMPT, {"auth_code": ANY})),
}
OFTEN = {"description": ANY, "return_url": ADDRESS, "hosted_checkout_url": ADDRESS}
# As it is made or deleted, and as it is read: only then it names what paid it.
CHECKOUT = thing(CHECKOUT_FIELDS, OFTEN)
READ_CHECKOUT = thing(
    CHECKOUT_FIELDS, OFTEN | {"redirect_url": ADDRESS, "transaction_id": ANY, "transaction_code": ANY}
)
LINK = thing({"rel": ANY, "href": ANY})
TRANSACTION = thing(
    ATTEMPT
    | {
        "simple_status": SIMPLE_STATUS,
        "product_summary": ANY,
        "transaction_events": many(
            thing(
                {
                    "id": whole(),
                    "event_type": EVENT_KIND,
                    "status": EVENT_STATUS,
                    "amount": AMOUNT,
                    "date": DAY,
                    "timestamp": MOMENT,
                }
            )
        ),
        "events": many(
            thing(
                {
                    "id": whole(),
                    "transaction_id": ANY,
                    "type": EVENT_KIND,
                    "status": EVENT_STATUS,
                    "amount": AMOUNT,
                    "timestamp": MOMENT,
                },
                {"fee_amount": AMOUNT},
            )
        ),
        "links": many(LINK),
    },
    {"auth_code": ANY},
)
HISTORY_ROW = thing(
    {
        "id": ANY,
        "transaction_id": ANY,
        "transaction_code": ANY,
        "amount": AMOUNT,
        "currency": CURRENCY,
        "timestamp": MOMENT,
        "status": PAYMENT_STATUS,
        "payment_type": PAYMENT_TYPE,
        "type": text("PAYMENT", "REFUND", "CHARGE_BACK"),
        "refunded_amount": AMOUNT,
        "product_summary": ANY,
    }
)
PAYOUT = thing(
    {
        "id": whole(),
        "type": text(
            "PAYOUT",
            "CHARGE_BACK_DEDUCTION",
            "REFUND_DEDUCTION",
            "DD_RETURN_DEDUCTION",
            "BALANCE_DEDUCTION",
        ),
        "amount": AMOUNT,
        "date": DAY,
        "currency": ANY,
        "fee": AMOUNT,
        "status": text("SUCCESSFUL", "FAILED"),
        "transaction_code": ANY,
    }
)
ACCOUNT = thing(
    {"merchant_code": ANY, "country": ANY, "default_currency": ANY, "default_locale": ANY},
    {"sandbox": ON_OFF, "alias": ANY, "created_at": MOMENT, "updated_at": MOMENT},
)

# The ways to say no. Which of them comes is no promise, so that a client reads them all.
CODED = thing({"error_code": ANY, "message": ANY}, {"param": ANY})
GATEWAY = thing({"error_code": ANY, "error_message": ANY, "status_code": ANY})
PROBLEM = thing({"type": ADDRESS}, {"title": ANY, "status": whole(400), "detail": ANY, "trace_id": ANY})
BROKEN_RULES = thing(
    {"title": ANY, "status": AMOUNT, "failed_constraints": many(thing({"message": ANY, "reference": ANY}))}
)
NO: Schema = {"anyOf": [CODED, many(CODED), GATEWAY, PROBLEM, BROKEN_RULES]}

ANSWERS: dict[tuple[str, str], dict[int, Schema | None]] = {
    ("POST", "/v0.1/checkouts"): {201: CHECKOUT, 400: NO, 401: NO, 403: NO, 409: NO},
    ("GET", "/v0.1/checkouts"): {200: many(READ_CHECKOUT), 401: NO},
    ("GET", "/v0.1/checkouts/{id}"): {200: READ_CHECKOUT, 401: NO, 404: NO},
    ("DELETE", "/v0.1/checkouts/{id}"): {200: CHECKOUT, 401: NO, 404: NO, 409: NO},
    ("GET", "/v2.1/merchants/{merchant}/transactions"): {200: TRANSACTION, 401: NO, 404: NO},
    ("GET", "/v2.1/merchants/{merchant}/transactions/history"): {
        200: thing({"items": many(HISTORY_ROW), "links": many(LINK)}),
        400: NO,
        401: NO,
    },
    ("POST", "/v1.0/merchants/{merchant}/payments/{id}/refunds"): {
        201: thing({}),
        400: NO,
        401: NO,
        403: NO,
        404: NO,
        409: NO,
        422: NO,
    },
    ("GET", "/v1.0/merchants/{merchant}/payouts"): {200: many(PAYOUT), 400: NO, 401: NO},
    ("GET", "/v1/merchants/{merchant}"): {200: ACCOUNT, 401: NO, 404: NO},
}
