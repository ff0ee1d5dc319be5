"""Services, the priority matrix, alerts, incidents, their timeline, and on-call."""

from __future__ import annotations

from incidents.models.alert import Alert
from incidents.models.cover import Absence, Override, SwapRequest
from incidents.models.incident import Incident, IncidentEvent
from incidents.models.oncall import (
    CalendarFeed,
    ImportedShift,
    OnCallRecord,
    ScheduleState,
)
from incidents.models.priority import PriorityRule
from incidents.models.schedule import Participant, Rotation, Schedule
from incidents.models.service import Service

__all__ = [
    "Absence",
    "Alert",
    "CalendarFeed",
    "ImportedShift",
    "Incident",
    "IncidentEvent",
    "OnCallRecord",
    "Override",
    "Participant",
    "PriorityRule",
    "Rotation",
    "Schedule",
    "ScheduleState",
    "Service",
    "SwapRequest",
]
