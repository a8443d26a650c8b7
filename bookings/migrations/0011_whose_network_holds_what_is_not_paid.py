from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0010_versions_of_what_people_edit"),
    ]

    operations = [
        migrations.AddField(
            model_name="hold",
            name="network",
            field=models.CharField(db_default="", default="", editable=False, max_length=41),
        ),
    ]
