from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bookings", "0006_calendars_that_people_trust")]

    operations = [
        migrations.AddField(
            model_name="waiter",
            name="ended_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
