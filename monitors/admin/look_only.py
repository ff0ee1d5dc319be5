"""Tables that the engine owns: to look at, never to edit (design §5.6)."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class LookOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """A list and a page without a way to change anything."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class OfMonitorAdmin(LookOnlyAdmin):
    """Rows of a monitor, which are read without its secret."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:  # type: ignore[type-arg]
        queryset: QuerySet = super().get_queryset(request)  # type: ignore[type-arg]
        return queryset.select_related("monitor").defer("monitor__secret")
