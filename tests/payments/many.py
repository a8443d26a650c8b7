"""Very many payments of one day, here and at SumUp, faster than shoppers could make them."""

from datetime import datetime

from django.db import connection

from payments.models import Payment
from payments.simulator import Simulator

# Each row is a copy of one that is there, but for what must be its own.
COPY = """
INSERT INTO {table} SELECT fresh.* FROM {table} old, generate_series(%(first)s::int, %(last)s::int) n,
LATERAL jsonb_populate_record(old, jsonb_build_object('id', n, {own})) fresh WHERE old.id = %(old)s
"""
PAYMENTS = COPY.format(
    table="payments_payment",
    own="'uuid', gen_random_uuid(), 'reference', 'ra-' || n, 'checkout_id', 'c-' || n,"
    " 'transaction_code', 'T' || n, 'webhook_token', 'w-' || n",
)
MOVEMENTS = COPY.format(
    table="payments_movement",
    own="'uuid', gen_random_uuid(), 'payment_id', n, 'sumup_id', 't-' || n, 'transaction_id', 't-' || n,"
    " 'happened_at', %(at)s::timestamptz",
)
SHARES = """
INSERT INTO payments_movementshare (movement_id, stall_id, amount)
SELECT n, stall_id, amount FROM payments_movementshare, generate_series(%(first)s::int, %(last)s::int) n
WHERE movement_id = %(old)s
"""
FIRST = 1_000_000  # far above what the sequences have given out


def take_many(sumup: Simulator, like: Payment, count: int, at: datetime, start: int = FIRST) -> None:
    """So many payments like this one, of its order, all paid at one moment (UTC); SumUp knows of them too."""
    span = {"first": start, "last": start + count - 1, "at": at.isoformat()}
    movement = like.movements.get()
    with connection.cursor() as cursor:
        cursor.execute(PAYMENTS, span | {"old": like.pk})
        cursor.execute(MOVEMENTS, span | {"old": movement.pk})
        cursor.execute(SHARES, span | {"old": movement.pk})
        for table in ("payments_payment", "payments_movement", "payments_movementshare"):
            cursor.execute(f"ANALYZE {table}")
    numbers = range(start, start + count)
    sumup.fill([(f"t-{n}", f"T{n}", movement.amount, at) for n in numbers], payment_type="ECOM")
