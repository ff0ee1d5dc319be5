"""Planned quiet ahead, as pages show it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from monitors import maintenance
from monitors.models import MaintenanceWindow


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """The open or next occurrence of a window, and the monitors that it covers."""

    started_at: datetime
    ends_at: datetime
    public_note: str
    monitor_ids: frozenset[int]


def planned_windows(*, now: datetime, until: datetime) -> list[PlannedWindow]:
    """Return what is open or begins before `until`, the first first; two queries.

    One occurrence of each window: what recurs every night would crowd out the rest.
    """
    coming = []
    for window in MaintenanceWindow.objects.filter(
        is_enabled=True, starts_at__lt=until
    ).order_by("pk"):
        occurrence = _first(window, now, until)
        if occurrence is not None:
            coming.append((window, occurrence))
    covered: defaultdict[int, set[int]] = defaultdict(set)
    for monitor_id, window_id in maintenance.covered_by(
        window.pk for window, _occurrence in coming
    ):
        covered[window_id].add(monitor_id)
    return [
        PlannedWindow(
            started_at=occurrence.started_at,
            ends_at=occurrence.ends_at,
            public_note=window.public_note,
            monitor_ids=frozenset(covered[window.pk]),
        )
        for window, occurrence in sorted(coming, key=lambda found: found[1].started_at)
    ]


def _first(
    window: MaintenanceWindow, now: datetime, until: datetime
) -> maintenance.Occurrence | None:
    try:
        found = maintenance.occurrences(
            spec=maintenance.spec_of(window), start=now, end=until
        )
    except maintenance.UnableToRepeat:
        return None
    return min(found, key=lambda one: one.started_at, default=None)
