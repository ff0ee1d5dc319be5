from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0006_name_receivers"),
    ]

    operations = [
        migrations.CreateModel(
            name="SeenCall",
            fields=[
                (
                    "digest",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("seen_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name": "call seen",
                "verbose_name_plural": "calls seen",
                "default_permissions": (),
            },
        ),
    ]
