from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0004_history_outlives_people")]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="bundled_into",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="bundled",
                to="notifications.notification",
                verbose_name="told with",
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="status",
            field=models.CharField(
                choices=[
                    ("queued", "Queued"),
                    ("sending", "Sending"),
                    ("sent", "Sent"),
                    ("dead", "Not delivered"),
                    ("cancelled", "Cancelled"),
                    ("bundled", "Told with others"),
                ],
                default="queued",
                max_length=12,
                verbose_name="status",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="notification",
            name="notifications_notification_status_known",
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        ["queued", "sending", "sent", "dead", "cancelled", "bundled"],
                    )
                ),
                name="notifications_notification_status_known",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("address__isnull", False)),
                fields=["address", "-ended_at"],
                name="notifications_told_lately",
            ),
        ),
    ]
