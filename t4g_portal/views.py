"""The overview, and the two addresses that platforms ask: /health and /ready."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from t4g_portal.first_run import progress
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page
from t4g_portal.overview import overview
from t4g_portal.ready import readiness


@require_safe
@requires("incidents.view_incident", "monitors.view_monitor")
def home(request: HttpRequest) -> HttpResponse:
    """The overview; `?live` is the part of it that refreshes itself.

    Whoever may set the portal up is led to the first steps until they are done.
    """
    if "live" not in request.GET and progress.is_offered(user=request.user):
        return redirect("first_run:start")
    context = {"overview": overview(now=timezone.now())}
    if "live" in request.GET:
        return live_response(request, "portal/_overview.html", context)
    return render_page(request, "portal/home.html", context, title=_("Overview"))


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Say that this process answers. Asks nobody, so that nothing else can fail it."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Say whether the portal can work, and what is in the way: 200 or 503."""
    found = readiness(now=timezone.now())
    body = {
        "status": "ready" if found.is_ready else "not ready",
        "database": found.database_error or "ok",
        "migrations": list(found.unapplied_migrations) or "ok",
        "loops": [
            {
                "name": loop.name,
                "last_cycle_at": loop.completed_at,
                "bound_s": loop.bound_s,
            }
            for loop in found.late_loops
        ]
        or "ok",
    }
    return JsonResponse(body, status=200 if found.is_ready else 503)
