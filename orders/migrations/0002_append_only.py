from django.db import migrations

from cartsite.triggers import append_only, never_deleted


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial"), ("cartsite", "0002_refuse_changes")]

    operations = [
        *append_only("orders_linefact", "orders_orderevent", "orders_lineallocation"),
        *never_deleted("orders_order", "orders_orderline"),
    ]
