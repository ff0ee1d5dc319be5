"""The maintenance windows around an incident, for the incident page."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from incidents import surroundings
from incidents.models import Incident
from incidents.surroundings import Surrounding
from monitors.maintenance import (
    Occurrence,
    UnableToRepeat,
    covered_by,
    occurrences,
    spec_of,
)
from monitors.models import MaintenanceWindow, Monitor


def register() -> None:
    """Tell incidents of maintenance windows."""
    surroundings.register(name="monitors.maintenance", source=maintenance)


def maintenance(
    incident: Incident, start: datetime, end: datetime
) -> Iterator[Surrounding]:
    """Yield the occurrences in [start, end) of windows over the incident's service.

    A window covers the service, one of its monitors, or a monitor that raised one of
    the alerts. One query without a window, four at most.
    """
    windows = {
        window.pk: window
        for window in MaintenanceWindow.objects.filter(
            is_enabled=True, starts_at__lt=end
        )
    }
    open_windows = {
        pk: found
        for pk, window in windows.items()
        if (found := _occurrences(window, start, end))
    }
    if not open_windows:
        return
    for pk in _covering(incident, open_windows):
        window = windows[pk]
        for occurrence in open_windows[pk]:
            yield Surrounding(
                kind=_("Maintenance"),
                title=window.name,
                started_at=occurrence.started_at,
                ended_at=occurrence.ends_at,
                detail=window.note,
                url=reverse("admin:monitors_maintenancewindow_change", args=[pk]),
                permission="monitors.view_maintenancewindow",
                state="maintenance",
            )


def _occurrences(
    window: MaintenanceWindow, start: datetime, end: datetime
) -> list[Occurrence]:
    try:
        return occurrences(spec=spec_of(window), start=start, end=end)
    except UnableToRepeat:
        return []


def _covering(incident: Incident, window_ids: Collection[int]) -> list[int]:
    """Return which of some windows have to do with an incident."""
    sources = incident.alerts.values_list("source", flat=True)
    raised = {
        int(number)
        for kind, _colon, number in (source.partition(":") for source in sources)
        if kind == "monitor" and number.isdecimal()
    }
    of_service = Monitor.objects.filter(service=incident.service_id)
    monitors = raised | set(of_service.values_list("pk", flat=True))
    covered = {
        window_id
        for monitor_id, window_id in covered_by(window_ids)
        if monitor_id in monitors
    }
    of_window = MaintenanceWindow.objects.filter(
        pk__in=window_ids, services=incident.service_id
    )
    return sorted(covered | set(of_window.values_list("pk", flat=True)))
