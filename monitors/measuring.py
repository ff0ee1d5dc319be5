"""What thresholds are held against, measured for all subjects in one query each.

Only what matters is fetched: values over some bound, and everything about the subjects
that are being counted already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from monitors.judging import Measurement
from monitors.models import Threshold
from monitors.rollups import HAS_LATENCY_SQL, LATENCY_SQL

Aggregate = Threshold.Aggregate

_AGGREGATES = {
    Aggregate.LAST: "(array_agg(value ORDER BY at DESC))[1]",
    Aggregate.AVG: "avg(value)",
    Aggregate.MIN: "min(value)",
    Aggregate.MAX: "max(value)",
    Aggregate.SUM: "sum(value)",
    Aggregate.P50: "percentile_disc(0.5) WITHIN GROUP (ORDER BY value)",
    Aggregate.P95: "percentile_disc(0.95) WITHIN GROUP (ORDER BY value)",
    Aggregate.P99: "percentile_disc(0.99) WITHIN GROUP (ORDER BY value)",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A table of raw values: how a row names its subject and what its value is."""

    table: str
    subject: str
    value: str
    where: str


LATENCY = Source(
    table="monitors_checkresult",
    subject="monitor_id",
    value=LATENCY_SQL,
    where=f"code = 0 AND {HAS_LATENCY_SQL}",
)
# In percent. What was our own fault counts neither way.
FAILED = Source(
    table="monitors_checkresult",
    subject="monitor_id",
    value="CASE WHEN code = 0 THEN 0 ELSE 100 END::float8",
    where="code NOT BETWEEN 90 AND 99",
)
SAMPLES = Source(
    table="monitors_sample", subject="series_id", value="value", where="true"
)


@dataclass(slots=True)
class Interest:
    """Which values are worth fetching: those outside [`low`, `high`], and all `of`."""

    low: float = float("-inf")
    high: float = float("inf")
    of: set[int] = field(default_factory=set)


def each_value(
    *,
    source: Source,
    subjects: Collection[int],
    since: datetime,
    until: datetime,
    floors: Mapping[int, datetime],
    interest: Interest,
) -> dict[int, list[Measurement]]:
    """Return the single values of (`since`, `until`] of each subject, in order of time.

    `floors`: what a subject has from up to then counts not at all.
    """
    rows = _select(
        "array_agg(at ORDER BY at), array_agg(value ORDER BY at)",
        ("max(value)", "min(value)"),
        source,
        subjects,
        since,
        until,
        floors,
        interest,
    )
    return {
        subject: [
            Measurement(value=value, at=at)
            for at, value in zip(times, values, strict=True)
        ]
        for subject, times, values in rows
    }


def window_value(
    *,
    source: Source,
    aggregate: str,
    subjects: Collection[int],
    since: datetime,
    until: datetime,
    floors: Mapping[int, datetime],
    interest: Interest,
) -> dict[int, list[Measurement]]:
    """Return one value a subject that sums up its values of (`since`, `until`].

    It counts as of the newest of them. See `each_value`.
    """
    summed = _AGGREGATES[Aggregate(aggregate)]
    rows = _select(
        f"{summed}, max(at), count(*)",
        (summed, summed),
        source,
        subjects,
        since,
        until,
        floors,
        interest,
    )
    return {
        subject: [Measurement(value=float(value), at=at, sample_count=count)]
        for subject, value, at, count in rows
    }


def _select(
    columns: str,
    extremes: tuple[str, str],
    source: Source,
    subjects: Collection[int],
    since: datetime,
    until: datetime,
    floors: Mapping[int, datetime],
    interest: Interest,
) -> list[tuple[int, *tuple[object, ...]]]:
    highest, lowest = extremes
    # Without a subject there is nothing to ask.
    if not subjects:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT subject, {columns}
              FROM (SELECT {source.subject} AS subject, at, {source.value} AS value
                      FROM {source.table}
                     WHERE at > %(since)s AND at <= %(until)s AND {source.where}
                       AND {source.subject} = ANY(%(subjects)s)) AS found
              LEFT JOIN unnest(%(floor_of)s::bigint[], %(floor_at)s::timestamptz[])
                        AS floor(subject, floor_at) USING (subject)
             WHERE floor_at IS NULL OR at > floor_at
             GROUP BY subject
            HAVING {highest} > %(high)s OR {lowest} < %(low)s
                OR subject = ANY(%(of)s)
            """,  # noqa: S608 only constants of this module go in
            {
                "since": since,
                "until": until,
                "subjects": list(subjects),
                "floor_of": list(floors),
                "floor_at": list(floors.values()),
                "high": interest.high,
                "low": interest.low,
                "of": list(interest.of),
            },
        )
        return cursor.fetchall()
