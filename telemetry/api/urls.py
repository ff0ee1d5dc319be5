"""Addresses below /api/v1/."""

from __future__ import annotations

from t4g_portal.lib.api.urls import resource
from telemetry.api.deployments import DeploymentResource

urlpatterns = [*resource("deployments/", DeploymentResource)]
