"""Deployments: to look at; pipelines and platforms tell of them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from t4g_portal.lib.admin import LookOnlyAdmin
from telemetry.models import Deployment

_COLORS = {
    "started": "info",
    "succeeded": "success",
    "failed": "danger",
    "rolled_back": "warning",
}


@admin.register(Deployment)
class DeploymentAdmin(LookOnlyAdmin):
    list_display = (
        "service",
        "environment",
        "shown_commit",
        "version",
        "shown_state",
        "started_at",
        "finished_at",
        "actor",
        "source",
    )
    list_filter = ("state", "environment", "service", "source", "started_at")
    list_select_related = ("service",)
    search_fields = ("git_sha", "version", "actor", "external_id", "service__name")
    ordering = ("-started_at", "-pk")

    @admin.display(description=_("commit"), ordering="git_sha")
    def shown_commit(self, deployment: Deployment) -> str:
        return deployment.short_sha

    @display(  # type: ignore[untyped-decorator]
        description=_("state"), ordering="state", label=_COLORS
    )
    def shown_state(self, deployment: Deployment) -> tuple[str, str]:
        return deployment.state, deployment.get_state_display()
