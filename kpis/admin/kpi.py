"""KPIs with their targets. How a value is computed is not for everybody to see."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from kpis.models import Kpi, KpiTarget
from t4g_portal.lib.access import check
from t4g_portal.lib.admin import ManyAdmin, PortalAdmin

_CALCULATION = ["sql", "json_path", "measure", "measure_target"]


class TargetInline(TabularInline):  # type: ignore[misc]
    model = KpiTarget
    extra = 0
    ordering = ["month"]


@admin.register(Kpi)
class KpiAdmin(ManyAdmin):
    list_display = ["name", "source", "grain", "audience", "is_enabled"]
    list_filter = ["audience", "source", "is_enabled"]
    list_select_related = ["source"]
    search_fields = ["name", "slug", "description"]
    ordering = ["position", "name"]
    actions = ["enable", "disable"]
    autocomplete_fields = ["source", "service", "owner"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [TargetInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "slug",
                    "description",
                    "audience",
                    "position",
                    "owner",
                    "is_enabled",
                ]
            },
        ),
        (_("Value"), {"fields": ["unit", "decimals", "direction"]}),
        (_("Period"), {"fields": ["grain", "window", "time_zone"]}),
        (_("Calculation"), {"fields": ["source", *_CALCULATION]}),
        (
            _("Collection"),
            {
                "fields": [
                    "interval_s",
                    "lateness_s",
                    "recompute_count",
                    "stale_after_s",
                    "overdue_after_s",
                    "service",
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Kpi]:
        queryset: QuerySet[Kpi] = super().get_queryset(request)
        return queryset.defer("source__secret")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if request.user.has_perm("kpis.view_sql"):
            return fieldsets
        return [
            (
                name,
                {
                    **options,
                    "fields": [
                        field
                        for field in options["fields"]
                        if field not in _CALCULATION
                    ],
                },
            )
            for name, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if request.user.has_perm("kpis.change_sql"):
            return fields
        return [*fields, *_CALCULATION]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        check(request, "kpis.view_sql")
        answer: HttpResponse = super().history_view(request, object_id, extra_context)
        return answer


@admin.register(KpiTarget)
class KpiTargetAdmin(PortalAdmin):
    """Beside the KPI's own form, for people who may set targets and nothing else."""

    list_display = ["kpi", "month", "value"]
    list_filter = ["kpi"]
    list_select_related = ["kpi"]
    search_fields = ["kpi__name", "kpi__slug"]
    ordering = ["kpi__position", "kpi__name", "-month"]
    autocomplete_fields = ["kpi"]
