"""Addresses below /api/v1/."""

from __future__ import annotations

from django.urls import path

from monitors.api.drills import DrillPlanResource, DrillResource
from monitors.api.monitors import MonitorResource
from monitors.api.records import IntervalResource, ResultResource
from monitors.api.series import SeriesResource
from monitors.api.thresholds import ThresholdResource
from monitors.api.why import WhyResource
from monitors.api.windows import WindowResource
from t4g_portal.lib.api.urls import resource

urlpatterns = [
    *resource(
        "monitors/",
        MonitorResource,
        acts={
            "pause": "post pause",
            "resume": "post resume",
            "probe": "post probe",
            "uptime": "get uptime",
            "ping-address": "get ping_address",
        },
    ),
    path("monitors/<number:id>/results/", ResultResource.as_view({"get": "list"})),
    path("monitors/<number:id>/intervals/", IntervalResource.as_view({"get": "list"})),
    path("monitors/<number:id>/why/", WhyResource.as_view({"get": "read"})),
    *resource("thresholds/", ThresholdResource),
    *resource(
        "maintenance-windows/", WindowResource, acts={"occurrences": "get occurrences"}
    ),
    *resource(
        "drills/",
        DrillResource,
        acts={"report": "get report", "stop": "post stop", "sign": "post sign"},
    ),
    *resource("drill-plans/", DrillPlanResource),
    path("series/samples/", SeriesResource.as_view({"post": "record"})),
    *resource("series/", SeriesResource, acts={"samples": "get samples"}),
]
