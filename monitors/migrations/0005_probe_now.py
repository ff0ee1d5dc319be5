"""A permission of its own for probing at once."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("monitors", "0004_runs_and_absence")]

    operations = [
        migrations.AlterModelOptions(
            name="monitor",
            options={
                "permissions": [
                    ("use_private_targets", "Can watch private networks"),
                    ("probe_now", "Can probe at once"),
                ],
                "verbose_name": "monitor",
                "verbose_name_plural": "monitors",
            },
        ),
    ]
