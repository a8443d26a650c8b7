"""The domain's invariants (DOMAIN.md, section 4), as one question to the database after every step.

Each query finds what breaks its rule: it must find nothing. What the database's own constraints refuse already (unique
keys, checks) is not asked again; rules about what a single call does (13, 14, 15) are checked by the rules that call.
"""

from collections.abc import Collection
from typing import Any

from django.db import connection

from bookings import waiting
from bookings.models import Waiter
from orders.models import Order

CAME_IN = "('capture', 'cash')"
SHOPPERS = "('capture', 'refund', 'chargeback', 'cash')"
ALIVE = "('requested', 'sending', 'unknown')"
GONE = f"({ALIVE[1:-1]}, 'done', 'external')"
# Whether some goods of an order `o` were not called off.
GOODS_LEFT = """EXISTS (
    SELECT FROM orders_orderline g WHERE g.order_id = o.id AND g.kind = 'product' AND g.quantity > (
        SELECT coalesce(sum(f.quantity), 0) FROM orders_linefact f WHERE f.line_id = g.id AND f.kind = 'cancelled'))"""

QUERIES: dict[str, str] = {
    "1 every transaction is one capture, one takings row, or money of unknown origin, never two of them": """
        SELECT m.transaction_id FROM payments_movement m WHERE m.kind = 'capture'
        GROUP BY 1 HAVING count(*) > 1
        UNION ALL
        SELECT m.transaction_id FROM payments_movement m
        JOIN payments_stray s USING (transaction_id)
        JOIN cartsite_case c ON c.subject_uuid = s.uuid AND c.kind = 'unknown_money' AND c.status <> 'resolved'
        WHERE m.kind = 'capture'
        UNION ALL
        SELECT p.reference FROM payments_payment p
        JOIN cartsite_case c ON c.subject_uuid = p.uuid AND c.kind = 'unknown_money' AND c.status <> 'resolved'
        WHERE p.status = 'captured'
        UNION ALL
        SELECT t.transaction_id FROM payments_taking t
        WHERE EXISTS (SELECT FROM payments_movement m WHERE m.transaction_id = t.transaction_id)
           OR EXISTS (SELECT FROM payments_stray s WHERE s.transaction_id = t.transaction_id)
    """,
    "what the cases of a day say of card readers is what they took": """
        SELECT d.day::text FROM payments_takingsday d
        WHERE (SELECT sum(t.amount) FROM payments_taking t
               WHERE t.day_id = d.id AND t.kind IN ('capture', 'refund', 'chargeback'))
            IS DISTINCT FROM (
               SELECT sum(c.at_stake) FROM cartsite_case c WHERE c.subject_uuid = d.uuid AND c.kind = 'takings')
    """,
    "2 captured is what has a capture, and final": """
        SELECT p.reference FROM payments_payment p
        WHERE (p.status = 'captured') <> EXISTS (
            SELECT FROM payments_movement m WHERE m.payment_id = p.id AND m.kind = 'capture')
    """,
    "3 nothing of an order that is over can be paid, as far as we know": """
        SELECT o.number FROM orders_order o JOIN payments_payment p ON p.order_id = o.id
        WHERE o.status IN ('expired', 'cancelled') AND p.status IN ('created', 'unknown', 'open', 'declined')
          AND NOT EXISTS (SELECT FROM orders_orderevent e WHERE e.order_id = o.id AND e.kind = 'confirmed')
    """,
    "4 money of an order that is over has a case or a refund": f"""
        SELECT o.number FROM orders_order o
        WHERE o.status IN ('expired', 'cancelled')
          AND (SELECT sum(m.amount) FROM payments_movement m WHERE m.order_id = o.id AND m.kind IN {SHOPPERS}) > 0
          AND NOT EXISTS (SELECT FROM payments_refund r WHERE r.order_id = o.id)
          AND NOT EXISTS (SELECT FROM cartsite_case c WHERE c.subject_uuid = o.uuid OR c.subject_uuid IN (
              SELECT p.uuid FROM payments_payment p WHERE p.order_id = o.id))
    """,
    # Where all of it, or more, was charged back before there is nothing to send.
    "what was paid while staff cancelled the order goes back, and a person is told": """
        SELECT o.number FROM orders_order o
        JOIN orders_orderevent x ON x.order_id = o.id AND x.kind = 'cancelled' AND x.cause = 'staff'
        JOIN LATERAL (
            SELECT e.id, e.kind FROM orders_orderevent e
            WHERE e.order_id = o.id AND e.id < x.id AND e.kind IN ('closing', 'confirmed')
            ORDER BY e.id DESC LIMIT 1) began ON began.kind = 'closing'
        JOIN orders_orderevent k ON k.order_id = o.id AND k.kind = 'captured' AND k.id BETWEEN began.id AND x.id
        WHERE NOT EXISTS (SELECT FROM cartsite_case c
                          WHERE c.kind = 'late_payment' AND c.subject_uuid::text = k.data->>'payment')
           OR NOT EXISTS (SELECT FROM payments_refund r WHERE r.order_id = o.id)
              AND NOT EXISTS (SELECT FROM payments_movement m WHERE m.order_id = o.id AND m.kind = 'chargeback')
    """,
    "5 an order is confirmed, or confirmed again after its end: never twice in a row": """
        SELECT DISTINCT t.number FROM (
            SELECT o.number, e.kind, lag(e.kind) OVER (PARTITION BY o.id ORDER BY e.id) AS before
            FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id
            WHERE e.kind IN ('confirmed', 'expired', 'cancelled', 'completed')) t
        WHERE t.kind = t.before
    """,
    "6 what is taken is what is held": """
        SELECT p.name FROM bookings_pool p
        LEFT JOIN (SELECT pool_id, sum(quantity) AS held FROM bookings_hold GROUP BY 1) h ON h.pool_id = p.id
        WHERE p.taken <> coalesce(h.held, 0) OR p.taken > p.capacity OR p.capacity <> greatest(p.wanted, p.taken)
    """,
    "6 every live hold is a cart's, an order line's, a booking's or an offer": """
        SELECT h.id::text FROM bookings_hold h
        LEFT JOIN cart_cartitem i ON i.hold_id = h.id
        LEFT JOIN orders_orderline l ON l.hold_id = h.id
        LEFT JOIN bookings_booking b ON b.hold_id = h.id
        LEFT JOIN bookings_waiter w ON w.hold_id = h.id AND w.status = 'offered'
        WHERE h.quantity > 0 AND num_nonnulls(i.id, l.id, b.id, w.id) <> 1
    """,
    "6 places that somebody has, and what is held beside them, are within the capacity": """
        SELECT p.name FROM bookings_pool p
        WHERE (SELECT count(*) FROM bookings_booking b JOIN bookings_entry e ON e.id = b.entry_id
               WHERE e.pool_id = p.id AND b.status IN ('confirmed', 'attended', 'no_show'))
            + (SELECT coalesce(sum(h.quantity), 0) FROM bookings_hold h
               WHERE h.pool_id = p.id AND NOT EXISTS (SELECT FROM bookings_booking b WHERE b.hold_id = h.id))
            > p.capacity
    """,
    "7 more than was owed, in two captures, is a case": """
        SELECT o.number FROM orders_order o JOIN payments_movement m ON m.order_id = o.id AND m.kind = 'capture'
        GROUP BY o.id HAVING count(*) > 1 AND sum(m.amount) > o.total AND NOT EXISTS (
            SELECT FROM cartsite_case c JOIN payments_payment p ON p.uuid = c.subject_uuid
            WHERE p.order_id = o.id
              AND c.kind IN ('duplicate_capture', 'overpaid', 'amount_mismatch', 'late_payment'))
    """,
    "9 the shares of a movement are the movement": """
        SELECT m.id::text FROM payments_movement m LEFT JOIN payments_movementshare s ON s.movement_id = m.id
        GROUP BY m.id HAVING coalesce(sum(s.amount), 0) <> m.amount
    """,
    "9 the shares of a line are the line, and the lines are the order": """
        SELECT l.title FROM orders_orderline l LEFT JOIN orders_lineallocation a ON a.line_id = l.id
        GROUP BY l.id HAVING coalesce(sum(a.amount), 0) <> l.total
        UNION ALL
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
        GROUP BY o.id HAVING sum(l.total) <> o.total
    """,
    "10 no more goes back than came": f"""
        SELECT p.reference FROM payments_payment p
        WHERE (SELECT sum(r.amount) FROM payments_refund r WHERE r.payment_id = p.id AND r.status IN {GONE})
            > (SELECT coalesce(sum(m.amount), 0) FROM payments_movement m
               WHERE m.payment_id = p.id AND m.kind = 'capture')
        UNION ALL
        SELECT o.number FROM orders_order o
        WHERE (SELECT sum(r.amount) FROM payments_refund r WHERE r.order_id = o.id AND r.status IN {GONE})
            > (SELECT coalesce(sum(m.amount), 0) FROM payments_movement m
               WHERE m.order_id = o.id AND m.kind IN {CAME_IN} AND m.amount > 0)
          AND NOT EXISTS (SELECT FROM payments_refund r
              JOIN cartsite_case c ON c.subject_uuid = r.uuid AND c.kind IN ('external_refund', 'refund_failed')
              WHERE r.order_id = o.id)  -- then somebody else gave it back as well, and a person was told
    """,
    "10 a refund that is done is one movement of its amount, and no other is": """
        SELECT r.uuid::text FROM payments_refund r LEFT JOIN payments_movement m ON m.refund_id = r.id
        WHERE (r.status IN ('done', 'external')) <> (m.id IS NOT NULL) OR m.amount <> -r.amount
    """,
    "12 what is to be told is owed": """
        SELECT o.number FROM orders_order o JOIN orders_orderevent e ON e.order_id = o.id AND e.kind = 'confirmed'
        WHERE NOT EXISTS (SELECT FROM cartsite_message m WHERE m.subject_uuid = o.uuid AND m.kind = 'confirmation')
        UNION ALL
        SELECT o.number FROM orders_order o JOIN payments_refund r ON r.order_id = o.id
        WHERE r.status IN ('done', 'external') AND r.method = 'sumup' AND NOT EXISTS (
            SELECT FROM cartsite_message m
            WHERE m.subject_uuid = o.uuid AND m.kind = 'refund' AND m.occurrence = r.uuid::text)
        UNION ALL
        SELECT p.reference FROM payments_payment p JOIN orders_order o ON o.id = p.order_id
        JOIN cartsite_case c ON c.subject_uuid = p.uuid AND c.kind = 'late_payment'
        WHERE NOT EXISTS (SELECT FROM cartsite_message m WHERE m.subject_uuid = o.uuid AND m.kind = 'late_payment')
          AND NOT EXISTS (  -- it was paid while staff cancelled it: the mail about its end tells of the money
            SELECT FROM orders_orderevent e JOIN cartsite_message m ON m.subject_uuid = o.uuid AND m.kind = e.kind
            WHERE e.order_id = o.id AND e.kind = 'cancelled' AND e.cause = 'staff')
          AND o.closing_by <> 'staff'  -- another attempt of it may still be paid
        UNION ALL
        SELECT o.number FROM orders_order o JOIN orders_orderevent e ON e.order_id = o.id
        WHERE (e.kind = 'expired' OR e.kind = 'cancelled' AND EXISTS (
                  SELECT FROM orders_orderevent b WHERE b.order_id = o.id AND b.kind = 'confirmed' AND b.id < e.id))
          AND NOT EXISTS (SELECT FROM cartsite_message m WHERE m.subject_uuid = o.uuid AND m.kind = e.kind)
    """,
    "the last step written down is the status": """
        SELECT o.number FROM orders_order o
        LEFT JOIN LATERAL (
            SELECT e.kind FROM orders_orderevent e WHERE e.order_id = o.id
            AND e.kind IN ('confirmed', 'expired', 'cancelled', 'completed') ORDER BY e.id DESC LIMIT 1) last ON true
        WHERE o.status <> coalesce(last.kind, 'awaiting_payment')
    """,
    "an order that waits holds all of it without end, one that is over nothing": """
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
        LEFT JOIN cart_product g ON g.id = l.product_id LEFT JOIN bookings_entry e ON e.id = l.entry_id
        LEFT JOIN orders_collectionslot s ON s.id = l.slot_id LEFT JOIN orders_voucher v ON v.id = l.voucher_id
        LEFT JOIN bookings_hold h ON h.id = l.hold_id
        WHERE o.status = 'awaiting_payment' AND coalesce(g.pool_id, e.pool_id, s.pool_id, v.pool_id) IS NOT NULL
              AND (h.quantity IS DISTINCT FROM l.quantity OR h.until IS NOT NULL)
           OR o.status IN ('expired', 'cancelled') AND h.quantity > 0
    """,
    "what was sold is held until it is collected, missed or cancelled": """
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
        JOIN cart_product g ON g.id = l.product_id JOIN bookings_hold h ON h.id = l.hold_id
        WHERE o.status IN ('confirmed', 'completed') AND g.pool_id IS NOT NULL
          AND h.quantity <> l.quantity
              - (SELECT coalesce(sum(f.quantity), 0) FROM orders_linefact f WHERE f.line_id = l.id)
    """,
    "what was sold came in": f"""
        SELECT o.number FROM orders_order o WHERE o.status IN ('confirmed', 'completed') AND o.total > (
            SELECT coalesce(sum(m.amount), 0) FROM payments_movement m
            WHERE m.order_id = o.id AND m.kind IN {CAME_IN} AND m.amount > 0)
    """,
    "every place sold is a booking, but none at an entry that was called off": """
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id AND l.kind = 'entry'
        LEFT JOIN bookings_booking b ON b.order_line_id = l.id
        WHERE o.status IN ('confirmed', 'completed')
        GROUP BY o.id, l.id HAVING count(b.id) FILTER (WHERE b.status NOT IN ('cancelled', 'moved')) <> CASE
            WHEN EXISTS (SELECT FROM cartsite_case c
                         WHERE c.subject_uuid = l.uuid AND c.kind = 'entry_cancelled') THEN 0
            ELSE l.quantity - (SELECT coalesce(sum(f.quantity), 0) FROM orders_linefact f
                               WHERE f.line_id = l.id AND f.kind = 'cancelled') END
    """,
    "a place that stands is held, one that was called off is not": """
        SELECT b.code FROM bookings_booking b JOIN bookings_hold h ON h.id = b.hold_id
        JOIN orders_orderline l ON l.id = b.order_line_id JOIN orders_order o ON o.id = l.order_id
        WHERE h.quantity <> CASE WHEN b.status IN ('cancelled', 'moved') THEN 0 ELSE 1 END
           OR b.status IN ('confirmed', 'attended', 'no_show') AND o.status NOT IN ('confirmed', 'completed')
    """,
    "whoever was let in is on record once, and so is whoever did not come": """
        SELECT l.title FROM orders_orderline l WHERE l.kind = 'entry' AND (
            (SELECT count(*) FROM bookings_booking b WHERE b.order_line_id = l.id AND b.status = 'attended')
            <> (SELECT coalesce(sum(f.quantity), 0) FROM orders_linefact f
                WHERE f.line_id = l.id AND f.kind = 'attended')
            OR (SELECT count(*) FROM bookings_booking b WHERE b.order_line_id = l.id AND b.status = 'no_show')
            <> (SELECT coalesce(sum(f.quantity), 0) FROM orders_linefact f
                WHERE f.line_id = l.id AND f.kind = 'missed'))
    """,
    "whoever was let in is on record by one scan that stands": """
        SELECT b.code FROM bookings_booking b WHERE (b.status = 'attended')::int <> (
            SELECT count(*) FROM bookings_scan s
            WHERE s.booking_id = b.id AND s.outcome = 'welcome' AND s.undone_at IS NULL)
    """,
    "a place that was moved is one somewhere else, or another order's": """
        SELECT b.code FROM bookings_booking b LEFT JOIN bookings_booking n ON n.moved_from_id = b.id
        LEFT JOIN orders_orderline l ON l.id = b.moving_to_id LEFT JOIN orders_order o ON o.id = l.order_id
        WHERE b.status = 'moved' AND (num_nonnulls(n.id, l.id) <> 1 OR o.status = 'awaiting_payment')
           OR b.status <> 'moved' AND n.id IS NOT NULL
           OR b.status = 'confirmed' AND o.status <> 'awaiting_payment'
    """,
    "what is offered is held, until the offer ends": """
        SELECT w.id::text FROM bookings_waiter w JOIN bookings_hold h ON h.id = w.hold_id
        WHERE w.status = 'offered' AND (h.quantity > w.quantity OR h.until IS DISTINCT FROM w.offer_until)
           OR w.status <> 'offered' AND h.quantity > 0
              AND NOT EXISTS (SELECT FROM cart_cartitem i WHERE i.hold_id = h.id)
    """,
    "a voucher and a window are used by as many orders as they hold, given back by those that are over": f"""
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
        LEFT JOIN orders_collectionslot s ON s.id = l.slot_id LEFT JOIN orders_voucher v ON v.id = l.voucher_id
        LEFT JOIN bookings_hold h ON h.id = l.hold_id AND h.pool_id = coalesce(s.pool_id, v.pool_id)
        WHERE coalesce(s.pool_id, v.pool_id) IS NOT NULL AND coalesce(h.quantity, 0) <> CASE
            WHEN o.status IN ('expired', 'cancelled') THEN 0
            WHEN l.slot_id IS NOT NULL AND NOT {GOODS_LEFT} THEN 0 ELSE 1 END
        UNION ALL
        SELECT p.name FROM bookings_pool p JOIN (
            SELECT coalesce(s.pool_id, v.pool_id) AS pool_id, count(DISTINCT o.id) AS orders
            FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
            LEFT JOIN orders_collectionslot s ON s.id = l.slot_id LEFT JOIN orders_voucher v ON v.id = l.voucher_id
            WHERE o.status IN ('awaiting_payment', 'confirmed', 'completed') AND (l.slot_id IS NULL OR {GOODS_LEFT})
            GROUP BY 1) used ON used.pool_id = p.id
        WHERE used.orders > p.capacity
    """,
    "9 no stall and no tax rate has less than nothing of an order": """
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
        JOIN orders_lineallocation a ON a.line_id = l.id GROUP BY o.id, a.stall_id HAVING sum(a.amount) < 0
        UNION ALL
        SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
        JOIN orders_lineallocation a ON a.line_id = l.id GROUP BY o.id, a.tax_rate HAVING sum(a.amount) < 0
    """,
    "9 a discount is about lines of its order, with their stall and rate, and takes no more than they cost": """
        SELECT l.title FROM orders_lineallocation a JOIN orders_orderline l ON l.id = a.line_id
        LEFT JOIN orders_orderline g ON g.id = a.about_id
        WHERE (l.kind = 'discount') <> (g.id IS NOT NULL) OR g.order_id <> l.order_id
           OR coalesce(g.stall_id, l.stall_id) <> a.stall_id OR coalesce(g.tax_rate, l.tax_rate) <> a.tax_rate
           OR g.kind IN ('fee', 'discount')
        UNION ALL
        SELECT g.title FROM orders_orderline g JOIN orders_lineallocation a ON a.about_id = g.id
        GROUP BY g.id HAVING g.total + sum(a.amount) < 0
        UNION ALL
        SELECT a.id::text FROM orders_lineallocation a
        WHERE a.tax <> a.amount - round(a.amount / (1 + a.tax_rate / 100), 2)
    """,
    "9 no stall but the house has more of an order's money than it was to get, or less than nothing": f"""
        SELECT o.number FROM orders_order o JOIN payments_movement m ON m.order_id = o.id AND m.kind IN {SHOPPERS}
        JOIN payments_movementshare s ON s.movement_id = m.id JOIN cart_stall t ON t.id = s.stall_id
        WHERE NOT t.is_house GROUP BY o.id, t.id HAVING sum(s.amount) < 0 OR sum(s.amount) > (
            SELECT coalesce(sum(a.amount), 0) FROM orders_lineallocation a
            JOIN orders_orderline l ON l.id = a.line_id WHERE l.order_id = o.id AND a.stall_id = t.id)
    """,
    # An order that comes back is paid once more, and may be called off once more.
    "what goes back by itself for a line is no more than was paid for it": f"""
        SELECT l.title FROM orders_orderline l JOIN payments_refund r ON r.line_id = l.id
        WHERE r.requested_by_id IS NULL AND r.status IN {GONE}
        GROUP BY l.id HAVING sum(r.amount) > (l.total + (
            SELECT coalesce(sum(a.amount), 0) FROM orders_lineallocation a WHERE a.about_id = l.id)) * (
            SELECT greatest(count(*), 1) FROM orders_orderevent e
            WHERE e.order_id = l.order_id AND e.kind = 'confirmed' AND e.cause <> '{Order.REOPENED}')
    """,
    "a cart's holds end, an hour after the first claim at the latest": """
        SELECT h.id::text FROM bookings_hold h JOIN cart_cartitem i ON i.hold_id = h.id
        WHERE h.quantity > 0 AND (h.until IS NULL OR h.until > h.claimed_at + interval '1 hour'
                                  OR h.quantity > i.quantity)
    """,
    "nothing is left in a cart that became another one, nor saved in one that was ordered": """
        SELECT c.uuid::text FROM cart_cart c JOIN cart_cartitem i ON i.cart_id = c.id
        WHERE c.merged_into_id IS NOT NULL OR c.ordered_at IS NOT NULL AND i.saved_at IS NOT NULL
    """,
    "whoever was erased is on no order, and has no cart": """
        SELECT u.uuid::text FROM cartsite_user u JOIN orders_order o ON o.user_id = u.id
        LEFT JOIN orders_ordercontact c ON c.order_id = o.id LEFT JOIN orders_deliveryaddress d ON d.order_id = o.id
        WHERE u.erased_at IS NOT NULL AND num_nonnulls(c.id, d.id) > 0
        UNION ALL
        SELECT u.uuid::text FROM cartsite_user u LEFT JOIN cart_cart c ON c.user_id = u.id
        LEFT JOIN cart_burnttoken b ON b.user_id = u.id LEFT JOIN account_emailaddress a ON a.user_id = u.id
        WHERE u.erased_at IS NOT NULL
          AND (num_nonnulls(c.id, b.id, a.id) > 0 OR u.name <> '' OR u.email NOT LIKE '%@erased.invalid')
        UNION ALL
        SELECT o.number FROM orders_order o JOIN orders_orderevent e ON e.order_id = o.id AND e.kind = 'contact_erased'
        LEFT JOIN orders_ordercontact c ON c.order_id = o.id LEFT JOIN orders_deliveryaddress d ON d.order_id = o.id
        WHERE num_nonnulls(c.id, d.id) > 0
    """,
    "15 a cart that was ordered is over": """
        SELECT o.number FROM orders_order o JOIN cart_cart c ON c.id = o.cart_id WHERE c.ordered_at IS NULL
    """,
    "oversold is a case for as long as it is so": """
        SELECT p.name FROM bookings_pool p WHERE p.taken > p.wanted AND NOT EXISTS (
            SELECT FROM cartsite_case c WHERE c.subject_uuid = p.uuid AND c.kind = 'oversold')
    """,
}
ALL = " UNION ALL ".join(
    f"SELECT $rule${rule}$rule$, found.what::text FROM ({query}) found(what)" for rule, query in QUERIES.items()
)
# What is written once is never changed: money, its shares, line facts, order events (8); and no order or payment goes.
APPEND_ONLY = (
    *("payments_movement", "payments_movementshare", "payments_taking"),
    *("orders_linefact", "orders_orderevent"),
)
DIGESTS = " UNION ALL ".join(
    f"SELECT '{table}', md5(string_agg(t::text, '' ORDER BY id) FILTER (WHERE id <= %s)),"
    f" md5(string_agg(t::text, '' ORDER BY id)), coalesce(max(id), 0) FROM {table} t"
    for table in APPEND_ONLY
)
COUNTS = "SELECT (SELECT count(*) FROM orders_order), (SELECT count(*) FROM payments_payment)"


