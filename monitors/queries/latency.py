"""How long answers took: binned by PostgreSQL, from raw results or hourly rollups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from monitors.history.histogram import merge, quantile

PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms")
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
LENGTHS: Mapping[str, timedelta] = {
    "24h": _DAY,
    "7d": 7 * _DAY,
    "30d": 30 * _DAY,
    "90d": 90 * _DAY,
    "1y": 366 * _DAY,
}
CUSTOM = "custom"
# A picture has no more bins than this, of the first width that does.
_MAX_BINS = 183
_WIDTHS = (
    *(timedelta(seconds=seconds) for seconds in (15, 30)),
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 20, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 4, 8)),
)
# More raw results than of so much time take longer to read than rollups do.
_LONGEST_RAW = 2 * _DAY
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
# The rows of one monitor lie far apart, each on a page of its own: found by the key,
# read once, and merged here, which is faster than unnesting them there.
_SPARKS = f"""
SELECT asked.monitor_id, extract(epoch FROM hour - %(start)s)::integer / 3600,
    ({" + ".join(f"{phase}_sum" for phase in PHASES)}) / passed_count, buckets, counts
FROM unnest(%(monitor_ids)s::bigint[]) AS asked (monitor_id)
CROSS JOIN LATERAL (
    SELECT * FROM monitors_hourlyrollup
    WHERE monitor_id = asked.monitor_id AND hour >= %(start)s AND hour < %(end)s
    OFFSET 0
) AS rollup
WHERE cardinality(buckets) > 0
"""  # noqa: S608 only constants go in


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
    """The last day of a monitor in a nutshell: means by the hour, and the p95.

    The present hour has no mean yet: a line that changes each minute is no news.
    """

    hourly_ms: list[float | None]
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """The time that a page looks at, half-open. `key`: one of `LENGTHS`, or CUSTOM."""

    key: str
    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    @property
    def bin_width(self) -> timedelta:
        """How wide a bin of its picture is."""
        return next(
            (width for width in _WIDTHS if self.length / width <= _MAX_BINS),
            _WIDTHS[-1],
        )


def reach_until(*, key: str, now: datetime) -> Reach:
    """Return a reach of `LENGTHS` that ends now; raises KeyError for others."""
    return Reach(key=key, start=now - LENGTHS[key], end=now)


def latency(*, monitor_id: int, reach: Reach, now: datetime) -> Latency:
    """Return the latencies of a monitor over a reach.

    Up to two days come from raw results, as long as these are kept, in one query; all
    else comes from hourly rollups in two, of whole hours. A reach that ends now is put
    on a grid, so that bins keep their places.
    """
    width = reach.bin_width
    oldest = now - timedelta(days=settings.RESULT_RETENTION_DAYS)
    is_raw = reach.length <= _LONGEST_RAW and reach.start >= oldest
    if not is_raw:
        width = max(width, _HOUR)
    if reach.key == CUSTOM:
        grain = timedelta(minutes=1) if is_raw else _HOUR
        start, end = _floor(reach.start, grain), _ceil(reach.end, grain)
    else:
        end = _ceil(reach.end, width)
        start = end - reach.length
    params: _Params = {
        "monitor_id": monitor_id,
        "width": width,
        "start": start,
        "end": end,
    }
    bins, whole = _from_results(params) if is_raw else _from_rollups(params)
    return Latency(
        start=start,
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


def _floor(moment: datetime, width: timedelta) -> datetime:
    """Return the last border of a bin that is not after a moment."""
    border = _ceil(moment, width)
    return border if border == moment else border - width


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
    """Return the last day of several monitors; one query."""
    end = _ceil(now, _HOUR)
    params: _Params = {
        "monitor_ids": list(monitor_ids),
        # An hour more, for the line ends before the present one.
        "start": end - (SPARK_HOURS + 1) * _HOUR,
        "end": end,
    }
    lines: dict[int, list[float | None]] = {
        monitor_id: [None] * (SPARK_HOURS + 1) for monitor_id in monitor_ids
    }
    histograms: dict[int, Counter[int]] = {pk: Counter() for pk in monitor_ids}
    with connection.cursor() as cursor:
        cursor.execute(_SPARKS, params)
        for monitor_id, hour, mean, buckets, counts in cursor.fetchall():
            lines[monitor_id][hour] = mean
            if hour:
                histogram = histograms[monitor_id]
                for bucket, count in zip(buckets, counts, strict=True):
                    histogram[bucket] += count
    return {
        monitor_id: Spark(
            hourly_ms=lines[monitor_id][:-1], p95_ms=_p95(histograms[monitor_id])
        )
        for monitor_id in monitor_ids
    }


def _p95(histogram: Mapping[int, int]) -> float | None:
    buckets = sorted(histogram)
    counts = [histogram[bucket] for bucket in buckets]
    return quantile(buckets=buckets, counts=counts, q=0.95)
