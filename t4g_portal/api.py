"""/api/: every resource of `/api/v1/`, its schema, and the page that shows it."""

from __future__ import annotations

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import IsAuthenticated

from t4g_portal.lib.api.authentication import BrowserAuthentication, KeyAuthentication
from t4g_portal.lib.api.problems import no_such_address


class SchemaView(SpectacularAPIView):
    """The OpenAPI document; whoever has a key or is signed in may read it."""

    authentication_classes = [KeyAuthentication, BrowserAuthentication]
    permission_classes = [IsAuthenticated]


urlpatterns = [
    path("v1/schema/", SchemaView.as_view(), name="api-schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api-schema"),
        name="api-docs",
    ),
    path("v1/", include("incidents.api.urls")),
    path("v1/", include("monitors.api.urls")),
    path("v1/", include("notifications.api.urls")),
    re_path(r"^(?P<path>.*)$", no_such_address),
]
