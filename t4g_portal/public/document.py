"""The status page as JSON: stable names, times in UTC, shares between 0 and 1."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from monitors.status import Status
from monitors.uptime import DayUptime, Uptime
from t4g_portal.public.incidents import PublicIncident
from t4g_portal.public.status import PublicMaintenance, PublicService, StatusPage

# Before the first result and while paused, nobody knows.
_UNTOLD = {Status.PENDING, Status.PAUSED}


def as_document(*, page: StatusPage) -> dict[str, Any]:
    """Return the whole page."""
    return {
        "page": {
            "name": settings.PORTAL_NAME,
            "url": settings.PORTAL_URL + reverse("status"),
            "as_of": _moment(page.as_of),
        },
        "status": _status(page.status),
        "sentence": page.sentence,
        "services": [_service(line) for line in page.services],
        "incidents": [_incident(incident) for incident in page.current],
        "maintenance": [_maintenance(window) for window in page.planned],
        "past_incidents": [_incident(incident) for incident in page.past],
    }


def _service(line: PublicService) -> dict[str, Any]:
    health = line.health
    return {
        "slug": health.service.slug,
        "name": health.service.name,
        "status": _status(health.status),
        "word": line.word,
        "since": _moment(health.since),
        "uptime": _uptime(health.uptime),
        "days": [_day(day) for day in health.days],
    }


def _day(day: DayUptime) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "worst": day.uptime.worst,
        **_uptime(day.uptime),
    }


def _uptime(uptime: Uptime) -> dict[str, Any]:
    return {"ratio": _floored(uptime.ratio), "coverage": _floored(uptime.coverage)}


def _incident(incident: PublicIncident) -> dict[str, Any]:
    return {
        "number": incident.number,
        "service": incident.service_slug,
        "status": _status(incident.status),
        "effect": incident.effect,
        "state": incident.state,
        "message": incident.message,
        "message_at": _moment(incident.message_at),
        "started_at": _moment(incident.started_at),
        "ended_at": _moment(incident.ended_at),
        "updated_at": _moment(incident.updated_at),
    }


def _maintenance(window: PublicMaintenance) -> dict[str, Any]:
    return {
        "services": window.service_names,
        "starts_at": _moment(window.started_at),
        "ends_at": _moment(window.ends_at),
        "is_open": window.is_open,
        "note": window.note,
    }


def _status(status: Status) -> str:
    return str(Status.UNKNOWN if status in _UNTOLD else status)


def _floored(ratio: float | None) -> float | None:
    """Never claim more than was reached (design §5.1)."""
    return None if ratio is None else math.floor(ratio * 1_000_000) / 1_000_000


def _moment(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
