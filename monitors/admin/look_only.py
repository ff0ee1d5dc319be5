"""Tables that the engine owns: to look at, never to edit (design §5.6)."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest

from t4g_portal.lib.admin import LookOnlyAdmin


class OfMonitorAdmin(LookOnlyAdmin):
    """Rows of a monitor, which are read without its secret."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:  # type: ignore[type-arg]
        queryset: QuerySet = super().get_queryset(request)  # type: ignore[type-arg]
        return queryset.select_related("monitor").defer("monitor__secret")
