"""Everything on the status page, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidents.models import Service
from monitors.models import Monitor
from monitors.queries.glances import Glance, glances
from monitors.queries.ledger import worst_of
from monitors.queries.services import ServiceHealth, service_health
from monitors.queries.windows import planned_windows
from monitors.status import Status
from t4g_portal.public import incidents
from t4g_portal.public.incidents import PublicIncident
from t4g_portal.public.words import SERVICE_WORDS, sentence

_PLANNED_AHEAD = timedelta(days=14)
_MAX_PLANNED = 10


@dataclass(frozen=True, slots=True)
class PublicService:
    """A service as its users see it."""

    health: ServiceHealth
    word: str


@dataclass(frozen=True, slots=True)
class PublicMaintenance:
    """Planned work on some services, by name; its own name is internal."""

    service_names: list[str]
    started_at: datetime
    ends_at: datetime
    is_open: bool
    note: str


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Everything on the page."""

    # To the minute: what is shown and when it was so stay the same that long.
    as_of: datetime
    now: datetime
    status: Status
    sentence: str
    services: list[PublicService]
    current: list[PublicIncident]
    planned: list[PublicMaintenance]
    past: list[PublicIncident]


def public_services() -> list[Service]:
    """Return the services that the public sees, in their order; one query."""
    return list(
        Service.objects.filter(is_public=True, monitors__counts_for_service=True)
        .distinct()
        .order_by("position", "name")
    )


def status_page(*, now: datetime) -> StatusPage:
    """Return the page as of `now`; always the same number of queries."""
    services = public_services()
    monitors = glances(
        monitors=Monitor.objects.filter(service__is_public=True), now=now
    )
    health = service_health(services=services, monitors=monitors, now=now)
    current = incidents.current()
    status = worst_of([line.status for line in health])
    return StatusPage(
        as_of=now.replace(second=0, microsecond=0),
        now=now,
        status=_headline_status(status, current),
        sentence=sentence(
            status=status,
            affected=[line.service.name for line in health if line.status == status],
            has_services=bool(health),
            has_incidents=bool(current),
        ),
        services=[
            PublicService(health=line, word=str(SERVICE_WORDS[line.status]))
            for line in health
        ],
        current=current,
        planned=_planned(services, monitors, now),
        past=incidents.recent(now=now),
    )


def _headline_status(status: Status, current: Collection[PublicIncident]) -> Status:
    """Never show green while something is open."""
    return worst_of([status, Status.DEGRADED]) if current else status


def _planned(
    services: Sequence[Service], monitors: Sequence[Glance], now: datetime
) -> list[PublicMaintenance]:
    service_of = {
        glance.monitor_id: glance.service_id
        for glance in monitors
        if glance.counts_for_service
    }
    found = []
    for window in planned_windows(now=now, until=now + _PLANNED_AHEAD):
        touched = {service_of.get(monitor_id) for monitor_id in window.monitor_ids}
        names = [service.name for service in services if service.pk in touched]
        if names:
            found.append(
                PublicMaintenance(
                    service_names=names,
                    started_at=window.started_at,
                    ends_at=window.ends_at,
                    is_open=window.started_at <= now,
                    note=window.public_note,
                )
            )
    return found[:_MAX_PLANNED]
