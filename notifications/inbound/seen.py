"""Taking something once: a replayed button, an SMS delivered twice, a help text an hour.

In the database, because several processes answer, and a cache forgets.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.db import connection

from notifications.models import SeenCall

# Twilio signs no time, and short numbers of incidents come back after a day: a reply that
# somebody has kept must not acknowledge what happens much later. As long as messages.
LONGEST = timedelta(days=400)

# The row count decides, so that of two at once one is the first.
_REMEMBER = """
INSERT INTO notifications_seencall AS known (digest, seen_at) VALUES (%s, %s)
ON CONFLICT (digest) DO UPDATE SET seen_at = excluded.seen_at
WHERE known.seen_at <= %s
"""


def is_new(*, key: str, now: datetime, within: timedelta) -> bool:
    """Say whether this key did not come within that time, and remember that it came."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER, [digest, now, now - min(within, LONGEST)])
        return bool(cursor.rowcount)


def forget(*, now: datetime) -> int:
    """Delete what nobody asks about any more; return how many rows."""
    return SeenCall.objects.filter(seen_at__lt=now - LONGEST).delete()[0]
