"""The public status page: what users of the services may know, in plain words.

No login, no session, no script. It names services, never monitors, hosts or people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import conditional_page, require_safe

from incidents.models import Incident, Service
from monitors.models import Monitor
from monitors.queries.glances import glances
from monitors.queries.ledger import worst_of
from monitors.queries.services import ServiceHealth, service_health
from monitors.status import Status
from t4g_portal.lib.priority import Priority

_PAST = timedelta(days=14)
_MAX_PAST = 20
_MAX_OPEN = 20
# Proxies may serve one copy to everybody for so long.
_CACHE_S = 10
# Whatever would be injected, a browser would neither run, load nor send it.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_SENTENCES: dict[Status, Any] = {
    Status.UP: gettext_lazy("All systems operational"),
    Status.MAINTENANCE: gettext_lazy("Planned maintenance is under way"),
    Status.UNKNOWN: gettext_lazy("We are checking the state of our services"),
    Status.PAUSED: gettext_lazy("We are checking the state of our services"),
    Status.PENDING: gettext_lazy("We are checking the state of our services"),
}
WORDS: dict[Status, Any] = {
    Status.UP: gettext_lazy("Operational"),
    Status.DEGRADED: gettext_lazy("Limited"),
    Status.DOWN: gettext_lazy("Not available"),
    Status.MAINTENANCE: gettext_lazy("Maintenance"),
    Status.UNKNOWN: gettext_lazy("No data"),
    Status.PAUSED: gettext_lazy("No data"),
    Status.PENDING: gettext_lazy("No data"),
}


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """An incident without internals."""

    service_name: str
    # "Not available" or "Limited".
    effect: str
    # What we do about it, or how it ended.
    state: str
    started_at: datetime
    ended_at: datetime | None
    is_outage: bool

    @property
    def length(self) -> timedelta | None:
        """How long it lasted; None while it lasts."""
        return self.ended_at - self.started_at if self.ended_at else None


@dataclass(frozen=True, slots=True)
class PublicService:
    """A service as its users see it."""

    health: ServiceHealth
    word: str


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Everything on the page."""

    now: datetime
    status: Status
    sentence: str
    services: list[PublicService]
    current: list[PublicIncident]
    past: list[PublicIncident]


def status_page(*, now: datetime) -> StatusPage:
    """Return the page as of `now`; always the same number of queries."""
    services = list(
        Service.objects.filter(is_public=True, monitors__counts_for_service=True)
        .distinct()
        .order_by("position", "name")
    )
    health = service_health(
        services=services,
        monitors=glances(
            monitors=Monitor.objects.filter(service__is_public=True), now=now
        ),
        now=now,
    )
    incidents = Incident.objects.filter(
        service__is_public=True, is_public=True
    ).exclude(
        # Read tomorrow by us, of no effect on users; unless a person says so.
        priority=Priority.P3,
        is_publicity_pinned=False,
    )
    current = incidents.open().select_related("service").order_by("-started_at")
    past = (
        incidents.filter(resolved_at__gte=now - _PAST)
        .select_related("service")
        .order_by("-started_at")
    )
    status = worst_of([line.status for line in health])
    return StatusPage(
        now=now,
        status=status,
        sentence=_sentence(status, health),
        services=[
            PublicService(health=line, word=str(WORDS[line.status])) for line in health
        ],
        current=[_public(incident) for incident in current[:_MAX_OPEN]],
        past=[_public(incident) for incident in past[:_MAX_PAST]],
    )


def _sentence(status: Status, health: Sequence[ServiceHealth]) -> str:
    if not health:
        return _("No services are shown here yet")
    if status in _SENTENCES:
        return str(_SENTENCES[status])
    names = [line.service.name for line in health if line.status == status]
    if len(names) > 1:
        return _("%(count)d services are affected") % {"count": len(names)}
    if status == Status.DOWN:
        return _("%(name)s is not available") % {"name": names[0]}
    return _("%(name)s is limited") % {"name": names[0]}


def _public(incident: Incident) -> PublicIncident:
    is_outage = incident.priority == Priority.P0
    if incident.resolved_at is not None:
        state = _("Resolved")
    elif incident.status == Incident.Status.ACKNOWLEDGED:
        state = _("We are working on it")
    else:
        state = _("We have noticed it")
    return PublicIncident(
        service_name=incident.service.name,
        effect=str(WORDS[Status.DOWN if is_outage else Status.DEGRADED]),
        state=state,
        started_at=incident.started_at,
        ended_at=incident.resolved_at,
        is_outage=is_outage,
    )


@require_safe
@conditional_page
def show(request: HttpRequest) -> HttpResponse:
    """The public page."""
    context = {
        "page": status_page(now=timezone.now()),
        "portal_name": settings.PORTAL_NAME,
    }
    response = render(request, "status/page.html", context)
    response["Content-Security-Policy"] = _POLICY
    response["Cache-Control"] = f"public, max-age={_CACHE_S}"
    return response


urlpatterns = [path("", show, name="status")]
