"""Addresses below /api/v1/."""

from __future__ import annotations

from incidents.api.services import ServiceResource
from t4g_portal.lib.api.urls import resource

urlpatterns = [
    *resource("services/", ServiceResource),
]
