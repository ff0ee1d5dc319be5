"""What verifiers ask of monitors beyond what pages do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from monitors.models import Monitor

# In the order of the index of each partition, so a handful of rows is read.
_LATEST = """
SELECT at, code = 0,
       round((coalesce(dns_ms, 0) + coalesce(connect_ms, 0) + coalesce(tls_ms, 0)
              + coalesce(first_byte_ms, 0) + coalesce(transfer_ms, 0))::numeric)::integer
  FROM monitors_checkresult
 WHERE monitor_id = %s
 ORDER BY at DESC
 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """One result of a monitor."""

    at: datetime
    is_passed: bool
    latency_ms: int


def latest_results(*, monitor_id: int, count: int) -> list[Watched]:
    """Return the last results of a monitor, the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, [monitor_id, count])
        return [Watched(*row) for row in cursor.fetchall()]


def expectations(monitor: Monitor) -> list[str]:
    """Return what a monitor expects of the answer, as it was typed; reads `assertions`."""
    rows = sorted(monitor.assertions.all(), key=lambda row: (row.position, row.pk))
    return [
        " ".join(filter(None, (row.subject, row.argument, row.operator, row.expected)))
        for row in rows
    ]
