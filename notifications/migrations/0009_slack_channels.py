from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0008_providers_and_reports"),
    ]

    operations = [
        migrations.AlterField(
            model_name="channel",
            name="address",
            field=models.CharField(
                blank=True,
                help_text="E-mail: one or more addresses, separated by commas. SMS: one or more numbers with their country codes. Slack channel: its ID (C…) or #name. Signed webhook: its URL. Slack incoming webhook: leave empty.",
                max_length=500,
                verbose_name="address",
            ),
        ),
    ]
