"""What has to hold for a release, one release's copy of it, and who vouches for what."""

from __future__ import annotations

from checklists.models.anchor import AnchoredHead, AuditAnchor, AuditCheck
from checklists.models.evidence import Evidence
from checklists.models.gate import GateDecision
from checklists.models.reminder import Reminder
from checklists.models.run import ChecklistRun, RunItem
from checklists.models.signing import SignOff, Waiver
from checklists.models.template import (
    ChecklistTemplate,
    TemplateItem,
    TemplateSection,
    TemplateVersion,
)

__all__ = [
    "AnchoredHead",
    "AuditAnchor",
    "AuditCheck",
    "ChecklistRun",
    "ChecklistTemplate",
    "Evidence",
    "GateDecision",
    "Reminder",
    "RunItem",
    "SignOff",
    "TemplateItem",
    "TemplateSection",
    "TemplateVersion",
    "Waiver",
]
