from django.db import migrations

from cartsite.triggers import define_refusal


class Migration(migrations.Migration):
    dependencies = [("cartsite", "0001_initial")]

    operations = [define_refusal()]
