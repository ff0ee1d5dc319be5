from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The pages of monitors find their incidents; built while the old version writes."""

    atomic = False
    dependencies = [("incidents", "0004_incident_publicity")]

    operations = [
        AddIndexConcurrently(
            "alert", models.Index(fields=["source"], name="incidents_alert_source")
        )
    ]
