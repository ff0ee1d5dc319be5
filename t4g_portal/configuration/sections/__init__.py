"""Every section of the file. One module an app; a new one is added to this list.

A section stands after those that its rows refer to.
"""

from __future__ import annotations

from t4g_portal.configuration.sections.checklists import (
    AUDIT_ANCHORS,
    CHECKLIST_SECTIONS,
    CHECKLIST_TEMPLATES,
)
from t4g_portal.configuration.sections.incidents import (
    ESCALATION_POLICIES,
    EXPECTATIONS,
    PRIORITY_RULES,
    SERVICE_POLICIES,
    SERVICES,
    TEAMS,
)
from t4g_portal.configuration.sections.kpis import DATA_SOURCES, DIGEST_PLANS, KPIS
from t4g_portal.configuration.sections.monitors import (
    CONTROL_TARGETS,
    DRILL_PLANS,
    MAINTENANCE_WINDOWS,
    MONITORS,
    THRESHOLDS,
)
from t4g_portal.configuration.sections.notifications import (
    CHANNELS,
    CONTACTS,
    PROVIDERS,
)
from t4g_portal.configuration.sections.on_call import (
    ABSENCES,
    OVERRIDES,
    ROTATIONS,
    SCHEDULES,
)

SECTIONS = (
    SERVICES,
    CONTACTS,
    PROVIDERS,
    CHANNELS,
    SCHEDULES,
    ROTATIONS,
    OVERRIDES,
    ABSENCES,
    TEAMS,
    ESCALATION_POLICIES,
    PRIORITY_RULES,
    SERVICE_POLICIES,
    EXPECTATIONS,
    CONTROL_TARGETS,
    MONITORS,
    THRESHOLDS,
    MAINTENANCE_WINDOWS,
    DRILL_PLANS,
    DATA_SOURCES,
    KPIS,
    DIGEST_PLANS,
    CHECKLIST_TEMPLATES,
    CHECKLIST_SECTIONS,
    AUDIT_ANCHORS,
)
