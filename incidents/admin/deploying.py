"""Deploy windows and what they held back: to look at; pages open and close them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from incidents.admin.parts import PriorityShown
from incidents.models import DeployWindow, HeldAlert
from t4g_portal.lib.admin import LookOnlyAdmin
from t4g_portal.lib.retelling import retold

_COLORS = {"held": "warning", "raised": "danger", "over": "default"}


@admin.register(DeployWindow)
class DeployWindowAdmin(LookOnlyAdmin):
    list_display = (
        "service",
        "reason",
        "opened_at",
        "ends_at",
        "shown_opener",
        "ended_at",
        "end_cause",
    )
    list_filter = ("service", "opened_at", "end_cause")
    list_select_related = ("service", "opened_by")
    search_fields = ("reason", "subject", "service__name", "opened_by_name")
    ordering = ("-pk",)

    @admin.display(description=_("opened by"))
    def shown_opener(self, window: DeployWindow) -> str:
        return window.opener


@admin.register(HeldAlert)
class HeldAlertAdmin(PriorityShown, LookOnlyAdmin):
    list_display = (
        "what",
        "service",
        "shown_priority",
        "shown_status",
        "started_at",
        "held_at",
        "ended_at",
        "trigger_count",
    )
    list_filter = ("status", "priority", "held_at", "service")
    list_select_related = ("service",)
    search_fields = ("title", "detail", "dedup_key", "source")
    ordering = ("-pk",)

    @admin.display(description=_("title"), ordering="title")
    def what(self, held: HeldAlert) -> str:
        return retold(held.title)

    @display(  # type: ignore[untyped-decorator]
        description=_("status"), ordering="status", label=_COLORS
    )
    def shown_status(self, held: HeldAlert) -> tuple[str, str]:
        return held.status, held.get_status_display()
