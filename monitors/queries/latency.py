"""How long answers took: binned by PostgreSQL, from raw results or hourly rollups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from monitors.history.histogram import merge, quantile

PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms")
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
# Each picture has 90 to 180 bins.
BINS: Mapping[str, timedelta] = {
    "24h": timedelta(minutes=10),
    "7d": _HOUR,
    "30d": timedelta(hours=6),
    "90d": timedelta(hours=12),
}
LENGTHS: Mapping[str, timedelta] = {
    "24h": _DAY,
    "7d": 7 * _DAY,
    "30d": 30 * _DAY,
    "90d": 90 * _DAY,
}
SPARK_HOURS = 24
_Params = Mapping[str, Any]

_TOTAL = " + ".join(f"coalesce({phase}, 0)::float8" for phase in PHASES)
_HAS_LATENCY = f"code = 0 AND num_nonnulls({', '.join(PHASES)}) > 0"
# Per bin, and in the row without a bin over all of them.
_FROM_RESULTS = f"""
SELECT date_bin(%(width)s, at, %(start)s) AS bin,
    {", ".join(f"avg(coalesce({phase}, 0)::float8) FILTER (WHERE {_HAS_LATENCY})" for phase in PHASES)},
    count(*) FILTER (WHERE {_HAS_LATENCY}),
    count(*) FILTER (WHERE code <> 0 AND code NOT BETWEEN 90 AND 99),
    percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY {_TOTAL})
        FILTER (WHERE {_HAS_LATENCY})
FROM monitors_checkresult
WHERE monitor_id = %(monitor_id)s AND at >= %(start)s AND at < %(end)s
GROUP BY GROUPING SETS ((1), ())
"""  # noqa: S608 only constants go in
_FROM_ROLLUPS = f"""
SELECT date_bin(%(width)s, hour, %(start)s) AS bin,
    {", ".join(f"sum({phase}_sum)" for phase in PHASES)},
    sum(passed_count), sum(failed_count)
FROM monitors_hourlyrollup
WHERE monitor_id = %(monitor_id)s AND hour >= %(start)s AND hour < %(end)s
GROUP BY 1
"""  # noqa: S608 only constants go in
_HISTOGRAMS = """
SELECT bin, array_agg(bucket ORDER BY bucket), array_agg(n ORDER BY bucket)
FROM (
    SELECT date_bin(%(width)s, hour, %(start)s) AS bin, bucket, sum(n)::integer AS n
    FROM monitors_hourlyrollup, unnest(buckets, counts) AS histogram (bucket, n)
    WHERE monitor_id = %(monitor_id)s AND hour >= %(start)s AND hour < %(end)s
    GROUP BY 1, 2
) AS binned
GROUP BY 1
"""
_SPARK_LINES = f"""
SELECT monitor_id,
    array_agg(extract(epoch FROM hour - %(start)s)::integer / 3600 ORDER BY hour),
    array_agg(({" + ".join(f"{phase}_sum" for phase in PHASES)}) / passed_count
        ORDER BY hour)
FROM monitors_hourlyrollup
WHERE monitor_id = ANY(%(monitor_ids)s) AND hour >= %(start)s AND hour < %(end)s
    AND cardinality(buckets) > 0
