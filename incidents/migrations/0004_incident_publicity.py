"""Let an incident say what the public may know of it.

Defaults in the database, so that a portal of before these columns can still open one.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("incidents", "0003_alert_runbook")]

    operations = [
        migrations.AddField(
            model_name="incident",
            name="is_public",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="public"
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="is_publicity_pinned",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="incident",
            name="public_message",
            field=models.TextField(
                blank=True, db_default="", default="", verbose_name="public message"
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="public_message_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="incidentevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("opened", "Opened"),
                    ("alert_fired", "Alert fired"),
                    ("alert_resolved", "Alert resolved"),
                    ("notified", "Notified"),
                    ("escalated", "Paged again"),
                    ("untold", "Nobody could be told"),
                    ("acknowledged", "Acknowledged"),
                    ("unacknowledged", "Acknowledgement taken back"),
                    ("priority_changed", "Priority changed"),
                    ("snoozed", "Snoozed"),
                    ("woken", "Snooze ended"),
                    ("note", "Note"),
                    ("resolved", "Resolved"),
                    ("reopened", "Reopened"),
                    ("published", "Told the public"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
    ]
