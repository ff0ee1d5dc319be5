"""Named measurements over time: the door through which every app records them.

Recording never raises for a bad sample: it is refused with a reason and the good ones
are kept. Each name and each source may have a bounded number of series, so that a label
that changes with every request can't flood the database.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from monitors.history import partitions
from monitors.models import Series
from monitors.thresholds import standings

logger = logging.getLogger(__name__)

MAX_SERIES_PER_NAME = 500
MAX_SERIES_PER_SOURCE = 2_000
MAX_LABELS = 10
MAX_LABEL_NAME = 60
MAX_LABEL_VALUE = 200
MAX_LABELS_KEY = 500
MAX_NAME = 100
MAX_UNIT = 20
MAX_SOURCE = 60
MAX_POINTS = 20_000
# Clocks differ; further ahead it is a wrong unit or a wrong zone.
MAX_AHEAD = timedelta(minutes=5)

# As in Prometheus and OpenTelemetry, whose names arrive here.
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:/-]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]*")
_LOCK = 5_412_003

# A sample that is not newer than its series' last one may be a delivery repeated; then
# it is there already. The newer ones need no look.
_INSERT = """
INSERT INTO monitors_sample (at, series_id, value)
SELECT new.at, new.series_id, new.value
  FROM unnest(%s::timestamptz[], %s::bigint[], %s::float8[]) new(at, series_id, value)
  JOIN monitors_series s ON s.id = new.series_id
 WHERE s.last_at IS NULL OR new.at > s.last_at
    OR NOT EXISTS (SELECT FROM monitors_sample old
                    WHERE old.series_id = new.series_id AND old.at = new.at)
"""
# Locked in one order, so that two recordings of the same series never deadlock.
_LOCK_SERIES = """
SELECT id FROM monitors_series WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""
_MOVE_FORWARD = """
UPDATE monitors_series s
   SET last_at = new.at, last_value = new.value,
       interval_s = CASE WHEN new.interval_s > 0 THEN new.interval_s
                         ELSE s.interval_s END
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[], %s::integer[])
       new(id, at, value, interval_s)
 WHERE s.id = new.id AND (s.last_at IS NULL OR s.last_at < new.at)
"""
# Of samples that are there already, those whose value is another one now. The two times
# let PostgreSQL pass over the partitions of other days.
_CORRECT = """
UPDATE monitors_sample old SET value = new.value
  FROM unnest(%s::timestamptz[], %s::bigint[], %s::float8[]) new(at, series_id, value)
 WHERE old.series_id = new.series_id AND old.at = new.at AND old.value <> new.value
   AND old.at BETWEEN %s AND %s
RETURNING old.series_id, old.at, old.value
"""
_CORRECT_LAST = """
UPDATE monitors_series s SET last_value = new.value
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[]) new(id, at, value)
 WHERE s.id = new.id AND s.last_at = new.at
RETURNING s.id, s.last_at
"""


@dataclass(frozen=True, slots=True)
class NewSample:
    """One value to record. `interval_s`: how often one is promised; 0: no promise."""

    name: str
    value: float
    at: datetime
    source: str
    labels: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    interval_s: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many samples are new in the database, and why others were refused.

    A sample that was recorded before is neither. Reasons are for logs and senders:
    English, one for each sample refused.
    """

    stored: int
    refused: list[str]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series at a time."""

    at: datetime
    value: float


_Key = tuple[str, str]


def record_samples(
    *, samples: Iterable[NewSample], now: datetime, corrects: bool = False
) -> Recorded:
    """Record samples of any series, which come into being with their first one.

    Refuses what has no valid name, labels or number, lies more than five minutes ahead
    or further back than results are kept, and series beyond `MAX_SERIES_PER_NAME` and
    `MAX_SERIES_PER_SOURCE`. Recording the same samples again changes nothing. With
    `corrects`, another value of a time that has one takes its place, and if that is the
    newest of its series, thresholds judge it again. Raises only the database's errors.
    """
    oldest = now - timedelta(days=settings.RESULT_RETENTION_DAYS)
    refused: list[str] = []
    good: dict[_Key, dict[datetime, NewSample]] = {}
    for sample in samples:
        reason = _fault_of(sample, oldest, now)
        if reason:
            refused.append(reason)
            continue
        key = (sample.name, labels_key(sample.labels))
        good.setdefault(key, {})[sample.at] = sample
    if not good:
        return Recorded(stored=0, refused=refused)
    days = {at.astimezone(UTC).date() for times in good.values() for at in times}
    partitions.ensure_days(days=days, tables=["monitors_sample"])
    with transaction.atomic():
        ids = _ids_of(good, refused, now)
        known = {ids[key]: times for key, times in good.items() if key in ids}
        stored = _store(known)
        if corrects:
            _correct(known)
    if refused:
        logger.warning("%s samples refused, the first: %s", len(refused), refused[0])
    return Recorded(stored=stored, refused=refused)


