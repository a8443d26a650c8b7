"""Addresses of people are kept in small letters, so that they are found however they are typed."""

from django.db import migrations

import cartsite.models


class Migration(migrations.Migration):
    dependencies = [("cartsite", "0004_staff_may_erase_people")]

    operations = [
        migrations.RunSQL(
            "UPDATE cartsite_user SET email = lower(email) WHERE email <> lower(email)", migrations.RunSQL.noop
        ),
        migrations.AlterField(
            model_name="user",
            name="email",
            field=cartsite.models.LowercaseEmailField(max_length=254, verbose_name="e-mail address"),
        ),
    ]
