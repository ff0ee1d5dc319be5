"""Services."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from incidents import editing
from incidents.models import Service
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, TextFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("services:read", "incidents.view_service")


class ServiceSerializer(StrictModelSerializer):
    """Something users depend on."""

    class Meta:
        model = Service
        fields = [
            "id",
            "name",
            "slug",
            "description",
            "runbook_url",
            "vendor_url",
            "time_zone",
            "is_public",
            "position",
        ]


class ServiceFilters(Filters):
    """Which services."""

    slug = TextFilter()
    is_public = FlagFilter()


class ServiceResource(Resource):
    """What users depend on; incidents belong to one."""

    resource = "services"
    serializer_class = ServiceSerializer
    filterset_class = ServiceFilters
    orderings: ClassVar = {"name": "name", "position": "position", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("services:write", "incidents.add_service"),
        "partial_update": Access("services:write", "incidents.change_service"),
        "destroy": Access("services:write", "incidents.delete_service"),
    }

    def get_queryset(self) -> QuerySet[Service]:
        return Service.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List services."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a service."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a service."""
        return self.created(editing.create_service(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a service: what the body names."""
        editing.change_service(
            service_id=id,
            values=self.sent_for(self.one(id)),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a service that has no monitors and no incidents."""
        editing.delete_service(service_id=id, expected=self.expected())
        return HttpResponse(status=204)
