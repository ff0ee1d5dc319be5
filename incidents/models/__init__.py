"""Services, the priority matrix, alerts, incidents and their timeline."""

from __future__ import annotations

from incidents.models.alert import Alert
from incidents.models.incident import Incident, IncidentEvent
from incidents.models.priority import PriorityRule
from incidents.models.service import Service

__all__ = ["Alert", "Incident", "IncidentEvent", "PriorityRule", "Service"]
