"""Maintenance windows."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import ClassVar

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from incidents.models import Service
from monitors import editing, maintenance
from monitors.models import MaintenanceWindow, Monitor
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, FlagFilter, IdFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("maintenance:read", "monitors.view_maintenancewindow")
_LOOK_AHEAD = timedelta(days=366)
_SHOWN_COUNT = 10


class WindowSerializer(StrictModelSerializer):
    """A planned stretch of time that pages nobody. It covers at least one thing."""

    monitors = fields.Ids(many=True, required=False, queryset=Monitor.objects.all())
    services = fields.Ids(many=True, required=False, queryset=Service.objects.all())
    tags = fields.Texts(required=False, max_length=50)

    class Meta:
        model = MaintenanceWindow
        fields = [
            "id",
            "name",
            "is_enabled",
            "starts_at",
            "duration_s",
            "recurrence",
            "time_zone",
            "monitors",
            "services",
            "tags",
            "note",
        ]
        extra_kwargs = {"duration_s": {"min_value": 60, "max_value": 30 * 86_400}}


class OccurrenceSerializer(StrictSerializer):
    """One stretch of quiet, half-open."""

    started_at = fields.Moment(read_only=True)
    ends_at = fields.Moment(read_only=True)


class OccurrencesSerializer(StrictSerializer):
    """The next ones within a year, the present one first."""

    items = OccurrenceSerializer(many=True, read_only=True)


class WindowFilters(Filters):
    """Which windows."""

    is_enabled = FlagFilter()
    monitor = IdFilter(field_name="monitors", label="Named by the window itself")
    service = IdFilter(field_name="services", label="Named by the window itself")


class WindowResource(Resource):
    """Planned quiet, once or recurring."""

    resource = "maintenance_windows"
    serializer_class = WindowSerializer
    filterset_class = WindowFilters
    orderings: ClassVar = {"name": "name", "starts_at": "starts_at", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "occurrences": _READ,
        "create": Access("maintenance:write", "monitors.add_maintenancewindow"),
        "partial_update": Access(
            "maintenance:write", "monitors.change_maintenancewindow"
        ),
        "destroy": Access("maintenance:write", "monitors.delete_maintenancewindow"),
    }

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        return MaintenanceWindow.objects.prefetch_related(
            Prefetch("monitors", queryset=Monitor.objects.only("pk")),
            Prefetch("services", queryset=Service.objects.only("pk")),
        )

    def list(self, request: Request) -> HttpResponse:
        """List maintenance windows."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a maintenance window."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Plan a maintenance window."""
        return self.created(editing.create_window(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a maintenance window: what the body names."""
        editing.change_window(
            window_id=id,
            values=self.sent_for(self.one(id)),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a maintenance window. What it kept quiet is judged again at once."""
        editing.delete_window(window_id=id, expected=self.expected())
        return HttpResponse(status=204)

    @extend_schema(responses=OccurrencesSerializer)
    def occurrences(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say when a window is open next, at most ten times ahead."""
        now = timezone.now()
        found = maintenance.occurrences(
            spec=maintenance.spec_of(self.one(id)), start=now, end=now + _LOOK_AHEAD
        )
        items = [
            OccurrenceSerializer.represent(one) for one in islice(found, _SHOWN_COUNT)
        ]
        return JsonAnswer({"items": items})
