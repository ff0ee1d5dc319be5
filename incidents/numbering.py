"""Short numbers of incidents: what somebody types on a phone to answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from incidents.models import Incident

# Somebody may answer an old SMS: a number rests this long after its incident.
REST = timedelta(days=1)

# Of the numbers that nobody has, the first that no transaction under way has taken.
_FREE = """
SELECT number FROM generate_series(1, (
    SELECT count(*) + 50 FROM incidents_incident
    WHERE short_code IS NOT NULL AND (status <> 'resolved' OR resolved_at > %(rested)s)
)) AS number
WHERE NOT EXISTS (
    SELECT FROM incidents_incident
    WHERE short_code = number AND (status <> 'resolved' OR resolved_at > %(rested)s)
)
ORDER BY number LIMIT 50
"""


def take_short_code(*, now: datetime) -> int | None:
    """Return the smallest free number, reserved until the transaction ends.

    It waits for nobody, so two incidents that open at once can't hold each other up;
    None in the odd case that fifty others open at the same moment.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FREE, {"rested": now - REST})
        candidates = [number for (number,) in cursor.fetchall()]
        for number in candidates:
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtext('incidents.short_code'), %s)",
                [number],
            )
            (is_ours,) = cursor.fetchone() or (False,)
            # Somebody may have taken it and committed since we looked.
            if is_ours and not _is_taken(number, now):
                return int(number)
    return None


def _is_taken(number: int, now: datetime) -> bool:
    rows = Incident.objects.filter(short_code=number)
    return rows.open().exists() or rows.filter(resolved_at__gt=now - REST).exists()
