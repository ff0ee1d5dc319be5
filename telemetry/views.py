"""The deployments page, and the page of one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from incidents.models import Service
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page
from telemetry import comparing, queries
from telemetry.models import Deployment


@require_safe
@requires("telemetry.view_deployment")
def deployment_list(request: HttpRequest) -> HttpResponse:
    """What is live where and since when; `?live` is the part that refreshes."""
    now = timezone.now()
    page = queries.deployments_page(now=now)
    context: dict[str, Any] = {"page": page, "now": now}
    if not page.places:
        context |= _first_step()
    if "live" in request.GET:
        return live_response(request, "telemetry/_deployments.html", context)
    return render_page(
        request, "telemetry/deployments.html", context, title=_("Deployments")
    )


@require_safe
@requires("telemetry.view_deployment")
def deployment(request: HttpRequest, pk: int) -> HttpResponse:
    """One deployment: how it ended, and whether it is worse than before."""
    now = timezone.now()
    try:
        page = queries.deployment_page(pk=pk, now=now)
    except Deployment.DoesNotExist as error:
        raise Http404 from error
    context = {"page": page, "now": now, "watched": comparing.WATCHED}
    title = _("%(service)s %(commit)s") % {
        "service": page.line.deployment.service.name,
        "commit": page.line.deployment.name,
    }
    return render_page(request, "telemetry/deployment.html", context, title=title)


def _first_step() -> dict[str, Any]:
    """Return what the example of an empty page fills in."""
    first = Service.objects.order_by("position", "name").first()
    return {
        "example": first.slug if first else "backend",
        "api_url": f"{settings.PORTAL_URL}/api/v1/deployments/",
    }
