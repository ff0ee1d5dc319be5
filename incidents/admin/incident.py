"""Incidents, their alerts and timelines, and what the auditor found: to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import display

from incidents import services, timeline
from incidents.admin.parts import PriorityShown
from incidents.models import (
    Alert,
    AuditFinding,
    Incident,
    IncidentEvent,
)
from t4g_portal.lib.admin import LookOnlyAdmin
from t4g_portal.lib.retelling import retold

_STATUS_COLORS = {
    Incident.Status.TRIGGERED: "danger",
    Incident.Status.ACKNOWLEDGED: "warning",
    Incident.Status.RESOLVED: "success",
}
_ALERT_COLORS = {
    Alert.Status.FIRING: "danger",
    Alert.Status.RESOLVED: "success",
}
_FINDING_COLORS = {"repaired": "success", "lasts": "danger", "over": "info"}


@admin.register(Incident)
class IncidentAdmin(PriorityShown, LookOnlyAdmin):
    list_display = (
        "__str__",
        "service",
        "shown_priority",
        "shown_status",
        "opened_at",
        "acknowledged_by",
        "resolved_at",
        "page_link",
    )
    list_filter = (
        "status",
        "priority",
        "opened_at",
        "service",
        "is_flapping",
        "is_untold",
    )
    list_select_related = ("service", "acknowledged_by")
    search_fields = ("title", "service__name", "grouping_key")
    ordering = ("-pk",)
    actions = ("acknowledge", "resolve")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may acknowledge and resolve here."""
        return request.user.has_perm("incidents.change_incident")

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("status"), ordering="status", label=_STATUS_COLORS
    )
    def shown_status(self, incident: Incident) -> tuple[str, str]:
        return incident.status, incident.get_status_display()

    @admin.display(description=gettext_lazy("page"))
    def page_link(self, incident: Incident) -> SafeString:
        url = reverse("incidents:detail", args=[incident.pk])
        return format_html('<a href="{}">{}</a>', url, _("Open"))

    @admin.action(description=gettext_lazy("Acknowledge"), permissions=["act"])
    def acknowledge(self, request: HttpRequest, chosen: QuerySet[Incident]) -> None:
        done = self._each(request, chosen, services.acknowledge)
        self._say(
            request,
            done,
            ngettext(
                "%(count)d incident acknowledged.",
                "%(count)d incidents acknowledged.",
                done,
            ),
        )

    @admin.action(description=gettext_lazy("Resolve"), permissions=["act"])
    def resolve(self, request: HttpRequest, chosen: QuerySet[Incident]) -> None:
        done = self._each(request, chosen, services.resolve_incident)
        self._say(
            request,
            done,
            ngettext(
                "%(count)d incident resolved.", "%(count)d incidents resolved.", done
            ),
        )

    def _each(
        self,
        request: HttpRequest,
        chosen: QuerySet[Incident],
        act: Callable[..., Incident],
    ) -> int:
        """Act on each; say which can't be, return how many were."""
        done = 0
        for pk in chosen.order_by("pk").values_list("pk", flat=True):
            try:
                act(incident_id=pk, **_actor(request))
                done += 1
            except services.UnableToAct as error:
                messages.error(request, f"#{pk}: {error}")
        return done

    def _say(self, request: HttpRequest, done: int, sentence: str) -> None:
        if done:
            messages.success(request, sentence % {"count": done})


def _actor(request: HttpRequest) -> dict[str, Any]:
    return {
        "user": cast(User, request.user),
        "via": IncidentEvent.Via.ADMIN,
        "now": timezone.now(),
    }


@admin.register(Alert)
class AlertAdmin(PriorityShown, LookOnlyAdmin):
    list_display = (
        "what",
        "service",
        "shown_priority",
        "shown_status",
        "started_at",
        "last_triggered_at",
        "trigger_count",
        "incident",
    )
    list_filter = ("status", "priority", "triggered_at", "service")
    list_select_related = ("service", "incident")
    search_fields = ("title", "detail", "dedup_key", "source")
    ordering = ("-pk",)

    @admin.display(description=gettext_lazy("title"), ordering="title")
    def what(self, alert: Alert) -> str:
        return retold(alert.title)

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("status"), ordering="status", label=_ALERT_COLORS
    )
    def shown_status(self, alert: Alert) -> tuple[str, str]:
        return alert.status, alert.get_status_display()


@admin.register(IncidentEvent)
class IncidentEventAdmin(LookOnlyAdmin):
    list_display = ("at", "incident", "kind", "sentence", "actor", "via")
    list_filter = ("kind", "at", "via")
    list_select_related = ("incident", "actor")
    search_fields = ("text", "incident__title", "=incident__id")
    ordering = ("-pk",)

    @admin.display(description=gettext_lazy("what happened"))
    def sentence(self, event: IncidentEvent) -> str:
        return timeline.sentence(event=event)


@admin.register(AuditFinding)
class AuditFindingAdmin(LookOnlyAdmin):
    """Pages that were about to be lost."""

    list_display = (
        "shown_kind",
        "shown_state",
        "shown_incident",
        "notification",
        "found_at",
        "last_seen_at",
        "seen_count",
    )
    list_filter = ("kind", "found_at", "repaired_at")
    list_select_related = ("incident", "notification")
    search_fields = ("=incident__id", "incident__title")
    ordering = ("-pk",)

    @admin.display(description=gettext_lazy("what was wrong"), ordering="kind")
    def shown_kind(self, finding: AuditFinding) -> str:
        return finding.get_kind_display()

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("state"), label=_FINDING_COLORS
    )
    def shown_state(self, finding: AuditFinding) -> tuple[str, str]:
        if finding.repaired_at is not None:
            return "repaired", _("Repaired")
        if finding.ended_at is None:
            return "lasts", _("Lasts")
        return "over", _("Over by itself")

    @admin.display(description=gettext_lazy("incident"), ordering="incident")
    def shown_incident(self, finding: AuditFinding) -> str:
        if finding.incident is None:
            return "–"
        url = reverse("incidents:detail", args=[finding.incident.pk])
        return format_html('<a href="{}">{}</a>', url, finding.incident)
