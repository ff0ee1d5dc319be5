"""Incidents in words for everybody: the service, how it is, since when, what we say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.paginator import Page, Paginator
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext as _

from incidents.models import Alert, Incident
from incidents.models.incident import IncidentQuerySet
from monitors.status import Status
from monitors.thresholds import down_alerts
from t4g_portal.lib.priority import Priority
from t4g_portal.public.words import SERVICE_WORDS

# An outage of everything opens as many as there are services.
MAX_OPEN = 30
MAX_RECENT = 30
A_PAGE = 30
RECENT = timedelta(days=14)

# What was merged into an incident of another service lasts as long as that one.
_RESOLVED = Incident.Status.RESOLVED
_IS_OVER = Q(status=_RESOLVED) & (
    Q(merged_into__isnull=True) | Q(merged_into__status=_RESOLVED)
)
_GOES_ON = ~Q(status=_RESOLVED) | (
    Q(merged_into__isnull=False) & ~Q(merged_into__status=_RESOLVED)
)


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """An incident without internals. Its title is not here on purpose."""

    number: int
    service_name: str
    service_slug: str
    status: Status
    # "Not available" or "Limited".
    effect: str
    # Whether we have noticed, are at it, or it is over.
    state: str
    # What somebody wrote for the public, and when; empty: nothing.
    message: str
    message_at: datetime | None
    started_at: datetime
    opened_at: datetime
    ended_at: datetime | None
    updated_at: datetime

    @property
    def length(self) -> timedelta | None:
        """How long it lasted; None while it lasts."""
        return self.ended_at - self.started_at if self.ended_at else None


def current() -> list[PublicIncident]:
    """Return what is open, the newest first; one query."""
    rows = _shown().filter(_GOES_ON).order_by("-started_at", "-pk")
    return [_public(row) for row in rows[:MAX_OPEN]]


def recent(*, now: datetime) -> list[PublicIncident]:
    """Return what ended within `RECENT`, the newest first; one query."""
    rows = _past().filter(resolved_at__gte=now - RECENT)
    return [_public(row) for row in rows[:MAX_RECENT]]


def newest(*, count: int) -> list[PublicIncident]:
    """Return the last incidents, open or over; one query."""
    return [_public(row) for row in _shown().order_by("-opened_at", "-pk")[:count]]


def past_page(*, number: str | int) -> tuple[Page[Incident], list[PublicIncident]]:
    """Return one page of all that ever ended; two queries.

    A number that makes no sense, or lies beyond the end, leads to the nearest page.
    """
    page = Paginator(_past(), A_PAGE).get_page(number)
    return page, [_public(row) for row in page.object_list]


def _past() -> IncidentQuerySet:
    return _shown().filter(_IS_OVER).order_by("-started_at", "-pk")


def _shown() -> IncidentQuerySet:
    """Return what the public may know of."""
    alerts = Alert.objects.filter(incident=OuterRef("pk"))
    return (
        Incident.objects.public()
        # Merged into one of the same service, it is told there.
        .exclude(merged_into__service=F("service"))
        .select_related("service", "merged_into")
        .annotate(
            has_down=Exists(down_alerts.among(alerts)),
            is_of_monitors=Exists(alerts.filter(source__startswith="monitor:")),
        )
    )


def _public(incident: Incident) -> PublicIncident:
    status = Status.DOWN if _is_outage(incident) else Status.DEGRADED
    ended_at = (incident.merged_into or incident).resolved_at
    moments = (
        incident.opened_at,
        incident.acknowledged_at,
        incident.public_message_at,
        ended_at,
    )
    return PublicIncident(
        number=incident.pk,
        service_name=incident.service.name,
        service_slug=incident.service.slug,
        status=status,
        effect=str(SERVICE_WORDS[status]),
        state=_state(incident),
        message=incident.public_message,
        message_at=incident.public_message_at if incident.public_message else None,
        started_at=incident.started_at,
        opened_at=incident.opened_at,
        ended_at=ended_at,
        updated_at=max(moment for moment in moments if moment is not None),
    )


def _is_outage(incident: Incident) -> bool:
    """Say what the monitors said; of what else raised it, the priority must speak."""
    if incident.is_of_monitors:  # type: ignore[attr-defined]
        return bool(incident.has_down)  # type: ignore[attr-defined]
    return incident.priority == Priority.P0


def _state(incident: Incident) -> str:
    incident = incident.merged_into or incident
    if incident.resolved_at is not None:
        return _("Resolved")
    if incident.status == Incident.Status.ACKNOWLEDGED:
        return _("We are working on it")
    return _("We have noticed it")
