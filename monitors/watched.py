"""Every enabled monitor as the thresholds see it, in one narrow query."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from monitors.status import Status

_LOAD = """
SELECT m.id, m.name, m.service_id, m.tags, st.status, st.since, st.failure_count,
       st.last_result_at, st.fresh_until, st.certificate_expires_at, st.is_degraded
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
    """One monitor with its state."""

    monitor_id: int
    name: str
    service_id: int
    tags: list[str]
    status: str
    since: datetime
    failure_count: int
    last_result_at: datetime | None
    fresh_until: datetime | None
    certificate_expires_at: datetime | None
    is_degraded: bool

    def is_fresh(self, now: datetime) -> bool:
        """Whether its last result still speaks for it."""
        return self.fresh_until is not None and self.fresh_until >= now

    @property
    def is_answering(self) -> bool:
        """Whether it is up, slow or not."""
        return self.status in _ANSWERING

    @property
    def is_down(self) -> bool:
        """Whether it is confirmed down and that counts (no window, no pause)."""
        return self.status == Status.DOWN


def watched_monitors() -> list[Watched]:
    """Return all enabled monitors that have a state."""
    with connection.cursor() as cursor:
        cursor.execute(_LOAD)
        return [Watched._make(row) for row in cursor.fetchall()]


def quiet_until(*, since: datetime) -> dict[int, datetime]:
    """Return when the windows and pauses ended that ended after `since`, by monitor.

    What was measured up to then says nothing about now.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUIET, [since])
        return dict(cursor.fetchall())
