from django.db import migrations

from cartsite.triggers import append_only, never_deleted

# The only change ever made to movements: the new column learns what the old ones say. So the trigger rests meanwhile.
NAME_TRANSACTIONS = """
ALTER TABLE payments_movement DISABLE TRIGGER payments_movement_append_only;
UPDATE payments_movement SET transaction_id = sumup_id WHERE kind = 'capture' AND transaction_id = '';
ALTER TABLE payments_movement ENABLE TRIGGER payments_movement_append_only;
"""
SHARE_OUT = """
INSERT INTO payments_movementshare (movement_id, stall_id, amount)
SELECT movement.id, allocation.stall_id, sum(allocation.amount)
  FROM payments_movement movement
  JOIN orders_order ON orders_order.id = movement.order_id AND orders_order.total = movement.amount
  JOIN orders_orderline line ON line.order_id = orders_order.id
  JOIN orders_lineallocation allocation ON allocation.line_id = line.id
 WHERE movement.kind = 'capture'
 GROUP BY movement.id, allocation.stall_id
HAVING sum(allocation.amount) <> 0
"""
# A closed day is as it was closed, whoever asks; reopening writes a new round.
KEEP_CLOSED_DAYS = """
CREATE TRIGGER payments_dailyclose_kept BEFORE UPDATE ON payments_dailyclose
FOR EACH ROW WHEN (OLD.status = 'closed') EXECUTE FUNCTION cartsite_refuse()
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_refunds_shares_and_closes"), ("cartsite", "0002_refuse_changes")]

    operations = [
        migrations.RunSQL(NAME_TRANSACTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(SHARE_OUT, migrations.RunSQL.noop),
        *append_only("payments_movementshare", "payments_reopening"),
        *never_deleted("payments_refund", "payments_stray", "payments_dailyclose"),
        migrations.RunSQL(KEEP_CLOSED_DAYS, "DROP TRIGGER payments_dailyclose_kept ON payments_dailyclose"),
    ]