def samples_between(
    *, series_id: int, start: datetime, end: datetime, step_s: int = 0
) -> list[Point]:
    """Return the samples of [`start`, `end`) in order of time, at most `MAX_POINTS`.

    With `step_s`, the average of each step of so many seconds, at its beginning; steps
    without a sample are left out.
    """
    at, value = ("at", "value")
    if step_s:
        at = "date_bin(%(step)s * interval '1 second', at, %(start)s)"
        value = "avg(value)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {at} AS moment, {value} FROM monitors_sample
             WHERE series_id = %(series_id)s AND at >= %(start)s AND at < %(end)s
             {"GROUP BY moment" if step_s else ""}
             ORDER BY moment LIMIT {MAX_POINTS}
            """,  # noqa: S608 only constants go in
            {"series_id": series_id, "start": start, "end": end, "step": step_s},
        )
        return [Point(*row) for row in cursor.fetchall()]


def drop_silent(*, before: datetime) -> int:
    """Delete series whose last sample is older than `before`; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM monitors_series WHERE coalesce(last_at, created_at) < %s",
            [before],
        )
        ids = [series_id for (series_id,) in cursor.fetchall()]
    # Through the ORM, which takes their threshold states along.
    Series.objects.filter(pk__in=ids).delete()
    return len(ids)


def labels_key(labels: Mapping[str, str]) -> str:
    """Return the labels as one canonical line, such as `env="prod",region="eu"`."""
    return ",".join(
        f'{name}="{labels[name].translate(_ESCAPES)}"' for name in sorted(labels)
    )


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _fault_of(sample: NewSample, oldest: datetime, now: datetime) -> str:
    """Say why a sample can't be kept; empty when it can."""
    name = sample.name[:MAX_NAME]
    if len(sample.name) > MAX_NAME or not _NAME.fullmatch(sample.name):
        return f"{name!r} is no name for a series"
    if not sample.source or len(sample.source) > MAX_SOURCE:
        return f"{name}: the source must have 1 to {MAX_SOURCE} characters"
    if len(sample.unit) > MAX_UNIT:
        return f"{name}: the unit is longer than {MAX_UNIT} characters"
    if not 0 <= sample.interval_s < 2**31:
        return f"{name}: the interval is out of range"
    if "\0" in sample.source or "\0" in sample.unit:
        return f"{name}: a text holds a NUL"
    return (
        _fault_of_labels(name, sample.labels)
        or _fault_of_value(name, sample.value)
        or _fault_of_time(name, sample.at, oldest, now)
    )


def _fault_of_labels(name: str, labels: Mapping[str, str]) -> str:
    if len(labels) > MAX_LABELS:
        return f"{name}: more than {MAX_LABELS} labels"
    for label, value in labels.items():
        if len(label) > MAX_LABEL_NAME or not _LABEL_NAME.fullmatch(label):
            return f"{name}: {label[:MAX_LABEL_NAME]!r} is no name for a label"
        if len(value) > MAX_LABEL_VALUE or "\0" in value:
            return (
                f"{name}: label {label} is no text of at most {MAX_LABEL_VALUE}"
                " characters"
            )
    if len(labels_key(labels)) > MAX_LABELS_KEY:
        return f"{name}: its labels are longer than {MAX_LABELS_KEY} characters"
    return ""


def _fault_of_value(name: str, value: float) -> str:
    return "" if math.isfinite(value) else f"{name}: {value} is no number"


