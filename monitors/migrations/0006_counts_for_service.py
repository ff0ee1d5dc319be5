"""Let a monitor page without its service being called down for it.

The default stands in the database, so that a portal of before this column can still add
a monitor.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitors", "0005_probe_now")]

    operations = [
        migrations.AddField(
            model_name="monitor",
            name="counts_for_service",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text=(
                    "Off: it pages, but its service is not called down or degraded for"
                    " it, on the overview and on the status page. For a backup, say."
                ),
                verbose_name="counts for its service",
            ),
        ),
    ]
