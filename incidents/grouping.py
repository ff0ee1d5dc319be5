"""The groups of alerts: one open incident a service and grouping key."""

from __future__ import annotations

from hashlib import blake2b

from django.db import connection


def serialize(*, service_id: int, grouping_key: str) -> None:
    """Wait for whoever else is at this group, until their transaction ends.

    Opening has no row that could be locked yet; everything later locks the incident.
    """
    name = f"incidents.group:{service_id}:{grouping_key}"
    number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
