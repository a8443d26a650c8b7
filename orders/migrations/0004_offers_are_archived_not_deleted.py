from django.db import migrations

from cartsite.triggers import never_deleted


class Migration(migrations.Migration):
    dependencies = [("orders", "0003_handover_vouchers_and_terms"), ("cartsite", "0002_refuse_changes")]

    operations = never_deleted("orders_collectionslot", "orders_deliveryzone", "orders_voucher")
