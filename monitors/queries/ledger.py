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

# The stretches of time of some monitors since `oldest`, up to `now`; the open interval
# is followed by unknown where nothing vouches for it any more. Intervals touch, so
# everything that reaches past `oldest` begins at or after the last one begun before it:
# that lets the index (monitor, started_at) skip the years before.
_STRETCHES = """
vouching AS (
    SELECT asked.monitor_id, open_one.started_at,
        CASE
            WHEN open_one.status IN ('paused', 'maintenance', 'pending')
                OR state.fresh_until IS NULL THEN %(now)s
            ELSE least(greatest(state.fresh_until, open_one.started_at), %(now)s)
        END AS vouched_until
    FROM asked
    JOIN monitors_statusinterval open_one ON open_one.monitor_id = asked.monitor_id
        AND open_one.ended_at IS NULL AND open_one.started_at < %(now)s
    LEFT JOIN monitors_monitorstate state ON state.monitor_id = asked.monitor_id
), stretches AS (
    SELECT asked.monitor_id,
        CASE stretch.status WHEN 'pending' THEN 'unknown' ELSE stretch.status END
            AS status,
        greatest(stretch.started_at, %(oldest)s) AS began,
        least(coalesce(stretch.ended_at, vouching.vouched_until), %(now)s) AS ended
    FROM asked
    LEFT JOIN vouching ON vouching.monitor_id = asked.monitor_id
    CROSS JOIN LATERAL (
        SELECT ledger.status, ledger.started_at, ledger.ended_at
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
    WHERE least(coalesce(stretch.ended_at, vouching.vouched_until), %(now)s)
        > greatest(stretch.started_at, %(oldest)s)
    UNION ALL
    SELECT monitor_id, 'unknown', greatest(vouched_until, %(oldest)s), %(now)s
    FROM vouching
    WHERE vouched_until < %(now)s
)
"""

_SUMS = f"""
WITH asked AS (SELECT unnest(%(monitor_ids)s::bigint[]) AS monitor_id), {_STRETCHES}
SELECT stretches.monitor_id, span.name, stretches.status,
    extract(epoch FROM sum(
        least(stretches.ended, span.stop) - greatest(stretches.began, span.start)
    ))::float8
FROM stretches
JOIN unnest(%(names)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS span (name, start, stop)
    ON stretches.ended > span.start AND stretches.began < span.stop
GROUP BY 1, 2, 3
"""  # noqa: S608 no outside text

# A service counts, at each moment, as the worst of its monitors that count for it.
# Multiranges do the
# overlay: what is down is down, what is degraded and not down is degraded, …
_LAYERS = f"""
WITH asked AS (
    SELECT id AS monitor_id, service_id FROM monitors_monitor
    WHERE service_id = ANY(%(service_ids)s) AND counts_for_service
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
"""  # noqa: S608 no outside text

_SERVICE_DAYS = f"""
{_LAYERS}, calendars AS (
    SELECT zone, array_agg(day ORDER BY day) AS days,
        array_agg(start ORDER BY day) AS starts, array_agg(stop ORDER BY day) AS stops
    FROM unnest(
        %(zones)s::text[], %(days)s::date[], %(starts)s::timestamptz[],
        %(ends)s::timestamptz[]
    ) AS local_day (zone, day, start, stop)
    GROUP BY 1
)
SELECT layers.service_id, calendars.days[nth], layers.status,
    extract(epoch FROM sum(
        least(upper(span), stops[nth]) - greatest(lower(span), starts[nth])
    ))::float8
FROM layers
JOIN incidents_service service ON service.id = layers.service_id
JOIN calendars ON calendars.zone = service.time_zone
CROSS JOIN LATERAL unnest(layers.spans) AS span
-- Most spans lie within one day, found by bisection.
CROSS JOIN LATERAL generate_series(
    greatest(width_bucket(lower(span), starts), 1), width_bucket(upper(span), starts)
) AS nth
WHERE least(upper(span), stops[nth]) > greatest(lower(span), starts[nth])
GROUP BY 1, 2, 3
"""  # noqa: S608 no outside text

