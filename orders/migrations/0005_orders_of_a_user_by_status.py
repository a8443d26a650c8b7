"""One's own orders of one status stay as quick to find as all of them."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0004_offers_are_archived_not_deleted"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["user", "status", "-placed_at", "-id"], name="order_by_user_and_status"),
        ),
    ]
