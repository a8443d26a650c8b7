"""What came of a confirmed form is kept under the form's token, so that a form does its step once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cartsite", "0005_addresses_in_small_letters")]

    operations = [
        migrations.CreateModel(
            name="Agreement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token", models.UUIDField(unique=True)),
                ("step", models.CharField(max_length=60)),
                ("words", models.TextField(default="")),
                ("path", models.CharField(default="", max_length=500)),
                ("done_at", models.DateTimeField(auto_now_add=True, db_index=True)),
            ],
        ),
    ]
