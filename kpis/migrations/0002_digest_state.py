"""When a digest is sent next: the engine's own, apart from the plan that people edit."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kpis", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="DigestState",
            fields=[
                (
                    "plan",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="state",
                        serialize=False,
                        to="kpis.digestplan",
                    ),
                ),
                ("timing", models.CharField(max_length=120)),
                ("next_at", models.DateTimeField(verbose_name="next")),
            ],
            options={
                "verbose_name": "digest state",
                "verbose_name_plural": "digest states",
            },
        ),
    ]
