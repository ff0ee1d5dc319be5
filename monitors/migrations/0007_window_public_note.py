"""Let a maintenance window say something to users."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitors", "0006_counts_for_service")]

    operations = [
        migrations.AddField(
            model_name="maintenancewindow",
            name="public_note",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text=(
                    "What users read on the status page, beside the services and the"
                    " time."
                ),
                max_length=500,
                verbose_name="public note",
            ),
        ),
    ]
