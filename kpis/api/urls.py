"""Addresses below /api/v1/."""

from __future__ import annotations

from django.urls import path

from kpis.api.kpis import KpiResource, PointResource
from kpis.api.runs import RunResource
from kpis.api.sources import SourceResource
from t4g_portal.lib.api.urls import resource

urlpatterns = [
    *resource(
        "kpis/", KpiResource, acts={"run": "post run", "backfill": "post backfill"}
    ),
    path(
        "kpis/<number:id>/points/",
        PointResource.as_view({"get": "list", "post": "create"}),
    ),
    *resource("kpi-runs/", RunResource),
    *resource("data-sources/", SourceResource),
]
