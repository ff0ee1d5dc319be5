"""What every address asks for. A new address gets its line in `DECLARED`.

`page("app.codename …")` answers GET to whoever has all these permissions, `act` answers
POST, `form` both. The admin's own addresses of a model need no line: `_of_model` says
what they ask for. What a button of the admin asks for stands in `ACTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from checklists.models import ChecklistRun, ChecklistTemplate, Evidence, GateDecision
from incidents.models import (
    Absence,
    ActionItem,
    DeployWindow,
    EscalationPolicy,
    Incident,
    Override,
    PriorityRule,
    ReachExpectation,
    Rotation,
    Schedule,
    Service,
    ServicePolicy,
    SwapRequest,
    Team,
)
from kpis.models import DataSource, DigestPlan, Kpi, KpiRun
from monitors.models import (
    Drill,
    DrillPlan,
    MaintenanceWindow,
    Monitor,
    Series,
    Threshold,
)
from notifications.models import (
    Address,
    Channel,
    Contact,
    Notification,
    Provider,
)
from t4g_portal.lib.audit.models import AuditEntry
from telemetry.models import Deployment
from tests.access.world import World

# Everybody, signed in or not.
ANYBODY = "anybody"
# Whoever is signed in.
MEMBER = "member"
# A program that proves itself by a signature; no person does.
PROVEN = "a proven program"
# Nobody at all, because it isn't offered.
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Asks:
    """What an address asks for: permissions, or one of the words above."""

    get: str
    post: str
    # The API's other methods.
    patch: str = ""
    delete: str = ""
    # The row that the address is about.
    on: type[Model] | None = None
    # The rest of what the address is made of.
    parts: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    # Whom it refuses is told that there is no such page.
    is_hidden: bool = False
    # Whom it lets in may be told that there is nothing.
    may_be_missing: bool = False


def page(needs: str, **rest: Any) -> Asks:
    return Asks(get=needs, post=NOBODY, **rest)


def act(needs: str, **rest: Any) -> Asks:
    return Asks(get=NOBODY, post=needs, **rest)


def form(needs: str, **rest: Any) -> Asks:
    return Asks(get=needs, post=needs, **rest)


def api(get: str, post: str = NOBODY, **rest: Any) -> Asks:
    return Asks(get=get, post=post, **rest)


def _api_of(model: type[Model], base: str) -> dict[str, Asks]:
    """A resource of the API with the usual methods."""
    view, add, change, delete = (
        _codename(model, verb) for verb in ("view", "add", "change", "delete")
    )
    return {
        f"api/v1/{base}/": api(view, add),
        f"api/v1/{base}/<number:id>/": api(view, patch=change, delete=delete, on=model),
    }


def _codename(model: type[Model], verb: str) -> str:
    return f"{model._meta.app_label}.{verb}_{model._meta.model_name}"


FIRST_STEPS = (
    "incidents.add_service incidents.change_priorityrule monitors.add_monitor"
    " notifications.add_channel notifications.change_channel"
)

_RUN = "checklists.view_checklistrun"
# An item of the run of `World`; of what is under it, there may be none.
_ITEM = {"key": "health", "sign_off": "1", "evidence_id": "1", "waiver": "1"}

_TAKE = "incidents.view_schedule incidents.take_shift"

_GATE = api(
    "checklists.view_checklistrun",
    parts={"service": "nothing", "environment": "production"},
)
_CHECKLISTS: dict[str, Asks] = {
    "api/v1/checklist-templates/": api("checklists.view_checklisttemplate"),
    "api/v1/checklist-templates/<number:id>/": api(
        "checklists.view_checklisttemplate", on=ChecklistTemplate
    ),
    "api/v1/checklist-templates/<number:id>/versions/": api(
        "checklists.view_templateversion", on=ChecklistTemplate
    ),
    "api/v1/checklist-runs/": api(
        "checklists.view_checklistrun", "checklists.add_checklistrun"
    ),
    "api/v1/checklist-runs/<number:id>/": api(
        "checklists.view_checklistrun", on=ChecklistRun
    ),
    **{
        f"api/v1/checklist-runs/<number:id>/{name}/": act(
            "checklists.change_checklistrun", on=ChecklistRun
        )
        for name in ("move", "close", "cancel")
    },
    "api/v1/checklist-runs/<number:id>/bundle/": api(
        "checklists.view_checklistrun", on=ChecklistRun
    ),
    "api/v1/checklist-runs/<number:id>/items/<slug:key>/evidence/": api(
        "checklists.view_evidence",
        "checklists.add_evidence",
        on=ChecklistRun,
        parts={"key": "health"},
    ),
    "api/v1/checklist-runs/<number:id>/items/<slug:key>/verify/": act(
        "checklists.add_evidence", on=ChecklistRun, parts={"key": "health"}
    ),
    "api/v1/checklist-evidence/": api("checklists.view_evidence"),
    "api/v1/checklist-evidence/<number:id>/": api(
        "checklists.view_evidence", on=Evidence
    ),
    "api/v1/checklist-evidence/<number:id>/withdraw/": act(
        "checklists.change_evidence", on=Evidence
    ),
    "api/v1/gates/<slug:service>/<slug:environment>/": _GATE,
    "api/v1/gates/<slug:service>/<slug:environment>": _GATE,
    "api/v1/gate-decisions/": api("checklists.view_gatedecision"),
    "api/v1/gate-decisions/<number:id>/": api(
        "checklists.view_gatedecision", on=GateDecision
    ),
    "api/v1/audit-entries/": api("cellar.view_auditentry"),
    "api/v1/audit-entries/<number:id>/": api("cellar.view_auditentry", on=AuditEntry),
}

DECLARED: dict[str, Asks] = {
    # Pages
    "": page("incidents.view_incident monitors.view_monitor"),
    "monitors/": page("monitors.view_monitor"),
    "monitors/bulk/": act("monitors.change_monitor"),
    "monitors/<int:pk>/": page("monitors.view_monitor", on=Monitor),
    "monitors/<int:pk>/probe/": form("monitors.probe_now", on=Monitor),
    "kpis/": page("kpis.view_kpi"),
    "kpis/wall/": page("kpis.view_kpi"),
    "kpis/<slug:slug>/": page("kpis.view_kpi", parts={"slug": "members"}),
    "kpis/<slug:slug>/note/": act(
        "kpis.view_kpi kpis.add_kpinote", parts={"slug": "members"}
    ),
    "kpis/<slug:slug>/run/": act(
        "kpis.view_kpi kpis.run_kpi", parts={"slug": "members"}
    ),
    "kpis/<slug:slug>/value/": act(
        "kpis.view_kpi kpis.enter_value", parts={"slug": "members"}
    ),
    "kpis/<slug:slug>/export.<str:form>": page(
        "kpis.view_kpi", parts={"slug": "members", "form": "csv"}
    ),
    "checklists/": page(_RUN),
    "checklists/new/": form(f"{_RUN} checklists.add_checklistrun"),
    "checklists/mine/": page(_RUN),
    "checklists/<int:pk>/": page(_RUN, on=ChecklistRun),
    "checklists/<int:pk>/print/": page(_RUN, on=ChecklistRun),
    "checklists/<int:pk>/window/": act(
        f"{_RUN} checklists.open_deploy_window", on=ChecklistRun
    ),
    "checklists/<int:pk>/bundle.json": page(_RUN, on=ChecklistRun),
    **{
        f"checklists/<int:pk>/{name}/": act(
            f"{_RUN} checklists.change_checklistrun", on=ChecklistRun
        )
        for name in ("close", "cancel", "commit")
    },
    "checklists/<int:pk>/items/<slug:key>/": page(_RUN, on=ChecklistRun, parts=_ITEM),
    "checklists/<int:pk>/items/<slug:key>/evidence/<int:evidence_id>/file/": page(
        _RUN, on=ChecklistRun, parts=_ITEM, may_be_missing=True
    ),
    **{
        f"checklists/<int:pk>/items/<slug:key>/{rest}/": act(
            f"{_RUN} checklists.{needs}", on=ChecklistRun, parts=_ITEM
        )
        for rest, needs in {
            "sign": "sign",
            "signatures/<int:sign_off>/revoke": "sign",
            "verify": "add_evidence",
            "evidence/link": "add_evidence",
            "evidence/note": "add_evidence",
            "evidence/file": "add_evidence",
            "evidence/<int:evidence_id>/withdraw": "change_evidence",
            "waivers": "waive",
            "waivers/<int:waiver>/approve": "waive",
            "waivers/<int:waiver>/refuse": "waive",
            "waivers/<int:waiver>/end": "waive",
            "reopen": "change_checklistrun",
            "owner": "change_checklistrun",
        }.items()
    },
    "incidents/": page("incidents.view_incident"),
    "incidents/numbers/": page("incidents.view_incident"),
    "incidents/numbers/<str:name>.csv": page(
        "incidents.view_incident", parts={"name": "incidents"}
    ),
    "incidents/<int:pk>/": page("incidents.view_incident", on=Incident),
    **{
        f"incidents/<int:pk>/{name}/": act("incidents.change_incident", on=Incident)
        for name in (
            "acknowledge",
            "escalate",
            "unacknowledge",
            "resolve",
            "note",
            "snooze",
            "priority",
            "public",
            "hand-over",
            "hand-over/accept",
            "hand-over/decline",
            "hand-over/withdraw",
            "role",
            "merge",
        )
    },
    "on-call/": page("incidents.view_schedule"),
    "on-call/hours.csv": page("incidents.view_schedule"),
    "on-call/change/": form(_TAKE),
    # Only somebody with a contact has shifts to swap, and a feed.
    "on-call/swap/": form(_TAKE, may_be_missing=True),
    **{
        f"on-call/swap/<int:pk>/{name}/": act(
            _TAKE, on=SwapRequest, may_be_missing=True
        )
        for name in ("accept", "decline", "withdraw")
    },
    "on-call/absence/": form(_TAKE),
    # One's own needs less: see tests/incidents/oncall/test_pages.py.
    "on-call/absence/<int:pk>/remove/": act(
        f"{_TAKE} incidents.delete_absence", on=Absence
    ),
    "on-call/override/<int:pk>/remove/": act(
        f"{_TAKE} incidents.delete_override", on=Override
    ),
    "on-call/feed/": act("incidents.view_schedule", may_be_missing=True),
    "feeds/on-call/<str:token>.ics": page(
        ANYBODY, parts={"token": "t"}, may_be_missing=True
    ),
    # One's own; other people's addresses are not there.
    "me/": page(MEMBER),
    **{f"me/{name}/": act(MEMBER) for name in ("details", "rules", "addresses")},
    **{
        f"me/addresses/<int:pk>/{name}/": act(MEMBER, on=Address, may_be_missing=True)
        for name in ("send-code", "verify", "test", "switch", "remove")
    },
    "incidents/follow-up/": page("incidents.view_incident incidents.view_postmortem"),
    "incidents/<int:pk>/postmortem/": page(
        "incidents.view_incident incidents.view_postmortem", on=Incident
    ),
    "incidents/<int:pk>/postmortem/edit/": form(
        "incidents.view_incident incidents.change_postmortem", on=Incident
    ),
    **{
        f"incidents/<int:pk>/postmortem/{name}/": act(
            "incidents.change_postmortem", on=Incident
        )
        for name in ("finish", "reopen", "waive", "owner")
    },
    "incidents/<int:pk>/actions/": act("incidents.add_actionitem", on=Incident),
    "incidents/actions/<int:pk>/": Asks(
        get="incidents.view_incident incidents.view_actionitem",
        post="incidents.view_incident incidents.view_actionitem"
        " incidents.change_actionitem",
        on=ActionItem,
    ),
    "deployments/": page("telemetry.view_deployment"),
    "deployments/<int:pk>/": page("telemetry.view_deployment", on=Deployment),
    "incidents/deploy-windows/<int:pk>/": page(
        "incidents.view_deploywindow", on=DeployWindow
    ),
    "incidents/deploy-windows/<int:pk>/close/": act(
        "incidents.change_deploywindow", on=DeployWindow
    ),
    "incidents/actions/<int:pk>/set/": act(
        "incidents.change_actionitem", on=ActionItem
    ),
    "simulator/": page("incidents.view_escalationpolicy"),
    "simulator/keep/": act(
        "incidents.view_escalationpolicy incidents.add_reachexpectation"
    ),
    "simulator/why/": page("monitors.view_monitor incidents.view_incident"),
    "drills/": page("monitors.view_drill"),
    "drills/start/": act("monitors.run_drill"),
    "drills/<int:pk>/": page("monitors.view_drill", on=Drill),
    "drills/<int:pk>/stop/": act("monitors.run_drill", on=Drill),
    "drills/<int:pk>/sign/": act("monitors.change_drill", on=Drill),
    # The API
    "api/v1/schema/": page(MEMBER),
    "api/docs/": page(MEMBER),
    "api/^(?P<path>.*)$": form(NOBODY, parts={"path": "nothing"}, is_hidden=True),
    **_api_of(Service, "services"),
    **_api_of(Monitor, "monitors"),
    **{
        f"api/v1/monitors/<number:id>/{name}/": act(
            "monitors.change_monitor", on=Monitor
        )
        for name in ("pause", "resume")
    },
    "api/v1/monitors/<number:id>/probe/": act("monitors.probe_now", on=Monitor),
    "api/v1/monitors/<number:id>/ping-address/": api(
        "monitors.change_monitor", on=Monitor
    ),
    **{
        f"api/v1/monitors/<number:id>/{name}/": api("monitors.view_monitor", on=Monitor)
        for name in ("uptime", "results", "intervals")
    },
    "api/v1/monitors/<number:id>/why/": api(
        "monitors.view_monitor incidents.view_incident", on=Monitor
    ),
    **_api_of(Threshold, "thresholds"),
    **_api_of(MaintenanceWindow, "maintenance-windows"),
    "api/v1/maintenance-windows/<number:id>/occurrences/": api(
        "monitors.view_maintenancewindow", on=MaintenanceWindow
    ),
    "api/v1/drills/": api("monitors.view_drill", "monitors.run_drill"),
    "api/v1/drills/<number:id>/": api("monitors.view_drill", on=Drill),
    "api/v1/drills/<number:id>/report/": api("monitors.view_drill", on=Drill),
    "api/v1/drills/<number:id>/stop/": act("monitors.run_drill", on=Drill),
    "api/v1/drills/<number:id>/sign/": act("monitors.change_drill", on=Drill),
    **_api_of(DrillPlan, "drill-plans"),
    "api/v1/series/samples/": act("monitors.add_series"),
    "api/v1/series/": api("monitors.view_series"),
    "api/v1/series/<number:id>/": api("monitors.view_series", on=Series),
    "api/v1/series/<number:id>/samples/": api("monitors.view_series", on=Series),
    "api/v1/incidents/": api("incidents.view_incident"),
    "api/v1/incidents/<number:id>/": api("incidents.view_incident", on=Incident),
    **{
        f"api/v1/incidents/<number:id>/{name}/": act(
            "incidents.change_incident", on=Incident
        )
        for name in (
            "acknowledge",
            "unacknowledge",
            "escalate",
            "resolve",
            "snooze",
            "priority",
            "public",
        )
    },
    **{
        f"api/v1/incidents/<number:id>/{name}/": act(
            "incidents.change_incident", on=Incident
        )
        for name in (
            "hand-over",
            "hand-over/accept",
            "hand-over/decline",
            "hand-over/withdraw",
            "merge",
            "role",
        )
    },
    "api/v1/incidents/<number:id>/roles/": api("incidents.view_incident", on=Incident),
    "api/v1/incidents/<number:id>/postmortem/": api(
        "incidents.view_postmortem", patch="incidents.change_postmortem", on=Incident
    ),
    **{
        f"api/v1/incidents/<number:id>/postmortem/{name}/": act(
            "incidents.change_postmortem", on=Incident
        )
        for name in ("owner", "finish", "waive", "reopen")
    },
    "api/v1/incidents/<number:id>/action-items/": act(
        "incidents.add_actionitem", on=Incident
    ),
    "api/v1/action-items/": api("incidents.view_actionitem"),
    "api/v1/action-items/<number:id>/": api(
        "incidents.view_actionitem", patch="incidents.change_actionitem", on=ActionItem
    ),
    "api/v1/incidents/<number:id>/timeline/": api(
        "incidents.view_incident", "incidents.change_incident", on=Incident
    ),
    "api/v1/incidents/<number:id>/alerts/": api("incidents.view_alert", on=Incident),
    "api/v1/deploy-windows/": api(
        "incidents.view_deploywindow", "incidents.add_deploywindow"
    ),
    "api/v1/deploy-windows/<number:id>/": api(
        "incidents.view_deploywindow", on=DeployWindow
    ),
    "api/v1/deploy-windows/<number:id>/close/": act(
        "incidents.change_deploywindow", on=DeployWindow
    ),
    "api/v1/deploy-windows/<number:id>/held-alerts/": api(
        "incidents.view_heldalert", on=DeployWindow
    ),
    "api/v1/deployments/": api("telemetry.view_deployment", "telemetry.add_deployment"),
    "api/v1/deployments/<number:id>/": api("telemetry.view_deployment", on=Deployment),
    "api/v1/numbers/": api("incidents.view_incident"),
    "api/metrics/business": api("kpis.view_kpi"),
    "api/v1/simulator/": api("incidents.view_escalationpolicy"),
    **_api_of(EscalationPolicy, "escalation-policies"),
    **_api_of(ReachExpectation, "expectations"),
    **_api_of(Team, "teams"),
    "api/v1/service-policies/": api(
        "incidents.view_servicepolicy", "incidents.add_servicepolicy"
    ),
    "api/v1/service-policies/<number:id>/": api(
        "incidents.view_servicepolicy",
        delete="incidents.delete_servicepolicy",
        on=ServicePolicy,
    ),
    **_api_of(Schedule, "schedules"),
    **{
        f"api/v1/schedules/<number:id>/{name}/": api(
            "incidents.view_schedule", on=Schedule
        )
        for name in ("shifts", "warnings")
    },
    "api/v1/schedules/<number:id>/take/": act("incidents.take_shift", on=Schedule),
    "api/v1/on-call/": api("incidents.view_schedule"),
    **_api_of(Rotation, "rotations"),
    **{
        route: replace(asks, patch="")
        for model, base in ((Override, "overrides"), (Absence, "absences"))
        for route, asks in _api_of(model, base).items()
    },
    "api/v1/swap-requests/": api("incidents.view_swaprequest", "incidents.take_shift"),
    "api/v1/swap-requests/<number:id>/": api(
        "incidents.view_swaprequest", on=SwapRequest
    ),
    **{
        f"api/v1/swap-requests/<number:id>/{name}/": act(
            "incidents.take_shift", on=SwapRequest
        )
        for name in ("accept", "decline", "withdraw")
    },
    "api/v1/priority-rules/": api("incidents.view_priorityrule"),
    "api/v1/priority-rules/<number:id>/": api(
        "incidents.view_priorityrule", on=PriorityRule
    ),
    **_api_of(Kpi, "kpis"),
    "api/v1/kpis/<number:id>/run/": act("kpis.run_kpi", on=Kpi),
    "api/v1/kpis/<number:id>/backfill/": act("kpis.backfill_kpi", on=Kpi),
    "api/v1/kpis/<number:id>/points/": api("kpis.view_kpi", "kpis.enter_value", on=Kpi),
    "api/v1/kpi-runs/": api("kpis.view_kpirun"),
    "api/v1/kpi-runs/<number:id>/": api("kpis.view_kpirun", on=KpiRun),
    **_CHECKLISTS,
    "api/v1/data-sources/": api("kpis.view_datasource"),
    "api/v1/data-sources/<number:id>/": api("kpis.view_datasource", on=DataSource),
    **_api_of(Contact, "contacts"),
    **_api_of(Channel, "channels"),
    **_api_of(Provider, "providers"),
    "first-steps/": page(FIRST_STEPS),
    **{f"first-steps/{name}/": act(FIRST_STEPS) for name in ("watch", "tell", "end")},
    # Anybody's
    # Programs, which prove themselves.
    **{
        route: act(PROVEN)
        for route in ("hooks/slack/actions", "hooks/twilio/sms", "hooks/twilio/voice")
    },
    "a/<str:token>": form(ANYBODY, parts={"token": "t"}, may_be_missing=True),
    "ping/<str:ping_key>": form(ANYBODY, parts={"ping_key": "k"}, may_be_missing=True),
    "ping/<str:ping_key>/": form(ANYBODY, parts={"ping_key": "k"}, may_be_missing=True),
    "ping/<str:ping_key>/<str:action>": form(
        ANYBODY, parts={"ping_key": "k", "action": "start"}, may_be_missing=True
    ),
    **{
        route: page(ANYBODY)
        for route in ("status/", "status/history/", "status.json", "status.atom")
    },
    "badges/<slug:slug>.<str:kind>": page(
        ANYBODY, parts={"slug": "s", "kind": "svg"}, may_be_missing=True
    ),
    "badges/<slug:slug>/<str:window>.<str:kind>": page(
        ANYBODY,
        parts={"slug": "s", "window": "90d", "kind": "svg"},
        may_be_missing=True,
    ),
    "hooks/twilio/status": act(PROVEN),
    "hooks/ovh/<str:token>": form(PROVEN, parts={"token": "t"}),
    "health": page(ANYBODY),
    "ready": page(ANYBODY),
    "csp-report": act(ANYBODY),
    "i18n/setlang/": form(ANYBODY),
    # The admin's
    "admin/": form(MEMBER),
    "admin/login/": form(ANYBODY),
    "admin/logout/": act(MEMBER),
    "admin/password_change/": form(MEMBER),
    "admin/password_change/done/": page(MEMBER),
    "admin/search/": form(MEMBER),
    "admin/jsi18n/": page(MEMBER),
    "admin/autocomplete/": page(
        "monitors.view_monitor",
        query="app_label=monitors&model_name=threshold&field_name=monitor",
    ),
    "admin/r/<path:content_type_id>/<path:object_id>/": form(
        NOBODY, parts={"content_type_id": "1", "object_id": "1"}, is_hidden=True
    ),
    "admin/^(?P<app_label>…)/$": form(
        "auth.view_user", parts={"app_label": "auth"}, is_hidden=True
    ),
    "admin/(?P<url>.*)$": form(NOBODY, parts={"url": "nothing/"}, is_hidden=True),
    "admin/auth/user/<id>/password/": form("auth.change_user", on=User),
    "admin/monitors/monitor/<path:object_id>/probe/": form(
        "monitors.view_monitor monitors.probe_now", on=Monitor
    ),
    **{
        f"admin/{model._meta.app_label}/{model._meta.model_name}/<path:object_id>/clone/": form(
            _codename(model, "add"), on=model
        )
        for model in (
            Channel,
            DigestPlan,
            MaintenanceWindow,
            Monitor,
            Provider,
            Threshold,
        )
    },
    "admin/incidents/schedule/<path:object_id>/add-rotation/": form(
        "incidents.view_schedule incidents.add_rotation", on=Schedule
    ),
    **{
        f"admin/incidents/schedule/<path:object_id>/{name}/": form(
            "incidents.change_schedule", on=Schedule
        )
        for name in ("import", "adopt")
    },
    "admin/monitors/threshold/try/": act("monitors.add_threshold"),
    "admin/notifications/channel/<path:object_id>/test/": form(
        "notifications.change_channel", on=Channel
    ),
    **{
        f"admin/notifications/provider/<path:object_id>/{name}/": form(
            "notifications.change_provider", on=Provider
        )
        for name in ("test", "renew")
    },
    "admin/kpis/datasource/<path:object_id>/check/": form(
        "kpis.change_datasource", on=DataSource
    ),
    "admin/notifications/contact/<path:object_id>/addresses/": form(
        "notifications.change_address notifications.view_contact", on=Contact
    ),
    **{
        f"admin/notifications/contact/<path:object_id>/addresses/<int:address_id>/{name}/": form(
            "notifications.change_address", on=Contact, may_be_missing=True
        )
        for name in ("send-code", "verify", "by-hand")
    },
    "admin/kpis/kpi/try/": act("kpis.change_kpi kpis.change_sql"),
    **{
        f"admin/kpis/kpi/<path:object_id>/{name}/": form(
            f"kpis.view_kpi kpis.{needs}", on=Kpi
        )
        for name, needs in (
            ("run", "run_kpi"),
            ("backfill", "backfill_kpi"),
            ("enter", "enter_value"),
        )
    },
    # What changed shows how a value was computed.
    "admin/kpis/kpi/<path:object_id>/history/": form(
        "kpis.view_kpi kpis.view_sql", on=Kpi
    ),
    "admin/checklists/checklisttemplate/<path:object_id>/versions/": Asks(
        get="checklists.view_checklisttemplate",
        post="checklists.view_checklisttemplate checklists.publish_template",
        on=ChecklistTemplate,
    ),
    "admin/kpis/digestplan/<path:object_id>/preview/": page(
        "kpis.view_digestplan", on=DigestPlan
    ),
    "admin/kpis/digestplan/<path:object_id>/preview/<int:number>/mail/": page(
        "kpis.view_digestplan",
        on=DigestPlan,
        parts={"number": "0"},
        may_be_missing=True,
    ),
    "admin/notifications/notification/<path:object_id>/retry/": form(
        "notifications.change_notification", on=Notification
    ),
    "admin/notifications/notification/<path:object_id>/mail/": page(
        "notifications.view_notification", on=Notification, may_be_missing=True
    ),
}

# Tables that the engine owns: nobody edits them, not even a superuser.
ENGINE_OWNED = {
    "incidents.incident",
    "incidents.alert",
    "incidents.incidentevent",
    "incidents.deploywindow",
    "incidents.heldalert",
    "telemetry.deployment",
    "incidents.handover",
    "incidents.incidentrole",
    "incidents.postmortem",
    "incidents.actionitem",
    "incidents.auditfinding",
    "monitors.drill",
    "incidents.swaprequest",
    "incidents.oncallrecord",
    "monitors.series",
    "monitors.statusinterval",
    "monitors.resultdetail",
    "monitors.thresholdstate",
    "monitors.locationstate",
    "monitors.heartbeatping",
    "notifications.notification",
    "kpis.kpiversion",
    "kpis.kpipoint",
    "kpis.kpirun",
    "kpis.kpinote",
    "kpis.backfill",
    "kpis.digestdelivery",
    "checklists.templateversion",
    "checklists.checklistrun",
    "checklists.evidence",
    "checklists.signoff",
    "checklists.waiver",
    "checklists.gatedecision",
    "checklists.reminder",
    "auditlog.logentry",
    "cellar.auditentry",
    "checklists.anchoredhead",
    "checklists.auditcheck",
    "cellar.loopcycle",
}

# What one may do to chosen rows of a list, by model; deleting is every list's own.
ACTIONS: dict[str, dict[str, str]] = {
    "incidents.incident": {
        "acknowledge": "incidents.change_incident",
        "resolve": "incidents.change_incident",
    },
    "monitors.monitor": dict.fromkeys(
        ("pause", "resume", "edit_several"), "monitors.change_monitor"
    ),
    "monitors.threshold": dict.fromkeys(
        ("enable", "disable", "edit_several"), "monitors.change_threshold"
    ),
    "monitors.maintenancewindow": dict.fromkeys(
        ("enable", "disable", "edit_several"), "monitors.change_maintenancewindow"
    ),
    "monitors.controltarget": dict.fromkeys(
        ("enable", "disable"), "monitors.change_controltarget"
    ),
    "incidents.reachexpectation": dict.fromkeys(
        ("enable", "disable"), "incidents.change_reachexpectation"
    ),
    "monitors.drillplan": dict.fromkeys(
        ("enable", "disable"), "monitors.change_drillplan"
    ),
    "notifications.channel": dict.fromkeys(
        ("enable", "disable"), "notifications.change_channel"
    ),
    "notifications.provider": dict.fromkeys(
        ("enable", "disable"), "notifications.change_provider"
    ),
    "notifications.contact": dict.fromkeys(
        ("enable", "disable"), "notifications.change_contact"
    ),
    **{
        f"kpis.{model}": dict.fromkeys(("enable", "disable"), f"kpis.change_{model}")
        for model in ("datasource", "digestplan")
    },
    "checklists.auditanchor": dict.fromkeys(
        ("enable", "disable"), "checklists.change_auditanchor"
    ),
    "kpis.kpi": dict.fromkeys(("enable", "disable", "edit_several"), "kpis.change_kpi"),
    "checklists.checklisttemplate": dict.fromkeys(
        ("enable", "disable"), "checklists.change_checklisttemplate"
    ),
    "checklists.templateitem": {"edit_several": "checklists.change_templateitem"},
    "cellar.apikey": {"revoke": "cellar.change_apikey"},
    "notifications.notification": {
        "retry_selected": "notifications.change_notification",
    },
}


def routes() -> Iterator[str]:
    """Yield every address that the portal answers, as it is declared in the code."""
    yield from _walk(get_resolver().url_patterns, "")


def asks_of(route: str) -> Asks | None:
    """Return what an address is declared to ask for, None when nobody declared it."""
    return DECLARED.get(route) or _of_model(route)


def address(route: str, asks: Asks, world: World) -> str:
    """Return an address with the parts that it is made of."""
    parts = dict(asks.parts)
    key = str(world[asks.on].pk) if asks.on else ""

    def fill(match: re.Match[str]) -> str:
        return parts.get(match["name"], key)

    filled = re.sub(r"<(\w+:)?(?P<name>\w+)>", fill, _without_regex(route))
    return f"/{filled}" + (f"?{asks.query}" if asks.query else "")


def actions_of(model: type[Model]) -> dict[str, str]:
    """Return what the buttons of a model's list ask for."""
    label = model._meta.label_lower
    delete = {"delete_selected": _codename(model, "delete")}
    return ACTIONS.get(label, {}) | ({} if label in ENGINE_OWNED else delete)


def _of_model(route: str) -> Asks | None:
    for model in admin.site._registry:
        base = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        if not route.startswith(base):
            continue
        view = _codename(model, "view")
        is_fixed = model._meta.label_lower in ENGINE_OWNED
        add, change, delete = (
            NOBODY if is_fixed else _codename(model, verb)
            for verb in ("add", "change", "delete")
        )
        one = "<path:object_id>/"
        return {
            "": form(view),
            "add/": form(add),
            f"{one}change/": Asks(get=view, post=change, on=model),
            f"{one}delete/": form(delete, on=model),
            # What the engine writes has no history of people's changes.
            f"{one}history/": form(view, on=model, may_be_missing=is_fixed),
            # Leads on to `change/`.
            one: form(MEMBER, on=model),
        }.get(route.removeprefix(base))
    return None


def _walk(patterns: list[Any], before: str) -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            # The admin's expression names every app.
            yield re.sub(r"\(\?P<app_label>[^)]*\)", "(?P<app_label>…)", route)


def _without_regex(route: str) -> str:
    plain = route.replace("^", "").replace("$", "")
    return re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", plain)
