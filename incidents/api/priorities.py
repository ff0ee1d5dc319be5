"""The priority matrix, to read."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from incidents.models import PriorityRule
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("incidents:read", "incidents.view_priorityrule")


class PriorityRuleSerializer(StrictModelSerializer):
    """What a priority means in practice."""

    class Meta:
        model = PriorityRule
        fields = [
            "id",
            "priority",
            "description",
            "policy",
            "response_s",
            "is_digest",
        ]
        read_only_fields = fields


class PriorityRuleResource(Resource):
    """Who is told, how soon somebody must react."""

    resource = "priority_rules"
    serializer_class = PriorityRuleSerializer
    orderings: ClassVar = {"priority": "priority", "id": "pk"}
    access: ClassVar = {"list": _READ, "retrieve": _READ}

    def get_queryset(self) -> QuerySet[PriorityRule]:
        return PriorityRule.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List the priority matrix."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a row of the priority matrix."""
        return super().retrieve(request, id)
