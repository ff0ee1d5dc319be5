"""Digests, which people edit, and those that were sent, which they look at."""

from __future__ import annotations

from django.contrib import admin

from kpis.models import DigestDelivery, DigestPlan
from t4g_portal.lib.admin import LookOnlyAdmin, ManyAdmin


@admin.register(DigestPlan)
class DigestPlanAdmin(ManyAdmin):
    list_display = ["name", "cadence", "at", "audience", "is_enabled"]
    list_filter = ["cadence", "audience", "is_enabled"]
    search_fields = ["name"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    autocomplete_fields = ["channels", "contacts"]


@admin.register(DigestDelivery)
class DigestDeliveryAdmin(LookOnlyAdmin):
    list_display = ["plan", "local_date", "composed_at", "is_late", "message_count"]
    list_filter = ["plan", "is_late"]
    list_select_related = ["plan"]
    ordering = ["-local_date"]
