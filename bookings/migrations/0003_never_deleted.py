from django.db import migrations

from cartsite.triggers import never_deleted


class Migration(migrations.Migration):
    dependencies = [("bookings", "0002_initial"), ("cartsite", "0002_refuse_changes")]

    operations = never_deleted("bookings_pool", "bookings_hold", "bookings_entry", "bookings_booking")