def find_breaches() -> list[tuple[str, str]]:
    """Which rules are broken, and by what; empty as long as all is well."""
    with connection.cursor() as cursor:
        cursor.execute(ALL)
        return [(str(rule), str(what)) for rule, what in cursor.fetchall()]


def find_passed_over(offered: Collection[int]) -> list[str]:
    """Who (by primary key) was just offered a place, though somebody before them in the line waits who could be."""
    wrong = []
    for waiter in Waiter.objects.filter(pk__in=offered).select_related("entry"):
        before = Waiter.objects.in_turn().filter(entry__pool=waiter.entry.pool_id, place__lt=waiter.place)
        could = [other.pk for other in before.select_related("entry__calendar") if waiting.offer_ends(other.entry)]
        wrong += [f"waiter {waiter.pk} was offered what {could} wait for"] if could else []
    return wrong


class Memory:
    """What was there after the last step, to be compared with what is there now (invariant 8)."""

    def __init__(self) -> None:
        self.digests: dict[str, tuple[str | None, int]] = dict.fromkeys(APPEND_ONLY, (None, 0))
        self.counts: tuple[int, ...] = (0, 0)

    def find_changes(self) -> list[tuple[str, str]]:
        """What should have stayed as it was, and did not."""
        breaches = [("8 append-only", table) for table, before, now in self._compare() if before != now]
        counts = self._count()
        if any(now < before for now, before in zip(counts, self.counts, strict=True)):
            breaches.append(("8 orders and payments are never deleted", str(counts)))
        self.counts = counts
        return breaches

    def _compare(self) -> list[tuple[str, str | None, str | None]]:
        with connection.cursor() as cursor:
            cursor.execute(DIGESTS, [self.digests[table][1] for table in APPEND_ONLY])
            rows: list[Any] = cursor.fetchall()
        compared = [(table, self.digests[table][0], then) for table, then, _now, _last in rows]
        self.digests = {table: (now, last) for table, _then, now, last in rows}
        return compared

    def _count(self) -> tuple[int, ...]:
        with connection.cursor() as cursor:
            cursor.execute(COUNTS)
            return tuple(cursor.fetchone())
