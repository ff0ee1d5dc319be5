"""What is recorded of the past, as far as a threshold may want to see it again.

A few bounded queries: first, from the hourly rollups, where anything came near a bound;
then the single results of just those stretches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from monitors.history import partitions
from monitors.history.histogram import SQL_BUCKET, quantile
from monitors.models import Threshold
from monitors.status import Status
from monitors.thresholds.measuring import FAILED, LATENCY, SAMPLES, Source
from monitors.thresholds.replaying import Attention, Recorded

Measure = Threshold.Measure
Aggregate = Threshold.Aggregate

HOUR_S = 3600
# The code of each result, for counting failures in a row.
_CODES = Source(
    table="monitors_checkresult", subject="monitor_id", value="code", where="true"
)
_SOURCES = {
    Measure.LATENCY: LATENCY,
    Measure.ERROR_RATIO: FAILED,
    Measure.FAILURES: _CODES,
    Measure.SERIES: SAMPLES,
    Measure.NO_DATA: SAMPLES,
}
_ANSWERING = (Status.UP, Status.DEGRADED)
_QUIET = (Status.MAINTENANCE, Status.PAUSED)
_QUANTILES = {Aggregate.P50: 0.5, Aggregate.P95: 0.95, Aggregate.P99: 0.99}

_PHASE_SUM = (
    "dns_ms_sum + connect_ms_sum + tls_ms_sum + first_byte_ms_sum + transfer_ms_sum"
)


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of history that is looked at, in seconds since the epoch."""

    start: float
    end: float

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """The same as times."""
        return _moment(self.start), _moment(self.end)


@dataclass(slots=True)
class Hours:
    """What rollups say of one monitor: the hours with results, and those worth a look."""

    observed: list[int] = field(default_factory=list)
    near: list[int] = field(default_factory=list)

    def worth_reading(self, attention: Attention) -> list[int]:
        """Return the hours that are near, and those after it up to one that was judged.

        That one lets go of whatever fired.
        """
        observed = sorted(self.observed)
        wanted = set(self.near)
        for hour in self.near:
            for position in range(bisect_right(observed, hour), len(observed)):
                wanted.add(observed[position])
                if attention.is_on(hour_judged_at(observed[position])):
                    break
        return sorted(wanted)

    def stretches(self, *, window_s: int, end: float) -> list[tuple[float, float]]:
        """Return (from, to] around the hours worth a look.

        Each reaches back for a window, and on until values of an hour that was fine
        have replaced all of it: those let go of whatever fired.
        """
        found: list[tuple[float, float]] = []
        observed = sorted(self.observed)
        position = 0
        for hour in sorted(self.near):
            over = hour + HOUR_S + window_s
            while position < len(observed) and observed[position] < over:
                position += 1
            last = observed[position] + HOUR_S if position < len(observed) else end
            start = float(hour - window_s - HOUR_S)
            until = float(min(max(last, over), end))
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(until, found[-1][1]))
            else:
                found.append((start, until))
        return found


def hour_judged_at(hour: int) -> float:
    """Return the moment that stands for an hour of which only figures are kept."""
    return float(hour + HOUR_S - 1)


