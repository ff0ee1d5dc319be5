"""Figures from the status ledger, summed by PostgreSQL, for many monitors at once.

The rules are those of `monitors.uptime`, which the tests hold against these queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from monitors.status import Status
from monitors.uptime import DayUptime, Interval, Uptime, day_borders

WINDOWS: Mapping[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}

# The stretches of time of some monitors since `oldest`, up to `now`. The open interval
# is split where nothing vouches for it any more. Intervals touch, so everything that
# reaches past `oldest` begins at or after the last one begun before it: that lets the
# index (monitor, started_at) skip the years before.
_STRETCHES = """
stretches AS (
    SELECT asked.monitor_id, part.status, part.began, part.ended
    FROM asked
    LEFT JOIN monitors_monitorstate state ON state.monitor_id = asked.monitor_id
    CROSS JOIN LATERAL (
        SELECT ledger.status, ledger.started_at, ledger.ended_at,
            CASE
                WHEN ledger.status IN ('paused', 'maintenance', 'pending')
                    OR state.fresh_until IS NULL THEN %(now)s
                ELSE least(greatest(state.fresh_until, ledger.started_at), %(now)s)
            END AS vouched_until
        FROM monitors_statusinterval ledger
        WHERE ledger.monitor_id = asked.monitor_id
            AND ledger.started_at < %(now)s
            AND ledger.started_at >= coalesce((
                SELECT max(before.started_at)
                FROM monitors_statusinterval before
                WHERE before.monitor_id = asked.monitor_id
                    AND before.started_at <= %(oldest)s
            ), '-infinity')
    ) stretch
    CROSS JOIN LATERAL (VALUES
        (
            CASE stretch.status WHEN 'pending' THEN 'unknown' ELSE stretch.status END,
            greatest(stretch.started_at, %(oldest)s),
            least(coalesce(stretch.ended_at, stretch.vouched_until), %(now)s)
        ),
        (
            'unknown',
            greatest(stretch.vouched_until, %(oldest)s),
            CASE WHEN stretch.ended_at IS NULL THEN %(now)s END
        )
    ) part (status, began, ended)
    WHERE part.ended > part.began
)
"""

_SUMS = f"""
WITH asked AS (SELECT unnest(%(monitor_ids)s::bigint[]) AS monitor_id), {_STRETCHES}
SELECT stretches.monitor_id, span.name, stretches.status,
    sum(extract(epoch FROM stretches.ended - greatest(stretches.began, span.start)))
FROM stretches
JOIN unnest(%(names)s::text[], %(starts)s::timestamptz[]) AS span (name, start)
    ON stretches.ended > span.start
GROUP BY 1, 2, 3
"""  # noqa: S608 no outside text

# A service counts, at each moment, as the worst of its monitors. Multiranges do the
# overlay: what is down is down, what is degraded and not down is degraded, …
_SERVICE_DAYS = f"""
WITH asked AS (
    SELECT id AS monitor_id, service_id FROM monitors_monitor
    WHERE service_id = ANY(%(service_ids)s)
), {_STRETCHES}, merged AS (
    SELECT asked.service_id, stretches.status,
        range_agg(tstzrange(stretches.began, stretches.ended)) AS spans
    FROM stretches JOIN asked USING (monitor_id)
    GROUP BY 1, 2
), layers AS (
    SELECT merged.service_id, merged.status,
        merged.spans - coalesce((
            SELECT range_agg(worse.spans)
            FROM merged worse
            WHERE worse.service_id = merged.service_id
                AND array_position(%(worst_first)s, worse.status::text)
                    < array_position(%(worst_first)s, merged.status::text)
        ), '{{}}'::tstzmultirange) AS spans
    FROM merged
)
SELECT layers.service_id, local_day.day, layers.status,
    sum(extract(epoch FROM upper(span) - lower(span)))
FROM layers
JOIN incidents_service service ON service.id = layers.service_id
JOIN unnest(
    %(zones)s::text[], %(days)s::date[], %(starts)s::timestamptz[],
    %(ends)s::timestamptz[]
) AS local_day (zone, day, start, stop) ON local_day.zone = service.time_zone
CROSS JOIN LATERAL unnest(
    layers.spans * tstzmultirange(tstzrange(local_day.start, local_day.stop))
) AS span
GROUP BY 1, 2, 3
"""  # noqa: S608 no outside text

_INTERVALS = """
SELECT ledger.monitor_id, ledger.status, ledger.started_at, ledger.ended_at,
    ledger.reason, ledger.message
