"""One row of everything that has a page, for whoever walks all the pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from auditlog.models import LogEntry
from django.contrib.auth.models import Group
from django.db.models import Model

from checklists.models import (
    AnchoredHead,
    AuditAnchor,
    AuditCheck,
    ChecklistRun,
    ChecklistTemplate,
    Evidence,
    GateDecision,
    Reminder,
    SignOff,
    TemplateItem,
    TemplateSection,
    TemplateVersion,
    Waiver,
)
from incidents import deploy_windows
from incidents.models import (
    ActionItem,
    Alert,
    AuditFinding,
    EscalationPolicy,
    Handover,
    Incident,
    IncidentEvent,
    IncidentRole,
    OnCallRecord,
    Postmortem,
    PriorityRule,
    ReachExpectation,
    Service,
    ServicePolicy,
    SwapRequest,
    Team,
)
from incidents.oncall import recording
from kpis.models import (
    Backfill,
    DataSource,
    DigestDelivery,
    DigestPlan,
    Kpi,
    KpiNote,
    KpiPoint,
    KpiRun,
    KpiTarget,
    KpiVersion,
)
from monitors.drills import running
from monitors.models import (
    ControlTarget,
    DrillPlan,
    HeartbeatPing,
    LocationState,
    MaintenanceWindow,
    MonitorState,
    ResultDetail,
    Series,
    StatusInterval,
    Threshold,
    ThresholdState,
)
from notifications.models import Address, Attempt, Contact, Notification, Provider
from t4g_portal.lib.api.issuing import issue
from t4g_portal.lib.audit import Actor, append
from t4g_portal.lib.models import LoopCycle
from telemetry.services import record_deployment
from tests.factories import (
    make_channel,
    make_contact,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import make_held, make_incident
from tests.incidents.oncall.making import (
    make_absence,
    make_override,
    make_rotation,
    make_schedule,
)

World = dict[type[Model], Model]


def make_world(*, now: datetime) -> World:
    """Make one row of each model that has a page; return them by model."""
    user = make_user(username="somebody", last_name="Else")
    channel = make_channel(name="Ops by mail")
    make_priority_rules(channel)
    incident = make_incident(now=now)
    monitor = make_monitor(service=incident.service)
    contact = make_contact(name="Ana")
    address = Address.objects.create(
        contact=contact, kind="email", value="ana@example.org"
    )
    notification = Notification.objects.first()
    assert notification is not None
    Attempt.objects.create(
        notification=notification, started_at=now, duration_ms=3, outcome="sent"
    )
    MonitorState.objects.update_or_create(
        monitor=monitor,
        defaults={"status": "up", "since": now, "confirmed_since": now},
    )
    threshold = Threshold.objects.create(name="Down", measure="down")
    key, _text = issue(owner=user, name="CI", scopes=["monitors:read"], expires_at=None)
    rows: list[Any] = [
        *_on_call(contact, now),
        *_agreed_on(incident, now),
        *_deployed(now),
        *_measured(now),
        *_vouched_for(user, incident.service, now),
        key,
        *_kept_outside(now),
        append(
            action="checklist.signed",
            subject="run:1",
            actor=Actor.user(user),
            details={},
            now=now,
        ),
        LogEntry.objects.log_create(monitor, force_log=True, changes={}, action=1),
        user,
        Group.objects.create(name="Some group"),
        channel,
        Provider.objects.create(name="Twilio", kind="twilio"),
        contact,
        address,
        notification,
        incident,
        incident.service,
        Alert.objects.first(),
        IncidentEvent.objects.first(),
        AuditFinding.objects.create(
            kind="no_next_step", incident=incident, found_at=now, last_seen_at=now
        ),
        PriorityRule.objects.first(),
        EscalationPolicy.objects.first(),
        ServicePolicy.objects.create(
            service=incident.service,
            priority="p1",
            policy=EscalationPolicy.objects.earliest("pk"),
        ),
        Team.objects.create(name="Backend team"),
        ReachExpectation.objects.create(name="P0 pages", service=incident.service),
        monitor,
        ControlTarget.objects.create(host="127.0.0.1", port=9),
        threshold,
        ThresholdState.objects.create(threshold=threshold, monitor=monitor, since=now),
        DrillPlan.objects.create(name="Weekly", monitor=monitor, schedule="0 10 * * 1"),
        running.start(monitor=monitor, priority="p0", now=now, user=user),
        MaintenanceWindow.objects.create(name="Night", starts_at=now, duration_s=60),
        Series.objects.create(name="cpu", source="test", created_at=now),
        StatusInterval.objects.create(monitor=monitor, status="up", started_at=now),
        ResultDetail.objects.create(monitor=monitor, at=now, code=1, message="503"),
        HeartbeatPing.objects.create(monitor=monitor, at=now, kind="success"),
        LocationState.objects.create(name="main", changed_at=now, checked_at=now),
        LoopCycle.objects.create(
            name="monitors.probe", completed_at=now + timedelta(days=1), bound_s=30
        ),
    ]
    return {type(row): row for row in rows}


def _agreed_on(incident: Incident, now: datetime) -> list[Any]:
    return [
        Handover.objects.create(
            incident=incident, asker_name="Ana", asked_name="Bo", asked_at=now
        ),
        IncidentRole.objects.create(
            incident=incident, role="commander", name="Ana", given_at=now
        ),
        Postmortem.objects.create(incident=incident, created_at=now),
        ActionItem.objects.create(
            incident=incident, text="More disk", due_on=now.date(), created_at=now
        ),
    ]


def _deployed(now: datetime) -> list[Any]:
    window = deploy_windows.open_window(
        service=make_service(), minutes=30, reason="Release", now=now
    )
    told = record_deployment(
        service=window.service,
        environment="production",
        git_sha="1f3c2a9",
        state="succeeded",
        external_id="1",
        now=now,
    )
    return [window, make_held(now=now, service=window.service), told.deployment]


def _on_call(contact: Contact, now: datetime) -> list[Any]:
    schedule = make_schedule(name="On call", slug="on-call")
    other = make_contact(name="Bo")
    rotation = make_rotation(schedule, [contact, other])
    recording.record(schedule_ids=[schedule.pk], now=now - timedelta(hours=1))
    recording.record(schedule_ids=[schedule.pk], now=now)
    asked = SwapRequest.objects.create(
        schedule=schedule,
        asker=contact,
        other=other,
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        asked_at=now,
    )
    return [
        schedule,
        rotation,
        rotation.participants.first(),
        make_override(schedule, other, now, 1),
        make_absence(contact, now + timedelta(days=1), 1),
        asked,
        OnCallRecord.objects.first(),
    ]


def _measured(now: datetime) -> list[Any]:
    source = DataSource.objects.create(name="Backend", kind="manual")
    kpi = Kpi.objects.create(slug="members", name="Members", source=source)
    version = KpiVersion.objects.create(
        kpi=kpi, number=1, calculation={}, fingerprint="f", created_at=now
    )
    day = timedelta(days=1)
    plan = DigestPlan.objects.create(name="Morning")
    return [
        source,
        kpi,
        version,
        KpiTarget.objects.create(kpi=kpi, month=now.date().replace(day=1), value=10),
        KpiNote.objects.create(kpi=kpi, at=now, text="Campaign", created_at=now),
        KpiPoint.objects.create(
            kpi=kpi,
            version=version,
            start=now - day,
            end=now,
            value=9,
            computed_at=now,
        ),
        KpiRun.objects.create(
            kpi=kpi, trigger="hand", started_at=now, finished_at=now, outcome="ok"
        ),
        Backfill.objects.create(
            kpi=kpi,
            version=version,
            since=now - day,
            until=now,
            next_start=now - day,
            created_at=now,
        ),
        plan,
        DigestDelivery.objects.create(
            plan=plan, local_date=now.date(), composed_at=now
        ),
    ]


def _kept_outside(now: datetime) -> list[Any]:
    anchor = AuditAnchor.objects.create(name="Head")
    return [
        anchor,
        AnchoredHead.objects.create(
            anchor=anchor,
            anchor_name=anchor.name,
            local_date=now.date(),
            composed_at=now,
            seq=1,
            hash="f" * 64,
            message_count=1,
        ),
        AuditCheck.objects.create(at=now, count=0, seq=0, hash="0" * 64),
    ]


def _vouched_for(user: Any, service: Service, now: datetime) -> list[Any]:
    template = ChecklistTemplate.objects.create(slug="release", name="Release")
    section = TemplateSection.objects.create(
        template=template, key="railway", title="Railway"
    )
    asked = TemplateItem.objects.create(section=section, key="health", title="Health")
    version = TemplateVersion.objects.create(
        template=template,
        number=1,
        content={},
        fingerprint="f",
        status="published",
        proposed_at=now,
        published_at=now,
    )
    run = ChecklistRun.objects.create(
        template_version=version,
        template_slug="release",
        template_name="Release",
        service=service,
        environment="production",
        git_sha="0123abc",
        opened_at=now,
        moved_at=now,
    )
    item = run.items.create(
        section_position=1,
        section_title="Railway",
        key="health",
        title="Health",
        content_hash="f",
    )
    evidence = Evidence.objects.create(
        item=item,
        item_revision=1,
        git_sha=run.git_sha,
        kind="note",
        sha256="f",
        basis_sha256="f",
        captured_at=now,
    )
    waiver = Waiver.objects.create(
        item=item,
        item_revision=1,
        git_sha=run.git_sha,
        reason="No time",
        risk="Blind",
        compensating_control="Somebody watches",
        requested_by=user,
        requested_at=now,
        expires_at=now + timedelta(days=1),
    )
    sign_off = SignOff.objects.create(
        item=item,
        item_revision=1,
        user=user,
        meaning="checked",
        statement={},
        auth_at=now,
        signed_at=now,
    )
    reminder = Reminder.objects.create(run=run, kind="ready", mark="ready:0", at=now)
    decision = GateDecision.objects.create(
        service_slug=service.slug,
        environment="production",
        git_sha=run.git_sha,
        run=run,
        verdict="block",
        decided_at=now,
    )
    return [
        template,
        section,
        asked,
        version,
        run,
        evidence,
        waiver,
        sign_off,
        decision,
        reminder,
    ]
