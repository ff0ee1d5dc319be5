"""Who stands in for whom: overrides and absences to edit, swaps to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest

from incidents.admin.oncall.forms import AbsenceForm, OverrideForm
from incidents.admin.oncall.gap_warning import GapWarningAdmin, Part
from incidents.admin.parts import EndsShown
from incidents.models import Absence, Override, SwapRequest
from incidents.oncall.acting import schedules_with
from t4g_portal.lib.admin import LookOnlyAdmin


@admin.register(Override)
class OverrideAdmin(EndsShown, GapWarningAdmin):
    part = Part(
        schedules=lambda row: [row.schedule_id],
        without=lambda plan, row: replace(
            plan, covers=tuple(one for one in plan.covers if one.id != row.pk)
        ),
    )
    form = OverrideForm
    list_display = (
        "contact",
        "schedule",
        "starts",
        "ends",
        "kind",
        "replaces",
        "reason",
    )
    list_filter = ("schedule", "kind", "starts_at")
    list_select_related = ("schedule", "contact", "replaces")
    search_fields = ("contact__name", "schedule__name", "reason")
    ordering = ("-starts_at",)
    autocomplete_fields = ("contact",)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        if not change:
            obj.created_by = cast(User, request.user)
        super().save_model(request, obj, form, change)


@admin.register(Absence)
class AbsenceAdmin(EndsShown, GapWarningAdmin):
    part = Part(
        schedules=lambda row: schedules_with(row.contact_id),
        # Whoever is back leaves no gap.
        without=lambda plan, row: plan,
    )
    form = AbsenceForm
    list_display = ("contact", "starts", "ends", "reason")
    list_filter = ("starts_at",)
    list_select_related = ("contact",)
    search_fields = ("contact__name", "reason")
    ordering = ("-starts_at",)
    autocomplete_fields = ("contact",)


@admin.register(SwapRequest)
class SwapRequestAdmin(EndsShown, LookOnlyAdmin):
    list_display = (
        "asked_at",
        "schedule",
        "asker",
        "other",
        "starts",
        "ends",
        "status",
    )
    list_filter = ("status", "schedule", "asked_at")
    list_select_related = ("schedule", "asker", "other")
    search_fields = ("asker__name", "other__name", "message")
    ordering = ("-pk",)
