"""One reader at a time for each source, whoever wants to read it.

Collection, backfills and people take the same lease, so a source never gets two
questions at once. A reader that dies leaves a lease that ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from kpis.models import DataSourceState

# For a question with a timeout of so many seconds: connecting, and storing the answer.
SLACK_S = 30

_ENSURE = """
INSERT INTO kpis_datasourcestate
    (source_id, checked_fingerprint, problem, failure_count, last_error)
SELECT id, '', '', 0, '' FROM kpis_datasource
 WHERE id NOT IN (SELECT source_id FROM kpis_datasourcestate)
ON CONFLICT DO NOTHING
"""
# `{wanted}` is one of the two below.
_TAKE = """
WITH picked AS (
    SELECT held.source_id
      FROM kpis_datasourcestate held JOIN kpis_datasource s ON s.id = held.source_id
     WHERE (held.lease_until IS NULL OR held.lease_until <= %(now)s)
       AND {wanted}
     ORDER BY held.lease_until NULLS FIRST, held.source_id
     LIMIT %(at_most)s
       FOR UPDATE OF held SKIP LOCKED
)
UPDATE kpis_datasourcestate held
   SET lease_until = %(until)s, lease_token = gen_random_uuid()
  FROM picked
 WHERE held.source_id = picked.source_id
   AND (held.lease_until IS NULL OR held.lease_until <= %(now)s)
RETURNING held.source_id, held.lease_token
"""
_DUE = """
s.is_enabled AND s.kind <> 'manual' AND EXISTS (
    SELECT FROM kpis_kpi k JOIN kpis_kpistate state ON state.kpi_id = k.id
     WHERE k.source_id = s.id AND k.is_enabled AND state.next_run_at <= %(now)s)
"""
# What is due goes before what is past.
_BACKFILLED = f"""
s.is_enabled AND NOT ({_DUE}) AND EXISTS (
    SELECT FROM kpis_backfill b JOIN kpis_kpi k ON k.id = b.kpi_id
     WHERE k.source_id = s.id AND b.status IN ('queued', 'running'))
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A source that is ours to read until the lease ends; `token` is the fence."""

    source_id: int
    token: UUID

    def prolong(self, *, until: datetime) -> bool:
        """Keep it until then; False when it is somebody else's by now."""
        return bool(self._mine().update(lease_until=until))

    def release(self) -> None:
        """Let others read the source."""
        self._mine().update(lease_until=None, lease_token=None)

    def holds(self) -> bool:
        """Whether it is still ours; locks it until the end of the transaction."""
        return self._mine().select_for_update(no_key=True).exists()

    def _mine(self) -> QuerySet[DataSourceState]:
        return DataSourceState.objects.filter(
            source_id=self.source_id, lease_token=self.token
        )


def ensure_states() -> None:
    """Give every source its state."""
    with connection.cursor() as cursor:
        cursor.execute(_ENSURE)


def take_due(*, now: datetime, at_most: int) -> list[Lease]:
    """Take free sources that have KPIs to be collected."""
    return _take(_DUE, now, at_most)


def take_backfilled(*, now: datetime, at_most: int) -> list[Lease]:
    """Take free sources whose past somebody has asked for."""
    return _take(_BACKFILLED, now, at_most)


def take(*, source_id: int, now: datetime) -> Lease | None:
    """Take one source; None while somebody else reads it."""
    ensure_states()
    found = _take("s.id = %(source_id)s", now, 1, source_id=source_id)
    return found[0] if found else None


def _take(wanted: str, now: datetime, at_most: int, **values: int) -> list[Lease]:
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE.format(wanted=wanted),
            {
                "now": now,
                "until": now + timedelta(seconds=2 * SLACK_S),
                "at_most": at_most,
                **values,
            },
        )
        return [Lease(source_id, token) for source_id, token in cursor.fetchall()]