def _fault_of_time(name: str, at: datetime, oldest: datetime, now: datetime) -> str:
    if at.tzinfo is None:
        return f"{name}: {at} has no time zone"
    if at > now + MAX_AHEAD:
        return f"{name}: {at} lies in the future"
    if at <= oldest:
        return f"{name}: {at} lies before what is kept"
    return ""


def _ids_of(
    good: Mapping[_Key, Mapping[datetime, NewSample]],
    refused: list[str],
    now: datetime,
) -> dict[_Key, int]:
    """Return the series of each key, creating those that may be created."""
    ids = _find(good)
    missing = [key for key in good if key not in ids]
    if not missing:
        return ids
    with connection.cursor() as cursor:
        # One creator at a time, or two could fill a bound twice.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    ids = _find(good)
    firsts = {key: next(iter(good[key].values())) for key in missing if key not in ids}
    allowed = _within_bounds(firsts, good, refused)
    Series.objects.bulk_create(
        [
            Series(
                name=name,
                labels=dict(firsts[name, line].labels),
                labels_key=line,
                unit=firsts[name, line].unit,
                source=firsts[name, line].source,
                interval_s=firsts[name, line].interval_s,
                created_at=now,
            )
            for name, line in allowed
        ]
    )
    return _find(good)


def _find(keys: Iterable[_Key]) -> dict[_Key, int]:
    wanted = list(keys)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.name, s.labels_key, s.id
              FROM unnest(%s::text[], %s::text[]) AS wanted(name, labels_key)
              JOIN monitors_series s USING (name, labels_key)
            """,
            [[name for name, _ in wanted], [line for _, line in wanted]],
        )
        return {(name, line): series_id for name, line, series_id in cursor.fetchall()}


def _within_bounds(
    firsts: Mapping[_Key, NewSample],
    good: Mapping[_Key, Mapping[datetime, NewSample]],
    refused: list[str],
) -> list[_Key]:
    by_name = _count("name", {name for name, _ in firsts})
    by_source = _count("source", {sample.source for sample in firsts.values()})
    allowed = []
    for key, sample in firsts.items():
        if by_name[sample.name] >= MAX_SERIES_PER_NAME:
            reason = f"{sample.name}: it has {MAX_SERIES_PER_NAME} series already"
        elif by_source[sample.source] >= MAX_SERIES_PER_SOURCE:
            reason = (
                f"{sample.name}: {sample.source} has {MAX_SERIES_PER_SOURCE} series"
                " already"
            )
        else:
            by_name[sample.name] += 1
            by_source[sample.source] += 1
            allowed.append(key)
            continue
        refused.extend([reason] * len(good[key]))
    return allowed


def _count(column: str, values: set[str]) -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column}, count(*) FROM monitors_series"  # noqa: S608 a constant
            f" WHERE {column} = ANY(%s) GROUP BY 1",
            [list(values)],
        )
        return Counter(dict(cursor.fetchall()))


def _store(by_series: Mapping[int, Mapping[datetime, NewSample]]) -> int:
    rows: list[tuple[datetime, int, float]] = [
        (at, series_id, float(sample.value))
        for series_id, times in by_series.items()
        for at, sample in times.items()
    ]
    newest = {series_id: times[max(times)] for series_id, times in by_series.items()}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SERIES, [list(newest)])
        cursor.execute(_INSERT, _columns(rows, 3))
        stored = int(cursor.rowcount)
        cursor.execute(
            _MOVE_FORWARD,
            _columns(
                [
                    (series_id, sample.at, float(sample.value), sample.interval_s)
                    for series_id, sample in newest.items()
                ],
                4,
            ),
        )
    return stored


def _correct(by_series: Mapping[int, Mapping[datetime, NewSample]]) -> None:
    rows = [
        (at, series_id, float(sample.value))
        for series_id, times in by_series.items()
        for at, sample in times.items()
    ]
    if not rows:
        return
    times = [at for at, _id, _value in rows]
    with connection.cursor() as cursor:
        cursor.execute(_CORRECT, [*_columns(rows, 3), min(times), max(times)])
        changed = cursor.fetchall()
        if not changed:
            return
        cursor.execute(_CORRECT_LAST, _columns(changed, 3))
        standings.look_again(newest=dict(cursor.fetchall()))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]
