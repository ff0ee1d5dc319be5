"""Services, and the matrix of priorities: what an incident of each is answered by."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from incidents.admin.forewarning import ForewarnedForm, ForewarningAdmin
from incidents.admin.parts import PriorityShown
from incidents.admin.policy import ServicePolicyInline
from incidents.forms import ServiceForm
from incidents.models import Incident, PriorityRule, Service
from t4g_portal.lib.wording import duration


class ForewarnedServiceForm(ForewarnedForm, ServiceForm):
    """A service, whose policies decide who is told."""


@admin.register(Service)
class ServiceAdmin(ForewarningAdmin):
    list_display = ("name", "slug", "is_public", "open_count", "position")
    list_editable = ("position",)
    list_filter = ("is_public",)
    search_fields = ("name", "slug", "description")
    ordering = ("position", "name")
    prepopulated_fields = {"slug": ("name",)}
    form = ForewarnedServiceForm
    inlines = (ServicePolicyInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        rows: QuerySet[Service] = super().get_queryset(request)
        return rows.annotate(
            open_count=Count(
                "incidents", filter=~Q(incidents__status=Incident.Status.RESOLVED)
            )
        )

    @admin.display(description=gettext_lazy("open incidents"), ordering="open_count")
    def open_count(self, service: Service) -> int:
        return cast(int, service.open_count)  # type: ignore[attr-defined]


@admin.register(PriorityRule)
class PriorityRuleAdmin(PriorityShown, ForewarningAdmin):
    list_display = (
        "shown_priority",
        "policy",
        "response",
        "is_digest",
        "description",
    )
    list_select_related = ("policy",)
    ordering = ("priority",)
    fields = ("priority", "description", "policy", "response_s", "is_digest")

    @admin.display(description=gettext_lazy("answer within"), ordering="response_s")
    def response(self, rule: PriorityRule) -> str:
        return duration(rule.response_s)
