from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

import orders.models


class Migration(migrations.Migration):
    """Quick, however many orders there are: the next migration looks at those, without keeping anybody from writing."""

    dependencies = [
        ("cart", "0005_price_kinds"),
        ("orders", "0008_why_an_unpaid_order_is_cancelled"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="is_test",
            field=models.BooleanField(
                db_default=models.Value(False),
                default=orders.models.orders_are_tests,
                editable=False,
                verbose_name="is a test",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="number",
            field=models.CharField(default=orders.models.new_number, editable=False, max_length=17, unique=True),
        ),
        AddConstraintNotValid(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("is_test", True), ("number__startswith", "TEST-")),
                    models.Q(("is_test", False), models.Q(("number__startswith", "TEST-"), _negated=True)),
                    _connector="OR",
                ),
                name="order_number_says_whether_it_is_a_test",
            ),
        ),
    ]
