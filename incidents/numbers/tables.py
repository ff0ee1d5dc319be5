"""The figures as tables for a spreadsheet. Lengths in seconds; unknown is an empty cell.

Column names stay English, so that a sheet made of them works for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db.models import F

from incidents.models import Incident
from incidents.numbers.board import Board, board
from incidents.numbers.figures import Line, Spread
from incidents.numbers.scope import Scope, zone_called
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.working_time import is_in_hours


@dataclass(frozen=True, slots=True)
class Table:
    """A header and its rows."""

    header: Sequence[str]
    rows: Iterable[Sequence[Any]]


class Maker(Protocol):
    """What makes a table of a scope."""

    def __call__(self, *, scope: Scope, now: datetime) -> Table:
        """Return the table as of `now`."""
        ...


_SPREAD = ("count", "mean_s", "median_s", "p90_s", "max_s")


def figures(*, scope: Scope, now: datetime) -> Table:
    """A row for all incidents, for each priority, and for in and out of hours."""
    found = board(scope=scope, now=now)
    header = [
        "of",
        "incidents",
        *(f"acknowledged_{name}" for name in _SPREAD),
        "never_acknowledged",
        "waiting",
        *(f"resolved_{name}" for name in _SPREAD),
        "over_by_itself_within_5_min",
        *("responses_met", "responses_missed", "responses_not_due"),
        *(f"first_page_{name}" for name in _SPREAD),
    ]
    return Table(header, list(_figure_rows(found)))


def _figure_rows(found: Board) -> Iterator[Sequence[Any]]:
    response, first = found.response, found.first_delivery
    yield _figure_row("all", response.whole, first.whole)
    for priority, line in response.by_priority.items():
        yield _figure_row(priority, line, first.by_priority[priority])
    yield _figure_row("in hours", response.in_hours, None)
    yield _figure_row("out of hours", response.out_of_hours, None)


def _figure_row(name: str, line: Line, first: Spread | None) -> Sequence[Any]:
    objectives = line.objectives
    return [
        name,
        line.incident_count,
        *_spread(line.to_acknowledge),
        line.never_count,
        line.waiting_count,
        *_spread(line.to_resolve),
        line.brief_count,
        objectives.met_count,
        objectives.missed_count,
        objectives.over_count + objectives.pending_count,
        *(_spread(first) if first else [None] * len(_SPREAD)),
    ]


def _spread(spread: Spread) -> list[Any]:
    return [getattr(spread, name) for name in _SPREAD]


def incidents(*, scope: Scope, now: datetime) -> Table:
    """A row for each incident that the figures count, the oldest first."""
    rows = Incident.objects.filter(
        opened_at__gte=scope.period.since,
        opened_at__lt=scope.period.until,
        is_drill=False,
        merged_into=None,
    ).select_related("service", "acknowledged_by", "resolved_by")
    if scope.service_id is not None:
        rows = rows.filter(service=scope.service_id)
    if scope.priority:
        rows = rows.filter(priority=scope.priority)
    header = [
        *("number", "service", "priority", "title", "status", "opened_at", "in_hours"),
        *("first_acknowledged_at", "to_acknowledge_s", "response_due_at"),
        *("resolved_at", "to_resolve_s", "resolved_by"),
    ]
    found = rows.defer("policy").order_by(F("opened_at"), "pk")
    return Table(header, (_incident_row(row) for row in found.iterator(chunk_size=500)))


def _incident_row(row: Incident) -> Sequence[Any]:
    zone = zone_called(row.service.time_zone)
    return [
        row.pk,
        row.service.name,
        row.priority,
        retold(row.title),
        row.status,
        row.opened_at,
        "yes" if is_in_hours(row.opened_at, zone=zone) else "no",
        row.first_acknowledged_at,
        _length_s(row.opened_at, row.first_acknowledged_at),
        row.response_due_at,
        row.resolved_at,
        _length_s(row.opened_at, row.resolved_at),
        row.resolver,
    ]


def _length_s(start: datetime, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if end else None


def pages(*, scope: Scope, now: datetime) -> Table:
    """A row for each person and shared channel, and a column a day or a week."""
    found = board(scope=scope, now=now)
    header = [
        *("name", "kind", "pages", "out_of_hours", "pages_a_week", "most_in_a_week"),
        *(first.isoformat() for first, _last in scope.period.columns),
    ]
    told = found.interruptions
    return Table(
        header,
        [
            [
                reader.name,
                "person" if reader.is_person else "channel",
                reader.page_count,
                reader.out_of_hours_count,
                reader.a_week,
                reader.worst_week,
                *reader.columns,
            ]
            for reader in [*told.people, *told.channels]
        ],
    )


def sources(*, scope: Scope, now: datetime) -> Table:
    """A row for each of the sources of most incidents."""
    found = board(scope=scope, now=now)
    header = [
        *("source", "name", "incidents", "alerts", "over_by_itself_within_5_min"),
        "never_acknowledged",
    ]
    return Table(
        header,
        [
            [
                one.source,
                retold(one.name),
                one.incident_count,
                one.alert_count,
                one.brief_count,
                one.unacknowledged_count,
            ]
            for one in found.noisiest
        ],
    )


# By the name in the address.
TABLES: Mapping[str, Maker] = {
    "figures": figures,
    "incidents": incidents,
    "pages": pages,
    "sources": sources,
}
