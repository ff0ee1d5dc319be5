"""What thresholds are held against, measured for all subjects in one query each.

Only what matters is fetched: a first, cheap query finds the subjects with any value over
a bound. While all is well, that is all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.db import connection

from monitors.history.rollups import HAS_LATENCY_SQL, LATENCY_SQL
from monitors.models import Threshold
from monitors.thresholds.judging import Measurement

Aggregate = Threshold.Aggregate

PHASE_NAMES = ("dns", "connect", "tls", "first_byte", "transfer")

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


# So many subjects are looked up one by one; more, and the whole time is read.
_FEW = 50


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


class Floors(Protocol):
    """Up to when nothing of a subject counts, as far as that is after `since`."""

    def __call__(self, *, since: datetime) -> Mapping[int, datetime]: ...


@dataclass(slots=True)
class Interest:
    """Which values are worth fetching: those outside [`low`, `high`], and all `of`."""

    low: float = float("-inf")
    high: float = float("inf")
    of: set[int] = field(default_factory=set)

    def wants(self, subject: int, value: float) -> bool:
        """Whether a value is worth fetching."""
        return not self.low <= value <= self.high or subject in self.of


def each_value(
    *,
    source: Source,
    subjects: Collection[int],
    since: datetime,
    until: datetime,
    floors: Floors,
    interest: Interest,
) -> dict[int, list[Measurement]]:
    """Return the single values of (`since`, `until`] of each subject, in order of time.

    `floors`, asked only when needed, tells of subjects up to when nothing counts.
    """
    span = _Span(source, since, until)
    wanted = _wanted(span, subjects, interest, ("max(value)", "min(value)"))
    rows = _select(
        span, "array_agg(at ORDER BY at), array_agg(value ORDER BY at)", wanted, floors
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
    floors: Floors,
    interest: Interest,
) -> dict[int, list[Measurement]]:
    """Return one value a subject that sums up its values of (`since`, `until`].

    It counts as of the newest of them. See `each_value`.
    """
    span = _Span(source, since, until)
    # No average or percentile lies beyond the extremes, only a sum does.
    is_sum = aggregate == Aggregate.SUM
    extremes = ("sum(value)",) * 2 if is_sum else ("max(value)", "min(value)")
    wanted = _wanted(span, subjects, interest, extremes)
    rows = _select(
        span, f"{_AGGREGATES[Aggregate(aggregate)]}, max(at), count(*)", wanted, floors
    )
    return {
        subject: [Measurement(value=float(value), at=at, sample_count=count)]
        for subject, value, at, count in rows
        if interest.wants(subject, value)
    }


@dataclass(frozen=True, slots=True)
class _Span:
    """The values of a source in (`since`, `until`], as a table (subject, at, value)."""

    source: Source
    since: datetime
    until: datetime

    def sql(self, *, is_narrow: bool) -> str:
        """A sub-select; narrow takes `%(subjects)s` only."""
        source = self.source
        narrow = f"AND {source.subject} = ANY(%(subjects)s)" if is_narrow else ""
        return f"""
            (SELECT {source.subject} AS subject, at, {source.value} AS value
               FROM {source.table}
              WHERE at > %(since)s AND at <= %(until)s AND {source.where} {narrow}
            ) AS found
        """  # noqa: S608 only constants of this module go in


def _wanted(
    span: _Span,
    subjects: Collection[int],
    interest: Interest,
    extremes: tuple[str, str],
) -> set[int]:
    """Return the subjects that have any value that could matter."""
    asked = set(subjects)
    wanted = asked & interest.of
    highest, lowest = extremes
    having = [f"{highest} > %(high)s"] if interest.high < float("inf") else []
    having += [f"{lowest} < %(low)s"] if interest.low > float("-inf") else []
    if not asked or wanted == asked or not having:
        return wanted
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT subject FROM {span.sql(is_narrow=len(asked) <= _FEW)}
             GROUP BY subject HAVING {" OR ".join(having)}
            """,  # noqa: S608 only constants of this module go in
            {
                "since": span.since,
                "until": span.until,
                "subjects": list(asked),
                "high": interest.high,
                "low": interest.low,
            },
        )
        return wanted | (asked & {subject for (subject,) in cursor.fetchall()})


def _select(
    span: _Span, columns: str, wanted: Collection[int], floors: Floors
) -> list[tuple[Any, ...]]:
    if not wanted:
        return []
    known = floors(since=span.since)
    has_floor = [subject for subject in wanted if subject in known]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT subject, {columns}
              FROM {span.sql(is_narrow=len(wanted) <= _FEW)}
              JOIN unnest(%(subjects)s::bigint[]) AS wanted(subject) USING (subject)
              LEFT JOIN unnest(%(floor_of)s::bigint[], %(floor_at)s::timestamptz[])
                        AS floor(subject, floor_at) USING (subject)
             WHERE floor_at IS NULL OR at > floor_at
             GROUP BY subject
            """,  # noqa: S608 only constants of this module go in
            {
                "since": span.since,
                "until": span.until,
                "subjects": list(wanted),
                "floor_of": has_floor,
                "floor_at": [known[subject] for subject in has_floor],
            },
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def slowest_phases(
    *, subjects: Collection[int], since: datetime, until: datetime
) -> dict[int, tuple[str, float]]:
    """Return which phase took longest on average, and its ms, for some monitors.

    The phase is named as in `Phases`, without its unit: "tls".
    """
    if not subjects:
        return {}
    averages = ", ".join(f"coalesce(avg({phase}_ms), 0)" for phase in PHASE_NAMES)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT monitor_id, {averages}
              FROM monitors_checkresult
             WHERE monitor_id = ANY(%s) AND at > %s AND at <= %s AND code = 0
             GROUP BY monitor_id
            """,  # noqa: S608 only constants of this module go in
            [list(subjects), since, until],
        )
        rows = cursor.fetchall()
    return {
        monitor_id: max(
            zip(PHASE_NAMES, values, strict=True), key=lambda phase: phase[1]
        )
        for monitor_id, *values in rows
    }
