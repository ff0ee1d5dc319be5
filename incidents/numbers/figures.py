"""MTTA, MTTR and response objectives, summed up by PostgreSQL in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from incidents.numbers.scope import COUNTED, Scope, in_hours
from t4g_portal.lib.priority import Priority

# What ended by itself sooner than that kept nobody busy but woke somebody.
BRIEF_S = 300


@dataclass(frozen=True, slots=True)
class Spread:
    """Some lengths in seconds. Of none nothing is known, which is not zero."""

    count: int = 0
    mean_s: float | None = None
    median_s: float | None = None
    p90_s: float | None = None
    max_s: float | None = None


@dataclass(frozen=True, slots=True)
class Objectives:
    """Whether somebody acknowledged within the time that the priority allows.

    `over_count`: ended before it was due. `pending_count`: it isn't due yet. Neither was
    met or missed, so neither is in the ratio.
    """

    met_count: int = 0
    missed_count: int = 0
    over_count: int = 0
    pending_count: int = 0

    @property
    def ratio(self) -> float | None:
        """The share that was met; None when none was due."""
        due = self.met_count + self.missed_count
        return self.met_count / due if due else None


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured over some incidents, opened in the period.

    Lengths count from the opening: to the first acknowledgement by a person (of
    `to_acknowledge.count` incidents) and to the resolution. `never_count` ended without
    an acknowledgement, `waiting_count` have none yet. `brief_count` ended by themselves
    within five minutes.
    """

    incident_count: int = 0
    to_acknowledge: Spread = Spread()
    never_count: int = 0
    waiting_count: int = 0
    to_resolve: Spread = Spread()
    brief_count: int = 0
    objectives: Objectives = Objectives()

    @property
    def coverage(self) -> float | None:
        """The share that a person acknowledged, to be read beside the MTTA."""
        if not self.incident_count:
            return None
        return self.to_acknowledge.count / self.incident_count

    @property
    def brief_ratio(self) -> float | None:
        """The share that ended by itself within five minutes."""
        return self.brief_count / self.incident_count if self.incident_count else None

    @property
    def open_count(self) -> int:
        """How many are not resolved."""
        return self.incident_count - self.to_resolve.count


@dataclass(frozen=True, slots=True)
class Response:
    """How fast people were: in all, by priority, by hours, by column of the pictures.

    `by_people` and `by_itself`: to the resolution, of those that a person declared over
    and of those whose alerts ended.
    """

    whole: Line
    by_priority: Mapping[str, Line]
    in_hours: Line
    out_of_hours: Line
    by_people: Spread
    by_itself: Spread
    columns: Sequence[Line]


# A miss that was recorded stays one, also when a later change of priority gave more time.
_MEASURED = """
WITH measured AS (
    SELECT incident.priority,
        {in_hours} AS is_in_hours,
        width_bucket(incident.opened_at, %(borders)s::timestamptz[]) AS position,
        date_part('epoch', incident.first_acknowledged_at - incident.opened_at)
            AS acknowledge_s,
        date_part('epoch', incident.resolved_at - incident.opened_at) AS resolve_s,
        incident.resolved_by_id IS NOT NULL OR incident.resolved_by_name <> ''
            AS is_by_person,
        CASE
            WHEN incident.response_missed_at
                < coalesce(incident.first_acknowledged_at, 'infinity') THEN 'missed'
            WHEN incident.first_acknowledged_at <= incident.response_due_at THEN 'met'
            WHEN incident.resolved_at <= incident.response_due_at
                AND incident.first_acknowledged_at IS NULL THEN 'over'
            WHEN incident.response_due_at > %(now)s THEN 'pending'
            ELSE 'missed'
        END AS objective
    FROM incidents_incident incident
    WHERE incident.opened_at >= %(since)s AND incident.opened_at < %(until)s
        AND {counted}
)
SELECT priority, is_in_hours, is_by_person, position, count(*),
    count(acknowledge_s), avg(acknowledge_s),
    percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY acknowledge_s),
    max(acknowledge_s),
    count(*) FILTER (WHERE acknowledge_s IS NULL AND resolve_s IS NOT NULL),
    count(*) FILTER (WHERE acknowledge_s IS NULL AND resolve_s IS NULL),
    count(resolve_s), avg(resolve_s),
    percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY resolve_s),
    max(resolve_s),
    count(*) FILTER (WHERE NOT is_by_person AND resolve_s < %(brief_s)s),
    count(*) FILTER (WHERE objective = 'met'),
    count(*) FILTER (WHERE objective = 'missed'),
    count(*) FILTER (WHERE objective = 'over'),
    count(*) FILTER (WHERE objective = 'pending')
FROM measured
GROUP BY GROUPING SETS (
    (), (priority), (is_in_hours), (is_by_person), (position)
)
"""


def response(*, scope: Scope, zones: Iterable[tuple[int, str]], now: Any) -> Response:
    """Measure the incidents opened in a period, one query.

    `zones`: the zone's name of each service by its number.
    """
    hours, parameters = in_hours(
        number="incident.service_id",
        moment="incident.opened_at",
        zones=zones,
        period=scope.period,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _MEASURED.format(in_hours=hours, counted=COUNTED),
            {**scope.parameters, **parameters, "now": now, "brief_s": BRIEF_S},
        )
        rows = cursor.fetchall()
    by_priority: dict[str, Line] = {}
    by_hours: dict[bool, Line] = {}
    by_person: dict[bool, Line] = {}
    by_column: dict[int, Line] = {}
    whole = Line()
    for priority, is_in_hours, is_by_person, position, *values in rows:
        line = _line(values)
        if priority is not None:
            by_priority[priority] = line
        elif is_in_hours is not None:
            by_hours[is_in_hours] = line
        elif is_by_person is not None:
            by_person[is_by_person] = line
        elif position is not None:
            by_column[position] = line
        else:
            whole = line
    return Response(
        whole=whole,
        by_priority={
            priority: by_priority.get(priority, Line()) for priority in Priority.values
        },
        in_hours=by_hours.get(True, Line()),
        out_of_hours=by_hours.get(False, Line()),
        by_people=by_person.get(True, Line()).to_resolve,
        by_itself=by_person.get(False, Line()).to_resolve,
        columns=[
            by_column.get(position, Line())
            for position in range(1, len(scope.period.columns) + 1)
        ],
    )


def _line(values: Sequence[Any]) -> Line:
    return Line(
        incident_count=values[0],
        to_acknowledge=spread(values[1:5]),
        never_count=values[5],
        waiting_count=values[6],
        to_resolve=spread(values[7:11]),
        brief_count=values[11],
        objectives=Objectives(*values[12:16]),
    )


def spread(values: Sequence[Any]) -> Spread:
    """Read count, mean, [median, p90] and maximum as a statement returns them."""
    count, mean_s, percentiles, max_s = values
    if not count:
        return Spread()
    median_s, p90_s = percentiles
    return Spread(count, mean_s, median_s, p90_s, max_s)