_SERVICE_WINDOWS = f"""
{_LAYERS}
SELECT layers.service_id, period.name, layers.status,
    sum(extract(epoch FROM
        least(upper(span), period.stop) - greatest(lower(span), period.start)))
FROM layers
CROSS JOIN LATERAL unnest(layers.spans) AS span
JOIN unnest(%(names)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS period (name, start, stop)
    ON upper(span) > period.start AND lower(span) < period.stop
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
    periods = {name: (now - length, now) for name, length in windows.items()}
    seconds = _sum_periods(monitor_ids, periods, now)
    return {
        monitor_id: {
            name: _uptime(length.total_seconds(), seconds[monitor_id, name])
            for name, length in windows.items()
        }
        for monitor_id in monitor_ids
    }


def monitor_days(
    *, monitor_id: int, zone: str, day_count: int, now: datetime
) -> list[DayUptime]:
    """Return the last local days of a monitor, oldest first; one query.

    The present day ends now.
    """
    lines = _local_days(zone=zone, days_ago=range(day_count), now=now)
    periods = {day.isoformat(): (start, end) for day, start, end in lines}
    seconds = _sum_periods([monitor_id], periods, now)
    return [
        DayUptime(
            day=day,
            uptime=_uptime(
                (end - start).total_seconds(), seconds[monitor_id, day.isoformat()]
            ),
        )
        for day, start, end in lines
    ]


def service_days(
    *, zones: Mapping[int, str], days_ago: range, now: datetime
) -> dict[int, list[DayUptime]]:
    """Return for each service some local days, oldest first; one query.

    `zones`: the time zone of each service asked for, by its id. `days_ago`: which days,
    0 being the present one, which ends now. A service counts, at each moment, as the
    worst of its monitors that count for it.
    """
    borders = {
        zone: _local_days(zone=zone, days_ago=days_ago, now=now)
        for zone in set(zones.values())
    }
    if not borders or not days_ago:
        return {service_id: [] for service_id in zones}
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


def service_uptimes(
    *,
    service_ids: Sequence[int],
    now: datetime,
    windows: Mapping[str, timedelta] = WINDOWS,
) -> dict[int, dict[str, Uptime]]:
    """Return the `Uptime` of each service in each window that ends now; one query.

    As in `service_days`: the worst of its monitors that count for it.
    """
    periods = {name: (now - length, now) for name, length in windows.items()}
    return service_uptimes_between(service_ids=service_ids, periods=periods, now=now)


def service_uptimes_between(
    *,
    service_ids: Sequence[int],
    periods: Mapping[str, tuple[datetime, datetime]],
    now: datetime,
) -> dict[int, dict[str, Uptime]]:
    """Return the `Uptime` of each service in each period, none past `now`; one query.

    As in `service_days`: the worst of its monitors that count for it.
    """
    params = {"service_ids": list(service_ids), "worst_first": _WORST_FIRST}
    seconds = _sum_seconds(_SERVICE_WINDOWS, {**params, **_spread(periods, now)})
    return {
        service_id: {
            name: _uptime((end - start).total_seconds(), seconds[service_id, name])
            for name, (start, end) in periods.items()
        }
        for service_id in service_ids
    }


def _local_days(
    *, zone: str, days_ago: range, now: datetime
) -> list[tuple[date, datetime, datetime]]:
    """Return (day, start, end) of local days, oldest first, the present one ending now."""
    info = ZoneInfo(zone)
    today = timezone.localtime(now, info).date()
    days = [today - timedelta(days=back) for back in sorted(days_ago, reverse=True)]
    lines = []
    for day in days:
        start, end = day_borders(day=day, zone=info)
        lines.append((day, start, min(end, now)))
    return lines


def _sum_periods(
    monitor_ids: Sequence[int],
    periods: Mapping[str, tuple[datetime, datetime]],
    now: datetime,
) -> defaultdict[tuple[int, Any], dict[str, float]]:
    return _sum_seconds(
        _SUMS, {"monitor_ids": list(monitor_ids), **_spread(periods, now)}
    )


def _spread(
    periods: Mapping[str, tuple[datetime, datetime]], now: datetime
) -> dict[str, Any]:
    """Return periods as the queries take them."""
    starts = [start for start, _ in periods.values()]
    return {
        "now": now,
        "oldest": min(starts),
        "names": list(periods),
        "starts": starts,
        "ends": [end for _, end in periods.values()],
    }


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
