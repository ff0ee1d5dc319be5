"""Says in each row who gets it, for the day when the address is gone."""

from __future__ import annotations

from typing import Any

from django.db import migrations

_NAME = """
UPDATE notifications_notification AS row SET receiver = left(said.words, 400)
FROM (
    SELECT row.id, coalesce(
        channel.name, contact.name || ' (' || address.value || ')'
    ) AS words
    FROM notifications_notification row
    LEFT JOIN notifications_channel channel ON channel.id = row.channel_id
    LEFT JOIN notifications_address address ON address.id = row.address_id
    LEFT JOIN notifications_contact contact ON contact.id = address.contact_id
    WHERE row.receiver = ''
) said
WHERE said.id = row.id AND said.words IS NOT NULL
"""


def name_receivers(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute(_NAME)


def make_room_for_the_past(apps: Any, schema_editor: Any) -> None:
    """What the older version can't hold: bundles, and rows whose address is gone."""
    rows = apps.get_model("notifications", "Notification").objects
    rows.filter(status="bundled").update(status="cancelled", bundled_into=None)
    rows.filter(channel=None, address=None).delete()


class Migration(migrations.Migration):
    dependencies = [("notifications", "0005_bundles")]

    operations = [migrations.RunPython(name_receivers, make_room_for_the_past)]
