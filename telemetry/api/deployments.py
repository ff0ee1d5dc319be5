"""Deployments: told by pipelines, read by whoever asks what is live where."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from incidents.models import Service
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, MomentFilter, TextFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from telemetry import models, services
from telemetry.models import Deployment

_READ = Access("deployments:read", "telemetry.view_deployment")


class DeploymentSerializer(StrictModelSerializer):
    """One commit of a service on its way to an environment, and what came of it."""

    service = fields.Text(read_only=True, source="service.slug")
    # Not every one has a page.
    url = fields.Text(read_only=True)

    class Meta:
        model = Deployment
        fields = [
            "id",
            "service",
            "environment",
            "git_sha",
            "version",
            "url",
            "actor",
            "source",
            "external_id",
            "state",
            "started_at",
            "finished_at",
            "rolled_back_at",
            "recorded_at",
        ]
        read_only_fields = fields


class TellSerializer(StrictSerializer):
    """What happened. Send `external_id` or `started_at`, and the same one each time."""

    service = fields.BySlug(queryset=Service.objects.all(), help_text="Its slug.")
    environment = fields.Slug(
        max_length=models.MAX_ENVIRONMENT,
        help_text="Such as production; kept in lowercase.",
    )
    git_sha = fields.Sha(help_text="The whole commit, in lowercase hexadecimal.")
    state = fields.Choice(choices=Deployment.State.choices)
    source = fields.Slug(  # type: ignore[assignment]
        max_length=models.MAX_SOURCE, default="api", help_text="Who tells: github."
    )
    external_id = fields.Text(
        max_length=models.MAX_EXTERNAL_ID,
        required=False,
        allow_blank=True,
        help_text="Its number at the source, such as the one of the pipeline.",
    )
    version = fields.Text(
        max_length=models.MAX_VERSION, required=False, allow_blank=True
    )
    url = fields.Url(
        max_length=models.MAX_URL,
        required=False,
        allow_blank=True,
        help_text="Its page at whoever deploys.",
    )
    actor = fields.Text(
        max_length=models.MAX_ACTOR,
        required=False,
        allow_blank=True,
        help_text="Who started it.",
    )
    started_at = fields.Moment(required=False, help_text="Left out: now.")
    finished_at = fields.Moment(required=False, help_text="Left out: now.")
    rolled_back_at = fields.Moment(required=False, help_text="Left out: now.")


class DeploymentFilters(Filters):
    """Which deployments."""

    service = TextFilter(field_name="service__slug", label="The slug of a service")
    environment = TextFilter()
    git_sha = TextFilter(label="The whole commit")
    state = WordFilter(choices=Deployment.State.choices)
    source = TextFilter()
    external_id = TextFilter()
    started_after = MomentFilter(field_name="started_at", lookup_expr="gte")
    started_before = MomentFilter(field_name="started_at", lookup_expr="lt")


class DeploymentResource(Resource):
    """Deployments."""

    resource = "deployments"
    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilters
    orderings: ClassVar = {"started_at": "started_at", "id": "pk"}
    default_ordering = "-started_at"
    conflicts = (services.UnableToRecord,)
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("deployments:write", "telemetry.add_deployment"),
    }

    def get_queryset(self) -> QuerySet[Deployment]:
        return Deployment.objects.select_related("service")

    def list(self, request: Request) -> HttpResponse:
        """List deployments, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a deployment."""
        return super().retrieve(request, id)

    @idempotent
    @extend_schema(
        request=TellSerializer,
        responses={200: DeploymentSerializer, 201: DeploymentSerializer},
    )
    def create(self, request: Request) -> HttpResponse:
        """Tell of a deployment. 201 for the first word of it, 200 for a later one."""
        serializer = TellSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        told = services.record_deployment(
            **serializer.validated_data, now=timezone.now()
        )
        if told.is_new:
            return self.created(told.deployment.pk)
        return self.answer(self.one(told.deployment.pk))
