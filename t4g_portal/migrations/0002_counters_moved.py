from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Let go of the sign-ins' counters, which the cellar has taken over."""

    dependencies = [
        ("t4g_portal", "0001_sign_in_counters"),
        ("cellar", "0008_attempt_counters"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.DeleteModel(name="SignInCounter")],
        ),
    ]
