"""Data sources: whom the portal asks, and how they stand. Secrets are not here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from kpis.models import DataSource, DataSourceState
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, TextFilter
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.retelling import retold

_READ = Access("kpis:read", "kpis.view_datasource")


class DataSourceStateSerializer(StrictSerializer):
    """Whether a source is safe to ask, and whether it answers."""

    checked_at = fields.Moment(read_only=True, allow_null=True)
    problem = fields.Text(read_only=True, help_text="Empty: safe to ask.")
    failure_count = fields.Integer(read_only=True)
    failing_since = fields.Moment(read_only=True, allow_null=True)
    last_error = fields.Text(read_only=True)
    last_ok_at = fields.Moment(read_only=True, allow_null=True)


class DataSourceSerializer(StrictModelSerializer):
    """A place that figures are read from, and how it stands."""

    allowed_tables = fields.Texts(read_only=True, child=fields.Text())
    has_secret = fields.Flag(read_only=True)
    state = serializers.SerializerMethodField()

    class Meta:
        model = DataSource
        fields = [
            "id",
            "name",
            "kind",
            "is_enabled",
            "url",
            "header",
            "has_secret",
            "timeout_s",
            "allowed_tables",
            "may_use_private_targets",
            "state",
        ]
        read_only_fields = fields

    @extend_schema_field(DataSourceStateSerializer)
    def get_state(self, source: DataSource) -> dict[str, Any]:
        """Return how a source stands; one that was never asked has no state."""
        state = getattr(source, "state", None) or DataSourceState(source=source)
        return {
            "checked_at": _moment(state.checked_at),
            "problem": retold(state.problem),
            "failure_count": state.failure_count,
            "failing_since": _moment(state.failing_since),
            "last_error": retold(state.last_error),
            "last_ok_at": _moment(state.last_ok_at),
        }


class SourceFilters(Filters):
    """Which sources."""

    kind = TextFilter()
    is_enabled = FlagFilter()


class SourceResource(Resource):
    """Where figures come from. They are set up in the admin or with `config import`."""

    resource = "data_sources"
    serializer_class = DataSourceSerializer
    filterset_class = SourceFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    access: ClassVar = {"list": _READ, "retrieve": _READ}

    def get_queryset(self) -> QuerySet[DataSource]:
        return (
            DataSource.objects.select_related("state")
            .defer("secret")
            .annotate(has_secret=~Q(secret=""))
        )

    def list(self, request: Request) -> HttpResponse:
        """List data sources."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a data source and how it stands."""
        return super().retrieve(request, id)


def _moment(moment: Any) -> str | None:
    return None if moment is None else fields.write_moment(moment)
