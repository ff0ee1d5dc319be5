"""Where thresholds stand: `ThresholdState` rows read and written, all in one go.

A threshold on a subject that was never over a bound has no row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from monitors.thresholds.judging import Level, Standing


class Subject(NamedTuple):
    """What a threshold judges: a monitor or a series, by its id."""

    kind: str
    id: int

    @property
    def source(self) -> str:
        """How alerts name it: `monitor:12`."""
        return f"{self.kind}:{self.id}"


class Place(NamedTuple):
    """One threshold on one subject."""

    threshold_id: int
    subject: Subject

    @property
    def dedup_key(self) -> str:
        """The name of the alert that fires there."""
        return f"threshold:{self.threshold_id}:{self.subject.source}"


MONITOR, SERIES = "monitor", "series"
# What begins like this is an alert of a place.
KEY_PREFIX = "threshold:"

_COLUMNS = """level, since, value, judged_until, breach_count, breach_since,
    critical_count, critical_since"""
_LOAD = f"""
SELECT threshold_id, monitor_id, series_id, {_COLUMNS}
  FROM monitors_thresholdstate
 WHERE level <> 'ok' OR breach_count > 0 OR judged_until > %s OR series_id IS NOT NULL
"""  # noqa: S608 only constants go in
# Somebody who has judged further wins. A threshold or subject that was deleted
# meanwhile is left out.
_SAVE = """
INSERT INTO monitors_thresholdstate AS old (threshold_id, {subject}_id, level, since,
       value, judged_until, breach_count, breach_since, critical_count, critical_since)
SELECT new.*
  FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[],
              %s::float8[], %s::timestamptz[], %s::integer[], %s::timestamptz[],
              %s::integer[], %s::timestamptz[]) AS new(threshold_id, subject_id)
 WHERE EXISTS (SELECT FROM monitors_threshold WHERE id = new.threshold_id)
   AND EXISTS (SELECT FROM {table} WHERE id = new.subject_id)
 ORDER BY 1, 2
    ON CONFLICT (threshold_id, {subject}_id) WHERE {subject}_id IS NOT NULL
    DO UPDATE
   SET level = excluded.level, since = excluded.since, value = excluded.value,
       judged_until = excluded.judged_until,
       breach_count = excluded.breach_count, breach_since = excluded.breach_since,
       critical_count = excluded.critical_count,
       critical_since = excluded.critical_since
 WHERE old.judged_until IS NULL OR old.judged_until < excluded.judged_until
RETURNING threshold_id, {subject}_id
"""
_TABLES = {MONITOR: "monitors_monitor", SERIES: "monitors_series"}


def load(*, judged_after: datetime) -> dict[Place, Standing]:
    """Return the standings that matter for what was measured after `judged_after`.

    Monitors that stand at OK and were judged up to earlier are left out: they stand as
    if they had never been judged. Series are always there.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [judged_after])
        rows = cursor.fetchall()
    return {
        _place(threshold_id, monitor_id, series_id): Standing(Level(level), *values)
        for threshold_id, monitor_id, series_id, level, *values in rows
    }


def save(*, standings: Mapping[Place, Standing]) -> set[Place]:
    """Write standings; return the places that were written.

    Left out is a place that somebody else judged as far or further, and one whose
    threshold or subject is gone.
    """
    written: set[Place] = set()
    for kind in (MONITOR, SERIES):
        rows = sorted(
            (place, standing)
            for place, standing in standings.items()
            if place.subject.kind == kind and standing.judged_until is not None
        )
        if rows:
            written |= _save_of(kind, rows)
    return written


def look_again(*, newest: Mapping[int, datetime]) -> None:
    """Let the newest sample of some series be judged once more: it was corrected.

    `newest`: when that sample was taken, by series. What it had added to a count of
    values in a row is taken back; judging it again adds it, or ends the row.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE monitors_thresholdstate state
               SET judged_until = state.judged_until - interval '1 microsecond',
                   breach_count = greatest(state.breach_count - 1, 0),
                   critical_count = greatest(state.critical_count - 1, 0)
              FROM unnest(%s::bigint[], %s::timestamptz[]) AS newest(series_id, at)
             WHERE state.series_id = newest.series_id
               AND state.judged_until = newest.at
            """,
            [list(newest), list(newest.values())],
        )


def forget(*, places: Collection[Place]) -> None:
    """Delete the standings of places where a threshold applies no more."""
    for kind in (MONITOR, SERIES):
        pairs = [
            (place.threshold_id, place.subject.id)
            for place in places
            if place.subject.kind == kind
        ]
        if pairs:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"""
                    DELETE FROM monitors_thresholdstate
                     WHERE (threshold_id, {kind}_id) IN (
                        SELECT * FROM unnest(%s::bigint[], %s::bigint[]))
                    """,  # noqa: S608 a constant
                    [[pair[0] for pair in pairs], [pair[1] for pair in pairs]],
                )


def _place(threshold_id: int, monitor_id: int | None, series_id: int | None) -> Place:
    if monitor_id is not None:
        return Place(threshold_id, Subject(MONITOR, monitor_id))
    return Place(threshold_id, Subject(SERIES, series_id or 0))


def _save_of(kind: str, rows: Sequence[tuple[Place, Standing]]) -> set[Place]:
    columns: list[list[object]] = [[] for _ in range(10)]
    for place, standing in rows:
        values = (
            place.threshold_id,
            place.subject.id,
            str(standing.level),
            # Never above its bound so far: since it was looked at.
            standing.since or standing.judged_until,
            standing.value,
            standing.judged_until,
            standing.breach_count,
            standing.breach_since,
            standing.critical_count,
            standing.critical_since,
        )
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    with connection.cursor() as cursor:
        cursor.execute(_SAVE.format(subject=kind, table=_TABLES[kind]), columns)
        return {
            Place(threshold_id, Subject(kind, subject_id))
            for threshold_id, subject_id in cursor.fetchall()
        }
