"""A run on paper, or as a PDF by the browser's own printing."""

from __future__ import annotations

from csp.decorators import csp
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from checklists.bundle import bundle_of
from checklists.pages.acting import VIEW, load
from checklists.showing.paper import paper
from t4g_portal.lib import content_policies
from t4g_portal.lib.access import requires


@require_safe
@csp(content_policies.SCRIPTED)  # type: ignore[arg-type]
@requires(VIEW)
def printed(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything of a run, with each signature, its time, meaning and hash."""
    now = timezone.now()
    loaded = load(pk, now=now)
    context = {
        "paper": paper(loaded),
        "run": loaded.run,
        "now": now,
        "reader": request.user,
        "language": get_language(),
        "portal_name": settings.PORTAL_NAME,
        "address": request.build_absolute_uri(request.path),
    }
    return render(request, "checklists/print.html", context)


@require_safe
@requires(VIEW)
def bundle(request: HttpRequest, pk: int) -> HttpResponse:
    """Hand out a run as a file that anybody verifies without the portal."""
    now = timezone.now()
    run = load(pk, now=now).run
    response = HttpResponse(
        bundle_of(run_id=pk, now=now), content_type="application/json"
    )
    name = f"{run.template_slug}-{pk}.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response
