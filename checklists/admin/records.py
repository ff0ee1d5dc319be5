"""What people and programs did with runs: to look at, never to edit (design §5.6)."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from checklists.models import (
    ChecklistRun,
    Evidence,
    Reminder,
    SignOff,
    TemplateVersion,
    Waiver,
)
from t4g_portal.lib.admin import LookOnlyAdmin


@admin.register(TemplateVersion)
class TemplateVersionAdmin(LookOnlyAdmin):
    list_display = ["template", "number", "status", "proposed_by_name", "published_at"]
    list_filter = ["status", "template"]
    list_select_related = ["template", "proposed_by", "published_by"]
    search_fields = ["template__name", "template__slug", "fingerprint"]
    ordering = ["-proposed_at"]


@admin.register(ChecklistRun)
class ChecklistRunAdmin(LookOnlyAdmin):
    list_display = [
        "template_name",
        "service",
        "environment",
        "git_sha",
        "state",
        "opened_by_name",
        "opened_at",
    ]
    list_filter = ["state", "environment", "service", "opened_at"]
    list_select_related = ["service"]
    search_fields = ["template_name", "git_sha", "deployment", "title"]
    ordering = ["-opened_at"]


@admin.register(Evidence)
class EvidenceAdmin(LookOnlyAdmin):
    list_display = [
        "item",
        "kind",
        "verdict",
        "captured_by_name",
        "captured_at",
        "withdrawn_at",
    ]
    list_filter = ["kind", "verdict", "captured_at"]
    list_select_related = ["item"]
    search_fields = ["item__key", "item__title", "sha256"]
    ordering = ["-captured_at"]
    exclude = ["file"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evidence]:
        queryset: QuerySet[Evidence] = super().get_queryset(request)
        return queryset.defer("file")


@admin.register(SignOff)
class SignOffAdmin(LookOnlyAdmin):
    list_display = [
        "item",
        "printed_name",
        "role",
        "meaning",
        "signed_at",
        "revoked_at",
    ]
    list_filter = ["meaning", "signed_at"]
    list_select_related = ["item", "user"]
    search_fields = ["item__key", "item__title", "printed_name", "statement_hash"]
    ordering = ["-signed_at"]


@admin.register(Waiver)
class WaiverAdmin(LookOnlyAdmin):
    list_display = [
        "item",
        "requested_by_name",
        "approved_by_name",
        "expires_at",
        "ended_as",
    ]
    list_filter = ["ended_as", "expires_at"]
    list_select_related = ["item"]
    search_fields = ["item__key", "item__title", "reason"]
    ordering = ["-requested_at"]


@admin.register(Reminder)
class ReminderAdmin(LookOnlyAdmin):
    list_display = ["run", "kind", "mark", "at", "told_count"]
    list_filter = ["kind", "at"]
    list_select_related = ["run"]
    search_fields = ["mark", "run__template_name"]
    ordering = ["-at"]
