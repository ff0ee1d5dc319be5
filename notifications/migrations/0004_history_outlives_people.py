from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0003_people")]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="receiver",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=400, verbose_name="to"
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="address",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="notifications",
                to="notifications.address",
                verbose_name="address",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="notification",
            name="notifications_notification_one_destination",
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("channel__isnull", True),
                    ("address__isnull", True),
                    _connector="OR",
                ),
                name="notifications_notification_one_destination",
            ),
        ),
    ]
