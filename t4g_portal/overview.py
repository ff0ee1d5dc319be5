"""What the overview shows, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from incidents.models import AuditFinding, Incident, Service
from incidents.oncall.duty import Duty
from incidents.oncall.duty import duty as duty_of
from monitors.models import LocationState
from monitors.queries.glances import Glance, all_glances
from monitors.queries.services import ServiceHealth, service_health
from notifications.models import Channel, Notification
from t4g_portal.headline import (
    Blindness,
    Headline,
    OpenIncidents,
    ServiceLine,
    headline,
)
from t4g_portal.lib.loops import LateLoop
from t4g_portal.lib.priority import Priority
from t4g_portal.ready import overdue_loops
from telemetry.queries import Line, latest

INCIDENT_COUNT = 8
LOOK_COUNT = 8
# A message older than this is not on its way any more, it is stuck.
_STUCK_AFTER = timedelta(minutes=10)
# Dead letters are news for so long; later they are in the admin only.
_DEAD_SHOWN = timedelta(days=1)
_FINDINGS_SHOWN = timedelta(days=1)
_PROBE_LOOP = "monitors.probe"
_URGENT = {Priority.P0.value, Priority.P1.value}


@dataclass(frozen=True, slots=True)
class OwnHealth:
    """The portal itself."""

    late_loops: list[LateLoop]
    undelivered_count: int
    idle_channels: list[str]
    # What the auditor found in the last day, and what of it lasts.
    finding_count: int
    open_finding_count: int

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to do about the portal."""
        return not (
            self.late_loops
            or self.undelivered_count
            or self.idle_channels
            or self.finding_count
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page, in its order."""

    now: datetime
    headline: Headline
    # Unacknowledged first, snoozed last, then by response deadline.
    incidents: list[Incident]
    incident_count: int
    services: list[ServiceHealth]
    to_look_at: list[Glance]
    look_count: int
    monitor_count: int
    own_health: OwnHealth
    # Who is on call now and next.
    duty: Duty
    deployments: list[Line]


def overview(*, now: datetime) -> Overview:
    """Return the overview as of `now`."""
    monitors = all_glances(now=now)
    services = service_health(
        services=list(Service.objects.order_by("position", "name")),
        monitors=monitors,
        now=now,
    )
    incidents = _open_incidents()
    late = overdue_loops(now=now)
    look = [glance for glance in monitors if glance.needs_a_look(now)]
    return Overview(
        now=now,
        headline=headline(
            services=_lines(services, incidents) if monitors else [],
            blindness=_blindness(late),
            now=now,
            incidents=_counted(incidents),
        ),
        incidents=incidents[:INCIDENT_COUNT],
        incident_count=len(incidents),
        services=services,
        to_look_at=look[:LOOK_COUNT],
        look_count=len(look),
        monitor_count=len(monitors),
        own_health=_own_health(late, now),
        duty=duty_of(now=now),
        deployments=latest(now=now),
    )


def _open_incidents() -> list[Incident]:
    incidents = (
        Incident.objects.open()
        .select_related("service", "acknowledged_by")
        .order_by("response_due_at", "pk")
    )
    return sorted(incidents, key=_rank)


def _rank(incident: Incident) -> int:
    if incident.status != Incident.Status.TRIGGERED:
        return 1
    return 2 if incident.snoozed_until else 0


def _counted(incidents: Sequence[Incident]) -> OpenIncidents:
    real = [one for one in incidents if not one.is_drill]
    waiting = [
        one.priority
        for one in real
        if one.status == Incident.Status.TRIGGERED and one.snoozed_until is None
    ]
    return OpenIncidents(
        waiting_count=len(waiting),
        is_urgent=any(priority in _URGENT for priority in waiting),
        handled_count=sum(one.status == Incident.Status.ACKNOWLEDGED for one in real),
    )


def _lines(
    services: Sequence[ServiceHealth], incidents: Sequence[Incident]
) -> list[ServiceLine]:
    # The most urgent incident of a service speaks for it; unacknowledged ones first.
    first: dict[int, Incident] = {}
    for incident in incidents:
        first.setdefault(incident.service_id, incident)
    return [
        ServiceLine(
            name=health.service.name,
            status=health.status,
            since=health.since,
            handled_by=_handler(first.get(health.service.pk)),
        )
        for health in services
    ]


def _handler(incident: Incident | None) -> str | None:
    if incident is None:
        return None
    if incident.status != Incident.Status.ACKNOWLEDGED:
        return ""
    return incident.holder or _("somebody")


def _blindness(late: Sequence[LateLoop]) -> Blindness | None:
    blind = LocationState.objects.filter(is_blind=True).order_by("changed_at").first()
    if blind is not None:
        return Blindness(
            since=blind.changed_at,
            reason=_("no control target answers, so the fault is ours"),
        )
    for loop in late:
        if loop.name == _PROBE_LOOP and loop.completed_at is not None:
            return Blindness(
                since=loop.completed_at, reason=_("the worker does not probe")
            )
    return None


def _own_health(late: list[LateLoop], now: datetime) -> OwnHealth:
    undelivered = Notification.objects.filter(
        status__in=[Notification.Status.QUEUED, Notification.Status.SENDING],
        queued_at__lt=now - _STUCK_AFTER,
    ) | Notification.objects.filter(
        status=Notification.Status.DEAD, queued_at__gte=now - _DEAD_SHOWN
    )
    findings = AuditFinding.objects.filter(
        last_seen_at__gte=now - _FINDINGS_SHOWN
    ).aggregate(found=Count("pk"), lasting=Count("pk", filter=Q(ended_at=None)))
    return OwnHealth(
        late_loops=late,
        undelivered_count=undelivered.count(),
        idle_channels=[
            channel.name
            for channel in Channel.objects.order_by("name")
            if not channel.is_enabled or not channel.is_configured
        ],
        finding_count=findings["found"],
        open_finding_count=findings["lasting"],
    )
