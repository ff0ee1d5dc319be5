"""Deploy windows: opened and closed by a pipeline, and what they hold back."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from incidents import deploy_windows
from incidents.api.incidents import sent_as
from incidents.models import DeployWindow, HeldAlert, Service
from incidents.people import Actor
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, IdFilter, TextFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.history import acts

_READ = Access("incidents:read", "incidents.view_deploywindow")


class DeployWindowSerializer(StrictModelSerializer):
    """A bounded time in which alerts below P0 wait."""

    opened_by = fields.Text(
        read_only=True, source="opener", help_text="A name, or the API key's name."
    )
    ended_by = fields.Text(
        read_only=True, source="closer", help_text="A name; empty: it ended by itself."
    )

    end_cause = fields.Choice(
        read_only=True,
        choices=DeployWindow.Cause.choices,
        allow_blank=True,
        help_text="Empty while it is open.",
    )

    class Meta:
        model = DeployWindow
        fields = [
            "id",
            "service",
            "reason",
            "subject",
            "opened_at",
            "opened_by",
            "ends_at",
            "closes_when_healthy",
            "ended_at",
            "end_cause",
            "ended_by",
        ]
        read_only_fields = fields


class OpenSerializer(StrictSerializer):
    """What is deployed, and for how long alerts may wait at the most."""

    service = fields.Ids(queryset=Service.objects.all())
    minutes = fields.Integer(min_value=1, max_value=deploy_windows.MAX_MINUTES)
    reason = fields.Text(max_length=deploy_windows.MAX_REASON)
    closes_when_healthy = fields.Flag(
        default=True, help_text="End it as soon as the service has settled."
    )


class HeldAlertSerializer(StrictModelSerializer):
    """An alert that waits, or has waited."""

    class Meta:
        model = HeldAlert
        fields = [
            "id",
            "window",
            "dedup_key",
            "title",
            "detail",
            "priority",
            "status",
            "source",
            "started_at",
            "held_at",
            "last_triggered_at",
            "trigger_count",
            "ended_at",
            "alert",
        ]
        read_only_fields = fields


class DeployWindowFilters(Filters):
    """Which windows."""

    service = IdFilter(field_name="service_id")
    subject = TextFilter(label="What it was opened for, such as run:12")
    is_open = FlagFilter(method="that_are_open")

    def that_are_open(
        self, queryset: QuerySet[DeployWindow], name: str, value: bool
    ) -> QuerySet[DeployWindow]:
        """Leave those that hold alerts back now, or the others."""
        now = timezone.now()
        opened = DeployWindow.objects.open(now=now)
        if value:
            return queryset.filter(pk__in=opened)
        return queryset.exclude(pk__in=opened)


class DeployWindowResource(Resource):
    """Deploy windows."""

    resource = "deploy_windows"
    serializer_class = DeployWindowSerializer
    filterset_class = DeployWindowFilters
    orderings: ClassVar = {"opened_at": "opened_at", "id": "pk"}
    default_ordering = "-opened_at"
    conflicts = (deploy_windows.UnableToOpen, deploy_windows.UnableToClose)
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("incidents:write", "incidents.add_deploywindow"),
        "close": Access("incidents:write", "incidents.change_deploywindow"),
    }

    def get_queryset(self) -> QuerySet[DeployWindow]:
        return DeployWindow.objects.select_related("opened_by", "ended_by")

    def list(self, request: Request) -> HttpResponse:
        """List deploy windows, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a deploy window."""
        return super().retrieve(request, id)

    @idempotent
    @extend_schema(request=OpenSerializer)
    def create(self, request: Request) -> HttpResponse:
        """Hold back what fires below P0 at a service, until it is deployed."""
        values = sent_as(OpenSerializer, request)
        window = deploy_windows.open_window(
            **values, **_by(request), now=timezone.now()
        )
        return self.created(window.pk)

    @extend_schema(request=None)
    def close(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """End a window now: what still fires is raised within seconds."""
        deploy_windows.close_window(window_id=id, **_by(request), now=timezone.now())
        return self.answer(self.one(id))


class HeldAlertResource(Resource):
    """What a window holds back, or did."""

    resource = "held_alerts"
    serializer_class = HeldAlertSerializer
    orderings: ClassVar = {"id": "pk"}
    access: ClassVar = {"list": Access("incidents:read", "incidents.view_heldalert")}

    def get_queryset(self) -> QuerySet[HeldAlert]:
        return HeldAlert.objects.filter(window_id=self.kwargs.get("id", 0))

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the alerts that a window holds back, or held back."""
        if not DeployWindow.objects.filter(pk=id).exists():
            raise DeployWindow.DoesNotExist
        return super().list(request)


def _by(request: Request) -> dict[str, Any]:
    """Return who acts: a person, or a program by the name of its key."""
    key = acts.current().by
    return {
        "actor": None if key else Actor(cast(User, request.user)),
        "key": key,
    }
