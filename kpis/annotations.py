"""What happened beside the curve. One door: a source of marks is a function in `_SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.urls import reverse

from incidents.models import Incident
from kpis.models import Kpi, KpiNote
from monitors import maintenance
from monitors.models import MaintenanceWindow
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold
from telemetry import queries

INCIDENT, MAINTENANCE, NOTE = "incident", "maintenance", "note"
DEPLOYMENT = "deployment"
# More would hide the curve; the newest ones count.
_MOST = 60
# Over a longer stretch a window that recurs is no event any more, nor is a deployment.
_SHORT = timedelta(days=35)
# What a figure of the whole company may have felt, and what one of a service may.
_FELT_BY_ALL = (Priority.P0, Priority.P1)
_FELT_BY_SERVICE = (*_FELT_BY_ALL, Priority.P2)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time, and may have lasted."""

    # INCIDENT, MAINTENANCE, DEPLOYMENT or NOTE.
    kind: str
    at: datetime
    # None: it has no length, or it goes on.
    ended_at: datetime | None
    title: str
    # Who or what it is of: a service, an author.
    of: str = ""
    url: str = ""
    # The row, for a list beside the picture.
    pk: int = 0
    is_going_on: bool = False

    def touches(self, start: datetime, end: datetime) -> bool:
        """Whether it happened, at least in part, in [start, end)."""
        if self.at >= end:
            return False
        return self.is_going_on or (self.ended_at or self.at) >= start


@dataclass(frozen=True, slots=True)
class _Asked:
    """For which KPI, over which stretch of time."""

    kpi: Kpi
    since: datetime
    until: datetime


def marks(
    *,
    kpi: Kpi,
    since: datetime,
    until: datetime,
    may: Callable[[str], bool],
) -> list[Mark]:
    """Return what happened in [`since`, `until`), newest first.

    `may` says whether the reader has a permission: what they may not see is left out.
    One query a kind, and none for what they may not see.
    """
    asked = _Asked(kpi, since, until)
    found: list[Mark] = []
    for permission, source in _SOURCES:
        if may(permission):
            found += source(asked)
    return sorted(found, key=lambda mark: mark.at, reverse=True)


def _incidents(asked: _Asked) -> Iterable[Mark]:
    rows = Incident.objects.filter(
        Q(resolved_at=None) | Q(resolved_at__gte=asked.since),
        started_at__lt=asked.until,
        is_drill=False,
        merged_into=None,
    ).select_related("service")
    if asked.kpi.service_id is None:
        rows = rows.filter(priority__in=_FELT_BY_ALL)
    else:
        rows = rows.filter(
            service_id=asked.kpi.service_id, priority__in=_FELT_BY_SERVICE
        )
    for incident in rows.order_by("-started_at")[:_MOST]:
        yield Mark(
            kind=INCIDENT,
            at=incident.started_at,
            ended_at=incident.resolved_at,
            title=f"{incident.priority.upper()} {retold(incident.title)}",
            of=incident.service.name,
            url=reverse("incidents:detail", args=[incident.pk]),
            pk=incident.pk,
            is_going_on=incident.resolved_at is None,
        )


def _maintenance(asked: _Asked) -> Iterable[Mark]:
    windows = MaintenanceWindow.objects.filter(
        is_enabled=True, starts_at__lt=asked.until
    )
    if asked.kpi.service_id is not None:
        service = asked.kpi.service_id
        windows = windows.filter(
            Q(services=service) | Q(monitors__service=service)
        ).distinct()
    if asked.until - asked.since > _SHORT:
        windows = windows.filter(recurrence="")
    found = [
        Mark(
            kind=MAINTENANCE,
            at=one.started_at,
            ended_at=one.ends_at,
            title=window.name,
        )
        for window in windows.order_by("-starts_at")[:_MOST]
        for one in _occurrences(window, asked)
    ]
    return sorted(found, key=lambda mark: mark.at)[-_MOST:]


def _occurrences(
    window: MaintenanceWindow, asked: _Asked
) -> Sequence[maintenance.Occurrence]:
    try:
        return maintenance.occurrences(
            spec=maintenance.spec_of(window), start=asked.since, end=asked.until
        )
    except maintenance.UnableToRepeat:
        return []


def _deployments(asked: _Asked) -> Iterable[Mark]:
    if asked.until - asked.since > _SHORT:
        return
    found = queries.between(
        start=asked.since, end=asked.until, service_id=asked.kpi.service_id
    )
    for one in found:
        if one.started_at >= asked.since:
            yield Mark(
                kind=DEPLOYMENT,
                at=one.started_at,
                ended_at=None,
                title=f"{one.name}, {one.get_state_display()}",
                of=one.service.name,
                url=reverse("deployments:detail", args=[one.pk]),
                pk=one.pk,
            )


def _notes(asked: _Asked) -> Iterable[Mark]:
    rows = KpiNote.objects.filter(
        Q(kpi=None) | Q(kpi=asked.kpi), at__gte=asked.since, at__lt=asked.until
    )
    for note in rows.order_by("-at")[:_MOST]:
        yield Mark(
            kind=NOTE,
            at=note.at,
            ended_at=None,
            title=note.text,
            of=note.author_name,
            url=f"#note-{note.pk}",
            pk=note.pk,
        )


# What the reader must be allowed to see, and what tells it.
_SOURCES: Sequence[tuple[str, Callable[[_Asked], Iterable[Mark]]]] = (
    ("incidents.view_incident", _incidents),
    ("monitors.view_maintenancewindow", _maintenance),
    ("telemetry.view_deployment", _deployments),
    ("kpis.view_kpinote", _notes),
)