FROM unnest(%(monitor_ids)s::bigint[]) AS asked (monitor_id)
CROSS JOIN LATERAL (
    SELECT * FROM monitors_statusinterval ledger
    WHERE ledger.monitor_id = asked.monitor_id
        AND ledger.started_at < %(now)s
        AND ledger.started_at >= coalesce((
            SELECT max(before.started_at)
            FROM monitors_statusinterval before
            WHERE before.monitor_id = asked.monitor_id
                AND before.started_at <= %(start)s
        ), '-infinity')
) ledger
ORDER BY ledger.monitor_id, ledger.started_at
"""

_WORST_FIRST = [
    str(status)
    for status in (
        Status.DOWN,
        Status.DEGRADED,
        Status.MAINTENANCE,
        Status.UP,
        Status.UNKNOWN,
        Status.PAUSED,
    )
]


def worst_of(statuses: Sequence[Status]) -> Status:
    """Return how a service is, whose monitors are as given.

    What somebody observed outranks what nobody observed; an empty service is pending.
    """
    for status in _WORST_FIRST:
        if status in statuses:
            return Status(status)
    return Status.PENDING


def uptimes(
    *,
    monitor_ids: Sequence[int],
    now: datetime,
    windows: Mapping[str, timedelta] = WINDOWS,
) -> dict[int, dict[str, Uptime]]:
    """Return the `Uptime` of each monitor in each window that ends now; one query."""
    seconds = _sum_seconds(
        _SUMS,
        {
            "monitor_ids": list(monitor_ids),
            "now": now,
            "oldest": now - max(windows.values()),
            "names": list(windows),
            "starts": [now - length for length in windows.values()],
        },
    )
    return {
        monitor_id: {
            name: _uptime(length.total_seconds(), seconds[monitor_id, name])
            for name, length in windows.items()
        }
        for monitor_id in monitor_ids
    }


def service_days(
    *, zones: Mapping[int, str], day_count: int, now: datetime
) -> dict[int, list[DayUptime]]:
    """Return for each service its last local days, oldest first; one query.

    `zones`: the time zone of each service asked for, by its id. The present day ends
    now. A service counts, at each moment, as the worst of its monitors.
    """
    borders = {
        zone: _last_days(zone=zone, day_count=day_count, now=now)
        for zone in set(zones.values())
    }
    if not borders:
        return {}
    rows = [(zone, *line) for zone, lines in borders.items() for line in lines]
    seconds = _sum_seconds(
        _SERVICE_DAYS,
        {
            "service_ids": list(zones),
            "now": now,
            "oldest": min(start for _, _, start, _ in rows),
            "zones": [row[0] for row in rows],
            "days": [row[1] for row in rows],
            "starts": [row[2] for row in rows],
            "ends": [row[3] for row in rows],
            "worst_first": _WORST_FIRST,
        },
    )
    return {
        service_id: [
            DayUptime(
                day=day,
                uptime=_uptime((end - start).total_seconds(), seconds[service_id, day]),
            )
            for day, start, end in borders[zone]
        ]
        for service_id, zone in zones.items()
    }


def _last_days(
    *, zone: str, day_count: int, now: datetime
) -> list[tuple[date, datetime, datetime]]:
    """Return (day, start, end) of the last local days, the present one ending now."""
    info = ZoneInfo(zone)
    today = timezone.localtime(now, info).date()
    days = [today - timedelta(days=back) for back in range(day_count - 1, -1, -1)]
    lines = []
    for day in days:
        start, end = day_borders(day=day, zone=info)
        lines.append((day, start, min(end, now)))
    return lines


def _sum_seconds(
    sql: str, params: dict[str, Any]
) -> defaultdict[tuple[int, Any], dict[str, float]]:
    """Run a query of (id, period, status, seconds) rows."""
    seconds: defaultdict[tuple[int, Any], dict[str, float]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        for subject_id, period, status, length in cursor.fetchall():
            seconds[subject_id, period][status] = float(length)
    return seconds


def _uptime(total_s: float, seconds: Mapping[str, float]) -> Uptime:
    return Uptime(
        total_s=total_s,
        **{f"{status}_s": length for status, length in seconds.items()},
    )


def intervals(
    *, monitor_ids: Sequence[int], start: datetime, now: datetime
) -> dict[int, list[Interval]]:
    """Return each monitor's ledger from the interval at `start` on, in order of time.

    One query; the index skips what ended before `start`.
    """
    found: dict[int, list[Interval]] = {pk: [] for pk in monitor_ids}
    with connection.cursor() as cursor:
        cursor.execute(
            _INTERVALS, {"monitor_ids": list(monitor_ids), "start": start, "now": now}
        )
        for monitor_id, *values in cursor.fetchall():
            found[monitor_id].append(Interval(*values))
    return found
