"""Who brought a run's present commit, whom four eyes bar from signing like its opener."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARD = """
CREATE OR REPLACE FUNCTION checklists_guard_run() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    gone text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.state = 'open' THEN
            RETURN NEW;
        END IF;
        gone := checklists_forgotten(to_jsonb(NEW), %s);
        IF checklists_same_but(to_jsonb(OLD), to_jsonb(NEW), VARIADIC gone) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'checklist run %% is %%: %% refused', OLD.id, OLD.state, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
"""
BEFORE = GUARD % "'opened_by_id', 'ended_by_id'"
AFTER = GUARD % "'opened_by_id', 'moved_by_id', 'ended_by_id'"


class Migration(migrations.Migration):
    dependencies = [
        ("checklists", "0007_reminders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="checklistrun",
            name="moved_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="commit by",
            ),
        ),
        migrations.RunSQL(AFTER, BEFORE),
    ]
