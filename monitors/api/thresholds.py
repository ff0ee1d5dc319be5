"""Thresholds."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from incidents.models import Service
from monitors import editing
from monitors.models import Monitor, Threshold
from monitors.thresholds.sentences import threshold_sentence
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, IdFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("thresholds:read", "monitors.view_threshold")


class ThresholdSerializer(StrictModelSerializer):
    """When a measurement is a problem, and how big a one."""

    monitor = fields.Ids(
        queryset=Monitor.objects.all(), required=False, allow_null=True
    )
    service = fields.Ids(
        queryset=Service.objects.all(), required=False, allow_null=True
    )
    series_labels = fields.Mapping(
        required=False, help_text="Only series that have all of these."
    )
    sentence = serializers.SerializerMethodField()

    class Meta:
        model = Threshold
        fields = [
            "id",
            "name",
            "sentence",
            "is_enabled",
            "measure",
            "monitor",
            "service",
            "tag",
            "series_name",
            "series_labels",
            "aggregate",
            "window_s",
            "min_sample_count",
            "comparison",
            "critical_bound",
            "critical_priority",
            "warning_bound",
            "warning_priority",
            "for_count",
            "for_s",
            "clear_bound",
        ]
        extra_kwargs = {"for_count": {"min_value": 1}}

    def get_sentence(self, threshold: Threshold) -> str:
        """Return what it means, in the reader's language."""
        return threshold_sentence(threshold)


class ThresholdFilters(Filters):
    """Which thresholds."""

    measure = WordFilter(choices=Threshold.Measure.choices)
    monitor = IdFilter(field_name="monitor_id")
    service = IdFilter(field_name="service_id")
    is_enabled = FlagFilter()


class ThresholdResource(Resource):
    """Comparisons that raise alerts."""

    resource = "thresholds"
    serializer_class = ThresholdSerializer
    filterset_class = ThresholdFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("thresholds:write", "monitors.add_threshold"),
        "partial_update": Access("thresholds:write", "monitors.change_threshold"),
        "destroy": Access("thresholds:write", "monitors.delete_threshold"),
    }

    def get_queryset(self) -> QuerySet[Threshold]:
        return Threshold.objects.select_related("service", "monitor").defer(
            "monitor__secret"
        )

    def list(self, request: Request) -> HttpResponse:
        """List thresholds."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a threshold, with what it means in words."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a threshold."""
        return self.created(editing.create_threshold(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a threshold: what the body names."""
        editing.change_threshold(
            threshold_id=id,
            values=self.sent_for(self.one(id)),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a threshold. What it raised is over at the next judgement."""
        editing.delete_threshold(threshold_id=id, expected=self.expected())
        return HttpResponse(status=204)
