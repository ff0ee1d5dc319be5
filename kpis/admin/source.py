"""Data sources."""

from __future__ import annotations

from django.contrib import admin

from kpis.models import DataSource
from t4g_portal.lib.admin import ManyAdmin


@admin.register(DataSource)
class DataSourceAdmin(ManyAdmin):
    list_display = ["name", "kind", "is_enabled"]
    list_filter = ["kind", "is_enabled"]
    search_fields = ["name", "url"]
    ordering = ["name"]
    actions = ["enable", "disable"]
