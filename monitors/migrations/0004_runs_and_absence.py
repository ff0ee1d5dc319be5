"""Count critical values on their own, know our own absence, find quiet times fast."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitors", "0003_monitor_revision")]

    operations = [
        migrations.RemoveField(model_name="thresholdstate", name="breach_level"),
        migrations.AddField(
            model_name="thresholdstate",
            name="critical_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="thresholdstate",
            name="critical_since",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="monitorstate",
            name="away_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="statusinterval",
            index=models.Index(
                condition=models.Q(("status__in", ["maintenance", "paused"])),
                fields=["ended_at"],
                name="monitors_interval_quiet",
            ),
        ),
    ]
