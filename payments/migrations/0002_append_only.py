from django.db import migrations

from cartsite.triggers import append_only, never_deleted


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("cartsite", "0002_refuse_changes")]

    operations = [*append_only("payments_movement"), *never_deleted("payments_payment")]
