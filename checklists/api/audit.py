"""The audit chain, entry by entry, for whoever keeps a copy or checks it."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from checklists.api.base import AnyObject
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, MomentFilter, TextFilter, WordFilter
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.audit.chain import ActorKind
from t4g_portal.lib.audit.models import AuditEntry

_READ = Access("checklists:read", "cellar.view_auditentry")


class AuditEntrySerializer(StrictModelSerializer):
    """One act. docs/security.md says how `hash` is made, so that anybody can check it."""

    id = fields.Integer(read_only=True, source="seq", help_text="From 1, no holes.")
    details = AnyObject(read_only=True)

    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "version",
            "at",
            "actor_kind",
            "actor_id",
            "actor_name",
            "action",
            "subject",
            "details",
            "prev_hash",
            "hash",
        ]
        read_only_fields = fields


class AuditEntryFilters(Filters):
    """Which entries."""

    subject = TextFilter()
    action = TextFilter()
    actor_kind = WordFilter(choices=ActorKind.choices)
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")


class AuditEntryResource(Resource):
    """What people and keys did that must hold up later. Nobody adds to it from here."""

    resource = "audit_entries"
    serializer_class = AuditEntrySerializer
    filterset_class = AuditEntryFilters
    orderings: ClassVar = {"id": "seq"}
    default_ordering = "-id"
    cursor_tie = ""
    access: ClassVar = {"list": _READ, "retrieve": _READ}

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List the entries of the audit chain, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an entry by its number."""
        return super().retrieve(request, id)