GROUP BY 1
"""  # noqa: S608 only constants go in
_SPARK_HISTOGRAMS = """
SELECT monitor_id, array_agg(bucket ORDER BY bucket), array_agg(n ORDER BY bucket)
FROM (
    SELECT monitor_id, bucket, sum(n)::integer AS n
    FROM monitors_hourlyrollup, unnest(buckets, counts) AS histogram (bucket, n)
    WHERE monitor_id = ANY(%(monitor_ids)s) AND hour >= %(start)s AND hour < %(end)s
    GROUP BY 1, 2
) AS summed
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Latencies in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One stretch of the picture. `phases_ms`: means of the passed results, by name."""

    start: datetime
    phases_ms: Mapping[str, float]
    passed_count: int
    failed_count: int
    # None without a passed result that took time.
    quantiles: Quantiles | None


@dataclass(frozen=True, slots=True)
class Latency:
    """A range of time in bins of equal width; bins without results are missing."""

    start: datetime
    end: datetime
    bin_width: timedelta
    bins: list[Bin]
    # Over the whole range.
    quantiles: Quantiles | None
    mean_phases_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Spark:
    """The last day of a monitor in a nutshell: means by the hour, and the p95."""

    hourly_ms: list[float | None]
    p95_ms: float | None


def latency(*, monitor_id: int, reach: str, now: datetime) -> Latency:
    """Return the latencies of a monitor over a reach of `LENGTHS`, up to now.

    A day comes from raw results in one query; more comes from hourly rollups in two.
    """
    width = BINS[reach]
    end = _ceil(now, width)
    params: _Params = {
        "monitor_id": monitor_id,
        "width": width,
        "start": end - LENGTHS[reach],
        "end": end,
    }
    if reach == "24h":
        bins, whole = _from_results(params)
    else:
        bins, whole = _from_rollups(params)
    return Latency(
        start=end - LENGTHS[reach],
        end=end,
        bin_width=width,
        bins=bins,
        quantiles=whole,
        mean_phases_ms=_mean_phases(bins),
    )


def _ceil(moment: datetime, width: timedelta) -> datetime:
    """Return the first border of a bin that is not before a moment; a grid in UTC."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - (day - moment) // width * width


def _from_results(params: _Params) -> tuple[list[Bin], Quantiles | None]:
    bins = []
    whole = None
    with connection.cursor() as cursor:
        cursor.execute(_FROM_RESULTS, params)
        for start, *means, passed_count, failed_count, quantiles in cursor.fetchall():
            found = Quantiles(*quantiles) if passed_count else None
            if start is None:
                whole = found
                continue
            phases = dict(zip(PHASES, means, strict=True)) if passed_count else {}
            bins.append(Bin(start, phases, passed_count, failed_count, found))
    return sorted(bins, key=lambda line: line.start), whole


def _from_rollups(params: _Params) -> tuple[list[Bin], Quantiles | None]:
    bins = []
    with connection.cursor() as cursor:
        cursor.execute(_HISTOGRAMS, params)
        histograms = {start: (buckets, counts) for start, buckets, counts in cursor}
        cursor.execute(_FROM_ROLLUPS, params)
        for start, *sums, passed_count, failed_count in cursor.fetchall():
            has_latency = start in histograms
            phases = {
                phase: total / passed_count
                for phase, total in zip(PHASES, sums, strict=True)
                if has_latency
            }
            quantiles = _quantiles(*histograms[start]) if has_latency else None
            bins.append(Bin(start, phases, passed_count, failed_count, quantiles))
    whole = _quantiles(*merge(histograms.values())) if histograms else None
    return sorted(bins, key=lambda line: line.start), whole


def _quantiles(buckets: Sequence[int], counts: Sequence[int]) -> Quantiles:
    values = [
        quantile(buckets=buckets, counts=counts, q=q) or 0.0 for q in (0.5, 0.95, 0.99)
    ]
    return Quantiles(*values)


def _mean_phases(bins: Sequence[Bin]) -> dict[str, float]:
    count = sum(line.passed_count for line in bins if line.phases_ms)
    if not count:
        return {}
    return {
        phase: sum(
            line.phases_ms[phase] * line.passed_count for line in bins if line.phases_ms
        )
        / count
        for phase in PHASES
    }


def sparks(*, monitor_ids: Sequence[int], now: datetime) -> dict[int, Spark]:
    """Return the last day of several monitors; two queries."""
    end = _ceil(now, _HOUR)
    params: _Params = {
        "monitor_ids": list(monitor_ids),
        "start": end - SPARK_HOURS * _HOUR,
        "end": end,
    }
    lines: defaultdict[int, list[float | None]] = defaultdict(
        lambda: [None] * SPARK_HOURS
    )
    with connection.cursor() as cursor:
        cursor.execute(_SPARK_LINES, params)
        for monitor_id, hours, means in cursor.fetchall():
            for hour, mean in zip(hours, means, strict=True):
                lines[monitor_id][hour] = mean
        cursor.execute(_SPARK_HISTOGRAMS, params)
        p95 = {
            monitor_id: quantile(buckets=buckets, counts=counts, q=0.95)
            for monitor_id, buckets, counts in cursor.fetchall()
        }
    return {
        monitor_id: Spark(hourly_ms=lines[monitor_id], p95_ms=p95.get(monitor_id))
        for monitor_id in monitor_ids
    }
