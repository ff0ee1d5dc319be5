"""Drill plans, which people edit, and drills, which they look at."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from monitors.drills.forms import PlanForm
from monitors.drills.pages import next_run
from monitors.models import Drill, DrillPlan
from t4g_portal.lib.admin import LookOnlyAdmin, ManyAdmin
from t4g_portal.lib.templatetags.portal import ago, minute


@admin.register(DrillPlan)
class DrillPlanAdmin(ManyAdmin):
    form = PlanForm
    list_display = ["name", "monitor", "priority", "schedule", "next_one", "is_enabled"]
    list_filter = ["is_enabled", "priority"]
    list_select_related = ["monitor"]
    search_fields = ["name", "monitor__name"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    autocomplete_fields = ["monitor"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DrillPlan]:
        queryset: QuerySet[DrillPlan] = super().get_queryset(request)
        return queryset.defer("monitor__secret")

    @admin.display(description=_("next"))
    def next_one(self, plan: DrillPlan) -> str:
        now = timezone.now()
        found = next_run(plan, now=now)
        return minute(found, now) if found else "–"


@admin.register(Drill)
class DrillAdmin(LookOnlyAdmin):
    list_display = [
        "monitor_name",
        "priority",
        "status",
        "started",
        "length",
        "signed_by",
        "page",
    ]
    list_filter = ["status", "priority", "started_at"]
    search_fields = ["monitor_name", "policy_name", "remark"]
    list_select_related = ["signed_by"]
    ordering = ["-started_at"]

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, drill: Drill) -> str:
        return ago(drill.started_at)

    @admin.display(description=_("length"))
    def length(self, drill: Drill) -> timedelta | str:
        return drill.ended_at - drill.started_at if drill.ended_at else "–"

    @admin.display(description=_("report"))
    def page(self, drill: Drill) -> SafeString:
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            drill.get_absolute_url(),
            _("Open"),
        )
