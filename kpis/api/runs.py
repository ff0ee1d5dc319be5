"""The log of runs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from kpis.models import KpiRun
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, IdFilter, MomentFilter, WordFilter
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.retelling import retold

_READ = Access("kpis:read", "kpis.view_kpirun")


class KpiRunSerializer(StrictModelSerializer):
    """One time that a source was asked."""

    class Meta:
        model = KpiRun
        fields = [
            "id",
            "kpi",
            "trigger",
            "started_at",
            "finished_at",
            "outcome",
            "reason",
            "message",
            "point_count",
            "duration_ms",
            "sql_sha256",
            "user_name",
        ]
        read_only_fields = fields

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return a run with its message in the reader's language."""
        shown = super().represent(row)
        return {**shown, "message": retold(row.message)}


class RunFilters(Filters):
    """Which runs."""

    kpi = IdFilter(field_name="kpi_id")
    outcome = WordFilter(choices=KpiRun.Outcome.choices)
    trigger = WordFilter(choices=KpiRun.Trigger.choices)
    since = MomentFilter(field_name="started_at", lookup_expr="gte")
    until = MomentFilter(field_name="started_at", lookup_expr="lt")


class RunResource(Resource):
    """Each time that a source was asked, kept for 90 days."""

    resource = "kpi_runs"
    serializer_class = KpiRunSerializer
    filterset_class = RunFilters
    orderings: ClassVar = {"started_at": "started_at", "id": "pk"}
    default_ordering = "-started_at"
    access: ClassVar = {"list": _READ, "retrieve": _READ}

    def get_queryset(self) -> QuerySet[KpiRun]:
        return KpiRun.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List runs, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a run."""
        return super().retrieve(request, id)
