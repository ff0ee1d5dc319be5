"""/api/: every resource of `/api/v1/`, its schema, and the page that shows it."""

from __future__ import annotations

from csp.decorators import csp
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path, re_path, reverse
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import IsAuthenticated

from kpis.api.business import BusinessResource
from t4g_portal.lib import content_policies
from t4g_portal.lib.access import requires
from t4g_portal.lib.api.authentication import BrowserAuthentication, KeyAuthentication
from t4g_portal.lib.api.problems import no_such_address


class SchemaView(SpectacularAPIView):
    """The OpenAPI document; whoever has a key or is signed in may read it."""

    authentication_classes = [KeyAuthentication, BrowserAuthentication]
    permission_classes = [IsAuthenticated]


@csp(content_policies.SCRIPTED)
@require_safe
@requires()
def docs(request: HttpRequest) -> HttpResponse:
    """Show the schema to whoever is signed in, to try as themselves."""
    return render(request, "api/docs.html", {"schema_url": reverse("api-schema")})


urlpatterns = [
    path("v1/schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
    path("v1/", include("incidents.api.urls")),
    path("v1/", include("monitors.api.urls")),
    path("v1/", include("telemetry.api.urls")),
    path("v1/", include("kpis.api.urls")),
    path("v1/", include("checklists.api.urls")),
    path("v1/", include("notifications.api.urls")),
    # Where the guide's backend has it, so without a slash.
    path("metrics/business", BusinessResource.as_view({"get": "read"})),
    re_path(r"^(?P<path>.*)$", no_such_address),
]
