from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Take the sign-ins' counters over as they are: the table itself doesn't change."""

    dependencies = [
        ("cellar", "0007_audit_append_only"),
        ("t4g_portal", "0001_sign_in_counters"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="AttemptCounter",
                    fields=[
                        (
                            "key",
                            models.CharField(
                                max_length=60, primary_key=True, serialize=False
                            ),
                        ),
                        ("count", models.PositiveIntegerField()),
                        ("last_at", models.DateTimeField(db_index=True)),
                        ("open_at", models.DateTimeField()),
                    ],
                    options={"db_table": "t4g_portal_signincounter"},
                ),
            ],
        ),
    ]
