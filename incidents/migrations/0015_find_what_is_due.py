from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """What the engine looks for each tick; built while the old version writes."""

    atomic = False
    dependencies = [("incidents", "0014_forget_matrix_channels")]

    operations = [
        AddIndexConcurrently(
            "incident",
            models.Index(
                condition=Q(first_acknowledged_at=None, response_missed_at=None)
                & ~Q(status="resolved"),
                fields=["response_due_at"],
                name="incidents_due_response",
            ),
        ),
        AddIndexConcurrently(
            "incident",
            models.Index(
                condition=Q(has_empty_step=True) & ~Q(status="resolved"),
                fields=["id"],
                name="incidents_reached_nobody",
            ),
        ),
        migrations.AddConstraint(
            "incident",
            models.UniqueConstraint(
                condition=~Q(status="resolved"),
                fields=["short_code"],
                name="incidents_incident_one_open_a_short_code",
            ),
        ),
    ]
