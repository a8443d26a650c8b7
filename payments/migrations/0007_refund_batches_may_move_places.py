import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0006_calendars_that_people_trust"),
        ("payments", "0006_refund_batches"),
    ]

    operations = [
        migrations.AddField(
            model_name="refundbatch",
            name="move_to",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="bookings.entry",
            ),
        ),
    ]
