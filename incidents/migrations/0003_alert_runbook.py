"""Let an alert carry the runbook of what raised it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("incidents", "0002_append_only_timeline")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="runbook_url",
            field=models.URLField(
                blank=True, db_default="", default="", verbose_name="runbook"
            ),
        ),
    ]
