from django.db import migrations

from cartsite.triggers import never_deleted


class Migration(migrations.Migration):
    dependencies = [("cart", "0002_initial"), ("cartsite", "0002_refuse_changes")]

    operations = never_deleted("cart_product", "cart_stall")
