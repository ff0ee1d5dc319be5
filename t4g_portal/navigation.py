"""The one navigation: pages first, then what one edits, in the order one thinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from t4g_portal.lib.access import may_open


@dataclass(frozen=True, slots=True)
class Entry:
    """A link of the sidebar to the list of a model in the admin."""

    model: str
    icon: str
    # Where the table's own name isn't what people call it.
    title: Any = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Some links under a heading."""

    title: Any
    entries: Sequence[Entry]


# The order of pages.md: services, monitors, thresholds, people, on-call, channels,
# KPIs, checklists, integrations, access. What no app registers is left out.
GROUPS: Sequence[Group] = (
    Group(
        gettext_lazy("Watch"),
        (
            Entry("incidents.Service", "deployed_code"),
            Entry("monitors.Monitor", "radar"),
            Entry("monitors.Threshold", "speed"),
            Entry("monitors.MaintenanceWindow", "construction"),
            Entry("monitors.Series", "timeline"),
            Entry("monitors.ControlTarget", "wifi_tethering"),
        ),
    ),
    Group(
        gettext_lazy("Tell"),
        (
            Entry("notifications.Contact", "contacts"),
            Entry("incidents.Schedule", "calendar_month"),
            Entry("incidents.Rotation", "cycle"),
            Entry("incidents.Override", "swap_horiz"),
            Entry("incidents.Absence", "do_not_disturb"),
            Entry("notifications.Channel", "campaign"),
            Entry("notifications.Provider", "sms"),
            Entry("incidents.Team", "groups"),
            Entry("incidents.EscalationPolicy", "trending_up"),
            Entry("incidents.PriorityRule", "priority_high"),
            Entry("incidents.ReachExpectation", "rule"),
            Entry("monitors.DrillPlan", "event_repeat"),
            Entry("notifications.Notification", "outbox"),
        ),
    ),
    Group(
        gettext_lazy("KPIs"),
        (
            Entry("kpis.Kpi", "monitoring"),
            Entry("kpis.KpiTarget", "flag"),
            Entry("kpis.DataSource", "database"),
            Entry("kpis.DigestPlan", "news"),
        ),
    ),
    Group(
        gettext_lazy("Checklists"),
        (
            Entry("checklists.ChecklistTemplate", "checklist"),
            Entry("checklists.TemplateSection", "view_list"),
            Entry("checklists.TemplateItem", "check_box"),
            Entry("checklists.AuditAnchor", "anchor"),
        ),
    ),
    Group(
        gettext_lazy("Records"),
        (
            Entry("incidents.Incident", "history"),
            Entry("incidents.Alert", "notification_important"),
            Entry("incidents.DeployWindow", "rocket_launch"),
            Entry("incidents.HeldAlert", "pause"),
            Entry("telemetry.Deployment", "commit"),
            Entry("incidents.Postmortem", "description"),
            Entry("incidents.ActionItem", "task_alt"),
            Entry("incidents.Handover", "swap_horiz"),
            Entry("incidents.IncidentRole", "badge"),
            Entry("incidents.AuditFinding", "troubleshoot"),
            Entry("monitors.Drill", "fact_check"),
            Entry("incidents.OnCallRecord", "schedule"),
            Entry("incidents.SwapRequest", "swap_vert"),
            Entry("monitors.StatusInterval", "list_alt"),
            Entry("monitors.ResultDetail", "troubleshoot"),
            Entry("kpis.KpiRun", "play_arrow"),
            Entry("kpis.KpiPoint", "show_chart"),
            Entry("kpis.KpiVersion", "difference"),
            Entry("kpis.Backfill", "update"),
            Entry("kpis.KpiNote", "note"),
            Entry("kpis.DigestDelivery", "outgoing_mail"),
            Entry("checklists.TemplateVersion", "difference"),
            Entry("checklists.ChecklistRun", "fact_check"),
            Entry("checklists.Evidence", "attach_file"),
            Entry("checklists.SignOff", "draw"),
            Entry("checklists.Waiver", "policy"),
            Entry("checklists.GateDecision", "traffic"),
            Entry("checklists.Reminder", "notifications_active"),
            Entry("cellar.AuditEntry", "link"),
            Entry("checklists.AuditCheck", "verified"),
            Entry("checklists.AnchoredHead", "outgoing_mail"),
            Entry("auditlog.LogEntry", "manage_history", gettext_lazy("Changes")),
            Entry("cellar.LoopCycle", "autorenew"),
        ),
    ),
    Group(
        gettext_lazy("Access"),
        (
            Entry("auth.User", "person"),
            Entry("auth.Group", "group"),
            Entry("cellar.ApiKey", "key"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return Unfold's navigation for the person who asks."""
    pages: tuple[tuple[str, str, str], ...] = (
        (_("Overview"), "home", "home"),
        (_("Incidents"), "incidents:list", "e911_emergency"),
        (_("On call"), "oncall:page", "calendar_month"),
        (_("Follow-up"), "incidents:followup", "checklist"),
        (_("Numbers"), "incidents:numbers", "insights"),
        (_("Monitors"), "monitors:list", "monitor_heart"),
        (_("Deployments"), "deployments:list", "publish"),
        (_("KPIs"), "kpis:board", "monitoring"),
        (_("Checklists"), "checklists:runs", "rule"),
        (_("Simulator"), "simulator", "route"),
        (_("Drills"), "drills:list", "fact_check"),
        (_("Status page"), "status", "public"),
        (_("My contact details"), "notifications:me", "account_circle"),
    )
    if settings.PORTAL_DEMO:
        pages = (
            *pages,
            (_("Demo platform"), "demo:platform", "construction"),
            (_("Demo messages"), "demo:inbox", "inbox"),
        )
    links = [
        _link(title, icon, _address(name), request)
        for title, name, icon in pages
        if may_open(request, name)
    ]
    _only_nearest(links)
    return [{"items": links}, *admin_groups(request)]


def admin_groups(request: HttpRequest) -> list[dict[str, Any]]:
    """Return what somebody may look at in the admin: groups of links, none empty."""
    groups = []
    for group in GROUPS:
        links = [
            link
            for entry in group.entries
            if (link := _admin_link(entry, request)) is not None
        ]
        if links:
            groups.append(
                {"title": str(group.title), "items": links, "separator": True}
            )
    return groups


def _admin_link(entry: Entry, request: HttpRequest) -> dict[str, Any] | None:
    model = apps.get_model(entry.model)
    if not admin.site.is_registered(model):
        return None
    if not admin.site.get_model_admin(model).has_view_permission(request):
        return None
    meta = model._meta
    name = str(entry.title or meta.verbose_name_plural)
    address = _address(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return _link(name[:1].upper() + name[1:], entry.icon, address, request)


def _address(name: str) -> str:
    """Return where a page is; each page of the portal asks this for all the others."""
    return _address_below(name, get_script_prefix())


@cache
def _address_below(name: str, prefix: str) -> str:
    return reverse(name)


def _only_nearest(links: Sequence[dict[str, Any]]) -> None:
    """Where one page's address begins with another's, light the longer one alone."""
    lit = [link for link in links if link["active"]]
    nearest = max((len(link["link"]) for link in lit), default=0)
    for link in lit:
        link["active"] = len(link["link"]) == nearest


def _link(title: str, icon: str, address: str, request: HttpRequest) -> dict[str, Any]:
    home = _address("home")
    # Ours, because Unfold looks for the address anywhere in the path.
    is_active = (
        request.path == home if address == home else request.path.startswith(address)
    )
    return {"title": title, "icon": icon, "link": address, "active": is_active}