def hours_near(
    *,
    monitor_ids: Collection[int],
    measure: str,
    low: float,
    high: float,
    is_summed: bool,
    span: Span,
) -> dict[int, list[int]]:
    """Return the hours in which a value may not lie within (`low`, `high`), by monitor.

    From the rollups, and from single results where there is no rollup yet. `is_summed`:
    sums are no value's size, so every hour counts.
    """
    start, end = span.moments
    newest = _newest_rollup(start, end)
    params: dict[str, Any] = {
        "monitors": list(monitor_ids),
        "start": start,
        "end": newest,
        "until": end,
        "low": low,
        "high": high,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT monitor_id, array_agg(extract(epoch FROM hour)::bigint ORDER BY hour)
              FROM monitors_hourlyrollup
             WHERE monitor_id = ANY(%(monitors)s)
               AND hour >= %(start)s AND hour < %(end)s
               AND {"true" if is_summed else _near(measure, low, high)}
             GROUP BY monitor_id
            """,  # noqa: S608 only constants of this module go in
            params,
        )
        found: dict[int, list[int]] = dict(cursor.fetchall())
        source = _SOURCES[Measure(measure)]
        outside = "true" if is_summed else _outside(low, high)
        if source is _CODES:
            # A count has no size yet: whatever failed may have been one too many.
            outside = "value <> 0" if high < float("inf") else "true"
        cursor.execute(
            f"""
            SELECT DISTINCT subject, extract(epoch FROM date_trunc('hour', at))::bigint
              FROM (SELECT {source.subject} AS subject, at, {source.value} AS value
                      FROM {source.table}
                     WHERE at >= %(end)s AND at <= %(until)s AND {source.where}
                   ) AS recent
             WHERE subject = ANY(%(monitors)s) AND {outside}
            """,  # noqa: S608 only constants of this module go in
            params,
        )
        for monitor_id, hour in cursor.fetchall():
            found.setdefault(monitor_id, []).append(hour)
    return found


def observed_hours(
    *, monitor_ids: Collection[int], measure: str, span: Span
) -> dict[int, list[int]]:
    """Return the hours of which rollups hold results of a kind, by monitor."""
    start, end = span.moments
    counted = {
        Measure.LATENCY: "cardinality(buckets)",
        Measure.ERROR_RATIO: "passed_count + failed_count",
    }.get(Measure(measure), "passed_count + failed_count + error_count")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT monitor_id, array_agg(extract(epoch FROM hour)::bigint)
              FROM monitors_hourlyrollup
             WHERE monitor_id = ANY(%s) AND hour >= %s AND hour <= %s AND {counted} > 0
             GROUP BY monitor_id
            """,  # noqa: S608 only constants of this module go in
            [list(monitor_ids), start, end],
        )
        return dict(cursor.fetchall())


