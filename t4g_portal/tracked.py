"""Which tables have a history: what people configure, and never what the engine owns."""

from __future__ import annotations

from django.contrib.auth.models import Group, User

from checklists.models import (
    AuditAnchor,
    ChecklistTemplate,
    TemplateItem,
    TemplateSection,
)
from incidents.models import (
    Absence,
    EscalationPolicy,
    EscalationStep,
    Override,
    Participant,
    PriorityRule,
    ReachExpectation,
    Rotation,
    Schedule,
    Service,
    ServicePolicy,
    Team,
)
from kpis.models import DataSource, DigestPlan, Kpi, KpiTarget
from monitors.models import (
    Assertion,
    ControlTarget,
    DrillPlan,
    MaintenanceWindow,
    Monitor,
    Threshold,
)
from notifications.models import Address, Channel, Contact, PersonalRule, Provider
from t4g_portal.lib.history import track
from t4g_portal.lib.models import ApiKey


def track_configuration() -> None:
    """Keep the history of every table that people edit."""
    track(Service)
    track(ServicePolicy, part_of="service")
    track(Team)
    track(EscalationPolicy)
    track(EscalationStep, part_of="policy")
    track(PriorityRule)
    track(ReachExpectation)
    track(Schedule)
    track(Rotation)
    track(Participant, part_of="rotation")
    track(Override, left_out={"created_by"})
    track(Absence)
    # Whoever knows the ping key can speak for the monitor.
    track(Monitor, secrets={"ping_key"}, left_out={"revision", "created_at"})
    track(Assertion, part_of="monitor")
    track(Threshold)
    track(MaintenanceWindow)
    track(ControlTarget)
    track(DrillPlan)
    track(Contact)
    track(Address, part_of="contact")
    track(PersonalRule, part_of="contact")
    track(Channel)
    # Whoever knows the token can send reports.
    track(Provider, secrets={"url_token"})
    track(DataSource)
    track(Kpi)
    track(KpiTarget, part_of="kpi")
    track(DigestPlan)
    track(ChecklistTemplate)
    track(TemplateSection, part_of="template")
    track(TemplateItem)
    track(AuditAnchor)
    track(User, secrets={"password"}, left_out={"last_login", "date_joined"})
    track(Group)
    track(ApiKey, secrets={"digest"}, left_out={"created_at"})
