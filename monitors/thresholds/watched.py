"""Every enabled monitor as the thresholds see it, in one narrow query."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from monitors.status import Status

# Times are compared here already: turning thousands into Python's is most of the cost.
_LOAD = """
SELECT m.id, m.name, m.service_id, m.tags, st.status,
       CASE WHEN st.status = 'down' THEN st.since END,
       st.failure_count, extract(epoch FROM st.last_result_at)::float8,
       coalesce(st.fresh_until >= %(now)s, false),
       extract(epoch FROM st.certificate_expires_at - %(now)s)::float8 / 86400,
       st.is_degraded
  FROM monitors_monitor m
  JOIN monitors_monitorstate st ON st.monitor_id = m.id
 WHERE m.is_enabled
"""
_QUIET = """
SELECT monitor_id, max(ended_at)
  FROM monitors_statusinterval
 WHERE status IN ('maintenance', 'paused') AND ended_at > %s
 GROUP BY monitor_id
"""
_ANSWERING = frozenset({Status.UP, Status.DEGRADED})


# A plain tuple: there may be thousands, several times a minute.
class Watched(NamedTuple):
    """One monitor with its state. `down_since` only while it is down."""

    monitor_id: int
    name: str
    service_id: int
    tags: list[str]
    status: str
    down_since: datetime | None
    failure_count: int
    # Seconds since the epoch.
    last_result: float | None
    # Whether its last result still speaks for it.
    is_fresh: bool
    certificate_days: float | None
    is_degraded: bool

    @property
    def is_answering(self) -> bool:
        """Whether it is up, slow or not."""
        return self.status in _ANSWERING

    @property
    def is_down(self) -> bool:
        """Whether it is confirmed down and that counts (no window, no pause)."""
        return self.status == Status.DOWN


def watched_monitors(*, now: datetime) -> list[Watched]:
    """Return all enabled monitors that have a state."""
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, {"now": now})
        return [Watched._make(row) for row in cursor.fetchall()]


def quiet_until(*, since: datetime) -> dict[int, datetime]:
    """Return when the windows and pauses ended that ended after `since`, by monitor.

    What was measured up to then says nothing about now.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUIET, [since])
        return dict(cursor.fetchall())
