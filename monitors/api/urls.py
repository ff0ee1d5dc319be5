"""Addresses below /api/v1/."""

from __future__ import annotations

from monitors.api.monitors import MonitorResource
from t4g_portal.lib.api.urls import resource

urlpatterns = [
    *resource(
        "monitors/",
        MonitorResource,
        acts={"pause": "post pause", "resume": "post resume"},
    ),
]
