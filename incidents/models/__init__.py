"""Services, policies, alerts, incidents, windows, what people agree on, and on-call."""

from __future__ import annotations

from incidents.models.alert import Alert
from incidents.models.audit import AuditFinding
from incidents.models.cover import Absence, Override, SwapRequest
from incidents.models.deploy_window import DeployWindow, HeldAlert
from incidents.models.expectation import ReachExpectation, ReachExpectationState
from incidents.models.followup import ActionItem, Postmortem
from incidents.models.incident import Incident, IncidentEvent
from incidents.models.oncall import (
    CalendarFeed,
    ImportedShift,
    OnCallRecord,
    ScheduleState,
)
from incidents.models.policy import (
    EscalationPolicy,
    EscalationStep,
    ServicePolicy,
    Team,
)
from incidents.models.priority import PriorityRule
from incidents.models.published import PublishedShift
from incidents.models.schedule import Participant, Rotation, Schedule
from incidents.models.service import Service
from incidents.models.together import Handover, IncidentRole

__all__ = [
    "Absence",
    "ActionItem",
    "Alert",
    "AuditFinding",
    "CalendarFeed",
    "DeployWindow",
    "EscalationPolicy",
    "EscalationStep",
    "Handover",
    "HeldAlert",
    "ImportedShift",
    "Incident",
    "IncidentEvent",
    "IncidentRole",
    "OnCallRecord",
    "Override",
    "Participant",
    "Postmortem",
    "PriorityRule",
    "PublishedShift",
    "ReachExpectation",
    "ReachExpectationState",
    "Rotation",
    "Schedule",
    "ScheduleState",
    "Service",
    "ServicePolicy",
    "SwapRequest",
    "Team",
]
