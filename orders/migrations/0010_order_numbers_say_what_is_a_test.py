from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Look at the orders there were, while the shop goes on writing."""

    dependencies = [("orders", "0009_mark_test_orders")]

    operations = [ValidateConstraint(model_name="order", name="order_number_says_whether_it_is_a_test")]
