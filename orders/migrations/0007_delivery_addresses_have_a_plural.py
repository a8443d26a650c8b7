from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0006_calendars_that_people_trust")]

    operations = [
        migrations.AlterModelOptions(name="deliveryaddress", options={"verbose_name_plural": "delivery addresses"}),
    ]
