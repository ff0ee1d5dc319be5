from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0010_channels_of_apprise"),
    ]

    operations = [
        migrations.AlterField(
            model_name="provider",
            name="sender",
            field=models.CharField(
                blank=True,
                help_text="Twilio: a number (+33…), a name, or a messaging service (MG…). OVHcloud: a validated name, or empty for a short number. Only what is sent to a number or a service of Twilio's is read.",
                max_length=40,
                verbose_name="SMS sender",
            ),
        ),
    ]
