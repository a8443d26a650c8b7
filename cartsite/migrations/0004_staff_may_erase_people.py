from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cartsite", "0003_dropped_mail_and_erased_people")]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={"permissions": [("erase_person", "Can erase people's personal data when they ask for it")]},
        ),
    ]
