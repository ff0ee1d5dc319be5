from __future__ import annotations

from typing import Any

from django.db import migrations

_TABLE = "incidents_priorityrule_channels"


def let_go(apps: Any, schema_editor: Any) -> None:
    """Let rows come and go without what the code has forgotten."""
    schema_editor.execute(
        "ALTER TABLE incidents_priorityrule ALTER repeat_s SET DEFAULT 0,"
        " ALTER has_mention SET DEFAULT false"
    )
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'f'",
            [_TABLE],
        )
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        schema_editor.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT {name}")


def hold_again(apps: Any, schema_editor: Any) -> None:
    """Restore what Django expects of the columns and the table."""
    schema_editor.execute(
        "ALTER TABLE incidents_priorityrule ALTER repeat_s DROP DEFAULT,"
        " ALTER has_mention DROP DEFAULT"
    )
    for column, table in (
        ("priorityrule_id", "incidents_priorityrule"),
        ("channel_id", "notifications_channel"),
    ):
        schema_editor.execute(
            f"DELETE FROM {_TABLE}"  # noqa: S608 names of our own tables
            f" WHERE {column} NOT IN (SELECT id FROM {table})"
        )
        schema_editor.execute(
            f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_TABLE}_{column}_fk"
            f" FOREIGN KEY ({column}) REFERENCES {table} (id)"
            " DEFERRABLE INITIALLY DEFERRED"
        )


class Migration(migrations.Migration):
    """The matrix names a policy. Its old columns stay until the next release, so that
    the version before this one can run beside it; nothing reads them."""

    dependencies = [("incidents", "0013_move_matrix_into_policies")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(
                    model_name="priorityrule",
                    name="incidents_priorityrule_repeat_at_least_a_minute",
                ),
                migrations.RemoveField(model_name="priorityrule", name="channels"),
                migrations.RemoveField(model_name="priorityrule", name="has_mention"),
                migrations.RemoveField(model_name="priorityrule", name="repeat_s"),
            ],
        ),
        migrations.RunPython(let_go, hold_again),
    ]
