"""What the engine read, when and how: to look at, never to edit (design §5.6)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from kpis.models import Backfill, KpiNote, KpiPoint, KpiRun, KpiVersion
from t4g_portal.lib.admin import LookOnlyAdmin


@admin.register(KpiVersion)
class KpiVersionAdmin(LookOnlyAdmin):
    list_display = ["kpi", "number", "created_at", "created_by_name"]
    list_filter = ["kpi"]
    list_select_related = ["kpi"]
    search_fields = ["kpi__name", "kpi__slug"]
    ordering = ["-created_at"]


@admin.register(KpiRun)
class KpiRunAdmin(LookOnlyAdmin):
    list_display = [
        "kpi",
        "started_at",
        "trigger",
        "outcome",
        "message",
        "point_count",
        "duration_ms",
    ]
    list_filter = ["outcome", "trigger", "kpi", "started_at"]
    list_select_related = ["kpi", "version", "user"]
    search_fields = ["kpi__name", "kpi__slug", "message"]
    ordering = ["-started_at"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Whoever may filter by a text can guess it letter by letter.
        if lookup.partition("__")[0] == "detail":
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        names: list[str] = list(super().get_fields(request, obj))
        # What the source itself said tells of tables and columns.
        may_see = request.user.has_perm("kpis.view_sql")
        return names if may_see else [name for name in names if name != "detail"]


@admin.register(KpiPoint)
class KpiPointAdmin(LookOnlyAdmin):
    list_display = ["kpi", "start", "end", "value", "is_complete", "computed_at"]
    list_filter = ["kpi", "is_complete", "start"]
    list_select_related = ["kpi", "version", "run"]
    search_fields = ["kpi__name", "kpi__slug"]
    ordering = ["-start"]


@admin.register(KpiNote)
class KpiNoteAdmin(LookOnlyAdmin):
    """Notes are written on the KPI's page."""

    list_display = ["at", "kpi", "text", "author_name"]
    list_filter = ["kpi", "at"]
    list_select_related = ["kpi"]
    search_fields = ["text", "kpi__name"]
    ordering = ["-at"]


@admin.register(Backfill)
class BackfillAdmin(LookOnlyAdmin):
    list_display = ["kpi", "since", "until", "status", "done_count", "total_count"]
    list_filter = ["status", "kpi"]
    list_select_related = ["kpi", "version"]
    search_fields = ["kpi__name", "kpi__slug"]
    ordering = ["-created_at"]