def single_values(
    *,
    subject_id: int,
    measure: str,
    stretches: Sequence[tuple[float, float]],
    limit: int,
) -> Recorded | None:
    """Return the single values of (from, to] stretches; None when more than `limit`."""
    if not stretches:
        return Recorded()
    source = _SOURCES[Measure(measure)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT array_agg(extract(epoch FROM at)::float8 ORDER BY at),
                   array_agg(value::float8 ORDER BY at)
              FROM (SELECT at, value
                      FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[])
                           AS stretch(a, b)
                     CROSS JOIN LATERAL (
                        SELECT at, {source.value} AS value FROM {source.table}
                         WHERE {source.subject} = %(subject)s AND at > a AND at <= b
                           AND {source.where}
                     ) AS recorded
                     LIMIT %(limit)s
                   ) AS found
            """,  # noqa: S608 only constants of this module go in
            {
                "starts": [_moment(start) for start, _end in stretches],
                "ends": [_moment(end) for _start, end in stretches],
                "subject": subject_id,
                "limit": limit + 1,
            },
        )
        times, values = cursor.fetchone()
    if times is None:
        return Recorded()
    return None if len(times) > limit else Recorded(times=times, values=values)


@dataclass(frozen=True, slots=True)
class HourFigures:
    """One hour of a monitor as its rollup has it."""

    hour: int
    passed_count: int
    failed_count: int
    mean_ms: float | None
    buckets: Sequence[int]
    counts: Sequence[int]

    def value(self, measure: str, aggregate: str) -> float | None:
        """Return the hour as one value of a measure; None when it says nothing.

        A last value, which an hour has many of, is the highest.
        """
        checks = self.passed_count + self.failed_count
        if measure == Measure.ERROR_RATIO:
            return 100 * self.failed_count / checks if checks else None
        if not self.buckets or self.mean_ms is None:
            return None
        if aggregate in (Aggregate.AVG, Aggregate.SUM):
            times = self.passed_count if aggregate == Aggregate.SUM else 1
            return self.mean_ms * times
        if aggregate == Aggregate.MIN:
            return quantile(buckets=self.buckets, counts=self.counts, q=0)
        share = _QUANTILES.get(Aggregate(aggregate), 1.0)
        return quantile(buckets=self.buckets, counts=self.counts, q=share)


def hourly_figures(
    *, monitor_id: int, span: Span, hours: Collection[int] | None = None
) -> list[HourFigures]:
    """Return the rollups of a monitor, in order of time: all, or those of some hours."""
    start, end = span.moments
    chosen = None if hours is None else [_moment(hour) for hour in hours]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT extract(epoch FROM hour)::bigint, passed_count, failed_count,
                   CASE WHEN passed_count > 0 AND cardinality(buckets) > 0
                        THEN ({_PHASE_SUM}) / passed_count END,
                   buckets, counts
              FROM monitors_hourlyrollup
             WHERE monitor_id = %s AND hour >= %s AND hour <= %s
                   {"" if chosen is None else "AND hour = ANY(%s)"}
             ORDER BY hour
            """,  # noqa: S608 only constants of this module go in
            [monitor_id, start, end, *([] if chosen is None else [chosen])],
        )
        return [HourFigures(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the ledger, in seconds since the epoch; the last one ends with now."""

    status: str
    start: float
    end: float


def ledger(*, monitor_ids: Collection[int], span: Span) -> dict[int, list[Line]]:
    """Return the ledger of some monitors over a span, in order of time."""
    start, end = span.moments
    lines: dict[int, list[Line]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT monitor_id, status, extract(epoch FROM started_at)::float8,
                   extract(epoch FROM coalesce(ended_at, %(end)s))::float8
              FROM monitors_statusinterval
             WHERE monitor_id = ANY(%(monitors)s) AND started_at <= %(end)s
               AND (ended_at IS NULL OR ended_at > %(start)s)
             ORDER BY monitor_id, started_at
            """,
            {"monitors": list(monitor_ids), "start": start, "end": end},
        )
        for monitor_id, status, began, ended in cursor.fetchall():
            # One tick more, so that a round right now is within the last line.
            until = ended if ended < span.end else span.end + HOUR_S
            lines[monitor_id].append(Line(status, began, until))
    return lines


def attention(*, lines: Sequence[Line], measure: str) -> Attention:
    """Return when rounds of judging had an eye on a monitor for a measure."""
    statuses = (
        (*_ANSWERING, Status.DOWN)
        if measure in (Measure.ERROR_RATIO, Measure.FAILURES)
        else _ANSWERING
    )
    return Attention(
        stretches=[(line.start, line.end) for line in lines if line.status in statuses],
        quiet_ends=sorted(line.end for line in lines if line.status in _QUIET),
        forgotten=[line.start for line in lines if line.status == Status.PAUSED],
    )


def gaps(*, lines: Sequence[Line]) -> list[float]:
    """Return when nobody looked any more, so that counts began anew."""
    return [
        line.start for line in lines if line.status in (Status.UNKNOWN, Status.PAUSED)
    ]


def single_results_since(*, measure: str) -> float | None:
    """Return since when single values are kept, None when there are none at all."""
    oldest = partitions.oldest_day(table=_SOURCES[Measure(measure)].table)
    if oldest is None:
        return None
    return datetime(oldest.year, oldest.month, oldest.day, tzinfo=UTC).timestamp()


def certificates(
    *, monitor_ids: Collection[int]
) -> dict[int, tuple[float, float | None]]:
    """Return when the certificates seen now end, and since when they are valid."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT monitor_id, extract(epoch FROM certificate_expires_at)::float8,
                   certificate ->> 'not_before'
              FROM monitors_monitorstate
             WHERE monitor_id = ANY(%s) AND certificate_expires_at IS NOT NULL
            """,
            [list(monitor_ids)],
        )
        return {
            monitor_id: (expires_at, _parsed(not_before))
            for monitor_id, expires_at, not_before in cursor.fetchall()
        }


def _newest_rollup(start: datetime, end: datetime) -> datetime:
    """Return from when on hours may not be summed up to their end yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(hour) FROM monitors_hourlyrollup")
        row: tuple[datetime | None] = cursor.fetchone()
    newest = row[0]
    if newest is None:
        return start
    return max(min(newest, end) - timedelta(seconds=HOUR_S), start)


def _near(measure: str, low: float, high: float) -> str:
    """Say in SQL whether an hour may hold a value outside of [`low`, `high`]."""
    if measure == Measure.LATENCY:
        bucket = SQL_BUCKET.replace("{}", "%({})s::float8")
        parts = []
        if high < float("inf"):
            parts.append(f"buckets[cardinality(buckets)] >= {bucket.format('high')}")
        if low > float("-inf"):
            parts.append(f"buckets[1] <= {bucket.format('low')}")
        return f"({' OR '.join(parts)})" if parts else "false"
    if high < float("inf"):
        return "failed_count > 0" if high >= 0 else "true"
    return "true"


def _outside(low: float, high: float) -> str:
    parts = []
    if high < float("inf"):
        parts.append("value >= %(high)s")
    if low > float("-inf"):
        parts.append("value <= %(low)s")
    return f"({' OR '.join(parts)})" if parts else "false"


def _parsed(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return None


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)
