"""Hours of raw results summed up, so that pages read hundreds of rows, not millions.

Rebuilt from the raw results in SQL; building an hour again changes nothing. Results
that are our own fault (codes 90 to 99) count as errors and as nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Sum

from monitors.history.histogram import SQL_BUCKET
from monitors.models import HourlyRollup

HOUR = timedelta(hours=1)
# A probe may end two minutes after it began, and its result counts for its beginning.
_HOUR_IS_LATE = timedelta(minutes=5)
# Now and then results come later still: the last hours are built again so often.
_LATE_HOURS = 2
_LATE_EVERY_MINUTES = 30
# Building an hour costs a microsecond a result: a big one is built every few minutes.
_BIG_COUNT = 50_000
_BIG_EVERY_MINUTES = 5
# After a standstill the hours are caught up with by the day, a transaction each.
_AT_ONCE = timedelta(days=1)
_LOCK = 5_412_002
_PRUNED_AT_ONCE = 10_000

_PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms")
# The latency of a result, and whether it has one: a heartbeat has no phases.
LATENCY_SQL = " + ".join(f"coalesce({phase}, 0)::float8" for phase in _PHASES)
HAS_LATENCY_SQL = f"num_nonnulls({', '.join(_PHASES)}) > 0"

# One pass over the results: by monitor, hour, outcome and bucket, and then by monitor
# and hour. A result without any phase (a heartbeat) has no latency, so no bucket.
_ROLL_UP = f"""
WITH parts AS (
    SELECT monitor_id,
           date_bin('1 hour', at, '2000-01-01Z') AS hour,
           CASE WHEN code = 0 THEN 0 WHEN code BETWEEN 90 AND 99 THEN 2
                ELSE 1 END AS outcome,
           CASE WHEN code = 0 AND {HAS_LATENCY_SQL}
                THEN {SQL_BUCKET.format(LATENCY_SQL)} END AS bucket,
           count(*)::integer AS n,
           {", ".join(f"coalesce(sum({phase}::float8), 0) AS {phase}" for phase in _PHASES)}
      FROM monitors_checkresult
     WHERE at >= %(start)s AND at < %(end)s
     GROUP BY 1, 2, 3, 4
), hours AS (
    SELECT monitor_id, hour,
           coalesce(sum(n) FILTER (WHERE outcome = 0), 0) AS passed_count,
           coalesce(sum(n) FILTER (WHERE outcome = 1), 0) AS failed_count,
           coalesce(sum(n) FILTER (WHERE outcome = 2), 0) AS error_count,
           {", ".join(f"coalesce(sum({phase}) FILTER (WHERE outcome = 0), 0) AS {phase}_sum" for phase in _PHASES)},
           coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL),
                    '{{}}') AS buckets,
           coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL),
                    '{{}}') AS counts
      FROM parts
     GROUP BY monitor_id, hour
)
INSERT INTO monitors_hourlyrollup AS old
       (monitor_id, hour, passed_count, failed_count, error_count,
        {", ".join(f"{phase}_sum" for phase in _PHASES)}, buckets, counts)
SELECT monitor_id, hour, passed_count, failed_count, error_count,
       {", ".join(f"{phase}_sum" for phase in _PHASES)}, buckets, counts
  FROM hours
 -- The results of a deleted monitor stay until their partition goes.
 WHERE monitor_id IN (SELECT id FROM monitors_monitor)
    ON CONFLICT (monitor_id, hour) DO UPDATE
   SET passed_count = excluded.passed_count, failed_count = excluded.failed_count,
       error_count = excluded.error_count,
       {", ".join(f"{phase}_sum = excluded.{phase}_sum" for phase in _PHASES)},
       buckets = excluded.buckets, counts = excluded.counts
 -- Results are only ever added: the same number means the same results.
 WHERE old.passed_count + old.failed_count + old.error_count
       <> excluded.passed_count + excluded.failed_count + excluded.error_count
"""  # noqa: S608 only constants go in


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What was built: the hours of [`start`, `end`), and how many rows were written."""

    start: datetime
    end: datetime
    row_count: int


def roll_up(*, now: datetime) -> RolledUp | None:
    """Build the rollups of the current hour and of those that may have new results.

    Meant for each minute; continues where the newest rollup ended, however long ago.
    Two at a time do no harm and no double work. Returns None when there is nothing to
    do: not one result, or an hour so big that it is built less often.
    """
    current = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start = _start(now, current)
    if start is None:
        return None
    if start == current and now.minute % _BIG_EVERY_MINUTES and _is_big(current):
        return None
    end = current + HOUR
    row_count = 0
    for n in range(math.ceil((end - start) / _AT_ONCE)):
        since = start + n * _AT_ONCE
        row_count += _build(since, min(since + _AT_ONCE, end))
    return RolledUp(start=start, end=end, row_count=row_count)


def drop_old(*, now: datetime, keep_days: int) -> int:
    """Delete rollups older than `keep_days` days, in batches; return how many."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                DELETE FROM monitors_hourlyrollup
                 WHERE ctid = ANY(ARRAY(SELECT ctid FROM monitors_hourlyrollup
                                         WHERE hour < %s LIMIT %s))
                """,
                [now - timedelta(days=keep_days), _PRUNED_AT_ONCE],
            )
            count = int(cursor.rowcount)
        total += count
        if count < _PRUNED_AT_ONCE:
            return total


def _start(now: datetime, current: datetime) -> datetime | None:
    """Return the first hour to build, None when there is nothing."""
    rollups = HourlyRollup.objects.aggregate(newest=Max("hour"))
    newest: datetime | None = rollups["newest"]
    if newest is None:
        return _hour_of_oldest_result()
    start = min(newest, current)
    if now - current < _HOUR_IS_LATE:
        start = min(start, current - HOUR)
    if now.minute % _LATE_EVERY_MINUTES == 0:
        start = min(start, current - _LATE_HOURS * HOUR)
    return max(start, current - timedelta(days=settings.RESULT_RETENTION_DAYS))


def _hour_of_oldest_result() -> datetime | None:
    """Return it, reading every result: only as long as there is no rollup at all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_trunc('hour', min(at), 'UTC') FROM monitors_checkresult"
        )
        (oldest,) = cursor.fetchone()
    return cast("datetime | None", oldest)


def _is_big(hour: datetime) -> bool:
    counts = F("passed_count") + F("failed_count") + F("error_count")
    total = HourlyRollup.objects.filter(hour=hour).aggregate(total=Sum(counts))["total"]
    return (total or 0) > _BIG_COUNT


def _build(start: datetime, end: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        (is_free,) = cursor.fetchone()
        if not is_free:
            return 0
        cursor.execute(_ROLL_UP, {"start": start, "end": end})
        return int(cursor.rowcount)
