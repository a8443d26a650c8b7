from decimal import Decimal

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0007_waiting_comes_to_an_end"),
    ]

    operations = [
        migrations.AlterField(
            model_name="calendar",
            name="kept_percent",
            field=models.DecimalField(
                decimal_places=2,
                default=Decimal("0.00"),
                help_text="Per cent of what was paid for the place.",
                max_digits=5,
                validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)],
                verbose_name="kept when cancelled",
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="price",
            field=models.DecimalField(
                decimal_places=2,
                help_text="For one place, tax included.",
                max_digits=10,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="tax_rate",
            field=models.DecimalField(
                decimal_places=2,
                default=Decimal("20.00"),
                help_text="Per cent.",
                max_digits=5,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(Decimal("99.99")),
                ],
            ),
        ),
        migrations.AlterField(
            model_name="pricekind",
            name="price",
            field=models.DecimalField(
                decimal_places=2,
                help_text="For one place, tax included.",
                max_digits=10,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="series",
            name="price",
            field=models.DecimalField(
                decimal_places=2,
                help_text="For one place, tax included.",
                max_digits=10,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="series",
            name="tax_rate",
            field=models.DecimalField(
                decimal_places=2,
                default=Decimal("20.00"),
                help_text="Per cent.",
                max_digits=5,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(Decimal("99.99")),
                ],
            ),
        ),
    ]
