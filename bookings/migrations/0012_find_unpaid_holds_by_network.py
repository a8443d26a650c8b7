from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is made while the shop sells

    dependencies = [
        ("bookings", "0011_whose_network_holds_what_is_not_paid"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="hold",
            index=models.Index(
                condition=models.Q(("quantity__gt", 0), models.Q(("network", ""), _negated=True)),
                fields=["pool", "network"],
                name="hold_unpaid_by_network",
                opclasses=["int8_ops", "varchar_pattern_ops"],
            ),
        ),
    ]
